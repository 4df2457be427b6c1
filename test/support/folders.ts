import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach } from 'vitest'

const made: string[] = []

afterEach(() => {
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true, force: true })
})

/** An empty folder that is gone after the test. */
export function emptyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'nsb-test-'))
  made.push(folder)
  return folder
}

/** A storage folder of the learning transport inside an empty folder. */
export function emptyStorage(): string {
  const storage = join(emptyFolder(), '.learningtransport')
  mkdirSync(storage)
  return storage
}

export interface StoredMessage {
  readonly nativeId: string
  /** The metadata file as it is. */
  readonly metadata: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

/** The messages that wait in a queue folder. */
export function storedMessages(storage: string, queue: string, below = ''): readonly StoredMessage[] {
  const folder = join(storage, queue)
  return filesIn(join(folder, below))
    .filter((name) => name.endsWith('.metadata.txt'))
    .map((name) => {
      const nativeId = name.slice(0, -'.metadata.txt'.length)
      const metadata = readFileSync(join(folder, below, name), 'utf8')
      return {
        nativeId,
        metadata,
        headers: JSON.parse(metadata) as Record<string, string>,
        body: readFileSync(join(folder, '.bodies', `${nativeId}.body.txt`)),
      }
    })
}

function filesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

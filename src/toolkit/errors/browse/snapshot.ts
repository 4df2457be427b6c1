import { createHash } from 'node:crypto'
import { createReadStream, rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { FailedMessage } from '../../../message/failure.ts'
import { NsbError } from '../../../message/nsb-error.ts'
import type { HeldMessage, QueueFacts } from '../../../transport/transport.ts'
import { type ReadLine, readLines } from '../../read-lines.ts'
import { type End, type Head, type Line, asBefore, bodyMark, keptNames, schema } from './snapshot-format.ts'
import { snapshotLifeMs, snapshotsFolder } from './snapshot-life.ts'
import { SnapshotWriter, mostBodies } from './snapshot-writer.ts'

/** What a look saw, kept so that looking again soon costs no further delivery. */
export interface Snapshot {
  /** ms since 1970. */
  readonly takenAt: number
  readonly facts: QueueFacts
  /** In the order of the queue. @throws {NsbError} NSB_SNAPSHOT_DAMAGED: the file ends early, or is not as it was written */
  readonly entries: AsyncIterable<SnapshotEntry>
  /** Its entries are not wanted. */
  close(): Promise<void>
}

/** Of a message what its lines in a listing are made of: the headers of its failure. */
export interface SnapshotEntry extends Pick<HeldMessage, 'headers' | 'nativeId' | 'enqueuedAt' | 'unreadable'> {
  /** Of an entry that no endpoint wrote: what was read of it when everything of it was there. */
  readonly failed?: FailedMessage | undefined
  /** undefined: it was too large, or bodies are not kept. */
  readonly keptBody?: (() => Uint8Array) | undefined
}

/** The snapshot of one queue, in a file that nobody else may read. */
export class SnapshotFile {
  readonly #path: string
  readonly #keepsBodies: boolean

  /** @param where which transport it is; the queue of another one has another snapshot */
  constructor(stateFolder: string, where: string, queue: string, { keepsBodies = true }: { readonly keepsBodies?: boolean } = {}) {
    const name = createHash('sha256').update(`${where}\n${queue}`).digest('hex').slice(0, 32)
    this.#path = join(snapshotsFolder(stateFolder), `${name}.ndjson`)
    this.#keepsBodies = keepsBodies
  }

  /** undefined: there is none that is young enough. */
  async read(now: number): Promise<Snapshot | undefined> {
    const lines = readLines(createReadStream(this.#path))
    const first = await lines.next().catch(() => undefined)
    const head = first === undefined || first.done === true ? undefined : parsed<Partial<Head>>(first.value.text)
    if (head?.schema !== schema || head.facts === undefined || head.takenAt === undefined) return undefined
    const age = now - head.takenAt
    if (age < 0 || age >= snapshotLifeMs) {
      await lines.return(undefined)
      return undefined
    }
    const close = async (): Promise<void> => void (await lines.return(undefined))
    return { takenAt: head.takenAt, facts: head.facts, entries: entriesOf(lines, this.#path), close }
  }

  /** @param now ms since 1970 */
  write(facts: QueueFacts, now: number): SnapshotWriter {
    return new SnapshotWriter(this.#path, { schema, takenAt: now, facts }, this.#keepsBodies ? mostBodies : 0)
  }

  /** The queue is about to be changed. */
  async forget(): Promise<void> {
    await rm(this.#path, { force: true }).catch(() => undefined)
  }
}

async function* entriesOf(lines: AsyncIterable<ReadLine>, path: string): AsyncIterable<SnapshotEntry> {
  const before: (string | null)[] = []
  let [count, isWhole] = [0, false]
  /** The one whose body may be on the next line. */
  let open: SnapshotEntry | undefined
  for await (const { text } of lines) {
    const isBody = text[0] === bodyMark.text || text[0] === bodyMark.base64
    if (open !== undefined) yield isBody ? { ...open, keptBody: () => bodyIn(text) } : open
    open = undefined
    if (isBody) continue
    const line = parsed<Line | End>(text)
    if (line === undefined) break
    if (!isEntry(line)) {
      isWhole = line.entries === count
      break
    }
    count++
    open = entryOf(line, before)
  }
  if (isWhole) return
  rmSync(path, { force: true })
  throw new NsbError({
    code: 'NSB_SNAPSHOT_DAMAGED',
    message: `What the last look has kept, '${path}', is not whole. It was removed, so the next command reads the queue.`,
    suggestions: ['Run it again'],
    details: { path },
  })
}

const isEntry = (line: Line | End): line is Line => Array.isArray(line)

/** @param before the values of the line before, which are replaced by those of this one */
function entryOf([nativeId, enqueuedAt, unreadable, others, failed, ...values]: Line, before: (string | null)[]): SnapshotEntry {
  const headers: Record<string, string> = { ...others }
  for (const [index, name] of keptNames.entries()) {
    const value = values[index] ?? null
    const text = value === asBefore ? (before[index] ?? null) : value
    before[index] = text
    if (text !== null) headers[name] = text
  }
  return { headers, nativeId, enqueuedAt, unreadable: unreadable ?? undefined, failed: failed ?? undefined }
}

function bodyIn(line: string): Uint8Array {
  return Buffer.from(line.slice(1), line[0] === bodyMark.text ? 'utf8' : 'base64')
}

function parsed<T>(line: string): T | undefined {
  try {
    return JSON.parse(line) as T
  } catch {
    return undefined
  }
}

import { createHash } from 'node:crypto'
import { mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import { savedLine } from '../../message/saved-message.ts'
import type { HeldMessage } from '../transport.ts'

const longestName = 200

/** Whole messages of one queue in a file that nobody else may read: one line each, `nsb.message/1`. */
export class RescuedMessages {
  readonly #folder: string
  readonly #queue: string
  /** Lines are written one after the other. */
  #last: Promise<unknown> = Promise.resolve()

  /** @param broker tells queues of one name on several brokers apart */
  constructor(stateFolder: string, broker: string, queue: string) {
    this.#folder = join(stateFolder, 'rescued', createHash('sha256').update(broker).digest('hex').slice(0, 8))
    this.#queue = queue
  }

  /** @param now ms since 1970 @returns the file, once the message is safe in it */
  add(message: HeldMessage, now: number): Promise<string> {
    const line = savedLine(message, { queue: this.#queue, exportedAt: now })
    const written = this.#last.catch(() => undefined).then(() => this.#append(`${line}\n`))
    this.#last = written
    return written
  }

  async #append(line: string): Promise<string> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 })
    const path = join(this.#folder, `${fileName(this.#queue)}.ndjson`)
    const file = await open(path, 'a', 0o600)
    try {
      await file.appendFile(line)
      await file.sync()
    } finally {
      await file.close()
    }
    return path
  }
}

/** Any queue name as that of a file. */
function fileName(queue: string): string {
  const name = encodeURIComponent(queue).replaceAll('*', '%2A')
  return name.length <= longestName ? name : createHash('sha256').update(queue).digest('hex')
}

import { isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import { mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import { kindOf, uniqueIdOf } from '../../message/failure.ts'
import type { HeldMessage } from '../transport.ts'
import type { RawMessage } from './publisher.ts'

const longestName = 200

/** Whole messages of one queue in a file that nobody else may read: one line each, `nsb.message/1`. */
export class RescuedMessages {
  readonly #folder: string
  readonly #queue: string
  /** Lines are written one after the other. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(stateFolder: string, queue: string) {
    this.#folder = join(stateFolder, 'rescued')
    this.#queue = queue
  }

  /** @param now ms since 1970 @returns the file, once the message is safe in it */
  add({ content, properties }: Pick<RawMessage, 'content' | 'properties'>, message: HeldMessage, now: number): Promise<string> {
    const { headers, ...native } = properties
    const line = JSON.stringify({
      schema: 'nsb.message/1',
      uniqueId: uniqueIdOf(message.headers, message.id),
      messageId: message.id,
      kind: kindOf(message.headers),
      queue: this.#queue,
      exportedAt: new Date(now).toISOString(),
      properties: native,
      headers: typed(headers),
      body: isUtf8(content)
        ? { encoding: 'utf8', contentType: native.contentType, data: content.toString('utf8') }
        : { encoding: 'base64', contentType: native.contentType, data: content.toString('base64') },
      sha256: createHash('sha256').update(content).digest('hex'),
    })
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

const typeNames: Readonly<Record<string, string>> = { int32: 'int', int64: 'long' }

/** Values that JSON cannot tell apart keep their type: `{"!":"long","v":5}`. */
function typed(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return { '!': 'bytes', v: value.toString('base64') }
  if (Array.isArray(value)) return value.map(typed)
  if (typeof value !== 'object' || value === null) return value
  if ('!' in value && 'value' in value) {
    const { '!': type, value: plain } = value
    return { '!': typeNames[String(type)] ?? type, v: typeof plain === 'number' && !Number.isFinite(plain) ? String(plain) : plain }
  }
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, typed(each)]))
}

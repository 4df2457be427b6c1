import { createHash } from 'node:crypto'
import { closeSync, createReadStream, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { Header } from '../../message/headers.ts'
import type { HeldMessage, Headers, QueueFacts } from '../../transport/transport.ts'
import { innermostFrame } from './stack-title.ts'

/** What a look saw, kept so that looking again soon costs no further delivery. */
export interface Snapshot {
  /** ms since 1970. */
  readonly takenAt: number
  readonly facts: QueueFacts
  /** In the order of the queue. */
  readonly entries: AsyncIterable<SnapshotEntry>
}

/** Of a message what its lines in a listing are made of: the headers of its failure, and no body. */
export type SnapshotEntry = Pick<HeldMessage, 'headers' | 'nativeId' | 'enqueuedAt' | 'unreadable'>

/** How long a snapshot stands for its queue. */
export const snapshotLifeMs = 10 * 60_000
const mostEntries = 100_000
const chunkSize = 256 * 1024

/** The snapshot of one queue, in a file that nobody else may read. */
export class SnapshotFile {
  readonly #path: string

  /** @param where which transport it is; the queue of another one has another snapshot */
  constructor(stateFolder: string, where: string, queue: string) {
    const name = createHash('sha256').update(`${where}\n${queue}`).digest('hex').slice(0, 32)
    this.#path = join(stateFolder, 'snapshots', `${name}.ndjson`)
  }

  /** undefined: there is none that is young enough. */
  async read(now: number): Promise<Snapshot | undefined> {
    const lines = linesOf(this.#path)
    const first = await lines.next().catch(() => undefined)
    const head = first === undefined || first.done === true ? undefined : parsed<Partial<Head>>(first.value)
    if (head?.schema !== schema || head.facts === undefined || head.takenAt === undefined) return undefined
    const age = now - head.takenAt
    if (age < 0 || age >= snapshotLifeMs) {
      await lines.return(undefined)
      return undefined
    }
    return { takenAt: head.takenAt, facts: head.facts, entries: entriesOf(lines) }
  }

  /** @param now ms since 1970 */
  write(facts: QueueFacts, now: number): SnapshotWriter {
    return new SnapshotWriter(this.#path, { schema, takenAt: now, facts })
  }

  /** The queue is about to be changed. */
  async forget(): Promise<void> {
    await rm(this.#path, { force: true }).catch(() => undefined)
  }
}

const schema = 'nsb.snapshot/1'

interface Head {
  readonly schema: typeof schema
  readonly takenAt: number
  readonly facts: QueueFacts
}

/** Writes entries as they are seen. A folder that cannot be written means no snapshot, and nothing else. */
export class SnapshotWriter {
  readonly #path: string
  readonly #draft: string
  #file: number | undefined
  #chunk: string
  #count = 0
  readonly #stacks = new ShortStacks()

  constructor(path: string, head: Head) {
    this.#path = path
    this.#draft = `${path}.${process.pid}`
    this.#chunk = `${JSON.stringify(head)}\n`
    this.#try(() => {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
      this.#file = openSync(this.#draft, 'w', 0o600)
    })
  }

  add({ enqueuedAt, headers, nativeId, unreadable }: HeldMessage): void {
    if (this.#file === undefined) return
    if (++this.#count > mostEntries) return this.drop()
    const entry: SnapshotEntry = { headers: failureFields(headers, this.#stacks), nativeId, enqueuedAt, unreadable }
    this.#chunk += `${JSON.stringify(entry)}\n`
    if (this.#chunk.length >= chunkSize) this.#flush()
  }

  /** From now on it stands for the queue. */
  keep(): void {
    this.#flush()
    this.#try(() => {
      if (this.#file === undefined) return
      closeSync(this.#file)
      this.#file = undefined
      renameSync(this.#draft, this.#path)
    })
  }

  drop(): void {
    const file = this.#file
    this.#file = undefined
    if (file === undefined) return
    closeSync(file)
    rmSync(this.#draft, { force: true })
  }

  #flush(): void {
    const chunk = this.#chunk
    this.#chunk = ''
    this.#try(() => {
      if (this.#file !== undefined) writeSync(this.#file, chunk)
    })
  }

  #try(write: () => void): void {
    try {
      write()
    } catch {
      this.drop()
    }
  }
}

const kept: ReadonlySet<string> = new Set([
  Header.MessageId,
  Header.EnclosedMessageTypes,
  Header.ContentType,
  Header.ProcessingEndpoint,
  Header.ProcessingMachine,
  Header.HostDisplayName,
  Header.HostId,
  Header.FailedQ,
  Header.TimeOfFailure,
  Header.TimeSent,
  Header.ReplyToAddress,
  Header.OriginatingEndpoint,
  Header.OriginatingMachine,
  Header.OriginatingAddress,
  Header.ConversationId,
  Header.RelatedTo,
  Header.ControlMessage,
  Header.ExceptionType,
  Header.ExceptionMessage,
  Header.ExceptionSource,
  `${Header.ExceptionData}Handler type`,
  'NServiceBus.Metric.InstanceId',
  'MT-Reason',
  'x-death',
])
const mostKnown = 50
const keptPrefixes = ['ServiceControl.', 'Nsb.Replay.', 'x-first-death-']

/** What lists and groups are made of; of the stack the frame that decides about the group. */
function failureFields(headers: Headers, stacks: ShortStacks): Headers {
  const fields: Record<string, string> = {}
  for (const name in headers)
    if (kept.has(name) || keptPrefixes.some((prefix) => name.startsWith(prefix))) fields[name] = headers[name] as string
  const stack = stacks.of(headers)
  if (stack !== undefined) fields[Header.ExceptionStackTrace] = stack
  return fields
}

/** The one frame of a stack that decides about its group. Most failures of a queue have one of few stacks, and reading one takes long. */
class ShortStacks {
  readonly #known = new Map<string, string | undefined>()

  of(headers: Headers): string | undefined {
    const key = `${headers[Header.ExceptionMessage] ?? ''}\n${headers[Header.ExceptionStackTrace] ?? ''}`
    if (this.#known.has(key)) return this.#known.get(key)
    const frame = innermostFrame(headers)
    const stack = frame === undefined ? undefined : `   at ${frame.type}.${frame.method}${frame.parameters}`
    if (this.#known.size >= mostKnown) this.#known.clear()
    this.#known.set(key, stack)
    return stack
  }
}

async function* linesOf(path: string): AsyncGenerator<string, undefined> {
  const stream = createReadStream(path, 'utf8')
  try {
    yield* createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })
  } finally {
    stream.destroy()
  }
}

async function* entriesOf(lines: AsyncIterable<string>): AsyncIterable<SnapshotEntry> {
  for await (const line of lines) {
    const entry = parsed<SnapshotEntry>(line)
    if (entry !== undefined) yield { ...entry, unreadable: entry.unreadable }
  }
}

function parsed<T>(line: string): T | undefined {
  try {
    return JSON.parse(line) as T
  } catch {
    return undefined
  }
}

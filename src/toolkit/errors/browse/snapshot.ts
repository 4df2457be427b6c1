import { createHash } from 'node:crypto'
import { closeSync, createReadStream, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { FailedMessage } from '../../../message/failure.ts'
import { Header } from '../../../message/headers.ts'
import type { HeldMessage, Headers, QueueFacts } from '../../../transport/transport.ts'
import { type ReadLine, readLines } from '../../read-lines.ts'
import { headersToGroup } from '../select/group.ts'
import { type Frame, innermostFrame } from '../select/stack-title.ts'

/** What a look saw, kept so that looking again soon costs no further delivery. */
export interface Snapshot {
  /** ms since 1970. */
  readonly takenAt: number
  readonly facts: QueueFacts
  /** In the order of the queue. */
  readonly entries: AsyncIterable<SnapshotEntry>
}

/** Of a message what its lines in a listing are made of: the headers of its failure, and no body. */
export interface SnapshotEntry extends Pick<HeldMessage, 'headers' | 'nativeId' | 'enqueuedAt' | 'unreadable'> {
  /** Of an entry that no endpoint wrote: what was read of it when everything of it was there. */
  readonly failed?: FailedMessage | undefined
}

/** How long a snapshot stands for its queue. */
export const snapshotLifeMs = 10 * 60_000
const mostEntries = 100_000
/** Lines that wait to be written: about 5 MB. What is given back to a broker takes so long that there is time for them then. */
const mostWaiting = 10_000
const writtenAtOnce = 500

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
    const lines = readLines(createReadStream(this.#path))
    const first = await lines.next().catch(() => undefined)
    const head = first === undefined || first.done === true ? undefined : parsed<Partial<Head>>(first.value.text)
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

const schema = 'nsb.snapshot/3'

interface Head {
  readonly schema: typeof schema
  readonly takenAt: number
  readonly facts: QueueFacts
}

/** An entry on its line, the values in the order of {@link keptNames}: most of what it says the one before has said as well. */
type Line = readonly [
  nativeId: string,
  enqueuedAt: number,
  unreadable: string | null,
  others: Headers | null,
  failed: FailedMessage | null,
  ...values: readonly (string | typeof asBefore | null)[],
]
const asBefore = 0

/** Writes entries as they are seen. A folder that cannot be written means no snapshot, and nothing else. */
export class SnapshotWriter {
  readonly #path: string
  readonly #draft: string
  #file: number | undefined
  #lines: unknown[]
  #count = 0
  readonly #before: (string | undefined)[] = []
  #frame: Frame | undefined
  #stack: string | undefined

  constructor(path: string, head: Head) {
    this.#path = path
    this.#draft = `${path}.${process.pid}`
    this.#lines = [head]
    this.#try(() => {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
      this.#file = openSync(this.#draft, 'w', 0o600)
    })
  }

  add(message: HeldMessage, failed: FailedMessage): void {
    if (this.#file === undefined) return
    if (++this.#count > mostEntries) return this.drop()
    const { enqueuedAt, nativeId, unreadable } = message
    const headers = headersToGroup(failed, message.headers)
    const isFailure = failed.kind === 'failure'
    // Most were never replayed, and what else is kept of others says nothing of a failure.
    const others = isFailure && failed.replayed === 0 && headers[Header.ReplayCount] === undefined ? null : othersKept(message.headers)
    const line: unknown[] = [nativeId, enqueuedAt, unreadable, others, isFailure ? null : failed]
    for (let index = 0; index < keptNames.length; index++) {
      const name = keptNames[index] as string
      const value = name === Header.ExceptionStackTrace ? this.#shortStack(headers) : headers[name]
      line.push(value === this.#before[index] ? asBefore : value)
      this.#before[index] = value
    }
    this.#lines.push(line)
    if (this.#lines.length >= mostWaiting) this.#writeSome()
  }

  /** The one frame of a stack that decides about its group. */
  #shortStack(headers: Headers): string | undefined {
    const frame = innermostFrame(headers)
    // Frames are remembered by who reads them, so most are the same object.
    if (frame !== this.#frame) {
      this.#frame = frame
      this.#stack = frame && `   at ${frame.type}.${frame.method}${frame.parameters}`
    }
    return this.#stack
  }

  /** Writes what waits, a little at a time. From then on it stands for the queue. */
  async keep(): Promise<void> {
    while (this.#lines.length > 0) {
      this.#writeSome()
      await setImmediate()
    }
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
    this.#lines = []
    if (file === undefined) return
    closeSync(file)
    rmSync(this.#draft, { force: true })
  }

  #writeSome(): void {
    const text = this.#lines
      .splice(0, writtenAtOnce)
      .map((line) => `${JSON.stringify(line)}\n`)
      .join('')
    this.#try(() => {
      if (this.#file !== undefined) writeSync(this.#file, text)
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

/** What lists and groups are made of. */
const keptNames: readonly string[] = [
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
  Header.ExceptionStackTrace,
  `${Header.ExceptionData}Handler type`,
  'NServiceBus.Metric.InstanceId',
  'MT-Reason',
  'x-death',
]
const keptPrefixes = ['ServiceControl.', 'Nsb.Replay.', 'x-first-death-']

/** The same names come with every message; how many are remembered is bounded, because a message may bring any. */
const decided = new Map<string, boolean>()
const mostDecided = 1000

function isOtherKept(name: string): boolean {
  const known = decided.get(name)
  if (known !== undefined) return known
  const kept = keptPrefixes.some((prefix) => name.startsWith(prefix))
  if (decided.size < mostDecided) decided.set(name, kept)
  return kept
}

function othersKept(headers: Headers): Headers | undefined {
  let others: Record<string, string> | undefined
  for (const name in headers) if (isOtherKept(name)) (others ??= {})[name] = headers[name] as string
  return others
}

async function* entriesOf(lines: AsyncIterable<ReadLine>): AsyncIterable<SnapshotEntry> {
  const before: (string | null)[] = []
  for await (const { text: line } of lines) {
    const entry = parsed<Line>(line)
    // The lines after it count on it.
    if (entry === undefined) return
    const [nativeId, enqueuedAt, unreadable, others, failed, ...values] = entry
    const headers: Record<string, string> = { ...others }
    for (const [index, name] of keptNames.entries()) {
      const value = values[index] ?? null
      const text = value === asBefore ? (before[index] ?? null) : value
      before[index] = text
      if (text !== null) headers[name] = text
    }
    yield { headers, nativeId, enqueuedAt, unreadable: unreadable ?? undefined, failed: failed ?? undefined }
  }
}

function parsed<T>(line: string): T | undefined {
  try {
    return JSON.parse(line) as T
  } catch {
    return undefined
  }
}

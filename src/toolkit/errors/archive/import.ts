import { type FailedMessage, identityOf, isForeign, uniqueIdOf } from '../../../message/failure.ts'
import { Header } from '../../../message/headers.ts'
import { NsbError } from '../../../message/nsb-error.ts'
import { BadLineError } from '../../../message/bad-line.ts'
import { type SavedMessage, readSaved, readSavedLine, textHeaders, typedProperties } from '../../../message/saved-message.ts'
import type { Operations, OutgoingMessage, QueueFacts, Transport } from '../../../transport/transport.ts'
import type { ReadLine } from '../../read-lines.ts'
import { ownReplays, replayHeaders } from '../copy.ts'
import { checkHold, holdIfThere } from '../hold.ts'
import type { Journal } from '../journal/journal.ts'
import { KeySet } from '../journal/key-set.ts'
import { noTarget, targetOf, targetProblem, whyNoQueue } from '../replay/plan.ts'
import { readHeld } from '../replay/sending-back.ts'
import { errorFields } from './archive.ts'

/** Where not every line is wanted in the report, so many are named that were not imported. */
const mostNamed = 1000
/** So many failures in a row are no accident. */
const mostConsecutiveFailures = 10
const mostBatchBytes = 4 * 1024 * 1024
const page = 500

export interface ImportPlace {
  /** Where messages go; with a replay, when it was named. */
  readonly queue: string | undefined
  /** A copy goes to where each of them failed, or to `queue`. */
  readonly replay: boolean
  readonly redirects: Readonly<Record<string, string>>
}

export interface ImportOptions extends ImportPlace {
  readonly operation: string
  /** undefined: nothing is sent, only looked at. */
  readonly journal: Journal | undefined
  readonly verifyHash: boolean
  /** In the queue already, or skipped for another reason; undefined: what comes twice is imported twice. */
  readonly present: KeySet | undefined
  /** Sent and not yet confirmed at once: bounds what a crash doubles. */
  readonly window: number
  readonly everyItem: boolean
  readonly signal: AbortSignal
  readonly clock: () => number
  readonly progress: (step: { readonly done: number; readonly failed: number }) => void
  /** By the number of its line: imported already. */
  readonly isDone?: (line: number) => boolean
}

/** What became of one line. */
export interface ImportedLine {
  readonly line: number
  readonly uniqueId?: string
  readonly target?: string
  result: 'imported' | 'planned' | 'skipped' | 'rejected' | 'failed'
  error?: { readonly code: string; readonly message: string }
}

export interface ImportReport {
  /** Lines with something in them. */
  readonly read: number
  /** Or planned to be, when nothing is sent. */
  readonly imported: number
  readonly skipped: number
  readonly rejected: number
  readonly failed: number
  /** Of those imported: their lines were written without removing the message, so it is where it was. */
  readonly notRemoved: number
  /** Without {@link ImportOptions.everyItem} only those that are not in the queue now, 1,000 at most. */
  readonly items: readonly ImportedLine[]
  /** For each target how many. */
  readonly targets: ReadonlyMap<string, number>
  /** Too many failures in a row, or the journal cannot be written: the rest was not read. */
  readonly stoppedBy: unknown
}

/**
 * Has the queue to be made? An error queue that is a folder is made by the first failure, so it may be missing.
 *
 * @param isNamed by the user, so that it must be there
 * @throws what the transport says of a queue that is not there and is not made
 */
export async function isQueueMissing(transport: Transport, queue: string, isNamed: boolean): Promise<boolean> {
  if ((await transport.inspect(queue)) !== undefined) return false
  if (isNamed || !transport.can.lookWithoutTrace) throw await whyNoQueue(transport, queue)
  return true
}

/** What is in a queue that is imported into. */
export interface Present {
  readonly keys: KeySet
  /** Lets others import into it; always. */
  release(): Promise<void>
}

/**
 * Which failures are in the queue; to know it is to look at all of them. Beside a consumer nobody knows it, who may have them in hand. Where
 * a look holds nothing, nobody else imports into the queue until it is let go, since both would find the same missing.
 *
 * @throws {NsbError} NSB_HOLD_TOO_SMALL, and those of a holding that changes the queue
 */
export async function presentIn(
  operations: Operations,
  queue: string,
  { maxHold, overrule, signal }: { readonly maxHold: number; readonly overrule: readonly string[]; readonly signal: AbortSignal },
): Promise<Present> {
  const keys = new KeySet()
  const { lookWithoutTrace } = operations.can
  const holding = await holdIfThere(operations, queue, {
    purpose: lookWithoutTrace ? 'look' : 'change',
    alone: true,
    overrule,
    page,
    max: maxHold,
    signal,
    beforeRemove: () => undefined,
  })
  const release = async (): Promise<void> => void (await holding?.giveBack())
  if (holding === undefined) return { keys, release }
  let isRead = false
  try {
    checkHold(holding.facts, { maxHold, overrule }, ['Or import without a look at what is there already: --allow-duplicates'])
    for await (const messages of holding.pages()) for (const message of messages) keys.add(keyOf(message, readHeld(message)))
    signal.throwIfAborted()
    isRead = true
  } finally {
    if (!isRead || !lookWithoutTrace) await release()
  }
  return { keys, release }
}

/** Sends the messages of these lines; each line is in the report or imported. */
export async function importLines(transport: Transport, lines: AsyncIterable<ReadLine>, options: ImportOptions): Promise<ImportReport> {
  const importing = new Importing(transport, options)
  for await (const line of lines) {
    if (options.signal.aborted || importing.isStopped) break
    await importing.add(line)
  }
  await importing.flush()
  return importing
}

interface Ready {
  readonly item: ImportedLine
  readonly message: OutgoingMessage
  /** Only an operation removes what it has saved. */
  readonly isRemoved: boolean
}

class Importing implements ImportReport {
  read = 0
  imported = 0
  skipped = 0
  rejected = 0
  failed = 0
  notRemoved = 0
  readonly items: ImportedLine[] = []
  readonly targets = new Map<string, number>()
  stoppedBy: unknown
  readonly #transport: Transport
  readonly #options: ImportOptions
  /** At most a window, while the one before is under way. */
  #batch: Ready[] = []
  #underWay: Promise<void> | undefined
  #bytes = 0
  #inARow = 0
  /** Failures of this file that have a time, so that they are known again. */
  readonly #seen = new KeySet()
  readonly #kinds = new Map<string, Promise<QueueFacts['kind'] | undefined>>()
  /** Queues that a connection has to itself: they take a message, and are gone with that connection. */
  readonly #locked = new Map<string, NsbError>()

  constructor(transport: Transport, options: ImportOptions) {
    this.#transport = transport
    this.#options = options
  }

  get isStopped(): boolean {
    return this.stoppedBy !== undefined
  }

  async add(line: ReadLine): Promise<void> {
    this.read++
    if (this.#options.isDone?.(line.number) === true) return this.#skip({ line: line.number, result: 'skipped' })
    try {
      await this.#addMessage(line.number, this.#readLine(line))
    } catch (error) {
      if (!(error instanceof BadLineError)) throw error
      this.rejected++
      this.#note({ line: line.number, result: 'rejected', error: errorFields(error) })
    }
  }

  /** Sends what is ready, and resolves when all of it is safe or has failed. */
  async flush(): Promise<void> {
    await this.#next()
    await this.#underWay
  }

  /** Sends what is ready, while what comes then is read. */
  async #next(): Promise<void> {
    const batch = this.#batch
    this.#batch = []
    this.#bytes = 0
    if (batch.length === 0) return
    await this.#underWay
    const { journal } = this.#options
    if (journal !== undefined) {
      if (!this.isStopped) this.#underWay = this.#send(batch, journal)
      return
    }
    for (const { item } of batch) this.#note({ ...item, result: 'planned' })
    this.imported += batch.length
  }

  async #send(batch: readonly Ready[], journal: Journal): Promise<void> {
    try {
      const first = journal.select(batch.map(({ item }) => String(item.line)))
      const results = await Promise.allSettled(batch.map(({ message }) => this.#transport.dispatch([message])))
      for (const [index, result] of results.entries()) this.#settle(batch[index] as Ready, result)
      journal.safe(results.flatMap(({ status }, index) => (status === 'fulfilled' ? [first + index] : [])))
    } catch (error) {
      // Of the journal: it can be said no more what was sent.
      this.stoppedBy = error
    }
  }

  #readLine({ isOpen, problem, text }: ReadLine): SavedMessage {
    if (problem !== undefined) throw new BadLineError(problem === 'tooLong' ? 'it is longer than any message' : 'it is not UTF-8')
    try {
      return readSavedLine(text, { verifyHash: this.#options.verifyHash })
    } catch (error) {
      if (isOpen && error instanceof BadLineError && error.cause instanceof SyntaxError)
        throw new BadLineError('it is cut off: the input ends in it', 'NSB_BAD_LINE', error)
      throw error
    }
  }

  async #addMessage(line: number, saved: SavedMessage): Promise<void> {
    const { present, queue, redirects, replay } = this.#options
    const failed = readSaved(saved)
    const { uniqueId } = failed
    // What other systems do not say is concluded from the queue it lies in.
    const isOfQueue = queue !== undefined && !replay && isForeign(failed.kind)
    const key = keyOf(saved, isOfQueue ? readSaved({ ...saved, queue }) : failed)
    if (present !== undefined && (present.has(key) || (failed.failedAt !== undefined && !this.#seen.add(key))))
      return this.#skip({ line, uniqueId, result: 'skipped' })
    const target = replay ? targetOf(failed, saved.headers[Header.RetryTo], { to: queue, redirects }) : queue
    if (target === undefined) return this.#fail({ line, uniqueId, result: 'failed' }, noTarget())
    const item: ImportedLine = { line, uniqueId, target, result: 'imported' }
    const problem = await this.#problemOf(target)
    if (problem !== undefined) return this.#fail(item, problem)
    this.targets.set(target, (this.targets.get(target) ?? 0) + 1)
    const kind = await this.#kindOf(target)
    const message = replay ? this.#copyOf(saved, target, kind) : unchanged(saved, target, kind)
    this.#batch.push({ item, message, isRemoved: saved.operation !== undefined })
    this.#bytes += saved.body.length
    if (this.#batch.length >= this.#options.window || this.#bytes >= mostBatchBytes) await this.#next()
  }

  /** Why nothing can be sent there. That there is no such queue is said when it is sent; a dry run has to look. */
  async #problemOf(target: string): Promise<unknown> {
    const kind = await this.#kindOf(target)
    const refused = targetProblem(target, undefined) ?? this.#locked.get(target)
    if (refused !== undefined || kind !== undefined || this.#options.journal !== undefined) return refused
    return this.#options.replay ? whyNoQueue(this.#transport, target) : undefined
  }

  #copyOf(saved: SavedMessage, target: string, kind: QueueFacts['kind'] | undefined): OutgoingMessage {
    const failed = readSaved(saved)
    const { clock, operation } = this.#options
    const { body, headers, native } = saved
    return {
      id: failed.messageId,
      headers: replayHeaders(headers, failed, { operation, now: clock(), acknowledgeTo: undefined }),
      body,
      native,
      to: { exactQueue: target },
      // A running endpoint remembers native ids. Folders choose one of their own.
      ...(kind === 'classic' || kind === 'quorum' ? { nativeId: `${failed.uniqueId}.${ownReplays(headers) + 1}` } : {}),
    }
  }

  /** undefined: there is no such queue, or it must not even be looked for. */
  #kindOf(queue: string): Promise<QueueFacts['kind'] | undefined> {
    const known =
      this.#kinds.get(queue) ??
      this.#transport.inspect(queue).then(
        (facts) => facts?.kind,
        (error: unknown) => {
          if (error instanceof NsbError && error.code === 'NSB_QUEUE_LOCKED') this.#locked.set(queue, error)
          return undefined
        },
      )
    this.#kinds.set(queue, known)
    return known
  }

  #settle({ isRemoved, item }: Ready, result: PromiseSettledResult<void>): void {
    if (result.status === 'rejected') return this.#fail(item, result.reason)
    this.#inARow = 0
    this.imported++
    if (!isRemoved) this.notRemoved++
    this.#note(item)
  }

  #fail(item: ImportedLine, error: unknown): void {
    this.failed++
    this.#note({ ...item, result: 'failed', error: errorFields(error) })
    if (++this.#inARow > mostConsecutiveFailures && this.#options.journal !== undefined) this.stoppedBy ??= error
  }

  #skip(item: ImportedLine): void {
    this.skipped++
    this.#note(item)
  }

  #note(item: ImportedLine): void {
    const isThere = item.result === 'imported' || item.result === 'planned' || item.result === 'skipped'
    if (this.#options.everyItem || (!isThere && this.items.length < mostNamed)) this.items.push(item)
    this.#options.progress({ done: this.imported + this.skipped + this.rejected + this.failed, failed: this.rejected + this.failed })
  }
}

function unchanged(saved: SavedMessage, queue: string, kind: QueueFacts['kind'] | undefined): OutgoingMessage {
  const isFolder = kind === 'folder'
  const native = isFolder ? saved.native : typedProperties(saved)
  const texts = isFolder ? textHeaders(saved) : saved.headers
  const id = readSaved(saved).messageId
  const keepsNativeId = !isFolder && saved.nativeId === (native['messageId'] ?? '')
  // What is known by its native id alone is known again by a header, where the copy gets another one.
  const isUnknown = !keepsNativeId && !texts[Header.MessageId] && readSaved({ ...saved, nativeId: `${saved.nativeId}?` }).messageId !== id
  const headers = isUnknown ? { ...texts, [Header.MessageId]: id } : texts
  return { id, headers, body: saved.body, native, to: { exactQueue: queue }, unchanged: true }
}

/** The same for an entry and for its copy by {@link unchanged}, which can always be read. */
function keyOf({ nativeId, unreadable }: Pick<SavedMessage, 'nativeId' | 'unreadable'>, failed: FailedMessage): string {
  return identityOf(unreadable === undefined ? failed : { ...failed, uniqueId: uniqueIdOf({}, nativeId) })
}

export function cannotRead(source: string, error: unknown): NsbError {
  return new NsbError({
    code: 'NSB_BAD_INPUT',
    message: `'${source}' cannot be read: ${errorFields(error).message}`,
    suggestions: ['Give a file of lines, or - and the lines on stdin: nsb errors import <file>'],
    details: { source },
    cause: error,
  })
}

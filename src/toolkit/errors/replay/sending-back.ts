import { type FailedMessage, readFailure } from '../../../message/failure.ts'
import { Header } from '../../../message/headers.ts'
import { NsbError, errorText } from '../../../message/nsb-error.ts'
import { QueueNotFoundError } from '../../../transport/queue-not-found.ts'
import type { HeldMessage, Holding, Operations, OutgoingMessage } from '../../../transport/transport.ts'
import type { Answers } from './answers.ts'
import { ownReplays, replayHeaders } from '../copy.ts'
import { keyOf } from '../journal/message-key.ts'
import type { BatchOutcome } from './pace.ts'
import { type PlannedMessage, targetProblem } from './plan.ts'
import type { ReplayRun, ReplayedMessage } from './replay.ts'
import { isBrokerQueue } from '../../broker-queue.ts'
import { unchangedCopy } from './staging.ts'

/** So many failures in a row are no accident. */
const mostConsecutiveFailures = 10
/** So many wait at most until a place in the window is free, so that there are some when the broker has confirmed those before them. */
const mostWaiting = 100
/** Where not every message is wanted in the report, so many failed ones are named. */
const mostNamed = 1000

export interface SendingBackOptions {
  readonly operations: Operations
  /** The error queue. */
  readonly queue: string
  readonly holding: Holding
  readonly run: ReplayRun
  readonly signal: AbortSignal
  readonly answers: Answers | undefined
  /** Where the answers go. */
  readonly acknowledgeTo: string | undefined
  /** How many there are, for the progress; undefined: nobody knows yet. */
  readonly of: number | undefined
}

/** What is about to be sent. */
interface Next {
  readonly message: HeldMessage
  readonly plan: PlannedMessage
  readonly failed: FailedMessage
}

/** What ends with these was not answered by the broker: whether it was done is not known. */
const lostCodes: ReadonlySet<string> = new Set(['NSB_CHANNEL_CLOSED', 'NSB_CONNECTION_BROKEN', 'NSB_CONNECTION_LOST', 'NSB_NO_CONFIRM'])

export function isLost(error: unknown): boolean {
  return error instanceof NsbError && lostCodes.has(error.code)
}

/**
 * Sends held messages back, a window of them at a time: each copy is safe before its original is removed. What is sent together is noted
 * in the journal together, before the first of it is sent.
 */
export class SendingBack {
  /** In the order of sending; without `run.everyItem` only those that failed. */
  readonly items: ReplayedMessage[] = []
  tried = 0
  failed = 0
  /** Why a step could not be noted; nothing was begun after it. */
  journalProblem: unknown
  /** Messages that were sent, but not removed since that could not be noted. */
  sentUnnoted = 0
  /** The broker did not answer for some of them. */
  lostConnection = false
  /** They wait for their place in the window. */
  #next: Next[] = []
  #isToBegin = false
  /** Of those under way, by their place in the journal. */
  readonly #numbers = new Map<HeldMessage, number>()
  readonly #options: SendingBackOptions
  #done = 0
  /** Items whose outcomes were awaited. */
  #answered = 0
  /** How those ended that a message before them is still under way of, by the order of sending. */
  readonly #ended = new Map<number, 'sent' | 'failed'>()
  #settled = 0
  #underWay = 0
  #inARow = 0
  #stopped = false
  #wake = (): void => {}
  readonly #queueExists = new Map<string, Promise<boolean>>()
  /** Targets that nobody has to himself; the others have been asked for. */
  readonly #open = new Set<string>()
  readonly #looks = new Map<string, Promise<void>>()
  /** Of targets that did not take a message. */
  readonly #gone = new Map<string, Promise<boolean>>()

  constructor(options: SendingBackOptions) {
    this.#options = options
  }

  /** Too many failures in a row, the first one with `--on-error stop`, or nobody wanted a further batch. */
  get stopped(): boolean {
    return this.#stopped || this.#options.run.pacing?.stoppedAfter !== undefined
  }

  /** Begins with one more when there is room for it; says so at once if there is. @returns false: it is not begun, and no other should be */
  add(message: HeldMessage, plan: PlannedMessage, failed = readHeld(message)): boolean | Promise<boolean> {
    const next = { message, plan, failed }
    const ready = this.#options.run.pacing?.ready(this) ?? true
    return typeof ready === 'boolean' ? ready && this.#addInRoom(next) : ready.then((isReady) => isReady && this.#addInRoom(next))
  }

  #addInRoom(next: Next): boolean | Promise<boolean> {
    const hasRoom = (): boolean => this.#next.length < Math.min(this.#options.run.window, mostWaiting)
    return hasRoom() ? this.#accept(next) : this.#until(hasRoom).then(() => this.#accept(next))
  }

  #accept(next: Next): boolean {
    if (this.#stopped || this.#options.signal.aborted) return false
    this.#options.run.pacing?.begin()
    this.#next.push(next)
    if (this.#underWay + this.#next.length >= this.#options.run.window) this.begin()
    else if (this.#next.length === 1) setImmediate(() => this.begin())
    return true
  }

  /** Begins at once with what was added and has a place: before a holding is asked for more, which looks at what is leaving it. */
  begin(): void {
    const { holding, run, signal } = this.#options
    // What has not begun stays where it is.
    if (this.#stopped || signal.aborted) this.#next = []
    const group = this.#next.splice(0, run.window - this.#underWay)
    if (group.length === 0) return
    let number = 0
    try {
      number = run.journal?.select(group.map(({ failed, message }) => keyOf(message, failed, holding.facts.kind))) ?? 0
    } catch (error) {
      this.#cannotNote(error)
      return
    }
    for (const { failed, message, plan } of group) {
      this.tried++
      this.#underWay++
      if (run.journal !== undefined) this.#numbers.set(message, number++)
      this.#send(message, plan, failed, this.tried)
    }
  }

  /** When all have ended that were confirmed together. */
  #beginSoon(): void {
    if (this.#isToBegin) return
    this.#isToBegin = true
    queueMicrotask(() => {
      this.#isToBegin = false
      this.begin()
      this.#wake()
    })
  }

  /**
   * For the holding: the copies of these are safe, and their originals are about to be removed.
   *
   * @throws {NsbError} NSB_JOURNAL_UNWRITABLE: they must not be
   */
  noteSafe(group: readonly HeldMessage[]): void {
    const numbers: number[] = []
    for (const message of group) {
      const number = this.#numbers.get(message)
      if (number !== undefined) numbers.push(number)
    }
    try {
      this.#options.run.journal?.safe(numbers)
    } catch (error) {
      this.sentUnnoted += numbers.length
      this.#cannotNote(error)
      throw error
    }
  }

  #cannotNote(error: unknown): void {
    this.journalProblem ??= error
    this.#stopped = true
    this.#next = []
    this.#wake()
  }

  /** Resolves when none is under way any more. */
  async finish(): Promise<void> {
    this.begin()
    await this.#until(() => this.#underWay + this.#next.length === 0)
  }

  /** Somebody else has taken it since it was planned. */
  addGone({ target, uniqueId }: PlannedMessage): void {
    this.tried++
    this.failed++
    const error = { code: 'NSB_MESSAGE_TAKEN', message: 'The message was taken by somebody else meanwhile; nothing was done.' }
    this.#note({ uniqueId, target, result: 'failed', error })
  }

  /** As {@link addGone}, of those that the plan does not name. */
  addGoneUnnamed(count: number): void {
    this.tried += count
    this.failed += count
  }

  /** Waits for the outcomes of what was sent since the last call; undefined: nobody wants them. */
  async answersOfBatch(): Promise<BatchOutcome['answered']> {
    const { answers, run, signal } = this.#options
    if (answers === undefined || run.waitMs === undefined) return undefined
    const batch = this.items.slice(this.#answered)
    this.#answered = this.items.length
    const published = batch.filter((item) => item.result === 'published')
    await answers.until(published.map(idOfAnswer), run.waitMs, signal, (waitingFor) =>
      run.progress({ doing: 'waiting', done: published.length - waitingFor, of: published.length, failed: 0 }),
    )
    this.#noteAnswers(published)
    const count = (result: ReplayedMessage['result']): number => batch.filter((item) => item.result === result).length
    return { succeeded: count('succeeded'), failedAgain: count('failedAgain'), noAnswer: count('noAnswer') }
  }

  /** Waits for all outcomes that are missing; those of earlier batches that came too late count too. */
  async awaitAnswers(): Promise<void> {
    await this.answersOfBatch()
    this.#noteAnswers(this.items.filter((item) => item.result === 'noAnswer'))
  }

  #noteAnswers(items: readonly ReplayedMessage[]): void {
    for (const item of items) {
      const answer = this.#options.answers?.of(idOfAnswer(item))
      item.result = answer?.kind ?? 'noAnswer'
      if (answer?.kind === 'failedAgain' && answer.exception !== undefined) item.exception = answer.exception
    }
  }

  // Only the one that adds or finishes waits.
  async #until(holds: () => boolean): Promise<void> {
    while (!holds())
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
  }

  // No async function: it would keep the message alive while it is under way.
  #send(message: HeldMessage, plan: PlannedMessage, failed: FailedMessage, number: number): void {
    const { of, run } = this.#options
    const item: ReplayedMessage = { uniqueId: plan.uniqueId, target: plan.target, result: 'published' }
    if (run.everyItem) this.items.push(item)
    const ended = (): void => {
      this.#numbers.delete(message)
      this.#settle(number, item.result === 'failed')
      const doing = run.staging?.step === 'move' ? 'moving' : 'replaying'
      run.progress({ doing, done: ++this.#done, of, failed: this.failed })
      this.#underWay--
      this.#beginSoon()
    }
    this.#sendOne(message, item, failed).then(ended, async (error: unknown) => {
      item.result = 'failed'
      await this.#returnUnsent(message)
      const reason = plan.target !== undefined && isOfQueue(error) && (await this.#isGone(plan.target)) ? deleted(plan.target) : error
      item.error = { code: reason instanceof NsbError ? reason.code : 'NSB_UNEXPECTED', message: errorText(reason) }
      if (!this.#options.run.everyItem) this.#note(item)
      this.failed++
      this.lostConnection ||= isLost(error)
      ended()
    })
  }

  // A missing queue is known sooner than a success is safe, so "in a row" is by the order of sending.
  #settle(number: number, failed: boolean): void {
    if (failed && this.#options.run.onError === 'stop') this.#stopped = true
    this.#ended.set(number, failed ? 'failed' : 'sent')
    for (let next = this.#ended.get(this.#settled + 1); next !== undefined; next = this.#ended.get(this.#settled + 1)) {
      this.#ended.delete(++this.#settled)
      this.#inARow = next === 'failed' ? this.#inARow + 1 : 0
      if (this.#inARow > mostConsecutiveFailures) this.#stopped = true
    }
  }

  #note(item: ReplayedMessage): void {
    if (this.#options.run.everyItem || this.items.length < mostNamed) this.items.push(item)
  }

  /** What could not be sent from a staging queue is a failure again, as it was. Where that fails too, it stays in the staging queue. */
  async #returnUnsent(message: HeldMessage): Promise<void> {
    const { holding, queue, run } = this.#options
    if (run.staging?.step !== 'drain') return
    await holding.consume(message, [unchangedCopy(message, queue, holding.facts.kind)]).catch(() => undefined)
  }

  #sendOne(message: HeldMessage, item: ReplayedMessage, failed: FailedMessage): Promise<void> {
    const { holding, queue } = this.#options
    const { target } = item
    if (target !== undefined && this.#open.has(target)) return this.#sendThere(message, target, item, failed)
    const problem = targetProblem(target, queue)
    if (problem !== undefined || target === undefined) return Promise.reject(problem)
    if (!isBrokerQueue(holding.facts)) return this.#sendThere(message, target, item, failed)
    return this.#checkOpen(target).then(() => this.#sendThere(message, target, item, failed))
  }

  /** A queue that a connection has to itself takes and confirms a message, and is gone with that connection. @throws {NsbError} NSB_QUEUE_LOCKED */
  #checkOpen(target: string): Promise<void> {
    const look =
      this.#looks.get(target) ??
      this.#options.operations.inspect(target).then(
        () => void this.#open.add(target),
        (error: unknown) => {
          if (error instanceof NsbError && error.code === 'NSB_QUEUE_LOCKED') throw error
          // Whether it is there, and may be sent to, its own answer says.
          this.#open.add(target)
        },
      )
    this.#looks.set(target, look)
    return look
  }

  #sendThere(message: HeldMessage, target: string, item: ReplayedMessage, failed: FailedMessage): Promise<void> {
    if (!this.#options.run.keepAcknowledgeTo) return this.#consume(message, target, item, failed, false)
    return this.#isAcknowledged(message).then((keep) => this.#consume(message, target, item, failed, keep))
  }

  #consume(message: HeldMessage, target: string, item: ReplayedMessage, failed: FailedMessage, keepAcknowledgeTo: boolean): Promise<void> {
    const { acknowledgeTo, answers, holding, run } = this.#options
    const { uniqueId } = item
    if (run.staging?.step === 'move') return holding.consume(message, [unchangedCopy(message, run.staging.queue, holding.facts.kind)])
    if (run.patching !== undefined)
      return run.patching.copyOf(message, failed, target, acknowledgeTo).then((copy) => {
        if (answers !== undefined) {
          item.sentAs = copy.id
          answers.expect(copy.id, undefined)
        }
        return holding.consume(message, [copy])
      })
    const headers = replayHeaders(message.headers, failed, { operation: run.operation, now: run.clock(), acknowledgeTo, keepAcknowledgeTo })
    answers?.expect(uniqueId, failed.failedAt)
    const copy: OutgoingMessage = {
      id: failed.messageId,
      headers,
      body: message.body,
      to: { exactQueue: target },
      native: message.native,
      ...this.#nativeIdOf(message, failed),
    }
    return holding.consume(message, [copy])
  }

  // A running endpoint remembers native ids: the same one again may be swallowed. Folders choose one of their own.
  #nativeIdOf(message: HeldMessage, failed: FailedMessage): { readonly nativeId?: string } {
    const { holding, run } = this.#options
    // MassTransit takes it for the id of the message, and reads no other form than its own.
    if ((run.sameNativeId || failed.kind === 'masstransit') && message.nativeId !== '') return { nativeId: message.nativeId }
    return holding.facts.kind === 'folder' ? {} : { nativeId: `${failed.uniqueId}.${ownReplays(message.headers) + 1}` }
  }

  #isGone(target: string): Promise<boolean> {
    const isGone = (): Promise<boolean> =>
      this.#options.operations.inspect(target).then(
        (facts) => facts === undefined,
        () => false,
      )
    const known = this.#gone.get(target) ?? isGone()
    this.#gone.set(target, known)
    return known
  }

  /** An address that nobody owns makes a success fail. */
  #isAcknowledged({ headers }: HeldMessage): Promise<boolean> {
    const queue = headers[Header.RetryAcknowledgementQueue]
    if (queue === undefined) return Promise.resolve(false)
    const known = this.#queueExists.get(queue) ?? this.#options.operations.inspect(queue).then((facts) => facts !== undefined)
    this.#queueExists.set(queue, known)
    return known
  }
}

/** What its outcome is told under. */
const idOfAnswer = ({ sentAs, uniqueId }: ReplayedMessage): string => sentAs ?? uniqueId

// Of what is on its way to a queue when it is deleted, RabbitMQ may end the connection with an internal error, or refuse it.
const isOfQueue = (error: unknown): boolean => isLost(error) || (error instanceof NsbError && error.code === 'NSB_NACKED')
const deleted = (queue: string): NsbError => new QueueNotFoundError(queue, [], 'any more')

/** What the error queue says of a message that is held. */
export function readHeld(message: HeldMessage): FailedMessage {
  return readFailure(message.headers, message.nativeId, message.unreadable !== undefined, message)
}

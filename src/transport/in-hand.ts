import { NsbError } from '../message/nsb-error.ts'
import type { Clock } from './clock.ts'
import type { Decide, IncomingMessage, OutgoingMessage, ReceiveOptions, Verdict } from './transport.ts'

/** A message that was taken from its queue, and the two ways it can leave the hand. */
export interface Taken {
  readonly message: IncomingMessage
  /** Rejects when the batch cannot be sent; the message is then still in hand. */
  consume(outgoing: readonly OutgoingMessage[]): void | Promise<void>
  /** @param attempted false: nobody tried to handle it, so it does not count as an attempt */
  putBack(attempted: boolean): void | Promise<void>
}

/**
 * What `consume` rejects with when the transport as a whole cannot work for now. No message is to blame, so no other verdict is asked
 * for: it is put back, which does not count as an attempt, and nothing is taken for a second.
 */
export class Outage {
  readonly error: unknown

  constructor(error: unknown) {
    this.error = error
  }
}

interface Entry {
  readonly taken: Taken
  phase: 'deciding' | 'settling' | 'abandoned'
}

const putBack: Verdict = { kind: 'putBack' }
/** After a message could be neither consumed nor given another verdict, nothing new is taken for this long. */
const pauseMs = 1000
/** How long a decision may ignore its aborted signal before its message is put back without it. */
const abandonAfterMs = 1000

/**
 * The messages a receiver is deciding on: asks for the verdict, carries it out, and answers for both going wrong. What
 * "consume" and "put back" mean is the transport's; that every message ends in one of them is ensured here.
 */
export class MessagesInHand {
  readonly #options: ReceiveOptions
  readonly #decide: Decide
  readonly #clock: Clock
  readonly #freed: () => void
  readonly #entries = new Set<Entry>()
  readonly #abort = new AbortController()
  #resume: (() => void) | undefined
  #stopped: { readonly end: Promise<void>; readonly finish: () => void; readonly timers: (() => void)[] } | undefined

  /** @param freed called whenever there is room again */
  constructor(options: ReceiveOptions, decide: Decide, clock: Clock, freed: () => void) {
    this.#options = options
    this.#decide = decide
    this.#clock = clock
    this.#freed = freed
  }

  /** No message may be taken now: the limit is reached, or the receiver pauses or stops. */
  get full(): boolean {
    return this.#entries.size >= this.#options.concurrency || this.#resume !== undefined || this.#stopped !== undefined
  }

  get size(): number {
    return this.#entries.size
  }

  /** Decides on the message and carries the verdict out; all errors are reported. */
  settle(taken: Taken): void {
    const entry: Entry = { taken, phase: 'deciding' }
    this.#entries.add(entry)
    void this.#settle(entry)
  }

  report(error: unknown): void {
    this.#options.onCriticalError(error)
  }

  /** Takes nothing for a second: something is wrong that would only fail again. */
  pause(): void {
    if (this.#resume || this.#stopped) return
    const cancel = this.#clock.after(pauseMs, () => {
      this.#resume = undefined
      this.#freed()
    })
    this.#resume = cancel
  }

  /** Resolves when nothing is in hand any more. A later call may shorten the grace period. */
  stop(graceMs: number | undefined): Promise<void> {
    if (!this.#stopped) {
      this.#resume?.()
      const { promise: end, resolve: finish } = withResolvers()
      this.#stopped = { end, finish, timers: [] }
      if (this.#entries.size === 0) finish()
    }
    const stopped = this.#stopped
    if (graceMs !== undefined && this.#entries.size > 0)
      stopped.timers.push(this.#clock.after(Math.max(0, graceMs), () => this.#abandonSoon(stopped.timers)))
    return stopped.end
  }

  #abandonSoon(timers: (() => void)[]): void {
    if (this.#abort.signal.aborted) return
    this.#abort.abort(new DOMException('The receiver is stopping, and the grace period is over.', 'AbortError'))
    timers.push(
      this.#clock.after(abandonAfterMs, () => {
        for (const entry of this.#entries) if (entry.phase === 'deciding') void this.#abandon(entry)
      }),
    )
  }

  async #abandon(entry: Entry): Promise<void> {
    entry.phase = 'abandoned'
    const { message } = entry.taken
    this.report(
      new NsbError({
        code: 'NSB_DECISION_ABANDONED',
        message: `Message '${message.id}' of queue '${message.queue}' was put back: its handler did not end within ${abandonAfterMs} ms of the abort.`,
        suggestions: ['Pass context.signal on to what the handler waits for'],
      }),
    )
    await this.#putBack(entry, false)
    this.#done(entry)
  }

  async #settle(entry: Entry): Promise<void> {
    let verdict = putBack
    let rejected: unknown
    try {
      verdict = await this.#decide(entry.taken.message, this.#abort.signal)
    } catch (error) {
      rejected = error ?? new Error('The decision was rejected without a reason.')
    }
    if (entry.phase === 'abandoned') return this.#reportLate(entry, rejected ?? verdict.kind)
    if (rejected !== undefined) {
      this.report(rejected)
      this.pause()
    }
    entry.phase = 'settling'
    try {
      if (verdict.kind === 'consume') await entry.taken.consume(verdict.outgoing)
      else await this.#putBack(entry, verdict.attempted !== false && !(rejected !== undefined && this.#abort.signal.aborted))
    } catch (error) {
      return error instanceof Outage ? this.#giveUp(entry, error.error, false) : this.#settleOtherwise(entry, error)
    }
    this.#options.onSettled(entry.taken.message)
    this.#done(entry)
  }

  /** The answer of `onDispatchFailed` replaces the verdict. */
  async #settleOtherwise(entry: Entry, error: unknown): Promise<void> {
    entry.phase = 'deciding'
    let failed: unknown
    try {
      const verdict = await this.#options.onDispatchFailed(entry.taken.message, error)
      if (this.#isAbandoned(entry)) return this.#reportLate(entry, verdict.kind)
      entry.phase = 'settling'
      if (verdict.kind === 'consume') await entry.taken.consume(verdict.outgoing)
      else await this.#putBack(entry, verdict.attempted !== false)
    } catch (second) {
      failed = (second instanceof Outage ? second.error : second) ?? error
    }
    if (this.#isAbandoned(entry)) return this.#reportLate(entry, failed)
    if (failed !== undefined) return this.#giveUp(entry, failed, true)
    this.#options.onSettled(entry.taken.message)
    this.#done(entry)
  }

  async #giveUp(entry: Entry, error: unknown, attempted: boolean): Promise<void> {
    this.report(error)
    await this.#putBack(entry, attempted)
    this.pause()
    this.#done(entry)
  }

  #isAbandoned(entry: Entry): boolean {
    return entry.phase === 'abandoned'
  }

  #reportLate(entry: Entry, answer: unknown): void {
    const { message } = entry.taken
    const said = typeof answer === 'string' ? `'${answer}'` : 'a rejection'
    this.report(
      new NsbError({
        code: 'NSB_LATE_VERDICT',
        message: `The verdict on message '${message.id}' of queue '${message.queue}', ${said}, came too late: the message had been put back. It will be processed again.`,
        cause: typeof answer === 'string' ? undefined : answer,
      }),
    )
  }

  async #putBack(entry: Entry, attempted: boolean): Promise<void> {
    try {
      await entry.taken.putBack(attempted)
    } catch (error) {
      this.report(error)
    }
  }

  #done(entry: Entry): void {
    this.#entries.delete(entry)
    if (this.#stopped && this.#entries.size === 0) {
      for (const cancel of this.#stopped.timers) cancel()
      this.#stopped.finish()
    }
    this.#freed()
  }
}

/** What "put back" means in transaction mode `none`, where the message was removed before the decision. */
export function lostInModeNone(message: IncomingMessage): never {
  throw new NsbError({
    code: 'NSB_MESSAGE_LOST',
    message: `Message '${message.id}' of queue '${message.queue}' cannot be put back: transaction mode 'none' removed it before it was handled.`,
    suggestions: [`Use transaction mode 'receiveOnly'`],
  })
}

function withResolvers(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => {}
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve }
}

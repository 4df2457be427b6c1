import { readFailure } from '../../../message/failure.ts'
import { Header } from '../../../message/headers.ts'
import type { Headers, IncomingMessage, Operations } from '../../../transport/transport.ts'
import { exceptionText } from './exception-text.ts'

/** How a replayed message ended. */
export type Answer = { readonly kind: 'succeeded' } | { readonly kind: 'failedAgain'; readonly exception: string | undefined }

/** Messages that are in memory at once; a broker gives so many back in one page. */
const page = 1000
/** An error queue with more messages is not looked at: all of them would have to be held. */
export const mostLookedAt = 100_000

/** Replayed messages of one operation, and what was heard of them. */
export class ExpectedAnswers {
  /** By unique id: when the failure was that is replayed. */
  readonly #failedAt = new Map<string, number | undefined>()
  readonly #answers = new Map<string, Answer>()
  #answered: (uniqueId: string) => void = () => {}

  add(uniqueId: string, failedAt: number | undefined): void {
    this.#failedAt.set(uniqueId, failedAt)
  }

  of(uniqueId: string): Answer | undefined {
    return this.#answers.get(uniqueId)
  }

  /** @param message of the acknowledgement queue */
  acknowledged({ headers }: IncomingMessage): void {
    const uniqueId = this.#acknowledgedIn(headers)
    if (uniqueId !== undefined) this.#answer(uniqueId, { kind: 'succeeded' })
  }

  /** @returns the unique id; undefined: it acknowledges none of ours */
  #acknowledgedIn(headers: Headers): string | undefined {
    const uniqueId = headers[Header.RetryUniqueMessageId]
    const isOurs = uniqueId !== undefined && headers[Header.RetrySuccessful] !== undefined && this.#failedAt.has(uniqueId)
    return isOurs ? uniqueId : undefined
  }

  /** @param message of the error queue */
  failed(message: IncomingMessage): void {
    const { exceptionMessage, exceptionType, failedAt, kind, uniqueId } = readFailure(message.headers, message.nativeId, false, message)
    if (kind === 'ack' || !this.#failedAt.has(uniqueId)) return
    const before = this.#failedAt.get(uniqueId)
    if (before !== undefined && failedAt !== undefined && failedAt <= before) return
    this.#answer(uniqueId, { kind: 'failedAgain', exception: exceptionText(exceptionType, exceptionMessage) })
  }

  #answer(uniqueId: string, answer: Answer): void {
    this.#answers.set(uniqueId, answer)
    this.#answered(uniqueId)
  }

  /** As {@link Answers.until}. */
  until(uniqueIds: Iterable<string>, ms: number, signal: AbortSignal, answered: (waitingFor: number) => void): Promise<void> {
    return new Promise((resolve) => {
      const waiting = new Set([...uniqueIds].filter((uniqueId) => !this.#answers.has(uniqueId)))
      const finish = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', finish)
        this.#answered = () => {}
        resolve()
      }
      const timer = setTimeout(finish, ms)
      signal.addEventListener('abort', finish)
      this.#answered = (uniqueId) => {
        if (!waiting.delete(uniqueId)) return
        answered(waiting.size)
        if (waiting.size === 0) finish()
      }
      answered(waiting.size)
      if (signal.aborted || waiting.size === 0) finish()
    })
  }

  /**
   * Reads the acknowledgement queue and consumes what is ours.
   *
   * @returns how many of others are left there
   * @throws {NsbError} those of a holding that changes the queue
   */
  async take(operations: Operations, acknowledgementQueue: string): Promise<number> {
    const signal = new AbortController().signal
    const options = { purpose: 'change', overrule: [], page, max: mostLookedAt, signal, beforeRemove: () => undefined } as const
    const holding = await operations.hold(acknowledgementQueue, options)
    let left = 0
    try {
      for await (const messages of holding.pages())
        for (const message of messages) {
          const uniqueId = this.#acknowledgedIn(message.headers)
          if (uniqueId === undefined) {
            left++
            continue
          }
          // One of an earlier replay may lie there still; what was heard of this one counts.
          if (!this.#answers.has(uniqueId)) this.#answer(uniqueId, { kind: 'succeeded' })
          // Taken by another command meanwhile: then it is gone as well.
          await holding.consume(message, []).catch(() => undefined)
        }
    } finally {
      await holding.giveBack()
    }
    return left
  }

  /**
   * Looks through the whole error queue for what failed again; where a look leaves a trace it is a delivery of every message.
   *
   * @returns how many messages there are
   * @throws {NsbError} those of a holding that looks
   */
  async look(operations: Operations, errorQueue: string, signal: AbortSignal): Promise<number> {
    const options = { purpose: 'look', overrule: [], page, max: mostLookedAt, signal, beforeRemove: () => undefined } as const
    const holding = await operations.hold(errorQueue, options)
    try {
      // All of it is held, so that all of it is given back in order.
      for await (const messages of holding.pages()) for (const message of messages) this.failed(message)
      return holding.facts.depth
    } finally {
      await holding.giveBack()
    }
  }
}

import { readFailure } from '../../../message/failure.ts'
import { Header } from '../../../message/headers.ts'
import type { IncomingMessage, Operations } from '../../../transport/transport.ts'
import { exceptionText } from './exception-text.ts'

/** How a replayed message ended. */
export type Answer = { readonly kind: 'succeeded' } | { readonly kind: 'failedAgain'; readonly exception: string | undefined }

/** Acknowledgements that are in memory at once. */
const page = 1000
const most = 100_000

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

  /** @param message of the acknowledgement queue @returns is it one of ours? */
  acknowledged({ headers }: IncomingMessage): boolean {
    const uniqueId = headers[Header.RetryUniqueMessageId]
    if (uniqueId === undefined || headers[Header.RetrySuccessful] === undefined || !this.#failedAt.has(uniqueId)) return false
    this.#answer(uniqueId, { kind: 'succeeded' })
    return true
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
    const options = { purpose: 'change', overrule: [], page, max: most, signal, beforeRemove: () => undefined } as const
    const holding = await operations.hold(acknowledgementQueue, options)
    let left = 0
    try {
      for await (const messages of holding.pages())
        for (const message of messages) {
          if (!this.acknowledged(message)) left++
          // Taken by another command meanwhile: then it is gone as well.
          else await holding.consume(message, []).catch(() => undefined)
        }
    } finally {
      await holding.giveBack()
    }
    return left
  }
}

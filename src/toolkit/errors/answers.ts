import { readFailure } from '../../message/failure.ts'
import { Header } from '../../message/headers.ts'
import { NsbError } from '../../message/nsb-error.ts'
import type { Transport } from '../../transport/transport.ts'
import { isBrokerQueue } from '../broker-queue.ts'

/** How a replayed message ended. */
export type Answer = { readonly kind: 'succeeded' } | { readonly kind: 'failedAgain'; readonly exception: string | undefined }

export interface Answers {
  /**
   * Call before the copy is published.
   *
   * @param failedAt of the failure that is replayed; an entry that is not newer is that failure itself
   */
  expect(uniqueId: string, failedAt: number | undefined): void
  of(uniqueId: string): Answer | undefined
  /** Resolves when each of them has its answer, when the time is over, or when the signal is aborted. */
  until(uniqueIds: Iterable<string>, ms: number, signal: AbortSignal, answered: (waitingFor: number) => void): Promise<void>
  /** Stops listening, and consumes the acknowledgements that were meant for us; those of others stay. */
  close(): Promise<void>
}

const dayMs = 24 * 3_600_000

/** @throws {NsbError} NSB_CANNOT_WAIT */
export function checkCanListen(transport: Transport): void {
  if (transport.can.tap) return
  throw new NsbError({
    code: 'NSB_CANNOT_WAIT',
    message: 'The outcome cannot be watched here: the transport shows no messages without taking them.',
    suggestions: ['Run it without --wait'],
  })
}

/**
 * Listens how replayed messages end, by ServiceControl's own protocol: an endpoint acknowledges what succeeded, and what fails
 * again comes back to the error queue under the same unique id.
 */
export async function listenForAnswers(transport: Transport, errorQueue: string, acknowledgementQueue: string): Promise<Answers> {
  checkCanListen(transport)
  // It exists before the first copy is published, and stays; a dead address would make a success fail.
  await transport.createBoundedQueue(acknowledgementQueue, { messagesExpireAfterMs: dayMs, mostMessages: 100_000 })
  const expected = new Map<string, number | undefined>()
  const answers = new Map<string, Answer>()
  let wake: (uniqueId: string) => void = () => {}

  const acknowledgements = await transport.tap(acknowledgementQueue, (message) => {
    const uniqueId = message.headers[Header.RetryUniqueMessageId]
    if (uniqueId === undefined || message.headers[Header.RetrySuccessful] === undefined || !expected.has(uniqueId)) return
    answers.set(uniqueId, { kind: 'succeeded' })
    wake(uniqueId)
  })
  const failures = await transport.tap(errorQueue, (message) => {
    const failed = readFailure(message.headers, message.nativeId)
    if (failed.kind !== 'failure' || !expected.has(failed.uniqueId)) return
    const before = expected.get(failed.uniqueId)
    if (before !== undefined && failed.failedAt !== undefined && failed.failedAt <= before) return
    answers.set(failed.uniqueId, { kind: 'failedAgain', exception: exceptionText(failed.exceptionType, failed.exceptionMessage) })
    wake(failed.uniqueId)
  })

  return {
    expect: (uniqueId, failedAt) => expected.set(uniqueId, failedAt),
    of: (uniqueId) => answers.get(uniqueId),
    until: (uniqueIds, ms, signal, answered) =>
      new Promise((resolve) => {
        const waiting = new Set([...uniqueIds].filter((uniqueId) => !answers.has(uniqueId)))
        const finish = (): void => {
          clearTimeout(timer)
          signal.removeEventListener('abort', finish)
          wake = () => {}
          resolve()
        }
        const timer = setTimeout(finish, ms)
        signal.addEventListener('abort', finish)
        wake = (uniqueId) => {
          if (!waiting.delete(uniqueId)) return
          answered(waiting.size)
          if (waiting.size === 0) finish()
        }
        answered(waiting.size)
        if (signal.aborted || waiting.size === 0) finish()
      }),
    async close() {
      await failures.stop()
      await acknowledgements.stop()
      await consumeOurs(transport, acknowledgementQueue, expected)
    },
  }
}

async function consumeOurs(transport: Transport, queue: string, ours: ReadonlyMap<string, unknown>): Promise<void> {
  const facts = await transport.inspect(queue)
  // A broker keeps the queue small by itself, and there reading it would cost the acknowledgements of others a delivery.
  if (facts === undefined || isBrokerQueue(facts)) return
  const options = {
    purpose: 'change',
    overrule: [],
    page: 100,
    max: 100_000,
    signal: new AbortController().signal,
    beforeRemove: () => undefined,
  } as const
  const holding = await transport.hold(queue, options)
  try {
    for await (const messages of holding.pages())
      for (const message of messages) {
        if (!ours.has(message.headers[Header.RetryUniqueMessageId] ?? '')) continue
        // Taken by another command meanwhile: then it is gone as well.
        await holding.consume(message, []).catch(() => undefined)
      }
  } finally {
    await holding.giveBack()
  }
}

export function exceptionText(type: string | undefined, message: string | undefined): string | undefined {
  if (type === undefined && message === undefined) return undefined
  return [type, message].filter((part) => part !== undefined && part !== '').join(': ')
}

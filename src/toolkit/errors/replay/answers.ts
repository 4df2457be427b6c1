import { NsbError } from '../../../message/nsb-error.ts'
import type { TapEvents, Transport } from '../../../transport/transport.ts'
import { isBrokerQueue } from '../../broker-queue.ts'
import { type Answer, ExpectedAnswers, mostLookedAt } from './expected-answers.ts'
import { pollForAnswers } from './polled-answers.ts'
import { tapIfPossible } from '../../tap-if-possible.ts'

export interface Answers {
  /**
   * Call before the copy is published.
   *
   * @param failedAt of the failure that is replayed; an entry that is not newer is that failure itself
   */
  expect(uniqueId: string, failedAt: number | undefined): void
  of(uniqueId: string): Answer | undefined
  /**
   * Resolves when each of them has its answer, when the time is over, or when the signal is aborted. Nothing of the error queue is held
   * any more.
   *
   * @param uniqueIds those that were sent and removed; each of them once, in one call or another
   */
  until(uniqueIds: Iterable<string>, ms: number, signal: AbortSignal, answered: (waitingFor: number) => void): Promise<void>
  /** Stops listening, and consumes the acknowledgements that were meant for us; those of others stay. */
  close(): Promise<void>
}

const dayMs = 24 * 3_600_000

/**
 * Listens how replayed messages end, by ServiceControl's own protocol: an endpoint acknowledges what succeeded, and what fails
 * again comes back to the error queue under the same unique id. Where new messages cannot be seen without taking them, the depths of
 * the two queues are polled, and a queue is looked at when it has more messages than it should.
 *
 * @param depth of the error queue when its messages were taken to be replayed; undefined: none of them is held
 */
export async function listenForAnswers(
  transport: Transport,
  errorQueue: string,
  acknowledgementQueue: string,
  depth?: number,
): Promise<Answers> {
  // It exists before the first copy is published, and stays; a dead address would make a success fail.
  await transport.createBoundedQueue(acknowledgementQueue, { messagesExpireAfterMs: dayMs, mostMessages: 100_000 })
  const expected = new ExpectedAnswers()
  const [failuresSeen, acknowledgementsSeen] = [new Watched(), new Watched()]
  const failures = await tapIfPossible(transport, errorQueue, (message) => expected.failed(message), failuresSeen)
  if (failures === undefined) return pollForAnswers(transport, { errorQueue, acknowledgementQueue, depth })
  const acknowledgements = await transport.tap(acknowledgementQueue, (message) => expected.acknowledged(message), acknowledgementsSeen)
  const sent: string[] = []

  /** What came while nobody watched is in the queues still. */
  const lookForMissed = async (signal: AbortSignal): Promise<void> => {
    const isMissing = (): boolean => sent.some((uniqueId) => expected.of(uniqueId) === undefined)
    if (failuresSeen.hasMissed && isMissing())
      await failuresSeen.catchUp(async () => {
        const waiting = (await transport.inspect(errorQueue))?.depth ?? 0
        if (waiting > 0 && waiting <= mostLookedAt) await expected.look(transport, errorQueue, signal)
      })
    if (acknowledgementsSeen.hasMissed && isMissing())
      await acknowledgementsSeen.catchUp(() => expected.take(transport, acknowledgementQueue))
  }

  return {
    expect: (uniqueId, failedAt) => expected.add(uniqueId, failedAt),
    of: (uniqueId) => expected.of(uniqueId),
    async until(uniqueIds, ms, signal, answered) {
      const awaited = [...uniqueIds]
      // Not all at once: as arguments of one call a hundred thousand exhaust the stack.
      for (const uniqueId of awaited) sent.push(uniqueId)
      await expected.until(awaited, ms, signal, answered)
      if (!signal.aborted) await lookForMissed(signal)
    },
    async close() {
      await failures.stop()
      await acknowledgements.stop()
      // The broker may be away, and what was done is worth telling all the same.
      const facts = await transport.inspect(acknowledgementQueue).catch(() => undefined)
      // A broker keeps the queue small by itself, and there reading it would cost the acknowledgements of others a delivery.
      if (facts !== undefined && !isBrokerQueue(facts)) await expected.take(transport, acknowledgementQueue)
    },
  }
}

/** Whether a tap has shown everything so far. */
class Watched implements TapEvents {
  #isWatching = true
  #hasMissed = false

  get hasMissed(): boolean {
    return this.#hasMissed
  }

  interrupted(): void {
    this.#isWatching = false
    this.#hasMissed = true
  }

  resumed(): void {
    this.#isWatching = true
  }

  ended(): void {
    this.interrupted()
  }

  /** @param look finds all that came until it began; where it fails, something is missed still */
  async catchUp(look: () => Promise<unknown>): Promise<void> {
    // Another interruption during the look counts again.
    this.#hasMissed = !this.#isWatching
    try {
      // A connection that was lost as well is noticed by the first use of it, and the next one opens it again.
      await look().catch((error: unknown) =>
        error instanceof NsbError && error.code === 'NSB_CONNECTION_LOST' ? look() : Promise.reject(error),
      )
    } catch {
      // Another nsb reads the queue, or it cannot be reached now.
      this.#hasMissed = true
    }
  }
}

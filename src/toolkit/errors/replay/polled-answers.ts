import { setTimeout } from 'node:timers/promises'
import { NsbError } from '../../../message/nsb-error.ts'
import type { Transport } from '../../../transport/transport.ts'
import type { Answers } from './answers.ts'
import { ExpectedAnswers, mostLookedAt } from './expected-answers.ts'

export interface PolledQueues {
  readonly errorQueue: string
  readonly acknowledgementQueue: string
  /** Of the error queue when its messages were taken to be replayed; undefined: none of them is held. */
  readonly depth: number | undefined
}

const pollMs = 500

/**
 * Learns how replayed messages end where a message cannot be seen without taking it. Polling a depth costs nothing. Acknowledgements that
 * are ours are consumed; the queue is made so that giving back the others costs them nothing. The error queue is looked at when it has
 * more messages than were left in it, and each further look waits twice as long: a look is a delivery of every message, and may be one of
 * twenty.
 */
export async function pollForAnswers(transport: Transport, { acknowledgementQueue, depth, errorQueue }: PolledQueues): Promise<Answers> {
  const expected = new ExpectedAnswers()
  /** Acknowledgements of others, after the last reading. */
  let others = 0
  /** Messages of the error queue that are known, or that nobody need know. */
  let known = (await transport.inspect(errorQueue))?.depth ?? 0
  let sentInAll = 0
  let [lookAgainAt, pauseMs] = [0, pollMs]
  let canLook = true

  const takeAcknowledgements = async (): Promise<void> => {
    const waiting = (await transport.inspect(acknowledgementQueue))?.depth ?? 0
    // Somebody may have taken some of the others, and one of ours have come: any difference counts.
    if (waiting !== others) others = waiting === 0 ? 0 : await expected.take(transport, acknowledgementQueue)
  }

  const lookForFailures = async (signal: AbortSignal, isLast: boolean): Promise<void> => {
    const waiting = (await transport.inspect(errorQueue))?.depth ?? 0
    // Somebody took them, and what comes from now on is new.
    known = Math.min(known, waiting)
    if (!canLook || waiting === known || waiting > mostLookedAt || (!isLast && performance.now() < lookAgainAt)) return
    lookAgainAt = performance.now() + pauseMs
    pauseMs *= 2
    known = await expected.look(transport, errorQueue, signal)
  }

  const pollOnce = async (signal: AbortSignal, isLast: boolean): Promise<void> => {
    // Another nsb has one of them in hand, or the broker is away: the next time will do.
    await takeAcknowledgements().catch(() => undefined)
    await lookForFailures(signal, isLast).catch((error: unknown) => {
      // Its messages have hardly any delivery left: what failed again then has no answer, and is in the queue still.
      if (error instanceof NsbError && error.code === 'NSB_LOOKS_EXHAUSTED') canLook = false
      // Some may have been taken meanwhile and as many have come: the depth says nothing of that.
      else known = 0
    })
  }

  return {
    expect: (uniqueId, failedAt) => expected.add(uniqueId, failedAt),
    of: (uniqueId) => expected.of(uniqueId),
    async until(uniqueIds, ms, signal, answered) {
      const sent = [...uniqueIds]
      sentInAll += sent.length
      // What was held is back, but for what was sent.
      if (depth !== undefined) known = Math.max(0, depth - sentInAll)
      const over = new AbortController()
      const polling = (async () => {
        while (!over.signal.aborted) {
          await pollOnce(signal, false)
          await pause(pollMs, over.signal)
        }
      })()
      await expected.until(sent, ms, signal, answered)
      over.abort()
      await polling
      if (!signal.aborted && sent.some((uniqueId) => expected.of(uniqueId) === undefined)) await pollOnce(signal, true)
    },
    close: () => Promise.resolve(),
  }
}

/** Resolves after the time, or when the signal is aborted. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return setTimeout(ms, undefined, { signal }).catch(() => undefined)
}

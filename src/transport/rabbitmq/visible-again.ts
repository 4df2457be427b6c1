import { NsbError } from '../../message/nsb-error.ts'
import { AnsweredTime } from './answered-time.ts'
import type { QueueChannel } from './queue-channel.ts'
import type { HeldLimits } from './queue-limits.ts'

/** The queue shows nothing more of what was given back for so long, although it answers: somebody takes it, or it expires. */
const patienceMs: Readonly<Record<HeldLimits['kind'], number>> = { classic: 2000, quorum: 5000 }
/** The same where somebody is known who takes it. */
const sharedPatienceMs = 100
/** A quorum queue that answers for so long, and counts no fewer consumers. */
const settledWithinMs = 5000
/** Asked without a pause between them. */
const askedAtOnce = 3

export interface VisibleAgainOptions {
  readonly queue: QueueChannel
  readonly name: string
  readonly kind: HeldLimits['kind']
  /** Somebody else consumes from the queue. */
  readonly isShared: boolean
  readonly warn: (warning: string) => void
}

/** Waits until the queue has what was given back. Only a broker that answers can say that it has not; its silence says nothing. */
export class VisibleAgain {
  readonly #options: VisibleAgainOptions
  /** Waiting has made sense so far. */
  #isSeen = true

  constructor(options: VisibleAgainOptions) {
    this.#options = options
  }

  /** Nobody else can have taken any of it. */
  get isSeen(): boolean {
    return this.#isSeen
  }

  /**
   * Waits until so many more messages are in the queue, and no longer than it makes sense.
   *
   * @param before the depth until then
   * @returns the depth now; not asked for where waiting makes no sense any more
   */
  async until(before: number, count: number): Promise<number> {
    const { isShared, kind, queue } = this.#options
    const time = new AnsweredTime()
    let most = before
    let asked = 0
    while (this.#isSeen) {
      const { depth } = await queue.counts()
      if (depth >= before + count) return depth
      const quietMs = time.answered()
      if (depth > most) {
        most = depth
        time.restart()
      } else if (quietMs > (isShared ? sharedPatienceMs : patienceMs[kind])) this.#giveUp()
      // A few are there with the first answers, and a pause would be most of what they take.
      if (++asked > askedAtOnce) await queue.pause()
    }
    return most
  }

  #giveUp(): void {
    const { isShared, name, warn } = this.#options
    this.#isSeen = false
    if (!isShared)
      warn(
        `What was given back to '${name}' does not stay in it: it is taken by somebody, or expires. What is left may be in another order.`,
      )
  }
}

/**
 * Waits until a quorum queue has done all it was told on a channel: it does so in its own time, and what it has not come to when the channel
 * ends is undone. Until then who took the messages counts as a consumer.
 *
 * @param others consumers that are not ours
 * @throws {NsbError} NSB_NOT_SETTLED: the queue answers, and does not say so
 */
export async function untilSettled(queue: QueueChannel, name: string, others: number): Promise<void> {
  const time = new AnsweredTime()
  let before: number | undefined
  for (;;) {
    const { consumers } = await queue.counts()
    if (consumers <= others) return
    const quietMs = time.answered()
    if (before !== undefined && consumers < before) time.restart()
    else if (quietMs > settledWithinMs) throw notSettled(name, consumers - others)
    before = consumers
    await queue.pause()
  }
}

function notSettled(queue: string, left: number): NsbError {
  return new NsbError({
    code: 'NSB_NOT_SETTLED',
    message: `Queue '${queue}' counts ${left} consumer${left === 1 ? '' : 's'} more than before: it has not done all it was told, or somebody else consumes from it now.`,
    details: { queue },
  })
}

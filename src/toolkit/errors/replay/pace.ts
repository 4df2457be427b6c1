import { NsbError } from '../../../message/nsb-error.ts'
import type { Pace } from '../../send/pace.ts'

/** Sizes of batches, in their order; the last one repeats. `rest`, which is Infinity, ends them. */
export type BatchSizes = readonly [number, ...number[]]

/** Sizes of a text such as `100` or `1,10,100,rest`. @throws {NsbError} NSB_BAD_FLAG */
export function parseBatches(text: string): BatchSizes {
  const parts = text.split(',').map((part) => part.trim())
  const sizes = parts.map((part, index) =>
    part === 'rest' && index > 0 && index === parts.length - 1 ? Number.POSITIVE_INFINITY : /^[1-9]\d{0,8}$/.test(part) ? Number(part) : 0,
  )
  const [first, ...further] = sizes
  if (first !== undefined && !sizes.includes(0)) return [first, ...further]
  throw new NsbError({
    code: 'NSB_BAD_FLAG',
    message: `'${text}' is not a size of batches.`,
    suggestions: ['Write how many messages each has: --batch 100', 'Or let them grow: --batch 1,10,100,rest'],
  })
}

/** How many messages batch `number` has, counted from 1. */
export function batchSize(sizes: BatchSizes, number: number): number {
  return sizes[Math.min(number, sizes.length) - 1] as number
}

/** In how many batches so many messages go. */
export function batchesOf(sizes: BatchSizes, count: number): number {
  let [left, batches] = [count, 0]
  for (const size of sizes) {
    if (left <= 0) return batches
    left -= size
    batches++
  }
  return left <= 0 ? batches : batches + Math.ceil(left / (sizes.at(-1) as number))
}

/** What slows a replay down on purpose. */
export interface Slowness {
  /** Messages per second. */
  readonly perSecond: number | undefined
  readonly batches: BatchSizes | undefined
  /** Between two batches. */
  readonly pauseMs: number | undefined
  /** For the outcomes of a batch, at most. */
  readonly waitMs: number | undefined
}

/** What that adds up to for so many messages, in ms, at worst. */
export function plannedMs(count: number, { batches, pauseMs = 0, perSecond, waitMs = 0 }: Slowness): number {
  if (count === 0) return 0
  const sending = perSecond === undefined ? 0 : ((count - 1) * 1000) / perSecond
  const between = batches === undefined ? 0 : (batchesOf(batches, count) - 1) * (pauseMs + waitMs)
  return sending + between
}

/** What takes longer is staged: nobody else sees what is held, and a broker ends the connection of who holds a message for half an hour. */
const longestHoldMs = 10 * 60_000

/**
 * Should the messages wait in a queue of their own?
 *
 * @param on `asks`: somebody is asked between two batches; `isHeld`: messages are held until they are sent, as those of a broker are
 */
export function isBetterStaged(count: number, slowness: Slowness, { asks, isHeld }: { asks: boolean; isHeld: boolean }): boolean {
  const { batches, waitMs } = slowness
  const waits = batches !== undefined && batchesOf(batches, count) > 1 && (asks || waitMs !== undefined)
  return (isHeld && waits) || plannedMs(count, slowness) > longestHoldMs
}

/** What became of one batch. */
export interface BatchOutcome {
  /** Counted from 1. */
  readonly number: number
  readonly sent: number
  readonly failed: number
  /** Where outcomes are waited for. */
  readonly answered: { readonly succeeded: number; readonly failedAgain: number; readonly noAnswer: number } | undefined
  /** In all batches so far. */
  readonly sentSoFar: number
}

/** Did everything go well in it, as far as is known? */
export function wentWell({ answered, failed }: BatchOutcome): boolean {
  return failed === 0 && (answered?.failedAgain ?? 0) === 0
}

/** What is known between two batches of what was sent. */
export interface Sender {
  readonly tried: number
  readonly failed: number
  /** It stops for reasons of its own. */
  readonly stopped: boolean
  /** Resolves when nothing is under way any more. */
  finish(): Promise<void>
  /** Outcomes of what was sent since the last call; undefined: they are not waited for. */
  answersOfBatch(): Promise<BatchOutcome['answered']>
}

export interface PacingOptions {
  readonly pace: Pace | undefined
  readonly batches: BatchSizes | undefined
  /** Asked when there is a further message and its batch has not begun. @returns false: no further batch */
  readonly between: (outcome: BatchOutcome) => Promise<boolean>
  readonly signal: AbortSignal
}

/** Messages that may be taken at once when they go at a rate: those of so long. */
const aheadMs = 60_000

/** Says when the next message may begin: at a rate, and after what lies between two batches. */
export class Pacing {
  /** The batch after which it was stopped. */
  stoppedAfter: BatchOutcome | undefined
  readonly #options: PacingOptions
  /** Of the batch that messages go in, counted from 1. */
  number = 1
  /** Messages that may still begin in this batch. */
  #left: number
  #triedBefore = 0
  #failedBefore = 0

  constructor(options: PacingOptions) {
    this.#options = options
    this.#left = options.batches === undefined ? Number.POSITIVE_INFINITY : options.batches[0]
  }

  /** How many may begin soon, without anybody being asked: 1 at least. */
  get soon(): number {
    const { pace } = this.#options
    const atRate = pace === undefined ? Number.POSITIVE_INFINITY : Math.floor((pace.perSecond * aheadMs) / 1000)
    return Math.max(1, Math.min(this.#left, atRate))
  }

  /** Resolves when one more may begin. @returns false: none may, any more. At once where nothing has to be waited for. */
  ready(sender: Sender): boolean | Promise<boolean> {
    if (this.stoppedAfter !== undefined) return false
    return this.#left > 0 && this.#options.pace === undefined ? true : this.#untilReady(sender)
  }

  /** One more begins. */
  begin(): void {
    this.#left--
    this.#options.pace?.begin()
  }

  async #untilReady(sender: Sender): Promise<boolean> {
    const { batches, between, pace, signal } = this.#options
    if (this.#left <= 0 && batches !== undefined) {
      const outcome = await this.#outcome(sender)
      if (sender.stopped || signal.aborted) return false
      if (!(await between(outcome))) {
        if (!signal.aborted) this.stoppedAfter = outcome
        return false
      }
      this.#left = batchSize(batches, ++this.number)
    }
    await pace?.ready(signal)
    return !signal.aborted
  }

  async #outcome(sender: Sender): Promise<BatchOutcome> {
    await sender.finish()
    const { failed, tried } = sender
    const [failedNow, triedNow] = [failed - this.#failedBefore, tried - this.#triedBefore]
    this.#failedBefore = failed
    this.#triedBefore = tried
    const answered = sender.stopped ? undefined : await sender.answersOfBatch()
    return { number: this.number, sent: triedNow - failedNow, failed: failedNow, answered, sentSoFar: tried - failed }
  }
}

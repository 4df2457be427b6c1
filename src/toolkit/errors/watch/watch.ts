import { setTimeout } from 'node:timers/promises'
import { type FailedMessage, readFailure } from '../../../message/failure.ts'
import { NsbError } from '../../../message/nsb-error.ts'
import type { HeldMessage, IncomingMessage, Operations, QueueFacts } from '../../../transport/transport.ts'
import { isBrokerQueue } from '../../broker-queue.ts'
import { checkHold, holdIfThere } from '../hold.ts'
import { missingErrorQueue } from '../missing-queue.ts'
import { whyNoQueue } from '../replay/plan.ts'
import { idMatcher } from '../select/resolve-ids.ts'
import { SeenFailures } from '../seen-failures.ts'
import { type Criteria, hasCriteria, selector } from '../select/select.ts'
import { tapIfPossible } from '../../tap-if-possible.ts'

export interface WatchOptions {
  readonly queues: readonly string[]
  readonly criteria: Criteria
  /** ms since 1970; what `2h` counts from. */
  readonly now: number
  /** Between two looks at a depth. */
  readonly intervalMs: number
  /** Where new messages cannot be seen: look at the queue when its depth has risen, which is a delivery of every message. */
  readonly deep: boolean
  /** Every new message is wanted, so that depths are not enough. */
  readonly needsMessages: boolean
  readonly overrule: readonly string[]
  readonly maxHold: number
  /** Aborted: the watching ends, and what is held is given back. */
  readonly signal: AbortSignal
}

/** How new messages of an error queue are noticed. */
export type WatchedBy = 'tap' | 'depth' | 'looks'

export type WatchEvent =
  /** Failures from now on are seen. @remarks `facts` undefined: there is no such folder yet */
  | { readonly kind: 'watching'; readonly errorQueue: string; readonly by: WatchedBy; readonly facts: QueueFacts | undefined }
  /** A new message that matches. */
  | { readonly kind: 'failed'; readonly errorQueue: string; readonly failed: FailedMessage; readonly message: IncomingMessage }
  /** There are more messages than there were. */
  | { readonly kind: 'depth'; readonly errorQueue: string; readonly before: number; readonly depth: number }
  /** A look was refused; it is tried again when there are still more. */
  | { readonly kind: 'notLooked'; readonly errorQueue: string; readonly reason: unknown }
  /** Nothing is seen until it is resumed. */
  | { readonly kind: 'interrupted'; readonly errorQueue: string; readonly reason: unknown }
  /** What came between is not seen any more, but for what the depths tell. */
  | { readonly kind: 'resumed'; readonly errorQueue: string; readonly before: number | undefined; readonly depth: number | undefined }

type Tell = (event: WatchEvent) => void

/** Messages of a page whose bodies are in memory at once. */
const page = 1000

/**
 * Watches error queues for new messages until the signal is aborted. With a tap the queue itself is not touched, and what somebody else
 * consumes from it is seen all the same; where none is possible the depth is.
 *
 * @throws {NsbError} NSB_QUEUE_NOT_FOUND for one that a broker does not have: it may be misspelt; NSB_CANNOT_WATCH, NSB_BAD_CRITERION,
 * NSB_AMBIGUOUS_ID at the first failure of a second group that a beginning of an id fits, and why a queue cannot be watched (any more)
 */
export async function watchFailures(operations: Operations, options: WatchOptions, tell: Tell): Promise<void> {
  const matches = newMatcher(options)
  for (const queue of options.queues) await depthOf(operations, queue)
  const ended = new Ended(options.signal)
  const taps: { stop(): Promise<void> }[] = []
  try {
    const untapped: string[] = []
    for (const queue of options.queues) {
      const tap = await watchByTap(operations, queue, { options, matches, tell, ended })
      if (tap === undefined) untapped.push(queue)
      else taps.push(tap)
    }
    if (untapped.length > 0) {
      checkDepthIsEnough(options)
      watchDepths(operations, { ...options, queues: untapped, signal: ended.signal }, matches, tell).catch(ended.fail)
    }
    await ended.promise
  } finally {
    ended.end()
    await Promise.all(taps.map((tap) => tap.stop()))
  }
}

/** How many messages are in it. A folder may come later. @throws {NsbError} NSB_QUEUE_NOT_FOUND of a broker: a missing queue is not an empty one */
async function depthOf(operations: Operations, queue: string): Promise<number> {
  const facts = await operations.inspect(queue)
  if (facts !== undefined || operations.can.lookWithoutTrace) return facts?.depth ?? 0
  throw missingErrorQueue(operations, queue, await whyNoQueue(operations, queue))
}

function checkDepthIsEnough({ criteria, deep, needsMessages }: WatchOptions): void {
  if (deep || !(needsMessages || hasCriteria(criteria))) return
  throw new NsbError({
    code: 'NSB_CANNOT_WATCH',
    message:
      'Only the depth of the error queue can be watched here: in the direct topology, or without an exchange of its name, a message is not seen without taking it, so nothing can be selected or handed on.',
    suggestions: [
      'Watch the depth: nsb errors watch',
      'Or read the queue whenever it has grown, which is a delivery of every message: nsb errors watch --deep',
    ],
  })
}

type IsWanted = (message: IncomingMessage, failed: FailedMessage) => boolean

function newMatcher({ criteria, now }: WatchOptions): IsWanted {
  const matches = selector(criteria, now)
  const couldBeMeant = idMatcher(criteria.ids ?? [])
  return (message, failed) => couldBeMeant(failed) && matches(failed, message)
}

/** The end of the watching, by the signal or by an error. */
class Ended {
  readonly promise: Promise<void>
  readonly signal: AbortSignal
  readonly end: () => void
  readonly fail: (reason: unknown) => void

  constructor(signal: AbortSignal) {
    const over = new AbortController()
    let failure: { readonly reason: unknown } | undefined
    this.promise = new Promise<void>((resolve, reject) => {
      over.signal.addEventListener('abort', () => (failure === undefined ? resolve() : reject(failure.reason as Error)))
    })
    this.promise.catch(() => undefined)
    this.signal = over.signal
    this.end = (): void => {
      signal.removeEventListener('abort', this.end)
      over.abort()
    }
    this.fail = (reason): void => {
      failure = { reason }
      this.end()
    }
    signal.addEventListener('abort', this.end)
    if (signal.aborted) this.end()
  }
}

interface Watching {
  readonly options: WatchOptions
  readonly matches: IsWanted
  readonly tell: Tell
  readonly ended: Ended
}

async function watchByTap(
  operations: Operations,
  errorQueue: string,
  { ended, matches, options, tell }: Watching,
): Promise<{ stop(): Promise<void> } | undefined> {
  const facts = await operations.inspect(errorQueue)
  let depth = facts?.depth
  let isInterrupted = false
  const depthNow = async (): Promise<number | undefined> => (await operations.inspect(errorQueue).catch(() => undefined))?.depth

  const tap = await tapIfPossible(
    operations,
    errorQueue,
    (message) => {
      if (ended.signal.aborted) return
      depth = (depth ?? 0) + 1
      const failed = readFailure(message.headers, message.nativeId, false, message)
      try {
        if (matches(message, failed)) tell({ kind: 'failed', errorQueue, failed, message })
      } catch (error) {
        ended.fail(error)
      }
    },
    {
      interrupted(reason) {
        isInterrupted = true
        tell({ kind: 'interrupted', errorQueue, reason })
      },
      resumed() {
        const before = depth
        void depthNow().then((after) => {
          isInterrupted = false
          depth = after
          if (!ended.signal.aborted) tell({ kind: 'resumed', errorQueue, before, depth: after })
        })
      },
      ended: (reason) => ended.fail(reason),
    },
  )
  if (tap === undefined) return undefined
  tell({ kind: 'watching', errorQueue, by: 'tap', facts })
  // Only to have something to compare with after an interruption, which a folder does not know.
  if (facts === undefined || isBrokerQueue(facts))
    void everyInterval(options.intervalMs, ended.signal, async () => {
      const polled = await depthNow()
      if (polled !== undefined && !isInterrupted) depth = polled
    })
  return tap
}

/** Where nothing can be tapped. */
async function watchDepths(operations: Operations, options: WatchOptions, matches: IsWanted, tell: Tell): Promise<void> {
  const watched: WatchedDepth[] = []
  for (const queue of options.queues) {
    const facts = await operations.inspect(queue)
    watched.push(new WatchedDepth(operations, queue, facts?.depth ?? 0, { options, matches, tell }))
    tell({ kind: 'watching', errorQueue: queue, by: options.deep ? 'looks' : 'depth', facts })
  }
  await everyInterval(options.intervalMs, options.signal, async () => {
    for (const queue of watched) await queue.poll()
  })
}

/** One error queue of which nothing is seen but its depth, and by looking at it. */
class WatchedDepth {
  readonly #operations: Operations
  readonly #queue: string
  readonly #watching: Omit<Watching, 'ended'>
  /** The last one that was told. */
  #depth: number
  /** Messages that were there and need not be shown; the oldest ones of the queue, until it is looked at for the first time. */
  #known: number
  #seen: SeenFailures | undefined
  #isInterrupted = false
  /** Why the last look was refused. */
  #refused: string | undefined

  constructor(operations: Operations, queue: string, depth: number, watching: Omit<Watching, 'ended'>) {
    this.#operations = operations
    this.#queue = queue
    this.#watching = watching
    this.#depth = depth
    this.#known = depth
  }

  async poll(): Promise<void> {
    const { options, tell } = this.#watching
    const errorQueue = this.#queue
    let depth: number
    try {
      depth = await depthOf(this.#operations, errorQueue)
    } catch (reason) {
      if (!this.#isInterrupted) tell({ kind: 'interrupted', errorQueue, reason })
      this.#isInterrupted = true
      return
    }
    const before = this.#depth
    this.#depth = depth
    this.#known = Math.min(this.#known, depth)
    if (this.#isInterrupted) tell({ kind: 'resumed', errorQueue, before, depth })
    else if (depth > before) tell({ kind: 'depth', errorQueue, before, depth })
    this.#isInterrupted = false
    if (options.deep && depth > this.#known && !options.signal.aborted) await this.#look()
  }

  async #look(): Promise<void> {
    const { options, tell } = this.#watching
    try {
      await this.#readNew()
      this.#refused = undefined
    } catch (reason) {
      if (options.signal.aborted) return
      const code = reason instanceof NsbError ? reason.code : String(reason)
      if (code === 'NSB_AMBIGUOUS_ID') throw reason
      if (code !== this.#refused) tell({ kind: 'notLooked', errorQueue: this.#queue, reason })
      this.#refused = code
    }
  }

  async #readNew(): Promise<void> {
    const { matches, options, tell } = this.#watching
    const { maxHold, overrule, signal } = options
    const errorQueue = this.#queue
    // All of it is held, so that all of it is given back in order.
    const holding = await holdIfThere(this.#operations, errorQueue, {
      purpose: 'look',
      // It looks again in a moment anyway.
      waits: false,
      overrule,
      page,
      max: maxHold,
      signal,
      beforeRemove: () => undefined,
    })
    if (holding === undefined) return
    const seen = new SeenFailures()
    let place = 0
    try {
      checkHold(holding.facts, options)
      for await (const messages of holding.pages())
        for (const message of messages) {
          const failed = readHeld(message)
          const known = { ...failed, failedAt: failed.failedAt ?? 0 }
          seen.isDuplicate(known)
          const isNew = this.#seen === undefined ? place >= this.#known : !this.#seen.isDuplicate(known)
          place++
          if (isNew && matches(message, failed)) tell({ kind: 'failed', errorQueue, failed, message })
        }
      if (signal.aborted) return
      this.#seen = seen
      this.#known = holding.facts.depth
    } finally {
      await holding.giveBack()
    }
  }
}

const readHeld = (message: HeldMessage): FailedMessage =>
  readFailure(message.headers, message.nativeId, message.unreadable !== undefined, message)

/** Calls it again and again, with a pause before each call; ends when the signal is aborted. */
async function everyInterval(ms: number, signal: AbortSignal, act: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    await setTimeout(ms, undefined, { signal }).catch(() => undefined)
    if (!signal.aborted) await act()
  }
}

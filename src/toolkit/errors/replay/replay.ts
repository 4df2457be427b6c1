import type { HeldMessage, Holding, Transport } from '../../../transport/transport.ts'
import { isBrokerQueue } from '../../broker-queue.ts'
import { type Answers, listenForAnswers } from './answers.ts'
import { type NotedHolding, holdNoted } from '../hold.ts'
import type { Patching } from '../edit/patching.ts'
import type { Journal } from '../journal/journal.ts'
import type { BatchOutcome, Pacing } from './pace.ts'
import { type ReplayOptions, type ReplayPlan, holdOptions, isReplayable, planned } from './plan.ts'
import { SeenFailures } from '../seen-failures.ts'
import { hasCriteria, selector } from '../select/select.ts'
import { SendingBack, isLost, readHeld } from './sending-back.ts'
import type { Wanted } from '../select/wanted.ts'

/** What became of one selected message. */
export type ReplayResult = 'published' | 'succeeded' | 'failedAgain' | 'noAnswer' | 'failed'

export interface ReplayedMessage {
  readonly uniqueId: string
  readonly target: string | undefined
  result: ReplayResult
  /** Unique id of the copy, where a patch has made it a message of its own and its outcome is waited for. */
  sentAs?: string
  /** Of a failure: the message is still in the error queue. */
  error?: { readonly code: string; readonly message: string }
  /** Of `failedAgain`. */
  exception?: string
}

export interface ReplayReport {
  readonly operation: string
  /** Of what was selected, so many were begun with. */
  readonly selected: number
  readonly tried: number
  readonly published: number
  /** They are still in the error queue. */
  readonly failed: number
  /** In the order of sending; without {@link ReplayRun.everyItem} only failed ones, 1,000 at most. */
  readonly items: readonly ReplayedMessage[]
  /** Further copies of a failure that is in the queue already; they stayed. */
  readonly duplicates: number
  readonly leftInQueue: number
  /** Without those that failed again, where that was waited for. */
  readonly newerArrivals: number
  /** Too many failures in a row, or `--on-error stop`: the rest was left alone. */
  readonly stopped: boolean
  /** The batch after which nobody wanted to go on. */
  readonly stoppedAfter?: BatchOutcome | undefined
  /** The queue it went by way of, and how many messages are in it still. */
  readonly staged?: { readonly queue: string; readonly left: number }
  /** Why it ended early: a step could not be noted, or the connection ended. */
  readonly problem: unknown
  /** So many of the failed ones were sent, and stay in the error queue all the same. */
  readonly sentUnnoted: number
  /** Everything that was begun is done, and nothing is left to be resumed. */
  readonly isOver: boolean
}

export interface ReplayRun {
  readonly operation: string
  /** Each step is noted there before it is taken; undefined: nowhere. It is ended or closed with the run. */
  readonly journal: Journal | undefined
  /** Changes the bodies; undefined: they stay as they are. */
  readonly patching?: Patching | undefined
  /** Slows it down; undefined: as fast as it goes. */
  readonly pacing?: Pacing | undefined
  /**
   * By way of a queue of its own. `move`: what was selected is moved there as it is, and the journal goes on. `drain`: the holding is of
   * that queue; what cannot be sent goes back into the error queue as it was, and the journal ends only when nothing is left.
   */
  readonly staging?: { readonly queue: string; readonly step: 'move' | 'drain' } | undefined
  /** Published and not yet removed at once: bounds what a crash doubles. */
  readonly window: number
  readonly onError: 'continue' | 'stop'
  /** Wait so long for the outcome of each message; undefined: do not wait. Needs every item. */
  readonly waitMs: number | undefined
  /** Keep ServiceControl's acknowledgement address where its queue exists. */
  readonly keepAcknowledgeTo: boolean
  readonly sameNativeId: boolean
  /** The report names every message; needs memory for each of them. */
  readonly everyItem: boolean
  readonly clock: () => number
  /** Told after each message and each answer; both count up to the number of messages. */
  readonly progress: (step: {
    readonly doing: 'moving' | 'replaying' | 'waiting'
    readonly done: number
    /** undefined: nobody knows yet how many match. */
    readonly of: number | undefined
    readonly failed: number
  }) => void
}

/** Where endpoints acknowledge what succeeded; outlives the command, because a dead address makes a success fail. */
export const acknowledgementQueue = 'nsb.acks'

/**
 * Sends planned messages back that are held already.
 *
 * @param kept all that are planned, in the order of the queue
 */
export function replayKept(
  transport: Transport,
  noted: NotedHolding,
  plan: ReplayPlan,
  kept: readonly HeldMessage[],
  options: ReplayOptions,
  run: ReplayRun,
): Promise<ReplayReport> {
  const { duplicates, selected, wanted } = plan
  return sendBack(transport, noted, selected, options, run, async (sending) => {
    for (const message of options.newest ? kept.toReversed() : kept) {
      const failed = readHeld(message)
      if (!wanted.take(failed)) continue
      const begun = sending.add(message, planned(message, failed, options), failed)
      if (!(typeof begun === 'boolean' ? begun : await begun)) break
    }
    return { selected, duplicates, sawAll: true }
  })
}

/**
 * Sends the planned messages back: oldest first, each copy safe before its original is removed. A crash may send a window of
 * them twice and never loses one.
 */
export async function replay(transport: Transport, plan: ReplayPlan, options: ReplayOptions, run: ReplayRun): Promise<ReplayReport> {
  const { duplicates, first, selected, wanted } = plan
  const noted = await holdNoted(transport, options.queue, holdOptions(transport, 'change', options)).catch((error: unknown) => {
    run.journal?.end({ published: 0 })
    throw error
  })
  return sendBack(transport, noted, selected, options, run, async (sending, holding) => {
    const inOrder = options.newest && !transport.can.newestFirst ? newestFirst(holding, wanted) : holding.pages()
    pages: for await (const messages of inOrder) {
      for (const message of messages) {
        const failed = readHeld(message)
        if (!wanted.take(failed)) continue
        const begun = sending.add(message, planned(message, failed, options), failed)
        if (!(typeof begun === 'boolean' ? begun : await begun)) break pages
      }
      sending.begin()
    }
    if (!sending.stopped && !options.signal.aborted) {
      for (const message of first) if (wanted.take(message)) sending.addGone(message)
      sending.addGoneUnnamed(wanted.left)
    }
    return { selected, duplicates, sawAll: true }
  })
}

/**
 * Sends back what matches as it comes, oldest first, without having looked at the queue before: of a message that matches only the window
 * is in memory and in the hold; one that does not match is held to the end.
 *
 * @param noted nothing was read of it yet
 * @param options without ids, and not the newest first; `maxHold` is that of the holding
 */
export function replayAsTheyCome(transport: Transport, noted: NotedHolding, options: ReplayOptions, run: ReplayRun): Promise<ReplayReport> {
  const { holding } = noted
  const matches = selector(options.criteria, options.now)
  const most = options.limit ?? Number.POSITIVE_INFINITY
  const seen = new SeenFailures(Math.min(most, holding.facts.depth))
  let [selected, duplicates, read] = [0, 0, 0]
  const of = hasCriteria(options.criteria) ? options.limit : Math.min(most, holding.facts.depth)
  return sendBack(transport, noted, of, options, run, async (sending) => {
    for await (const messages of holding.pages()) {
      for (const message of messages) {
        if (selected >= most || sending.stopped) break
        read++
        const failed = readHeld(message)
        if (!isReplayable(failed) || !matches(failed, message)) continue
        if (seen.isDuplicate(failed)) duplicates++
        else {
          const begun = sending.add(message, planned(message, failed, options), failed)
          if (typeof begun === 'boolean' ? begun : await begun) selected++
        }
      }
      sending.begin()
      if (selected >= most || sending.stopped) break
    }
    await sending.finish()
    // No more can be held, and none of those that are can leave.
    const isFull = read < holding.facts.depth && read - (sending.tried - sending.failed) >= options.maxHold
    return { selected, duplicates, isFull, sawAll: selected >= most || read >= holding.facts.depth }
  })
}

export interface Sent {
  readonly selected: number
  readonly duplicates: number
  /** Whatever was to be sent was met. */
  readonly sawAll: boolean
  /** It ended early: as many messages could not be sent as may be held. */
  readonly isFull?: boolean
}

/** @param of how many there are, for the progress; undefined: nobody knows yet */
export async function sendBack(
  transport: Transport,
  noted: NotedHolding,
  of: number | undefined,
  { queue, signal }: ReplayOptions,
  run: ReplayRun,
  send: (sending: SendingBack, holding: Holding) => Promise<Sent>,
): Promise<ReplayReport> {
  const { holding } = noted
  // A half of a staged replay is not the end of it.
  const ownsJournal = run.staging === undefined
  let isBegun = false
  let answers: Answers | undefined
  let given: Awaited<ReturnType<Holding['giveBack']>> | undefined
  try {
    if (run.waitMs !== undefined)
      answers = await listenForAnswers(transport, queue, acknowledgementQueue, ownsJournal ? holding.facts.depth : undefined)
    const acknowledgeTo = answers === undefined ? undefined : acknowledgementQueue
    const sending = new SendingBack({ operations: transport, queue, holding, run, signal, answers, acknowledgeTo, of })
    noted.noteSafe = (group) => sending.noteSafe(group)
    isBegun = true
    let sent: Sent
    let lost: unknown
    try {
      sent = await send(sending, holding)
    } catch (error) {
      // What was done by then is worth telling.
      isBegun = sending.tried > 0
      if (!isBegun || !isLost(error)) throw error
      lost = error
      sent = { selected: sending.tried, duplicates: 0, sawAll: false }
    } finally {
      await sending.finish()
    }
    given = await holding.giveBack()
    const wasCut = signal.aborted && !(sent.sawAll && sending.tried >= sent.selected)
    const isCertain = sending.journalProblem === undefined && lost === undefined && !sending.lostConnection && given.interrupted !== true
    const isOver = !wasCut && run.pacing?.stoppedAfter === undefined && isCertain
    if (isOver && ownsJournal) run.journal?.end({ published: sending.tried - sending.failed, failed: sending.failed })
    await sending.awaitAnswers()
    const { failed, items, tried } = sending
    const failedAgain = items.filter(({ result }) => result === 'failedAgain').length
    const problem = sending.journalProblem ?? lost
    // A folder takes the copies back.
    const sentUnnoted = isBrokerQueue(holding.facts) ? sending.sentUnnoted : 0
    const { duplicates, isFull = false, selected } = sent
    const stopped = sending.stopped || isFull
    // A broker that went away in the middle may not be there yet, and what was done is worth telling all the same.
    const leftInQueue = await transport.inspect(queue).then(
      (facts) => facts?.depth ?? 0,
      () => holding.facts.depth - tried + failed,
    )
    const counts = { tried, published: tried - failed, failed }
    return {
      operation: run.operation,
      selected,
      duplicates,
      ...counts,
      items,
      leftInQueue,
      newerArrivals: Math.max(0, given.newerArrivals - failedAgain),
      stopped,
      ...(run.pacing?.stoppedAfter === undefined ? {} : { stoppedAfter: run.pacing.stoppedAfter }),
      problem,
      sentUnnoted,
      isOver,
    }
  } finally {
    if (given === undefined) await holding.giveBack()
    if (ownsJournal && isBegun) run.journal?.close()
    else if (ownsJournal) run.journal?.end({ published: 0 })
    await answers?.close()
  }
}

/** Those that are wanted, the last one first: all of them are needed before it goes. */
async function* newestFirst(holding: Holding, wanted: Wanted): AsyncIterable<readonly HeldMessage[]> {
  const found: HeldMessage[] = []
  for await (const messages of holding.pages()) found.push(...messages.filter((message) => wanted.has(readHeld(message))))
  yield found.toReversed()
}

import type { HeldMessage, QueueFacts, Transport } from '../../../transport/transport.ts'
import { isBrokerQueue } from '../../broker-queue.ts'
import { checkHold, holdNoted, ifThere } from '../hold.ts'
import { Journal } from '../journal/journal.ts'
import { hasKey, keyOf } from '../journal/message-key.ts'
import type { ReadJournal } from '../journal/read-journal.ts'
import { missingErrorQueue } from '../missing-queue.ts'
import { type ReplayOptions, holdOptions, isReplayable, planned, whyNoQueue } from './plan.ts'
import { type ReplayReport, type ReplayRun, sendBack } from './replay.ts'
import { type ReplayRecord, readReplayRecord } from './replay-record.ts'
import { idMatcher } from '../select/resolve-ids.ts'
import { type ResumeOptions, type ResumeReport, badJournal } from '../resume.ts'
import { SeenFailures } from '../seen-failures.ts'
import { hasCriteria, selector } from '../select/select.ts'
import { type SendingBack, readHeld } from './sending-back.ts'

type Part = 'safe' | 'begun' | 'rest' | undefined

/**
 * Goes on with a replay: what is known to be safe at its target is only removed, what was begun with is sent (again, if it had been sent and
 * nobody could note it any more), and so is what the replay had selected and not begun with. Everything else is left alone. Taking it back
 * sends nothing: what was sent cannot be called back.
 *
 * @throws {NsbError} NSB_QUEUE_NOT_FOUND, NSB_BAD_JOURNAL, NSB_JOURNAL_UNWRITABLE, NSB_HOLD_TOO_SMALL, and what a holding that changes the queue refuses; it
 * can be resumed again
 */
export async function resumeReplay(transport: Transport, journal: ReadJournal, options: ResumeOptions): Promise<ResumeReport> {
  const { operation, queue } = journal.head
  const record = await readReplayRecord(journal.head.options)
  if (record === undefined) throw badJournal(operation)
  if (record.pace.staged) return (await import('./resume-staged.ts')).resumeStaged(transport, journal, record, options)
  const run = resumedRun(journal, record, options)
  const gone = await goOn(transport, journal, record, options, run, () => Journal.resume(journal.path, journal.selected))
  if (gone === undefined) {
    // Taken back, there is nothing to remove; gone on with, nobody knows what there would be to send.
    if (!options.undo) throw missingErrorQueue(transport, queue, await whyNoQueue(transport, queue))
    Journal.resume(journal.path, journal.selected).end({ removed: 0 })
    return { ...nothing, operation, command: 'replay', queue, undone: options.undo, leftInQueue: 0 }
  }
  const { facts, failedToRemove, removed, report, sentAgain, sentFirst } = gone
  return {
    operation,
    command: 'replay',
    queue,
    undone: options.undo,
    removed,
    sentAgain,
    // A folder knows what it has sent: what is still there was not.
    mayArriveTwice: isBrokerQueue(facts) ? journal.uncertain : 0,
    sentFirst,
    failed: report.failed + failedToRemove,
    leftInQueue: report.leftInQueue,
    newerArrivals: report.newerArrivals,
    items: report.items,
    isOver: report.isOver,
    ...endOf(report),
    waited: run.waitMs !== undefined,
    ...(journal.unknown > 0 && isBrokerQueue(facts) ? { uncertain: journal.unknown } : {}),
  }
}

/** Why it ended early. */
export function endOf({
  problem,
  sentUnnoted,
  stopped,
  stoppedAfter,
}: ReplayReport): Pick<ResumeReport, 'problem' | 'stopped' | 'stoppedAfter' | 'sentUnnoted'> {
  return { problem, stopped, sentUnnoted, ...(stoppedAfter && { stoppedAfter }) }
}

/** As the replay was run, but for its journal. */
export function resumedRun({ head }: ReadJournal, { manner, pace }: ReplayRecord, options: ResumeOptions): ReplayRun {
  return {
    operation: head.operation,
    journal: undefined,
    ...manner,
    ...(options.undo ? { waitMs: undefined } : { pacing: options.pacing?.(pace), patching: options.patching }),
    everyItem: manner.waitMs !== undefined,
    clock: options.clock,
    progress: options.progress,
  }
}

/** As the replay was asked for. */
export function resumedOptions({ head }: ReadJournal, { chosen }: ReplayRecord, options: ResumeOptions): ReplayOptions {
  const { maxHold, overrule, signal } = options
  return { ...chosen, queue: head.queue, maxHold, overrule, signal }
}

/** What became of the messages that are in the error queue still. */
export interface GoneOn extends Pick<Going, 'removed' | 'failedToRemove' | 'sentAgain' | 'sentFirst'> {
  readonly facts: QueueFacts
  readonly report: ReplayReport
}

/** @param begin goes on with the journal, once the queue is held @returns undefined: there is no such queue any more */
export async function goOn(
  transport: Transport,
  journal: ReadJournal,
  record: ReplayRecord,
  options: ResumeOptions,
  run: ReplayRun,
  begin: () => Journal | undefined,
): Promise<GoneOn | undefined> {
  const { signal, undo } = options
  const replayOptions = resumedOptions(journal, record, options)
  const everything = record.chosen.all && !hasCriteria(record.chosen.criteria) && record.chosen.limit === undefined && !undo
  const { window } = record.manner
  const held = { ...holdOptions(transport, 'change', replayOptions), ahead: window }
  // Of everything only what cannot be sent, and what came later, stays held.
  const max = everything ? Math.max(held.max, 2 * window) : held.max
  const noted = await ifThere(holdNoted(transport, replayOptions.queue, { ...held, max }))
  if (noted === undefined) return undefined
  const { facts } = noted.holding
  try {
    if (!everything) checkHold(facts, options)
    const going = new Going(journal, record, undo, facts.kind)
    const resumed = begin()
    const report = await sendBack(transport, noted, facts.depth, replayOptions, { ...run, journal: resumed }, async (sending, holding) => {
      for await (const messages of holding.pages()) {
        if (!(await going.on(messages, sending, (message) => holding.consume(message, []), replayOptions))) break
        if (sending.stopped) break
      }
      await sending.finish()
      return { selected: going.sentAgain + going.sentFirst, duplicates: 0, sawAll: !signal.aborted }
    })
    const { failedToRemove, removed, sentAgain, sentFirst } = going
    return { facts, failedToRemove, removed, report, sentAgain, sentFirst }
  } finally {
    await noted.holding.giveBack()
  }
}

export const nothing = {
  removed: 0,
  sentAgain: 0,
  mayArriveTwice: 0,
  sentFirst: 0,
  failed: 0,
  newerArrivals: 0,
  items: [],
  isOver: true,
  problem: undefined,
  waited: false,
} as const

/** Decides about the messages of the queue, one after the other. */
class Going {
  removed = 0
  failedToRemove = 0
  sentAgain = 0
  sentFirst = 0
  readonly #journal: ReadJournal
  readonly #record: ReplayRecord
  readonly #undo: boolean
  readonly #kind: Parameters<typeof keyOf>[2]
  readonly #matches: ReturnType<typeof selector>
  readonly #isNamed: ReturnType<typeof idMatcher>
  readonly #seen = new SeenFailures()
  /** How many of the rest may be sent. */
  #room: number

  constructor(journal: ReadJournal, record: ReplayRecord, undo: boolean, kind: Parameters<typeof keyOf>[2]) {
    this.#journal = journal
    this.#record = record
    this.#undo = undo
    this.#kind = kind
    const { criteria, limit, newest, now } = record.chosen
    this.#matches = selector(criteria, now)
    this.#isNamed = idMatcher(criteria.ids ?? [])
    const isBackwards = newest && kind !== 'folder'
    this.#room = limit === undefined ? Number.POSITIVE_INFINITY : isBackwards ? 0 : Math.max(0, limit - journal.keys.size)
  }

  /** @returns false: no more should come */
  async on(
    messages: readonly HeldMessage[],
    sending: SendingBack,
    remove: (message: HeldMessage) => Promise<void>,
    options: ReplayOptions,
  ): Promise<boolean> {
    const removals: Promise<void>[] = []
    let goesOn = true
    for (const message of messages) {
      const failed = readHeld(message)
      const part = this.#partOf(message, failed)
      if (part === undefined) continue
      if (part === 'safe') {
        removals.push(
          remove(message).then(
            () => void this.removed++,
            () => void this.failedToRemove++,
          ),
        )
        continue
      }
      goesOn = await sending.add(message, planned(message, failed, options), failed)
      if (!goesOn) break
      if (part === 'begun') this.sentAgain++
      else this.sentFirst++
    }
    sending.begin()
    await Promise.all(removals)
    return goesOn
  }

  #partOf(message: HeldMessage, failed: ReturnType<typeof readHeld>): Part {
    const key = keyOf(message, failed, this.#kind)
    const isKnown = key !== undefined && hasKey(this.#journal.keys, key)
    if (this.#undo && !isKnown) return undefined
    if (!isKnown && !this.#isRest(message, failed)) return undefined
    if (this.#seen.isDuplicate(failed)) return undefined
    if (isKnown && hasKey(this.#journal.safe, key)) return 'safe'
    if (this.#undo) return undefined
    if (isKnown) return 'begun'
    this.#room--
    return 'rest'
  }

  /** Selected by the replay, and in the queue when it began. What has no time of failure may have come later. */
  #isRest(message: HeldMessage, failed: ReturnType<typeof readHeld>): boolean {
    const { now } = this.#record.chosen
    if (this.#room <= 0 || failed.failedAt === undefined || failed.failedAt > now || !isReplayable(failed)) return false
    return this.#isNamed(failed) && this.#matches(failed, message)
  }
}

import { NsbError } from '../../../message/nsb-error.ts'
import type { HeldMessage, Transport } from '../../../transport/transport.ts'
import { Journal } from '../journal/journal.ts'
import { hasKey, keyOf } from '../journal/message-key.ts'
import { type ReadJournal, readJournal } from '../journal/read-journal.ts'
import { KeySet } from '../journal/key-set.ts'
import { type ReplayOptions, replayPage } from './plan.ts'
import { type JournalPlace, type ReplayRecord, beginReplayJournal } from './replay-record.ts'
import type { ReplayReport, ReplayRun } from './replay.ts'
import { type ResumeOptions, type ResumeReport, mayBeThereTwice } from '../resume.ts'
import { endOf, goOn, nothing, resumedOptions, resumedRun } from './resume-replay.ts'
import { readHeld } from './sending-back.ts'
import { drainStaging, goOnAfterMoving, moveToStaging } from './staged-replay.ts'
import { type StagingLeftover, moveUnchanged, operationOf, phases, stagingLeftovers, stagingQueue } from './staging.ts'

/** What the halves of a resumption are given. */
interface Resumption {
  readonly transport: Transport
  readonly journal: ReadJournal
  /** The same, to be written on. */
  readonly resumed: Journal
  readonly record: ReplayRecord
  readonly options: ResumeOptions
  readonly replayOptions: ReplayOptions
  readonly run: ReplayRun
}

/**
 * Goes on with a staged replay: what had been selected and not moved is moved, and the staging queue is drained. Taking it back moves what
 * is in the staging queue to the error queue, each message as it was; what was sent from it cannot be called back.
 */
export async function resumeStaged(
  transport: Transport,
  journal: ReadJournal,
  record: ReplayRecord,
  options: ResumeOptions,
): Promise<ResumeReport> {
  const resumed = Journal.resume(journal.path, journal.selected)
  const replayOptions = resumedOptions(journal, record, options)
  const run = { ...resumedRun(journal, record, options), journal: resumed }
  const resumption = { transport, journal, resumed, record, options, replayOptions, run }
  try {
    if (options.undo) return await takeBack(resumption)
    return await (journal.phase === phases.draining ? goOnDraining(resumption) : goOnMoving(resumption))
  } finally {
    resumed.close()
  }
}

async function goOnMoving({ journal, options, record, replayOptions, resumed, run, transport }: Resumption): Promise<ResumeReport> {
  let removed = 0
  let failedToRemove = 0
  if (journal.phase === undefined) resumed.phase(phases.moving)
  const move = async (moving: ReplayRun): Promise<ReplayReport> => {
    const gone = await goOn(transport, journal, record, options, moving, () => resumed)
    if (gone === undefined) return emptyReport(journal)
    ;({ removed, failedToRemove } = gone)
    return gone.report
  }
  const moved = await moveToStaging(transport, move, replayOptions, run)
  const report = await goOnAfterMoving(transport, moved, replayOptions, run, mayBeThereTwice(transport, journal, false))
  const failed = report.failed + failedToRemove
  return { ...told(journal, report, run), removed, sentFirst: report.published, failed, ...uncertainIn(journal, transport) }
}

async function goOnDraining({ journal, replayOptions, run, transport }: Resumption): Promise<ResumeReport> {
  const { keys, safe } = journal
  const facts = await transport.inspect(stagingQueue(run.operation))
  let removed = 0
  let [sentAgain, unknown] = [0, 0]
  const isSafe = (message: HeldMessage): boolean => {
    const key = facts && keyOf(message, readHeld(message), facts.kind)
    if (key === undefined && unknown < journal.unknown) unknown++
    if (key === undefined || !hasKey(keys, key)) return false
    if (hasKey(safe, key)) removed++
    else sentAgain++
    return hasKey(safe, key)
  }
  const report = await drainStaging(transport, replayOptions, run, isSafe)
  const again = sentAgain + unknown
  const mayArriveTwice = mayBeThereTwice(transport, journal, false)
  return { ...told(journal, report, run), removed, sentAgain: again, mayArriveTwice, sentFirst: Math.max(0, report.tried - again) }
}

async function takeBack({ journal, options, record, resumed, run, transport }: Resumption): Promise<ResumeReport> {
  const { operation, queue } = journal.head
  const staging = stagingQueue(operation)
  const facts = await transport.inspect(staging)
  const mayArriveTwice = mayBeThereTwice(transport, journal, true)
  let removed = 0
  if (journal.phase !== phases.draining) {
    // What is in both queues is in the error queue again in a moment; the keys that say so are not valid for the next step.
    const onlyRemove = { ...run, staging: { queue: staging, step: 'move' } as const }
    const gone = await goOn(transport, journal, record, options, onlyRemove, () => resumed)
    removed = gone?.removed ?? 0
    if (gone !== undefined && (!gone.report.isOver || gone.failedToRemove > 0))
      return { ...told(journal, gone.report, run), undone: true, removed, failed: gone.failedToRemove, isOver: false }
    resumed.phase(phases.draining, mayArriveTwice)
  }
  /** Of those in hand: they were sent, or have been moved back, and only go. */
  const onlyGo = new Set<HeldMessage>()
  // One copy of a failure was selected; a second one is of a crash while it was moved.
  const seen = new KeySet()
  let merged = 0
  const numbers = new Map<HeldMessage, number>()
  const keyOfMessage = (message: HeldMessage): string | undefined => facts && keyOf(message, readHeld(message), facts.kind)
  const { moved, problem } =
    facts === undefined
      ? { moved: 0, problem: undefined }
      : await moveUnchanged(transport, {
          from: staging,
          to: queue,
          together: Math.min(run.window, replayPage),
          overrule: options.overrule,
          signal: options.signal,
          isSafe: (message) => onlyGo.has(message),
          begin(messages) {
            onlyGo.clear()
            numbers.clear()
            const keys = messages.map(keyOfMessage)
            const first = resumed.select(keys)
            for (const [index, message] of messages.entries()) {
              const key = keys[index]
              numbers.set(message, first + index)
              if (key === undefined) continue
              const wasSent = journal.phase === phases.draining && hasKey(journal.safe, key)
              if (wasSent) removed++
              else if (seen.add(key)) continue
              else merged++
              onlyGo.add(message)
            }
          },
          beforeRemove: (group) => resumed.safe(group.flatMap((message) => numbers.get(message) ?? [])),
          progress: (done) => options.progress({ doing: 'moving', done, of: facts.depth, failed: 0 }),
        })
  const left = (await transport.inspect(staging))?.depth ?? 0
  const isOver = problem === undefined && left === 0 && (await transport.removeIfEmpty(staging))
  const movedBack = moved - merged - (journal.phase === phases.draining ? removed : 0)
  if (isOver) resumed.end({ undone: true, movedBack })
  const leftInQueue = (await transport.inspect(queue))?.depth ?? 0
  const counts = { ...nothing, removed, mayArriveTwice, movedBack, leftInQueue, staged: { queue: staging, left }, isOver, problem }
  const texts = [
    `moved back ${movedBack}`,
    ...(removed > 0 && journal.phase === phases.draining ? [`removed ${removed} that had been sent`] : []),
    ...(merged > 0 ? [`removed ${merged} second ${merged === 1 ? 'copy' : 'copies'} of the same`] : []),
    ...(mayArriveTwice === 0
      ? []
      : journal.phase === phases.draining
        ? [`up to ${mayArriveTwice} may have been sent, or be in the error queue twice`]
        : [`up to ${mayArriveTwice} may be in the error queue twice`]),
    ...(left > 0 ? [`${left} are in ${staging} still`] : []),
  ]
  return { ...counts, operation, command: 'replay', queue, undone: true, note: `${texts.join(', ')}.` }
}

/** Of those that were moved: the original may be in the error queue still. */
function uncertainIn({ unknown }: ReadJournal, transport: Transport): Pick<ResumeReport, 'uncertain'> {
  return unknown > 0 && !transport.can.lookWithoutTrace ? { uncertain: unknown } : {}
}

function told({ head }: ReadJournal, report: ReplayReport, { waitMs }: ReplayRun): ResumeReport {
  const { failed, isOver, items, leftInQueue, newerArrivals, staged } = report
  return {
    ...nothing,
    operation: head.operation,
    command: 'replay',
    queue: head.queue,
    undone: false,
    failed,
    leftInQueue,
    newerArrivals,
    items,
    isOver,
    ...endOf(report),
    waited: waitMs !== undefined,
    ...(staged === undefined ? {} : { staged }),
    ...(report.duplicates > 0 ? { more: { duplicates: report.duplicates } } : {}),
  }
}

/** The error queue is gone: nothing of it can be moved. */
function emptyReport({ head }: ReadJournal): ReplayReport {
  const counts = {
    selected: 0,
    tried: 0,
    published: 0,
    failed: 0,
    items: [],
    duplicates: 0,
    leftInQueue: 0,
    newerArrivals: 0,
    sentUnnoted: 0,
  }
  return { operation: head.operation, ...counts, stopped: false, problem: undefined, isOver: true }
}

/**
 * The staging queue of an operation whose journal is not here.
 *
 * @param id the whole id, or how the operation begins
 * @throws {NsbError} where queues cannot be listed, and it is not the whole id
 */
export async function leftoverOf(transport: Transport, id: string): Promise<StagingLeftover | undefined> {
  const operation = operationOf(stagingQueue(id.toUpperCase()))
  if (operation !== undefined) {
    const queue = stagingQueue(operation)
    const facts = await transport.inspect(queue)
    return facts && { operation, queue, depth: facts.depth }
  }
  const found = (await stagingLeftovers(transport)).filter((each) => each.operation.startsWith(id.toUpperCase()))
  return found.length === 1 ? found[0] : undefined
}

/**
 * Begins a journal for a staging queue that was left behind elsewhere, so that it can be resumed here. What was sent from it before
 * cannot be told, nor what else was asked for: where the messages go is what they say themselves.
 *
 * @throws {NsbError} NSB_JOURNAL_UNWRITABLE
 */
export async function adoptLeftover(place: JournalPlace, { operation }: StagingLeftover, options: ReplayOptions): Promise<ReadJournal> {
  const manner = { window: 50, onError: 'continue', waitMs: undefined, keepAcknowledgeTo: false, sameNativeId: false } as const
  const pace = { patch: undefined, rate: undefined, batch: undefined, batchPause: undefined, staged: true }
  const journal = beginReplayJournal(place, operation, options, manner, undefined, pace)
  journal.phase(phases.draining)
  journal.close()
  const read = await readJournal(place.stateFolder, operation)
  if (read !== undefined) return read
  throw new NsbError({ code: 'NSB_BAD_JOURNAL', message: `The journal of operation ${operation} cannot be read.` })
}

import { errorText } from '../../message/nsb-error.ts'
import type { ResumeReport } from '../../toolkit/errors/resume.ts'
import type { ReadJournal } from '../../toolkit/errors/journal/read-journal.ts'
import type { ReplayResult } from '../../toolkit/errors/replay/replay.ts'
import { phases } from '../../toolkit/errors/replay/staging.ts'
import { Exit } from '../exit-codes.ts'
import { printableLine } from '../printable.ts'

/** `nsb.errors.resume/1` */
export function resumeDocument(profile: string, report: ResumeReport): object {
  const { isOver, more, note: _, problem, sentUnnoted = 0, stopped, stoppedAfter, undone, waited, ...others } = report
  return {
    schema: 'nsb.errors.resume/1',
    profile,
    ...others,
    ...(undone ? { undone } : {}),
    ...(waited
      ? { succeeded: count(report, 'succeeded'), failedAgain: count(report, 'failedAgain'), noAnswer: count(report, 'noAnswer') }
      : {}),
    ...(stopped === true ? { stopped } : {}),
    ...(stoppedAfter === undefined ? {} : { stoppedAfterBatch: stoppedAfter.number }),
    ...(sentUnnoted > 0 ? { inBothPlaces: sentUnnoted } : {}),
    ...(isOver ? {} : { resumable: true }),
    ...(problem === undefined ? {} : { problem: errorText(problem) }),
    ...more,
  }
}

/** What is about to happen, and what a person must know before it. @param waiting messages in its staging queue, or else in the error queue */
export function resumeQuestion({ head, phase, safeCount, selected }: ReadJournal, undo: boolean, begun: string, waiting: number): string {
  const operation = `${printableLine(head.command)} ${head.operation} of '${printableLine(head.queue)}', begun ${begun}`
  const counts =
    phase === phases.moving
      ? ` (${safeCount} of ${selected} messages are in its staging queue, and none was sent)`
      : head.command === 'replay'
        ? ` (of ${selected} that it had begun with ${safeCount} are known to have arrived; ${waiting} ${waiting === 1 ? 'message is' : 'messages are'} in ${phase === undefined ? 'the error queue' : 'its staging queue'}${undo ? '; what was sent cannot be called back' : ''})`
        : ''
  return `${undo ? 'Take back' : 'Go on with'} ${operation}${counts}?`
}

/** `removed 3, sent again 2 (2 of them may arrive twice), sent 10, left in queue 5, operation 01…` */
export function resumeLine(report: ResumeReport): string {
  const {
    failed,
    leftInQueue,
    mayArriveTwice,
    newerArrivals,
    note,
    operation,
    removed,
    sentAgain,
    sentFirst,
    staged,
    uncertain = 0,
    undone,
    waited,
  } = report
  if (note !== undefined) return `${printableLine(note)} Left in queue ${leftInQueue}, operation ${operation}`
  return [
    `removed ${removed}`,
    ...(undone
      ? mayArriveTwice > 0
        ? [`up to ${mayArriveTwice} that were left may have been sent`]
        : []
      : [`sent again ${sentAgain}${mayArriveTwice > 0 ? ` (up to ${mayArriveTwice} may arrive twice)` : ''}`]),
    ...(sentFirst > 0 ? [`sent ${sentFirst}`] : []),
    ...(waited
      ? [
          `succeeded ${count(report, 'succeeded')}`,
          `failed again ${count(report, 'failedAgain')}`,
          `no answer yet ${count(report, 'noAnswer')}`,
        ]
      : []),
    ...(failed > 0 ? [`failed ${failed}`] : []),
    ...(uncertain > 0 ? [`left alone ${uncertain} without a time of failure, which may have been sent`] : []),
    ...((staged?.left ?? 0) > 0 ? [`left in ${staged?.queue} ${staged?.left}`] : []),
    `left in queue ${leftInQueue}`,
    ...(newerArrivals > 0 ? [`newer arrivals ${newerArrivals}`] : []),
    `operation ${operation}`,
  ].join(', ')
}

/** Not done before failed again before no answer yet; as of a replay, outcomes that ended it between two batches are the answer. */
export function resumeExitCode(report: ResumeReport): number {
  const { failed, isOver, leftInQueue, stoppedAfter, uncertain = 0, waited } = report
  const [failedAgain, noAnswer] = waited ? [count(report, 'failedAgain'), count(report, 'noAnswer')] : [0, 0]
  const isStoppedForOutcomes = stoppedAfter !== undefined && failedAgain + noAnswer > 0
  if (failed > 0 || (!isOver && !isStoppedForOutcomes) || (uncertain > 0 && leftInQueue > 0)) return Exit.partly
  if (failedAgain > 0) return Exit.negative
  return noAnswer > 0 ? Exit.timedOut : Exit.done
}

function count({ items }: ResumeReport, result: ReplayResult): number {
  return items.filter((item) => item.result === result).length
}

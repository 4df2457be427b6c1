import { errorText } from '../../message/nsb-error.ts'
import type { ReplayOptions, ReplayPlan } from '../../toolkit/errors/replay/plan.ts'
import type { ReplayReport, ReplayedMessage } from '../../toolkit/errors/replay/replay.ts'
import { printableLine } from '../printable.ts'
import { shortId } from './errors-command.ts'
import { type ReplayOutcomes, short } from './replay-report.ts'

/** What is asked before anything is sent. @param plan undefined: nobody has looked at the messages */
export function questionOf(most: number, plan: ReplayPlan | undefined, { queue, to }: ReplayOptions): string {
  const messages = `${most} message${most > 1 ? 's' : ''}`
  if (plan !== undefined) {
    const names = plan.targets.slice(0, mostNamed).map(({ target }) => printableLine(short(target ?? '(nowhere)')))
    const others = plan.targets.length - names.length
    return `Replay ${messages} to ${names.join(', ')}${others === 0 ? '' : ` and ${others} other queues`}?`
  }
  return `Replay the ${messages} of '${printableLine(queue)}' to ${to === undefined ? 'where each of them failed' : printableLine(to)}?`
}

/** Of the targets, in a question. */
const mostNamed = 5

/** So many with the same reason have lines of their own. */
const mostAlike = 3

/**
 * A line for each of the first that were not sent, and of those that failed again. Of many with one reason only the first have lines, and
 * the codes say where the next step is: `nsb help <code>`.
 */
export function failureLines({ items }: Pick<ReplayReport, 'items'>, most: number): readonly string[] {
  const byReason = new Map<string, ReplayedMessage[]>()
  for (const item of items) {
    if (item.result !== 'failed') continue
    const reason = `${item.error?.code ?? 'NSB_UNEXPECTED'}: ${item.error?.message ?? 'was not sent'}`
    const alike = byReason.get(reason)
    if (alike === undefined) byReason.set(reason, [item])
    else alike.push(item)
  }
  const unsent = [...byReason].flatMap(([reason, alike]) => [
    ...alike.slice(0, mostAlike).map(({ target, uniqueId }) => line(uniqueId, target ?? '–', reason)),
    ...(alike.length > mostAlike ? [`${alike.length - mostAlike} more for that reason`] : []),
  ])
  const failedAgain = items
    .filter(({ result }) => result === 'failedAgain')
    .map(({ exception, sentAs, uniqueId }) => line(sentAs ?? uniqueId, 'failed again', exception?.split('\n', 1)[0] ?? ''))
  return [...unsent.slice(0, most), ...failedAgain.slice(0, most)]
}

/** Of what was said of a message, which may quote all of it. */
const longestReason = 1000

const line = (uniqueId: string, what: string, reason: string): string =>
  [shortId(uniqueId), short(what), short(reason, longestReason)].map(printableLine).join('  ')

/** What a report says of how it ended; that of a resume has some of it only where it was a replay. */
type EarlyEnd = Pick<ReplayReport, 'problem' | 'staged' | 'stoppedAfter'> & Partial<Pick<ReplayReport, 'stopped' | 'sentUnnoted'>>

/** Why it ended early, and where the rest is. */
export function warningsOf(report: EarlyEnd, isInterrupted: boolean): readonly string[] {
  const { problem, stopped, stoppedAfter } = report
  const warnings: string[] = []
  if (problem !== undefined) warnings.push(`stopped: ${errorText(problem)}${inBothPlaces(report)}`)
  else if (stoppedAfter !== undefined) warnings.push(`stopped after batch ${stoppedAfter.number}; ${restOf(report)}`)
  else if (stopped === true) warnings.push(`stopped: too many failures; ${restOf(report)}`)
  if (isInterrupted) warnings.push(`interrupted: ${restOf(report)}`)
  return warnings
}

/** Where what was not sent is. */
function restOf({ staged }: EarlyEnd): string {
  return staged === undefined || staged.left === 0
    ? 'the rest stays in the error queue'
    : `the rest is in ${staged.queue}, or in the error queue still`
}

/** What a person must know who finds a message twice. */
function inBothPlaces({ sentUnnoted = 0 }: EarlyEnd): string {
  return sentUnnoted === 0
    ? ''
    : `. ${sentUnnoted} message${sentUnnoted === 1 ? ' was' : 's were'} sent and may be in the error queue as well`
}

/** The summary, in one line. */
export function countsLine({ newerArrivals, operation, staged, leftInQueue }: ReplayReport, outcomes: ReplayOutcomes): string {
  const { failed, failedAgain = 0, noAnswer = 0, published, succeeded } = outcomes
  return [
    `replayed ${published}`,
    ...(succeeded === undefined ? [] : [`succeeded ${succeeded}`]),
    ...(failedAgain > 0 ? [`failed again ${failedAgain}`] : []),
    ...(noAnswer > 0 ? [`no answer yet ${noAnswer}`] : []),
    ...(failed > 0 ? [`failed ${failed}`] : []),
    ...(staged !== undefined && staged.left > 0 ? [`left in ${staged.queue} ${staged.left}`] : []),
    `left in queue ${leftInQueue}`,
    ...(newerArrivals > 0 ? [`newer arrivals ${newerArrivals}`] : []),
    `operation ${operation}`,
  ].join(', ')
}

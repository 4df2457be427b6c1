import { NsbError, errorText } from '../../message/nsb-error.ts'
import type { PlannedTarget, ReplayPlan } from '../../toolkit/errors/replay/plan.ts'
import type { Unfit } from '../../toolkit/errors/edit/tried-patch.ts'
import type { ReplayReport, ReplayedMessage } from '../../toolkit/errors/replay/replay.ts'
import { Exit } from '../exit-codes.ts'
import { printableLine } from '../printable.ts'

/** `nsb.errors.replay/1`; the counts of outcomes are there when they were waited for. */
export interface ReplayDocument {
  readonly schema: 'nsb.errors.replay/1'
  readonly profile: string
  readonly queue: string
  readonly operation?: string
  readonly dryRun?: true
  readonly stopped?: true
  /** The batch after which it did not go on. */
  readonly stoppedAfterBatch?: number
  /** The queue it went by way of, and how many messages are in it still; of a dry run, that it would. */
  readonly staged?: { readonly queue: string; readonly left: number } | true
  /** Of a dry run that is slowed down: how long it would take at worst. */
  readonly plannedSeconds?: number
  /** It can be resumed: it was interrupted or stopped between two batches, or a step could not be noted or was not answered. */
  readonly resumable?: true
  /** Of those that failed: they were sent, and are in the error queue as well. */
  readonly inBothPlaces?: number
  readonly selected: number
  readonly published: number
  readonly succeeded?: number
  readonly failedAgain?: number
  readonly noAnswer?: number
  readonly failed: number
  readonly leftInQueue: number
  readonly newerArrivals: number
  /** Of a dry run: how many messages go where, and why they cannot. */
  readonly targets?: readonly object[]
  /** Every message of up to 10,000; above that the first of a dry run, otherwise only failures, 1,000 at most. */
  readonly items: readonly object[]
}

interface About {
  readonly profile: string
  readonly queue: string
}

/** What a dry run tells of a replay that is slowed down. */
export interface PlannedPace {
  readonly ms: number
  readonly isStaged: boolean
}

/** @param unfit those that a patch does not fit */
export function dryRunDocument(
  { profile, queue }: About,
  plan: ReplayPlan,
  { isStaged, ms }: PlannedPace,
  unfit: readonly Unfit[],
): ReplayDocument {
  const pace = { ...(isStaged ? ({ staged: true } as const) : {}), ...(ms === 0 ? {} : { plannedSeconds: Math.ceil(ms / 1000) }) }
  return { schema: 'nsb.errors.replay/1', profile, queue, ...dryRun(plan, unfit), ...pace }
}

/** @param waited for the outcomes */
export function replayDocument({ profile, queue }: About, report: ReplayReport, waited: boolean): ReplayDocument {
  return {
    schema: 'nsb.errors.replay/1',
    profile,
    queue,
    operation: report.operation,
    ...(report.stopped ? { stopped: true } : {}),
    ...(report.stoppedAfter === undefined ? {} : { stoppedAfterBatch: report.stoppedAfter.number }),
    ...(report.staged === undefined ? {} : { staged: report.staged }),
    ...(report.isOver ? {} : { resumable: true }),
    ...(report.sentUnnoted > 0 ? { inBothPlaces: report.sentUnnoted } : {}),
    selected: report.selected,
    ...outcomesOf(report, waited),
    leftInQueue: report.leftInQueue,
    newerArrivals: report.newerArrivals,
    items: report.items,
  }
}

export type ReplayOutcomes = Pick<ReplayDocument, 'published' | 'succeeded' | 'failedAgain' | 'noAnswer' | 'failed'>

/** @param waited for the outcomes */
export function outcomesOf({ failed, items, published }: ReplayReport, waited: boolean): ReplayOutcomes {
  const count = (result: ReplayedMessage['result']): number => items.filter((item) => item.result === result).length
  return {
    published,
    ...(waited ? { succeeded: count('succeeded'), failedAgain: count('failedAgain'), noAnswer: count('noAnswer') } : {}),
    failed,
  }
}

function dryRun(plan: ReplayPlan, unfit: readonly Unfit[]): Omit<ReplayDocument, 'schema' | 'profile' | 'queue'> {
  const { facts, first, selected, targets } = plan
  const problems = new Map(targets.map(({ target, problem }) => [target, problem]))
  const errors = new Map(unfit.map(({ error, uniqueId }) => [uniqueId, error]))
  const items = first.map(({ uniqueId, target }) => {
    const problem = problems.get(target)
    const error = problem === undefined ? errors.get(uniqueId) : problemFields(problem)
    return error === undefined ? { uniqueId, target, result: 'planned' } : { uniqueId, target, result: 'failed', error }
  })
  // Where it goes is only known of those that are named.
  const lost = items.filter(({ result, target }) => result === 'failed' && problems.get(target) !== undefined)
  const both = lost.filter(({ uniqueId }) => errors.has(uniqueId)).length
  return {
    dryRun: true,
    selected,
    published: 0,
    failed: targets.reduce((sum, { count, problem }) => sum + (problem === undefined ? 0 : count), 0) + unfit.length - both,
    leftInQueue: facts.depth,
    newerArrivals: 0,
    targets: targets.map(({ count, problem, target }) => ({
      target,
      count,
      ...(problem === undefined ? {} : { error: problemFields(problem) }),
    })),
    items,
  }
}

function problemFields(problem: unknown): object {
  return { code: problem instanceof NsbError ? problem.code : 'NSB_UNEXPECTED', message: errorText(problem) }
}

/** Not sent before failed again before no answer yet. */
export function replayExitCode(document: ReplayDocument): number {
  const { dryRun: isDryRun, failed, failedAgain = 0, noAnswer = 0, published, selected, stoppedAfterBatch } = document
  if (failed > 0) return Exit.partly
  // Outcomes are the reason to stop between two batches, and then they are the answer.
  const isStoppedForOutcomes = stoppedAfterBatch !== undefined && failedAgain + noAnswer > 0
  // What was selected and never tried was stopped or interrupted.
  const isCut = isDryRun !== true && (stoppedAfterBatch !== undefined || published < selected)
  if (isCut && !isStoppedForOutcomes) return Exit.partly
  if (failedAgain > 0) return Exit.negative
  return noAnswer > 0 ? Exit.timedOut : Exit.done
}

/** Where a message goes is what it says itself, of any length. */
const longestTarget = 255
export const short = (text: string, longest = longestTarget): string => (text.length <= longest ? text : `${text.slice(0, longest)}…`)

/** With what to do about it, such as similar names. */
function problemText(problem: unknown): string {
  return problem instanceof NsbError ? [problem.message, ...problem.suggestions].join(' ') : errorText(problem)
}

/** More are not read; and a message may name any. */
const mostTargets = 20

/** A line for each target, of many only for those that most messages go to: `Sales  100  (queue exists, 1 consumer)` */
export function targetLines(targets: readonly PlannedTarget[]): readonly string[] {
  const most = targets.length <= mostTargets ? targets : targets.toSorted((a, b) => b.count - a.count).slice(0, mostTargets)
  const others = targets.length - most.length
  if (others === 0) return most.map(targetLine)
  const count = sumOf(targets) - sumOf(most)
  const inVain = sumOf(targets.filter(({ problem }) => problem !== undefined)) - sumOf(most.filter(({ problem }) => problem !== undefined))
  return [...most.map(targetLine), `${others} other queues  ${count}  (${inVain} cannot be sent; --dry-run --json names each)`]
}

const sumOf = (targets: readonly PlannedTarget[]): number => targets.reduce((sum, { count }) => sum + count, 0)

function targetLine({ target, count, facts, problem }: PlannedTarget): string {
  const consumers =
    typeof facts?.consumers === 'number' && facts.kind !== 'folder'
      ? `, ${facts.consumers} consumer${facts.consumers === 1 ? '' : 's'}`
      : ''
  const what = problem !== undefined || facts === undefined ? printableLine(short(problemText(problem))) : `queue exists${consumers}`
  return `${printableLine(short(target ?? '–'))}  ${count}  (${what})`
}

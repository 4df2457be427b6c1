import { NsbError, errorText } from '../../message/nsb-error.ts'
import type { PlannedTarget, ReplayPlan } from '../../toolkit/errors/plan.ts'
import type { ReplayReport, ReplayedMessage } from '../../toolkit/errors/replay.ts'
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
  /** It can be resumed: it was interrupted, or a step could not be noted or was not answered. */
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

export function dryRunDocument({ profile, queue }: About, plan: ReplayPlan): ReplayDocument {
  return { schema: 'nsb.errors.replay/1', profile, queue, ...dryRun(plan) }
}

/** @param waited for the outcomes */
export function replayDocument({ profile, queue }: About, report: ReplayReport, waited: boolean): ReplayDocument {
  const head = { schema: 'nsb.errors.replay/1', profile, queue } as const
  const count = (result: ReplayedMessage['result']): number => report.items.filter((item) => item.result === result).length
  return {
    ...head,
    operation: report.operation,
    ...(report.stopped ? { stopped: true } : {}),
    ...(report.isOver ? {} : { resumable: true }),
    ...(report.sentUnnoted > 0 ? { inBothPlaces: report.sentUnnoted } : {}),
    selected: report.selected,
    published: report.published,
    ...(waited ? { succeeded: count('succeeded'), failedAgain: count('failedAgain'), noAnswer: count('noAnswer') } : {}),
    failed: report.failed,
    leftInQueue: report.leftInQueue,
    newerArrivals: report.newerArrivals,
    items: report.items,
  }
}

function dryRun(plan: ReplayPlan): Omit<ReplayDocument, 'schema' | 'profile' | 'queue'> {
  const { facts, first, selected, targets } = plan
  const problems = new Map(targets.map(({ target, problem }) => [target, problem]))
  const items = first.map(({ uniqueId, target }) => {
    const problem = problems.get(target)
    return problem === undefined
      ? { uniqueId, target, result: 'planned' }
      : { uniqueId, target, result: 'failed', error: problemFields(problem) }
  })
  return {
    dryRun: true,
    selected,
    published: 0,
    failed: targets.reduce((sum, { count, problem }) => sum + (problem === undefined ? 0 : count), 0),
    leftInQueue: facts?.depth ?? 0,
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
  // What was selected and never tried was stopped or interrupted.
  if (document.failed > 0 || (document.dryRun !== true && document.published + document.failed < document.selected)) return Exit.partly
  if ((document.failedAgain ?? 0) > 0) return Exit.negative
  return (document.noAnswer ?? 0) > 0 ? Exit.timedOut : Exit.done
}

/** `Sales  100  (queue exists, 1 consumer)` */
export function targetLine({ target, count, facts, problem }: PlannedTarget): string {
  const consumers =
    typeof facts?.consumers === 'number' && facts.kind !== 'folder'
      ? `, ${facts.consumers} consumer${facts.consumers === 1 ? '' : 's'}`
      : ''
  const what = facts === undefined ? printableLine(errorText(problem)) : `queue exists${consumers}`
  return `${printableLine(target ?? '–')}  ${count}  (${what})`
}

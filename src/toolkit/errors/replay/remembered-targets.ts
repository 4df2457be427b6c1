import { readFailure } from '../../../message/failure.ts'
import type { Operations } from '../../../transport/transport.ts'
import { type PlannedTarget, type ReplayOptions, isReplayable, planned, targetsOf } from './plan.ts'
import { selector } from '../select/select.ts'
import type { SnapshotFile } from '../browse/snapshot.ts'

/** Where messages would go, by what was seen of the queue before. */
export interface RememberedTargets {
  /** ms since 1970. */
  readonly asOf: number
  /** How many messages more the queue has now than it had then; fewer: below 0. */
  readonly changedBy: number
  readonly targets: readonly PlannedTarget[]
}

/** For a question about messages that nobody has looked at; undefined: nothing was seen in the last 10 minutes. @param depth of the queue now */
export async function rememberedTargets(
  operations: Operations,
  snapshot: SnapshotFile | undefined,
  options: ReplayOptions,
  depth: number,
): Promise<RememberedTargets | undefined> {
  const found = await snapshot?.read(options.now)
  if (found === undefined) return undefined
  const matches = selector(options.criteria, options.now)
  const counts = new Map<string | undefined, number>()
  for await (const entry of found.entries) {
    const failed = entry.failed ?? readFailure(entry.headers, entry.nativeId, entry.unreadable !== undefined)
    if (!isReplayable(failed) || !matches(failed, entry)) continue
    const { target } = planned(entry, failed, options)
    counts.set(target, (counts.get(target) ?? 0) + 1)
  }
  return { asOf: found.takenAt, changedBy: depth - found.facts.depth, targets: await targetsOf(operations, options.queue, counts) }
}

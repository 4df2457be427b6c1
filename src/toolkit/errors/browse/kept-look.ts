import { type FailedMessage, readFailure } from '../../../message/failure.ts'
import type { Operations } from '../../../transport/transport.ts'
import { couldMean } from '../select/resolve-ids.ts'
import { needsBodies } from '../select/select.ts'
import { type BrowseOptions, type Browsed, type Look, isOther, noOthers } from './browsed.ts'
import type { Snapshot, SnapshotEntry } from './snapshot.ts'

/**
 * Shows what the last look has kept, as far as it still stands for the queue: that is asked for its depth, which changes nothing.
 *
 * @returns undefined: the queue has to be read
 * @throws {NsbError} NSB_SNAPSHOT_DAMAGED
 */
export async function browseKept(operations: Operations, options: BrowseOptions, seen: Look['seen']): Promise<Browsed | undefined> {
  const { cached = false, criteria, now } = options
  // It knows neither every header nor every body.
  if (cached === false || operations.can.lookWithoutTrace || criteria.header !== undefined || needsBodies(criteria)) return undefined
  const kept = await options.snapshot?.read(now)
  if (kept === undefined) return undefined
  const changedBy = await changeSince(operations, options.queue, kept, cached)
  if (changedBy === undefined) {
    await kept.close()
    return undefined
  }
  const others = { ...noOthers }
  for await (const entry of kept.entries) {
    const failed = entry.failed ?? readFailure(entry.headers, entry.nativeId, entry.unreadable !== undefined)
    if (isOther(failed.kind)) others[failed.kind]++
    seen(failed, entry, undefined)
  }
  return { facts: kept.facts, ...others, newerArrivals: 0, unread: 0, asOf: kept.takenAt, cached: true, changedBy }
}

/** By how many messages the queue differs from what was kept; undefined: by so many that it is read, or it is not there any more. */
async function changeSince(
  operations: Operations,
  queue: string,
  { facts }: Snapshot,
  cached: boolean | 'ifSame',
): Promise<number | undefined> {
  const now = await operations.inspect(queue)
  const changedBy = now && now.depth - facts.depth
  // A look that costs nothing is better than what is out of date.
  return changedBy === 0 || (now?.looksLeft !== 'unlimited' && cached !== 'ifSame') ? changedBy : undefined
}

/** A message as the last look has kept it: with the headers of its failure, and with its body if that was not too large. */
export interface Remembered extends Browsed {
  readonly failed: FailedMessage
  readonly message: SnapshotEntry
}

/** Has it all that there is to be shown, or would reading the queue for the rest cost a look? */
export const isEnough = ({ facts, message }: Remembered): boolean => message.keptBody !== undefined || facts.looksLeft !== 'unlimited'

/** The same for one message; undefined: nothing was kept, or it does not have just this one. */
export async function rememberFailed(operations: Operations, options: BrowseOptions, id: string): Promise<Remembered | undefined> {
  const found: { readonly failed: FailedMessage; readonly message: SnapshotEntry }[] = []
  const browsed = await browseKept(operations, { ...options, cached: true }, (failed, message) => {
    if (couldMean(id, failed)) found.push({ failed, message })
  })
  const [only] = found
  return browsed === undefined || only === undefined || found.length > 1 ? undefined : { ...browsed, ...only }
}

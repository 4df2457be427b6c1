import type { QueueChannel, Taken } from './queue-channel.ts'

/** Quorum queues with a limit keep the order of up to so many that are given back at once. */
const keepsOrder = 16

/** A message that was taken. */
type Held = Pick<Taken, 'consumer' | 'tag'>

/** The order of the queue. */
export const inOrder = (a: Held, b: Held): number => a.consumer.take - b.consumer.take || a.tag - b.tag

/**
 * Gives back everything that is held, a group when the one before it can be seen, so that it comes out in its old order.
 *
 * @param inSmallGroups for a quorum queue with a delivery limit, or of which nobody tells
 */
export async function giveBackInOrder(queue: QueueChannel, held: readonly Held[], inSmallGroups: boolean): Promise<void> {
  let depth = await queue.depth()
  for (const group of groupsOf(held, inSmallGroups ? keepsOrder : held.length)) {
    // Everything before it is settled, so "up to" means this group.
    queue.nackUpTo(group.at(-1) as Held)
    depth = await queue.untilSeen(depth, group.length)
  }
}

/** At most so many together, and never of two takes: giving back across two disturbs the order at the seam. */
function groupsOf(held: readonly Held[], most: number): readonly (readonly Held[])[] {
  const groups: Held[][] = []
  for (const each of held.toSorted(inOrder)) {
    const group = groups.at(-1)
    if (group && group.length < most && group[0]?.consumer === each.consumer) group.push(each)
    else groups.push([each])
  }
  return groups
}

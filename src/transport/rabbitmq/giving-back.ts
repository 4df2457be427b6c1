import type { QueueChannel, Taken } from './queue-channel.ts'
import type { HeldLimits } from './queue-limits.ts'
import { VisibleAgain, untilSettled } from './visible-again.ts'

/** Quorum queues with a limit keep the order of up to so many that are given back at once. */
const keepsOrder = 16

/**
 * Groups of one channel that are under way together. It hands them to the queue in their order, but merges them, which disturbs it, while
 * 32 commands of it are not done yet, acknowledgements among them. So the first group of one that has acknowledged something goes alone:
 * when it can be seen, what was acknowledged before is done.
 */
const underWay = 8

/** A message that was taken. */
type Held = Pick<Taken, 'consumer' | 'tag'>

/** The order of the queue. */
export const inOrder = (a: Held, b: Held): number => a.consumer.take - b.consumer.take || a.tag - b.tag

/** What is given back with one command. */
type Group = readonly [Held, ...Held[]]

export interface GivingBackOptions {
  readonly name: string
  readonly limits: HeldLimits
  /** Consumers of others when the first message was taken. */
  readonly others: number
  /** Nothing was acknowledged, so that whoever counts as a consumer and holds none of the messages is somebody else. */
  readonly onlyLooks: boolean
  readonly warn: (warning: string) => void
}

/**
 * Gives back everything that is held, so that it comes out in its old order: what is under way can be seen in the queue before more follows.
 * Resolves when the queue has it.
 *
 * @throws {NsbError} NSB_NOT_SETTLED, NSB_QUEUE_SILENT: nobody knows whether it has; and why the channel has ended
 */
export async function giveBackInOrder(queue: QueueChannel, held: readonly Held[], options: GivingBackOptions): Promise<void> {
  const { limits, name, onlyLooks, warn } = options
  const { consumers, depth: before } = await queue.counts()
  const isQuorum = limits.kind === 'quorum'
  // Those that took what is held count there until they have given it back.
  const others = isQuorum && onlyLooks ? Math.max(options.others, consumers - takersOf(held)) : options.others
  const visible = new VisibleAgain({ queue, name, kind: limits.kind, isShared: others > 0 || (!isQuorum && consumers > 0), warn })
  let depth = before
  const groups = groupsOf(held, isQuorum && limits.limit !== 'unlimited' ? keepsOrder : held.length)
  for (let from = 0; from < groups.length; ) {
    const together = groups.slice(from, from + (goesAlone(groups, from) ? 1 : underWay)).filter(isOfChannelOf(groups[from] as Group))
    // Everything before it is settled or given back, so "up to" means this group.
    for (const group of together) queue.nackUpTo(group.at(-1) as Held)
    depth = await visible.until(depth, together.flat().length)
    from += together.length
  }
  if (isQuorum && !visible.isSeen) await untilSettled(queue, name, others)
}

function takersOf(held: readonly Held[]): number {
  return new Set(held.map(({ consumer }) => consumer)).size
}

function goesAlone(groups: readonly Group[], index: number): boolean {
  const group = groups[index] as Group
  const isFirst = index === 0 || !isOfChannelOf(groups[index - 1] as Group)(group)
  return isFirst && group[0].consumer.part.hasAcknowledged
}

const isOfChannelOf =
  ([one]: Group) =>
  ([other]: Group): boolean =>
    one.consumer.part === other.consumer.part

/** At most so many together, and never of two takes: giving back across two disturbs the order at the seam. */
function groupsOf(held: readonly Held[], most: number): readonly Group[] {
  const groups: [Held, ...Held[]][] = []
  for (const each of held.toSorted(inOrder)) {
    const group = groups.at(-1)
    if (group && group.length < most && group[0].consumer === each.consumer) group.push(each)
    else groups.push([each])
  }
  return groups
}

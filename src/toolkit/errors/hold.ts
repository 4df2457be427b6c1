import { NsbError } from '../../message/nsb-error.ts'
import type { HoldOptions, Holding, Operations, QueueFacts } from '../../transport/transport.ts'
import { isBrokerQueue } from '../broker-queue.ts'
import { missingErrorQueue } from './missing-queue.ts'

/** A holding that may be opened before there is a journal to note its messages in. */
export interface NotedHolding {
  readonly holding: Holding
  /** The copies of a group of messages are safe. When this cannot be noted it rejects, and their originals stay. */
  noteSafe: HoldOptions['beforeRemove']
}

/**
 * Holds messages of an error queue.
 *
 * @throws {NsbError} what `hold` gives; NSB_QUEUE_NOT_FOUND names the queues that look like error queues
 */
export async function holdErrors(operations: Operations, queue: string, options: HoldOptions): Promise<Holding> {
  try {
    return await operations.hold(queue, options)
  } catch (error) {
    throw missingErrorQueue(operations, queue, error)
  }
}

/** @throws {NsbError} what {@link holdErrors} gives */
export async function holdNoted(operations: Operations, queue: string, options: Omit<HoldOptions, 'beforeRemove'>): Promise<NotedHolding> {
  const noted: Pick<NotedHolding, 'noteSafe'> = { noteSafe: () => undefined }
  const holding = await holdErrors(operations, queue, { ...options, beforeRemove: (group) => noted.noteSafe(group) })
  return Object.assign(noted, { holding })
}

/** undefined: there is no such queue. */
export function holdIfThere(operations: Operations, queue: string, options: HoldOptions): Promise<Holding | undefined> {
  return ifThere(operations.hold(queue, options))
}

/** undefined: there is no such queue. */
export async function ifThere<T>(held: Promise<T>): Promise<T | undefined> {
  try {
    return await held
  } catch (error) {
    if (error instanceof NsbError && error.code === 'NSB_QUEUE_NOT_FOUND') return undefined
    throw error
  }
}

/**
 * Waits until nobody else has the queue in hand, for what asks somebody before it takes the queue itself: nobody is asked for nothing.
 *
 * @throws {NsbError} what a holding that changes the queue refuses; not that there is no such queue
 */
export async function waitUntilFree(
  operations: Operations,
  queue: string,
  { overrule, signal }: Pick<HoldOptions, 'overrule' | 'signal'>,
): Promise<void> {
  if (operations.can.lookWithoutTrace) return
  const nothing = { page: 1, max: 1, beforeRemove: () => undefined } as const
  await (await holdIfThere(operations, queue, { purpose: 'change', overrule, signal, ...nothing }))?.giveBack()
}

/**
 * Refuses to read a part of a broker's queue: its order would change, and what was said of it would be half true. Nothing was read yet.
 *
 * @param instead what does the same without holding all of them, where something does
 * @throws {NsbError} NSB_HOLD_TOO_SMALL
 */
export function checkHold(
  facts: QueueFacts,
  { maxHold, overrule }: { readonly maxHold: number; readonly overrule: readonly string[] },
  instead: readonly string[] = [],
): void {
  const { depth, queue } = facts
  if (!isBrokerQueue(facts) || depth <= maxHold || overrule.includes('NSB_HOLD_TOO_SMALL')) return
  throw new NsbError({
    code: 'NSB_HOLD_TOO_SMALL',
    message: `Queue '${queue}' has ${depth} messages, and at most ${maxHold} are held at once. Nothing was read: to read all of them the broker has to hold them in memory.`,
    suggestions: [`Hold them all: --max-hold ${depth}`, ...instead, 'Or read the oldest, and let the rest change its place: --force'],
    details: { queue, depth, maxHold },
  })
}

import { NsbError } from '../../message/nsb-error.ts'
import { isBrokerQueue } from '../broker-queue.ts'
import type { SnapshotFile } from './snapshot.ts'
import type { HoldOptions, Holding, Operations, QueueFacts } from '../../transport/transport.ts'

/** undefined: there is no such queue. */
export async function holdIfThere(operations: Operations, queue: string, options: HoldOptions): Promise<Holding | undefined> {
  try {
    return await operations.hold(queue, options)
  } catch (error) {
    if (error instanceof NsbError && error.code === 'NSB_QUEUE_NOT_FOUND') return undefined
    throw error
  }
}

const exhausted = 'NSB_LOOKS_EXHAUSTED'

interface Careful {
  readonly queue: string
  readonly overrule: readonly string[]
  readonly snapshot?: SnapshotFile | undefined
}

/**
 * Looks with the memory of earlier commands: where one of them has found that hardly any look is left, not one more is spent on that.
 *
 * @throws {NsbError} NSB_LOOKS_EXHAUSTED, and what looking throws
 */
export async function lookCarefully<T>(operations: Operations, { overrule, queue, snapshot }: Careful, look: () => Promise<T>): Promise<T> {
  const note = operations.can.lookWithoutTrace ? undefined : await snapshot?.exhausted()
  if (note !== undefined) {
    const facts = await operations.inspect(queue)
    const isSameLimit = facts?.looksLeft === note.limit || facts?.looksLeft === 'unknown'
    const holds = facts !== undefined && facts.depth > 0 && isSameLimit && !overrule.includes(exhausted)
    if (holds)
      throw new NsbError({ code: exhausted, message: note.message, suggestions: note.suggestions, details: { queue, limit: note.limit } })
    await snapshot?.forgetExhausted()
  }
  try {
    return await look()
  } catch (error) {
    if (error instanceof NsbError && error.code === exhausted) await snapshot?.noteExhausted(error)
    throw error
  }
}

/**
 * Refuses to read a part of a broker's queue: its order would change, and what was said of it would be half true. Nothing was read yet.
 *
 * @throws {NsbError} NSB_HOLD_TOO_SMALL
 */
export function checkHold(
  facts: QueueFacts,
  { maxHold, overrule }: { readonly maxHold: number; readonly overrule: readonly string[] },
): void {
  const { depth, queue } = facts
  if (!isBrokerQueue(facts) || depth <= maxHold || overrule.includes('NSB_HOLD_TOO_SMALL')) return
  throw new NsbError({
    code: 'NSB_HOLD_TOO_SMALL',
    message: `Queue '${queue}' has ${depth} messages, and at most ${maxHold} are held at once. Nothing was read: to read all of them the broker has to hold them in memory.`,
    suggestions: [
      `Hold them all: --max-hold ${depth}`,
      'Replay them without holding them: nsb errors replay --all',
      'Or read the oldest, and let the rest change its place: --force',
    ],
    details: { queue, depth, maxHold },
  })
}

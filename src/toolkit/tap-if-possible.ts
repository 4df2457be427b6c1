import { NsbError } from '../message/nsb-error.ts'
import type { Operations, TapEvents } from '../transport/transport.ts'

/** A tap; undefined where what reaches the queue cannot be seen without taking it. */
export async function tapIfPossible(
  operations: Operations,
  queue: string,
  seen: Parameters<Operations['tap']>[1],
  events?: TapEvents,
): Promise<{ stop(): Promise<void> } | undefined> {
  if (!operations.can.tap) return undefined
  try {
    return await operations.tap(queue, seen, events)
  } catch (error) {
    if (error instanceof NsbError && error.code === 'NSB_NO_TAP') return undefined
    throw error
  }
}

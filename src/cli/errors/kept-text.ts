import type { Browsed } from '../../toolkit/errors/browse/browsed.ts'
import type { QueueFacts } from '../../transport/transport.ts'
import { relativeTime } from '../relative-time.ts'

/** Of which moment an answer is that an earlier look has kept: `3 min ago, 2 more since`. */
export function ageText({ asOf, changedBy }: Pick<Browsed, 'asOf' | 'changedBy'>, now: number): string {
  const age = relativeTime(asOf, now)
  const change = changedBy > 0 ? `, ${changedBy} more since` : changedBy < 0 ? `, ${-changedBy} fewer wait now` : ''
  return `${age === 'now' ? 'just now' : age}${change}`
}

/** What it would cost to read a queue whose broker counts looks. */
export function costText({ depth, looksLeft }: QueueFacts): string {
  const limit = typeof looksLeft === 'number' ? `, and drops one that was delivered ${looksLeft} times in vain` : ''
  return `which the broker counts as a delivery of each of its ${depth} message${depth === 1 ? '' : 's'}${limit}`
}

import type { KnownOperations } from '../../toolkit/errors/journal/operations.ts'
import type { ReadJournal } from '../../toolkit/errors/journal/read-journal.ts'
import { timeOfOperation } from '../../toolkit/errors/operation-id.ts'
import type { StagingLeftover } from '../../toolkit/errors/replay/staging.ts'

/** Staging queues of one transport. */
export interface Leftovers {
  readonly found: readonly StagingLeftover[]
  readonly where: string
}

/** An operation that can be resumed, or runs; in the document of `errors resume --list`. */
export interface Resumable {
  readonly operation: string
  /** undefined: as the queue. */
  readonly command?: string
  readonly profile?: string
  readonly where?: string
  /** undefined: its journal is elsewhere, or damaged. */
  readonly queue?: string
  /** ISO 8601. */
  readonly startedAt: string
  /** Messages of its last half that were begun with; unknown without a journal. */
  readonly begun?: number
  /** Of them, those whose copies are safe. */
  readonly safe?: number
  /** Messages that wait in its staging queue. */
  readonly staged?: number
  /** undefined: its journal is elsewhere, or damaged. */
  readonly running?: boolean
  /** The journal, which cannot be read. */
  readonly damaged?: string
}

/** Operations that have a journal here, and those of which only the staging queue is left; oldest first. */
export function resumable(
  journals: readonly (ReadJournal & { readonly running: boolean })[],
  damaged: KnownOperations['damaged'],
  { found, where }: Leftovers,
): readonly Resumable[] {
  const known = new Set([...journals.map(({ head }) => head.operation), ...damaged.map(({ operation }) => operation)])
  const depths = new Map(found.map(({ depth, operation }) => [operation, depth]))
  const here = journals.map(({ head, running, safeCount, selected }): Resumable => {
    const { command, operation, profile, queue, startedAt } = head
    const staged = depths.get(operation)
    const counts = { begun: selected, safe: safeCount, ...(staged !== undefined && { staged }) }
    return { operation, command, profile, where: head.where, queue, startedAt, ...counts, running }
  })
  const unread = damaged.map(({ operation, path }): Resumable => {
    const staged = depths.get(operation)
    return { operation, startedAt: beginOf(operation), damaged: path, ...(staged !== undefined && { staged }) }
  })
  const elsewhere = found
    .filter(({ operation }) => !known.has(operation))
    .map(({ depth, operation }): Resumable => {
      return { operation, command: 'replay', where, startedAt: beginOf(operation), staged: depth }
    })
  return [...here, ...unread, ...elsewhere].toSorted((a, b) => (a.operation < b.operation ? -1 : 1))
}

const beginOf = (operation: string): string => new Date(timeOfOperation(operation)).toISOString()

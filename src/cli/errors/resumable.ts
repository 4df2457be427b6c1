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
  readonly command: string
  readonly profile?: string
  readonly where: string
  /** undefined: its journal is elsewhere. */
  readonly queue?: string
  /** ISO 8601. */
  readonly startedAt: string
  /** Messages of its last half that were begun with; unknown without a journal. */
  readonly begun?: number
  /** Of them, those whose copies are safe. */
  readonly safe?: number
  /** Messages that wait in its staging queue. */
  readonly staged?: number
  /** undefined: its journal is elsewhere. */
  readonly running?: boolean
}

/** Operations that have a journal here, and those of which only the staging queue is left; oldest first. */
export function resumable(
  journals: readonly (ReadJournal & { readonly running: boolean })[],
  { found, where }: Leftovers,
): readonly Resumable[] {
  const known = new Set(journals.map(({ head }) => head.operation))
  const depths = new Map(found.map(({ depth, operation }) => [operation, depth]))
  const here = journals.map(({ head, running, safeCount, selected }): Resumable => {
    const { command, operation, profile, queue, startedAt } = head
    const staged = depths.get(operation)
    const counts = { begun: selected, safe: safeCount, ...(staged !== undefined && { staged }) }
    return { operation, command, profile, where: head.where, queue, startedAt, ...counts, running }
  })
  const elsewhere = found
    .filter(({ operation }) => !known.has(operation))
    .map(({ depth, operation }): Resumable => {
      const startedAt = new Date(timeOfOperation(operation)).toISOString()
      return { operation, command: 'replay', where, startedAt, staged: depth }
    })
  return [...here, ...elsewhere].toSorted((a, b) => (a.operation < b.operation ? -1 : 1))
}

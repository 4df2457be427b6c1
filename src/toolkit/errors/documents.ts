import type { FailedMessage } from '../../message/failure.ts'
import type { Browsed } from './browse/browsed.ts'
import type { Group } from './select/group.ts'

/** ISO 8601 in UTC; undefined stays undefined. */
export function isoTime(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : new Date(ms).toISOString()
}

/** Of every document about what is in error queues: of which moment it is, the earliest of several, and whether it is of an earlier look. */
export function lookFields(looks: readonly Pick<Browsed, 'asOf' | 'cached' | 'changedBy'>[]): {
  readonly asOf: string
  readonly cached: boolean
  readonly changedBy?: number
} {
  const changedBy = looks.reduce((sum, look) => sum + look.changedBy, 0)
  return {
    asOf: new Date(Math.min(...looks.map(({ asOf }) => asOf))).toISOString(),
    cached: looks.some(({ cached }) => cached),
    ...(changedBy === 0 ? {} : { changedBy }),
  }
}

/** A failed message as `--json` shows it; what is absent is left out. */
export function failedFields(failed: FailedMessage): Record<string, unknown> {
  const { uniqueId, messageId, kind, type, endpoint, queue, host, exceptionType, exceptionMessage, replayed } = failed
  const fields = {
    uniqueId,
    messageId,
    kind,
    type,
    endpoint,
    queue,
    host,
    failedAt: isoTime(failed.failedAt),
    exceptionType,
    exceptionMessage,
    replayed,
  }
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}

/** A group as `--json` shows it. */
export function groupFields(group: Group): Record<string, unknown> {
  const { id, title, count, endpoints, types } = group
  const [first, last] = [isoTime(group.first), isoTime(group.last)]
  return { id, title, count, ...(first === undefined ? {} : { first }), ...(last === undefined ? {} : { last }), endpoints, types }
}

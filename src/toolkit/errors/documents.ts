import type { FailedMessage } from '../../message/failure.ts'
import type { Group } from './select/group.ts'

/** ISO 8601 in UTC; undefined stays undefined. */
export function isoTime(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : new Date(ms).toISOString()
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

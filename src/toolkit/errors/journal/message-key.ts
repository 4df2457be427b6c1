import type { FailedMessage } from '../../../message/failure.ts'
import type { HeldMessage, QueueFacts } from '../../../transport/transport.ts'

/**
 * Which entry of a queue it is, so that it is known again after a crash. A folder gives every entry a name of its own. A broker does
 * not: there it is the failure, and what failed again has a later time and another key. undefined: an entry without a time of failure
 * cannot be told from another one, so nothing may be concluded from having seen "it" before.
 */
export function keyOf(
  { nativeId }: Pick<HeldMessage, 'nativeId'>,
  { failedAt, uniqueId }: Pick<FailedMessage, 'failedAt' | 'uniqueId'>,
  kind: QueueFacts['kind'],
): string | undefined {
  if (kind === 'folder') return nativeId
  return failedAt === undefined ? undefined : `${uniqueId} ${failedAt}`
}

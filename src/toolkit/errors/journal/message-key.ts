import { type FailureIdentity, identityOf } from '../../../message/failure.ts'
import type { HeldMessage, QueueFacts } from '../../../transport/transport.ts'
import type { KeySet } from './key-set.ts'

/**
 * Which entry of a queue it is, so that it is known again after a crash. A folder gives every entry a name of its own. A broker does
 * not: there it is the failure, and what failed again has a later time and another key. undefined: an entry without a time of failure
 * cannot be told from another one, so nothing may be concluded from having seen "it" before.
 */
export function keyOf({ nativeId }: Pick<HeldMessage, 'nativeId'>, failed: FailureIdentity, kind: QueueFacts['kind']): string | undefined {
  if (kind === 'folder') return nativeId
  return failed.failedAt === undefined ? undefined : identityOf(failed)
}

/** Does a journal name this key? Those of version 0.1 did not tell two failures of one id in one moment apart. */
export function hasKey(keys: KeySet, key: string): boolean {
  return keys.has(key) || keys.has(key.slice(0, Math.max(0, key.lastIndexOf(' '))))
}

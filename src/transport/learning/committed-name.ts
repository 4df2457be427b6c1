import { randomUUID } from 'node:crypto'
import { guid, prefixLength } from './owner.ts'

/** Who finds a transaction in `.committed` has to know these of it. */
export interface Commit {
  /** The body of the message stays, whoever completes it. */
  readonly keepBody: boolean
  /** Nothing has been done before its copies are out: an operator's, and no receiver's, whose handlers have run. */
  readonly isUndoable: boolean
}

const separators = { receiver: '~', operator: '+' } as const
const kept = '=kept='

/**
 * The name of a transaction's folder in `.committed`. Whoever finds only the folder, and no metadata file in it, learns from its name which
 * body is left. Of a receiver and a message whose id is a GUID that is the id of the transaction, so that nothing is made for it.
 */
export function committedName(id: string, nativeId: string, { isUndoable, keepBody }: Commit): string {
  if (!isUndoable && !keepBody && guid.test(nativeId) && id.slice(prefixLength) === nativeId.slice(prefixLength)) return id
  const start = id.slice(0, prefixLength) + separators[isUndoable ? 'operator' : 'receiver']
  return start + (keepBody ? kept + randomUUID() : nativeId)
}

/** What a name says; {@link Commit} of it as far as it does. */
export function readCommittedName(name: string): Commit {
  return { isUndoable: name[prefixLength] === separators.operator, keepBody: name.startsWith(kept, prefixLength + 1) }
}

/** Whether a transaction of that name may have removed this message, and not yet its body. */
export function mayHaveLeftBody(name: string, nativeId: string): boolean {
  if (guid.test(name)) return guid.test(nativeId) && nativeId.endsWith(name.slice(prefixLength))
  return !readCommittedName(name).keepBody && name.slice(prefixLength + 1) === nativeId
}

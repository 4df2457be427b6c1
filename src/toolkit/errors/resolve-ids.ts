import type { FailedMessage } from '../../message/failure.ts'
import { NsbError } from '../../message/nsb-error.ts'

/** What is needed to know which entry an id means. */
export type Identified = Pick<FailedMessage, 'uniqueId' | 'messageId'>

const shortest = 4

/** Could the id mean this entry? A prefix of its unique id from 4 characters on, or its whole message id. */
export function couldMean(id: string, entry: Identified): boolean {
  return (
    entry.messageId === id || entry.uniqueId === id || (id.length >= shortest && entry.uniqueId.toLowerCase().startsWith(id.toLowerCase()))
  )
}

/**
 * Finds the unique ids that are meant.
 *
 * @param entries all that {@link couldMean} accepts for one of the ids
 * @throws {NsbError} NSB_BAD_ID, NSB_AMBIGUOUS_ID naming the candidates, NSB_MESSAGE_NOT_FOUND
 */
export function resolveIds(ids: readonly string[], entries: readonly Identified[]): ReadonlySet<string> {
  return new Set(ids.map((id) => resolveId(id, entries)))
}

function resolveId(id: string, entries: readonly Identified[]): string {
  const exact = entries.find((entry) => entry.uniqueId.toLowerCase() === id.toLowerCase())
  if (exact !== undefined) return exact.uniqueId
  const candidates = [...new Set(entries.filter((entry) => couldMean(id, entry)).map((entry) => entry.uniqueId))]
  const [only] = candidates
  if (only !== undefined && candidates.length === 1) return only
  if (candidates.length > 1)
    throw new NsbError({
      code: 'NSB_AMBIGUOUS_ID',
      message: `'${id}' means ${candidates.length} messages.\n${candidates.slice(0, 10).join('\n')}${candidates.length > 10 ? '\n…' : ''}`,
      suggestions: ['Give more characters of the one that is meant'],
      details: { id, candidates },
    })
  if (id.length < shortest)
    throw new NsbError({
      code: 'NSB_BAD_ID',
      message: `'${id}' is too short for an id: give at least ${shortest} characters of it.`,
      suggestions: ['nsb errors list -o ids'],
      details: { id },
    })
  throw new NsbError({
    code: 'NSB_MESSAGE_NOT_FOUND',
    message: `No message in the error queue has the id '${id}'.`,
    suggestions: ['nsb errors list'],
    details: { id },
  })
}

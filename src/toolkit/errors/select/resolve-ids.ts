import type { FailedMessage } from '../../../message/failure.ts'
import { idWord } from '../../../message/ids.ts'
import { NsbError } from '../../../message/nsb-error.ts'

/** What is needed to know which entry an id means. */
export type Identified = Pick<FailedMessage, 'uniqueId' | 'messageId'>

const shortest = 4

/** Could the id mean this entry? A prefix of its unique id, or of the word for it, from 4 characters on, or its whole message id. */
export function couldMean(id: string, entry: Identified): boolean {
  return (
    entry.messageId === id ||
    entry.uniqueId === id ||
    (id.length >= shortest && formsOf(entry.uniqueId).some((form) => form.startsWith(id.toLowerCase())))
  )
}

/** How the beginning of a unique id may be written, in lower case. */
function formsOf(uniqueId: string): readonly string[] {
  const word = idWord(uniqueId)
  return word === uniqueId ? [uniqueId.toLowerCase()] : [uniqueId.toLowerCase(), word]
}

/** {@link couldMean} for any of many ids at once: as many as there are messages may be named. None means every entry. */
export function idMatcher(ids: readonly string[]): (entry: Identified) => boolean {
  if (ids.length === 0) return () => true
  const whole = new Set(ids)
  const beginnings = distinctBeginnings(ids.filter((id) => id.length >= shortest).map((id) => id.toLowerCase()))
  return ({ messageId, uniqueId }) => {
    if (whole.has(messageId) || whole.has(uniqueId)) return true
    return formsOf(uniqueId).some((form) => {
      // Of texts none of which begins another one, the last that does not come after a text is the only one that may begin it.
      const before = beginnings[firstAfter(beginnings, form) - 1]
      return before !== undefined && form.startsWith(before)
    })
  }
}

/** In order, without those that begin like another one. */
function distinctBeginnings(texts: readonly string[]): readonly string[] {
  const kept: string[] = []
  for (const text of texts.toSorted(inOrder)) {
    const last = kept.at(-1)
    if (last === undefined || !text.startsWith(last)) kept.push(text)
  }
  return kept
}

const inOrder = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** The index of the first text of a sorted list that comes after this one. */
function firstAfter(sorted: readonly string[], text: string): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] as string) > text) high = middle
    else low = middle + 1
  }
  return low
}

/**
 * Finds the unique ids that are meant.
 *
 * @param entries all that {@link couldMean} accepts for one of the ids
 * @throws {NsbError} NSB_BAD_ID, NSB_AMBIGUOUS_ID naming the candidates, NSB_MESSAGE_NOT_FOUND
 */
export function resolveIds(ids: readonly string[], entries: readonly Identified[]): ReadonlySet<string> {
  const exact = new Map<string, string>()
  const byMessage = new Map<string, Set<string>>()
  for (const { messageId, uniqueId } of entries) {
    for (const form of formsOf(uniqueId)) if (!exact.has(form)) exact.set(form, uniqueId)
    byMessage.set(messageId, (byMessage.get(messageId) ?? new Set()).add(uniqueId))
  }
  // In order, what begins alike is beside each other.
  const sorted = [...exact.keys()].toSorted(inOrder)
  const missing: string[] = []
  const meant = ids.map((id) => {
    const found = exact.get(id.toLowerCase()) ?? onlyOne(id, [...(byMessage.get(id) ?? []), ...beginning(id, sorted, exact)])
    if (found === undefined) missing.push(id)
    return found ?? ''
  })
  if (missing.length > 0) throw notFound(missing, ids.length)
  return new Set(meant)
}

function beginning(id: string, sorted: readonly string[], exact: ReadonlyMap<string, string>): string[] {
  if (id.length < shortest) return []
  const prefix = id.toLowerCase()
  const found: string[] = []
  for (let at = firstAfter(sorted, prefix); at < sorted.length && (sorted[at] as string).startsWith(prefix); at++)
    found.push(exact.get(sorted[at] as string) as string)
  return found
}

/** undefined: there is none. */
function onlyOne(id: string, found: readonly string[]): string | undefined {
  const candidates = [...new Set(found)]
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
  return undefined
}

/** In a text; the details have all. */
const mostNamed = 10

function notFound(missing: readonly string[], of: number): NsbError {
  const [id] = missing
  if (of === 1)
    return new NsbError({
      code: 'NSB_MESSAGE_NOT_FOUND',
      message: `No message in the error queue has the id '${id}'.`,
      suggestions: ['nsb errors list'],
      details: { id },
    })
  const names = missing.slice(0, mostNamed).map((each) => `'${each}'`)
  return new NsbError({
    code: 'NSB_MESSAGE_NOT_FOUND',
    message: `Of the ${of} ids ${missing.length} ${missing.length === 1 ? 'is' : 'are'} of no message in the error queue, so nothing was done: ${names.join(', ')}${missing.length > mostNamed ? ', …' : ''}.`,
    suggestions: [...(missing.length < of ? ['Leave them out; --json names all of them in error.details.ids'] : []), 'nsb errors list'],
    details: { ids: missing },
  })
}

import { type FailedKind, type FailedMessage, displayTypeOf, failedKinds } from '../../../message/failure.ts'
import { type HeldHeaders, isForOperators, operatorHeader } from '../../../message/native-headers.ts'
import { NsbError } from '../../../message/nsb-error.ts'
import { shortTypeName } from '../../../message/type-names.ts'
import { parseDuration } from '../../../message/wire-formats.ts'
import type { BodyPath } from './body-path.ts'
import { groupIds, headersToGroup } from './group.ts'

/** Criteria as they are typed, paths compiled; those of different fields are ANDed, those of one field ORed. */
export interface Criteria {
  /** Prefixes of unique ids (4 characters at least), or whole message ids. */
  readonly ids?: readonly string[]
  readonly type?: readonly string[]
  readonly exception?: readonly string[]
  /** Substring of the exception message, or `/regex/i`. */
  readonly message?: readonly string[]
  readonly group?: readonly string[]
  readonly endpoint?: readonly string[]
  readonly failedQueue?: readonly string[]
  readonly host?: readonly string[]
  readonly sender?: readonly string[]
  /** ISO 8601, `2h`, `3d` or `today`; [since, until). */
  readonly since?: string
  readonly until?: string
  /** `name`, `name=value`, `name~regex`, each with `!` in front to negate. */
  readonly header?: readonly string[]
  /** Paths that find something in the body. */
  readonly body?: readonly BodyPath[]
  readonly conversation?: readonly string[]
  readonly kind?: readonly string[]
  /** As {@link FailedMessage.replayed} counts: not by nsb, nor by ServiceControl, and it is no edited copy. */
  readonly notReplayed?: boolean
}

/** An entry of an error queue, as far as it was read. */
export interface Judged extends HeldHeaders {
  /** undefined: see {@link needsBodies} */
  readonly body?: Uint8Array | undefined
}

/** Answers for one entry of an error queue. Ids are not looked at: which entry an id means depends on all of them. */
export type Matches = (failed: FailedMessage, message: Judged) => boolean

/** Can the criteria only be judged with the bodies? */
export function needsBodies({ body }: Criteria): boolean {
  return body !== undefined && body.length > 0
}

/** Is a header named that brokers write, and that is therefore only in what is native about a message? */
export function needsNative({ header = [] }: Criteria): boolean {
  return header.some((text) => isForOperators(headerNamed(text).name))
}

/** Did somebody say which messages are meant? */
export function hasCriteria(criteria: Criteria): boolean {
  return Object.values(criteria).some((value) => (Array.isArray(value) ? value.length > 0 : value !== undefined && value !== false))
}

/** Is a group named by the beginning of its id, so that only a look at all messages tells whether it is one? */
export function hasGroupPrefix({ group = [] }: Criteria): boolean {
  return group.some((id) => id.length < wholeGroupId)
}

/**
 * Turns criteria into one predicate.
 *
 * @param now what `2h` counts from, ms since 1970
 * @param meant filled with the whole id of the group that each beginning of one means, once a message of it was met
 * @returns throws NSB_AMBIGUOUS_ID for the first message of a second group
 * @throws {NsbError} NSB_BAD_CRITERION
 */
export function selector(criteria: Criteria, now: number, meant: Map<string, string> = new Map()): Matches {
  const kinds = kindsOf(criteria)
  const since = criteria.since === undefined ? undefined : moment('--since', criteria.since, now)
  const until = criteria.until === undefined ? undefined : moment('--until', criteria.until, now)
  if (since !== undefined && until !== undefined && since >= until)
    throw badCriterion(`--until '${criteria.until}'`, `a time after --since '${criteria.since}'`)
  const groups = (criteria.group ?? []).map((id) => groupPrefix(id))

  const all: readonly Matches[] = [
    (failed: FailedMessage) => kinds.has(failed.kind),
    ...anyOf(criteria.type, typePattern, (matches) => (failed) => failed.type !== undefined && matches(failed.type)),
    ...anyOf(criteria.exception, typePattern, (matches) => (failed) => failed.exceptionType !== undefined && matches(failed.exceptionType)),
    ...anyOf(
      criteria.message,
      textPattern,
      (matches) => (failed) => failed.exceptionMessage !== undefined && matches(failed.exceptionMessage),
    ),
    ...anyOf(criteria.endpoint, glob, (matches) => (failed) => failed.endpoint !== undefined && matches(failed.endpoint)),
    ...anyOf(criteria.failedQueue, glob, (matches) => (failed) => failed.queue !== undefined && matches(failed.queue)),
    ...anyOf(criteria.host, glob, (matches) => (failed) => matches(failed.host)),
    ...anyOf(criteria.sender, glob, (matches) => (failed) => failed.sender !== undefined && matches(failed.sender)),
    ...anyOf(
      criteria.conversation,
      idPattern,
      (matches) => (failed) => failed.conversationId !== undefined && matches(failed.conversationId),
    ),
    // Every --header narrows further: ORing "has A" and "has B" is not what anybody means.
    ...(criteria.header ?? []).map((text) => headerCriterion(text)),
    ...(since === undefined ? [] : [(failed: FailedMessage) => failed.failedAt !== undefined && failed.failedAt >= since]),
    ...(until === undefined ? [] : [(failed: FailedMessage) => failed.failedAt !== undefined && failed.failedAt < until]),
    ...(needsBodies(criteria) ? [bodyCriterion(criteria.body ?? [])] : []),
    ...(criteria.notReplayed === true ? [({ replayed }: FailedMessage) => replayed === 0] : []),
    // Last: what another criterion leaves out is nobody's second group, and ids take the longest to find out.
    ...(groups.length === 0 ? [] : [inOneOf(groups, meant)]),
  ]
  return (failed, message) => all.every((matches) => matches(failed, message))
}

// Without --kind only failures are meant, unless an entry was named by its id.
function kindsOf(criteria: Criteria): ReadonlySet<FailedKind> {
  const given = criteria.kind ?? []
  for (const kind of given)
    if (!failedKinds.includes(kind as FailedKind)) throw badCriterion(`--kind '${kind}'`, `one of ${failedKinds.join(', ')}`)
  if (given.length > 0) return new Set(given as FailedKind[])
  return new Set((criteria.ids?.length ?? 0) > 0 ? failedKinds : ['failure'])
}

/** However many groups are asked for, a message is read once. */
function inOneOf(prefixes: readonly string[], meant: Map<string, string>): Matches {
  const wanted = new Set(prefixes)
  const lengths = new Set(prefixes.map(({ length }) => length))
  return (failed, { headers }) => {
    let isIn = false
    for (const id of groupIds(headersToGroup(failed, headers)))
      for (const length of lengths) {
        const prefix = id.slice(0, length)
        if (!wanted.has(prefix)) continue
        isIn = true
        const first = meant.get(prefix) ?? id
        meant.set(prefix, first)
        if (id !== first) throw severalGroups(prefix, [first, id])
      }
    return isIn
  }
}

function severalGroups(prefix: string, candidates: readonly string[]): NsbError {
  return new NsbError({
    code: 'NSB_AMBIGUOUS_ID',
    message: `'${prefix}' means several groups, such as\n${candidates.join('\n')}`,
    suggestions: ['Give more characters of the one that is meant: nsb errors groups -o ids'],
    details: { id: prefix, candidates },
  })
}

function bodyCriterion(paths: readonly BodyPath[]): Matches {
  return (_, { body }) => body !== undefined && paths.some((path) => path.matches(body))
}

type TextTest = (text: string) => boolean

/** Nothing to ask where nothing was said: every message is asked. */
function anyOf(
  values: readonly string[] | undefined,
  read: (value: string) => TextTest,
  applied: (matches: TextTest) => Matches,
): readonly Matches[] {
  if (values === undefined || values.length === 0) return []
  const tests = values.map(read)
  return [applied((text) => tests.some((test) => test(text)))]
}

/** A glob with `*`, else the whole text. */
function glob(pattern: string): TextTest {
  if (!pattern.includes('*')) return (text) => text === pattern
  const parts = pattern.split('*')
  const [first, last] = [parts[0] as string, parts.at(-1) as string]
  const middle = parts.slice(1, -1)
  // Not a regular expression: a text of a message must not be able to make one slow.
  return (text) => {
    if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false
    let at = first.length
    for (const part of middle) {
      const found = text.indexOf(part, at)
      if (found < 0) return false
      at = found + part.length
    }
    return at <= text.length - last.length
  }
}

/** A type by full name, last segment, or glob. */
function typePattern(pattern: string): TextTest {
  const matches = glob(pattern)
  return (type) => {
    const name = displayTypeOf(type)
    return matches(type) || matches(name) || (!/[.+]/.test(pattern) && matches(shortTypeName(name)))
  }
}

function textPattern(pattern: string): TextTest {
  const regex = /^\/(.+)\/([a-z]*)$/s.exec(pattern)
  if (!regex) return (text) => text.includes(pattern)
  const compiled = compile(regex[1] as string, regex[2] as string, `--message ${pattern}`)
  return (text) => compiled.test(text)
}

function idPattern(id: string): TextTest {
  const prefix = id.toLowerCase()
  return (text) => text.toLowerCase() === prefix || (prefix.length >= 4 && text.toLowerCase().startsWith(prefix))
}

const wholeGroupId = 36

function groupPrefix(id: string): string {
  const prefix = id.toLowerCase()
  if (!/^[0-9a-f-]{4,36}$/.test(prefix))
    throw badCriterion(`--group '${id}'`, 'at least 4 characters of a group id, as nsb errors groups shows it')
  return prefix
}

function headerNamed(text: string): {
  readonly negated: boolean
  readonly name: string
  readonly operator: string
  readonly value: string
} {
  const negated = text.startsWith('!')
  const [, name = '', operator = '', value = ''] = /^([^=~]+)([=~])?(.*)$/s.exec(negated ? text.slice(1) : text) ?? []
  return { negated, name, operator, value }
}

function headerCriterion(text: string): Matches {
  const { name, negated, operator, value } = headerNamed(text)
  if (name === '') throw badCriterion(`--header '${text}'`, `name, name=value or 'name~regex'`)
  const regex = operator === '~' ? compile(value, '', `--header ${text}`) : undefined
  const isHidden = isForOperators(name)
  return (_, message) => {
    // A header may have the name of something that every object has.
    const found = isHidden ? operatorHeader(message, name) : Object.hasOwn(message.headers, name) ? message.headers[name] : undefined
    const matches = found !== undefined && (regex === undefined ? operator === '' || found === value : regex.test(found))
    return matches !== negated
  }
}

function compile(source: string, flags: string, where: string): RegExp {
  try {
    // A sticky or global expression would remember where the last message ended.
    return new RegExp(source, flags.replaceAll(/[gy]/g, ''))
  } catch (error) {
    throw badCriterion(where, 'a regular expression', error)
  }
}

function moment(flag: string, text: string, now: number): number {
  if (text === 'today') return new Date(now).setHours(0, 0, 0, 0)
  if (/^\d+(\.\d+)?(ms|s|m|h|d)$/.test(text)) return now - parseDuration(text)
  const ms = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(ms)) throw badCriterion(`${flag} '${text}'`, 'an ISO 8601 time, 2h, 3d or today')
  return ms
}

function badCriterion(given: string, wanted: string, cause?: unknown): NsbError {
  return new NsbError({
    code: 'NSB_BAD_CRITERION',
    message: `${given} is not understood: it should be ${wanted}.`,
    suggestions: ['nsb errors list --help'],
    cause,
  })
}

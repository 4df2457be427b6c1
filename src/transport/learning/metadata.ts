import { errorText } from '../../message/nsb-error.ts'
import type { Headers } from '../transport.ts'

// All that System.Text.Json escapes by default: everything but printable ASCII, and of that " & ' + < > \ `
// oxlint-disable-next-line no-control-regex -- the characters themselves are meant
const escaped = /[^\x20-\x7e]|["&'+<>\\`]/
// oxlint-disable-next-line no-control-regex -- the characters themselves are meant
const escapedOrPair = /[\ud800-\udbff][\udc00-\udfff]|[^\x20-\x7e]|["&'+<>\\`]/g
const short: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t', '\b': '\\b', '\f': '\\f' }

const unit = (code: number): string => `\\u${code.toString(16).toUpperCase().padStart(4, '0')}`

function escape(text: string): string {
  if (!escaped.test(text)) return text
  return text.replaceAll(escapedOrPair, (found) => {
    if (found.length === 2) return unit(found.charCodeAt(0)) + unit(found.charCodeAt(1))
    const code = found.charCodeAt(0)
    // Half of a surrogate pair alone is no text; .NET writes the replacement character.
    return short[found] ?? unit(code >= 0xd800 && code <= 0xdfff ? 0xfffd : code)
  })
}

// Header names are few and come again with every message; foreign ones must not fill the memory.
const rememberedNames = 1000
const names = new Map<string, string>()

function nameOf(header: string): string {
  const known = names.get(header)
  if (known !== undefined) return known
  const text = `  "${escape(header)}": "`
  if (names.size >= rememberedNames) names.clear()
  names.set(header, text)
  return text
}

/**
 * The text of a metadata file, byte for byte as NServiceBus 10 writes it: indented JSON with CR LF, pure ASCII.
 *
 * @source System.Text.Json with WriteIndented on Windows and Linux; recorded in test/fixtures/wire/learning
 */
export function writeMetadata(headers: Headers, timeToBeReceived: string | undefined): string {
  let text = ''
  for (const header in headers)
    if (header !== timeToBeReceivedHeader)
      text += `${text === '' ? '{\r\n' : '",\r\n'}${nameOf(header)}${escape(headers[header] as string)}`
  if (timeToBeReceived !== undefined)
    text += `${text === '' ? '{\r\n' : '",\r\n'}${nameOf(timeToBeReceivedHeader)}${escape(timeToBeReceived)}`
  return text === '' ? '{}' : `${text}"\r\n}`
}

export const timeToBeReceivedHeader = 'NServiceBus.Transport.Learning.TimeToBeReceived'

export interface Metadata {
  /** Without {@link timeToBeReceivedHeader}. */
  readonly headers: Headers
  readonly timeToBeReceived: string | undefined
}

/** The headers in a metadata file, or why there are none. Reads what any JSON writer leaves; null values count as absent. */
export function readMetadata(text: string): Metadata | { readonly reason: string } {
  let parsed: unknown
  try {
    parsed = JSON.parse(text.codePointAt(0) === 0xfeff ? text.slice(1) : text)
  } catch (error) {
    return { reason: text.trim() === '' ? 'it is empty' : `it is not JSON (${errorText(error)})` }
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return { reason: 'it is not a JSON object' }
  // JSON.parse makes every key an own property, `__proto__` included, so nothing is inherited and the object can be handed out.
  const headers = parsed as Record<string, string>
  for (const name of Object.keys(headers)) {
    const value: unknown = headers[name]
    if (typeof value === 'string') continue
    if (value !== null) return { reason: `the value of '${shortened(name)}' is not a text but ${shown(value)}` }
    delete headers[name]
  }
  const timeToBeReceived = headers[timeToBeReceivedHeader]
  if (timeToBeReceived !== undefined) delete headers[timeToBeReceivedHeader]
  return { headers, timeToBeReceived }
}

/** A reason is for people, and becomes a header itself. */
function shortened(name: string): string {
  return name.length > 100 ? `${name.slice(0, 100)}…` : name
}

/** Not written as JSON, which is a call for each level of it. */
function shown(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' ? 'an object' : String(value)
}

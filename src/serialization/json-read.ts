import { isUtf8 } from 'node:buffer'
import { parseLossless } from './json-parse.ts'
import { NotJsonError, maxDepth } from './not-json-error.ts'

/**
 * Finds what could be a number literal, after a sign that may stand before one, that `Number` would change: a fraction with a zero at its
 * end, an exponent, sixteen and more digits, a fraction that JavaScript writes with an exponent, a negative zero. A false alarm costs
 * only time.
 */
const fragile = /[[:,\s]-?(?:\d+(?:\.\d*0(?!\d)|(?:\.\d+)?[eE])|\d[\d.]{15}|0(?:\.000000|(?![\d.])(?<=-0)))/

/**
 * Reads a JSON body into a plain tree: what `JSON.parse` gives, but a number that would change its digits is a `Decimal`, and
 * Newtonsoft's `$type` and `$values` are gone. A leading byte order mark is skipped, and an array around the only object as well.
 *
 * @throws {NotJsonError} NSB_NOT_JSON with line and column
 */
export function readJson(body: Uint8Array): unknown {
  if (!isUtf8(body)) throw new NotJsonError('The body is not JSON: it is not valid UTF-8.', { bytes: body.byteLength })
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8')
  return onlyMessage(parseJson(text))
}

/** The same from a text, without unwrapping an array around the only object. */
export function parseJson(text: string): unknown {
  const bare = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text
  const tree = /^[^{[]/.test(bare) || fragile.test(bare) || mayBeDeep(bare) ? parseLossless(bare) : parsePlain(bare)
  return bare.includes('$type') ? withoutTypeHints(tree) : tree
}

function parsePlain(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    // Its message depends on the Node version and quotes the body unescaped; our own parser says line and column.
    return parseLossless(text)
  }
}

function mayBeDeep(text: string): boolean {
  if (text.length <= 2 * maxDepth) return false
  let opened = 0
  for (const bracket of ['{', '['])
    for (let at = text.indexOf(bracket); at >= 0; at = text.indexOf(bracket, at + 1)) if (++opened > maxDepth) return true
  return false
}

/** @source NServiceBus.Newtonsoft.Json JsonMessageSerializer: an array of one is the message, more is refused */
function onlyMessage(tree: unknown): unknown {
  if (!Array.isArray(tree)) return tree
  if (tree.length === 1) return tree[0]
  throw new NotJsonError(
    tree.length === 0 ? 'The body is an empty array, not a message.' : 'Multiple messages in the same stream are not supported.',
    { messages: tree.length },
  )
}

/** Never instantiates anything: `$type` is dropped, and an array that was wrapped for its sake is an array again. */
function withoutTypeHints(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutTypeHints)
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value
  const members = Object.entries(value)
  const typed = members.some(([key]) => key === '$type')
  if (typed && members.length === 2 && Array.isArray((value as { $values?: unknown }).$values))
    return withoutTypeHints((value as { $values?: unknown }).$values)
  return Object.fromEntries(
    members
      .filter(([key, member]) => key !== '$type' || typeof member !== 'string')
      .map(([key, member]) => [key, withoutTypeHints(member)]),
  )
}

import { isUtf8 } from 'node:buffer'
import { hash } from 'node:crypto'
import { type FailedMessage, readFailure } from './failure.ts'
import { Header } from './headers.ts'
import { Native, deepest, headersOf, isDecimal, textOf } from './native-headers.ts'
import { NsbError, errorText } from './nsb-error.ts'

type Headers = Readonly<Record<string, string>>
type JsonObject = Readonly<Record<string, unknown>>

const schema = 'nsb.message/1'

/** A message as a file keeps it, whole: what a transport needs to make the same message of it again. */
export interface SavedMessage {
  /** Where it lay. */
  readonly queue: string
  /** Of the copy that was saved; '' when it had none. */
  readonly nativeId: string
  /** As the transport showed them. */
  readonly headers: Headers
  /** The typed properties beside the headers, as a held message has them. */
  readonly native: Readonly<Record<string, unknown>>
  readonly body: Uint8Array
  /** Why its headers could not be read; they are then empty, and the body is the raw text. */
  readonly unreadable: string | undefined
  /** The operation that saved it. */
  readonly operation: string | undefined
  /** ms since 1970; undefined when the line does not say it in a readable form. */
  readonly exportedAt: number | undefined
}

/** What a line is made of: a held message. */
export type Saveable = Pick<SavedMessage, 'nativeId' | 'headers' | 'native' | 'body' | 'unreadable'>

export interface LineFacts {
  readonly queue: string
  /** ms since 1970. */
  readonly exportedAt: number
  readonly operation?: string | undefined
  /** Such a line cannot be imported. */
  readonly withoutBody?: boolean
}

/**
 * One line of NDJSON, without its end, from which {@link readSavedLine} gives the same message. `headers` is the table as it is on the
 * wire, with values that are no text as `{"!":"long","v":5}`; `properties` are the others of AMQP, none for a message of a folder.
 * `sha256` is that of the bytes of the body, and of nothing else.
 */
export function savedLine(message: Saveable, facts: LineFacts): string {
  const { body, headers, native, nativeId, unreadable } = message
  const { added, headers: hidden, ...properties } = native
  const failed = readFailure(headers, nativeId, unreadable !== undefined, { native, body, queue: facts.queue })
  const content = Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  const isText = isUtf8(content)
  const contentType = headers[Header.ContentType]
  return JSON.stringify({
    schema,
    uniqueId: failed.uniqueId,
    messageId: failed.messageId,
    kind: failed.kind,
    queue: facts.queue,
    exportedAt: new Date(facts.exportedAt).toISOString(),
    operation: facts.operation,
    nativeId: nativeId === (properties['messageId'] ?? '') ? undefined : nativeId,
    unreadable,
    properties,
    headers: wireTable(headers, added, hidden),
    ...(facts.withoutBody === true
      ? {}
      : {
          body: { encoding: isText ? 'utf8' : 'base64', contentType, data: content.toString(isText ? 'utf8' : 'base64') },
          sha256: hash('sha256', content),
        }),
  })
}

function wireTable(headers: Headers, added: unknown, hidden: unknown): JsonObject {
  const names = Array.isArray(added) ? added.map(String) : []
  if (names.length === 0 && !isObject(hidden)) return headers
  const table: Record<string, unknown> = { ...headers }
  for (const name of names) delete table[name]
  if (isObject(hidden)) for (const name of Object.keys(hidden)) table[name] = typed(hidden[name], name.startsWith('x-'))
  // They are of the queue, and not of the message.
  delete table[Native.DeliveryCount]
  delete table[Native.AcquiredCount]
  return table
}

/** As on the wire: numbers do not tell how wide they were, and are as wide as brokers and .NET expect them. */
function typed(value: unknown, counted: boolean, depth = 0): unknown {
  if (typeof value === 'number') {
    const whole = Number.isInteger(value) && value >= -(2 ** 63) && value < 2 ** 63
    return { '!': !whole ? 'double' : counted || value !== (value | 0) ? 'long' : 'int', v: Number.isFinite(value) ? value : String(value) }
  }
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Uint8Array) return { '!': 'bytes', v: Buffer.from(value).toString('base64') }
  const type = nativeType(value as JsonObject)
  if (type !== undefined) return type
  if (depth === deepest) return textOf(value, depth)
  if (Array.isArray(value)) return value.map((each) => typed(each, counted, depth + 1))
  const table = mapEntries(value as JsonObject, (each) => typed(each, counted, depth + 1))
  return Object.hasOwn(table, '!') ? { '!': 'table', v: table } : table
}

const typeNames: ReadonlyMap<string, string> = new Map([
  ['int32', 'int'],
  ['int64', 'long'],
  ['double', 'double'],
  ['timestamp', 'timestamp'],
])

/** What amqplib writes as `{ '!': 'int64', value: 5 }`; undefined: it is a table. */
function nativeType(value: JsonObject): unknown {
  const { '!': type, value: plain } = value
  if (typeof type !== 'string' || Object.keys(value).length !== 2) return undefined
  if (type === 'decimal') return isDecimal(plain) ? { '!': type, v: plain } : undefined
  if (type === 'int64' && typeof plain === 'bigint') return { '!': 'long', v: String(plain) }
  if (typeof plain !== 'number') return undefined
  const name = typeNames.get(type)
  return name === undefined ? undefined : { '!': name, v: Number.isFinite(plain) ? plain : String(plain) }
}

/** What an error queue would say of it. */
export function readSaved({ body, headers, native, nativeId, queue, unreadable }: Saveable & Pick<SavedMessage, 'queue'>): FailedMessage {
  return readFailure(headers, nativeId, unreadable !== undefined, { native, body, queue })
}

/** What a broker says of a dead letter. */
const ofDeath = /^x-(?:death|(?:first|last)-death-\w+)$/
const deaths = 'x-death'

/** Its headers where there are only texts: what a broker says of a dead letter is shown then, `x-death` as JSON. */
export function textHeaders({ headers, native }: Pick<SavedMessage, 'headers' | 'native'>): Headers {
  const hidden = native['headers']
  const names = isObject(hidden) ? Object.keys(hidden).filter((name) => ofDeath.test(name)) : []
  if (names.length === 0) return headers
  const texts = names.map((name): [string, string] => {
    const value = (hidden as JsonObject)[name]
    return [name, typeof value === 'string' ? value : JSON.stringify(typed(value, true))]
  })
  return { ...headers, ...Object.fromEntries(texts) }
}

/** Its typed properties, with the `x-death` that {@link textHeaders} made a text. */
export function typedProperties({ headers, native }: Pick<SavedMessage, 'headers' | 'native'>): SavedMessage['native'] {
  const hidden = isObject(native['headers']) ? native['headers'] : {}
  const text = headers[deaths]
  const table = text === undefined || Object.hasOwn(hidden, deaths) ? undefined : tableIn(text)
  return table === undefined ? native : { ...native, headers: { ...hidden, [deaths]: table } }
}

/** undefined: somebody else's text. */
function tableIn(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) ? untyped(value, deaths) : undefined
  } catch {
    return undefined
  }
}

/** Why a line cannot be taken for a message. */
export class BadLineError extends NsbError {
  constructor(reason: string, code: 'NSB_BAD_LINE' | 'NSB_HASH_MISMATCH' = 'NSB_BAD_LINE', cause?: unknown) {
    super({ code, message: reason, cause })
  }
}

/**
 * Reads a line that {@link savedLine} wrote. Anybody may have written or changed it since.
 *
 * @param verifyHash refuse a body that is not the one the line was written with
 * @throws {BadLineError} NSB_BAD_LINE, NSB_HASH_MISMATCH
 */
export function readSavedLine(text: string, { verifyHash }: { readonly verifyHash: boolean }): SavedMessage {
  const line = parsed(text)
  if (line['schema'] !== schema) throw new BadLineError(`its schema is ${shown(line['schema'])} and not "${schema}"`)
  const properties = propertiesOf(objectIn(line, 'properties'))
  const unreadable = textIn(line, 'unreadable')
  const body = bodyOf(line, verifyHash)
  const wire = mapEntries(objectIn(line, 'headers'), (value, name) => untyped(value, name))
  const nativeId = textIn(line, 'nativeId') ?? (properties['messageId'] as string | undefined) ?? ''
  const headers = shownHeaders(properties, wire)
  const exportedAt = Date.parse(textIn(line, 'exportedAt') ?? '')
  return {
    queue: textIn(line, 'queue') ?? '',
    nativeId,
    headers,
    native: nativeOf(properties, wire, headers),
    body,
    unreadable,
    operation: textIn(line, 'operation'),
    exportedAt: Number.isNaN(exportedAt) ? undefined : exportedAt,
  }
}

function parsed(text: string): JsonObject {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new BadLineError(`it is not JSON: ${errorText(error)}`, 'NSB_BAD_LINE', error)
  }
  if (!isObject(value)) throw new BadLineError('it is not a JSON object')
  return value
}

/** A folder knows no properties, and shows every header as it is. */
function shownHeaders(properties: JsonObject, wire: JsonObject): Headers {
  if (Object.keys(properties).length > 0) return headersOf({ ...properties, headers: { ...wire } })
  return mapEntries(wire, (value) => (typeof value === 'string' ? value : textOf(value))) as Headers
}

/** What is shown with another value than the wire has, or not at all; and what is only shown. */
function nativeOf(properties: JsonObject, wire: JsonObject, headers: Headers): Readonly<Record<string, unknown>> {
  const hidden = Object.entries(wire).filter(([name, value]) => !Object.hasOwn(headers, name) || headers[name] !== value)
  const added = Object.keys(headers).filter((name) => !Object.hasOwn(wire, name))
  return {
    ...properties,
    ...(hidden.length > 0 && { headers: Object.fromEntries(hidden) }),
    ...(added.length > 0 && { added }),
  }
}

function bodyOf(line: JsonObject, verifyHash: boolean): Buffer {
  if (line['body'] === undefined) throw new BadLineError('it has no body: it was exported with --no-body')
  const body = objectIn(line, 'body')
  const { data, encoding } = body
  if (encoding !== 'utf8' && encoding !== 'base64')
    throw new BadLineError(`the encoding of its body is ${shown(encoding)} and not "utf8" or "base64"`)
  if (typeof data !== 'string') throw new BadLineError('the data of its body is no text')
  if (encoding === 'base64' && !isBase64(data)) throw new BadLineError('the data of its body is not base64')
  const bytes = Buffer.from(data, encoding)
  if (!verifyHash) return bytes
  const expected = textIn(line, 'sha256')
  if (expected === undefined) throw new BadLineError('it has no sha256, so nobody can tell whether its body is whole')
  if (hash('sha256', bytes) !== expected.toLowerCase())
    throw new BadLineError('its body is not the one that was exported: its sha256 is another one', 'NSB_HASH_MISMATCH')
  return bytes
}

const isBase64 = (text: string): boolean => text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text)

const shortTexts = ['contentType', 'contentEncoding', 'correlationId', 'replyTo', 'expiration', 'messageId', 'type', 'userId', 'appId']
const longestShortText = 255

const ranges: Readonly<Record<string, readonly [least: number, most: number]>> = {
  deliveryMode: [1, 2],
  priority: [0, 255],
  timestamp: [0, Number.MAX_SAFE_INTEGER],
}

function propertiesOf(given: JsonObject): JsonObject {
  for (const [name, value] of Object.entries(given)) {
    const range = Object.hasOwn(ranges, name) ? ranges[name] : undefined
    const fits =
      range === undefined
        ? shortTexts.includes(name) && typeof value === 'string' && Buffer.byteLength(value) <= longestShortText
        : Number.isSafeInteger(value) && (value as number) >= range[0] && (value as number) <= range[1]
    if (!fits) throw new BadLineError(`its property ${shown(name)} cannot be ${shown(value)}`)
  }
  return given
}

/** More digits than a JSON number keeps everywhere. */
const isLong = (text: string): boolean => /^-?\d{16,19}$/.test(text) && BigInt.asIntN(64, BigInt(text)) === BigInt(text)

const nonFinite: ReadonlySet<unknown> = new Set(['NaN', 'Infinity', '-Infinity'])

/** Numbers without their width, which is found again by the rules that wrote it. */
function untyped(value: unknown, name: string, depth = 0): unknown {
  if (typeof value !== 'object' || value === null) return value
  const bad = (): BadLineError => new BadLineError(`its header ${shown(name)} has a value that no message can have`)
  // What is deeper than that was made a text when it was exported.
  if (depth === deepest) throw bad()
  if (Array.isArray(value)) return value.map((each) => untyped(each, name, depth + 1))
  const table = value as JsonObject
  if (!Object.hasOwn(table, '!')) return mapEntries(table, (each) => untyped(each, name, depth + 1))
  const { '!': type, v } = table
  if (Object.keys(table).length !== 2) throw bad()
  switch (type) {
    case 'int':
    case 'long':
      if (Number.isInteger(v)) return v
      if (type === 'long' && typeof v === 'string' && isLong(v)) return { '!': 'int64', value: BigInt(v) }
      throw bad()
    case 'double':
      if (typeof v === 'number' || nonFinite.has(v)) return Number(v)
      throw bad()
    case 'timestamp':
      if (Number.isInteger(v) && (v as number) >= 0) return { '!': 'timestamp', value: v }
      throw bad()
    case 'decimal':
      if (isDecimal(v)) return { '!': 'decimal', value: { digits: v.digits, places: v.places } }
      throw bad()
    case 'bytes':
      if (typeof v === 'string' && isBase64(v)) return Buffer.from(v, 'base64')
      throw bad()
    case 'table':
      if (isObject(v)) return mapEntries(v, (each) => untyped(each, name, depth + 1))
      throw bad()
    default:
      throw bad()
  }
}

function objectIn(line: JsonObject, name: string): JsonObject {
  const value = line[name]
  if (!isObject(value)) throw new BadLineError(`its '${name}' is no JSON object`)
  return value
}

function textIn(line: JsonObject, name: string): string | undefined {
  const value = line[name]
  if (value !== undefined && typeof value !== 'string') throw new BadLineError(`its '${name}' is no text`)
  return value
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Every name stays an own one, `__proto__` too. */
function mapEntries(from: JsonObject, map: (value: unknown, name: string) => unknown): JsonObject {
  return Object.fromEntries(Object.entries(from).map(([name, value]) => [name, map(value, name)]))
}

const longestShown = 60

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'missing'
  return text.length <= longestShown ? text : `${text.slice(0, longestShown)}…`
}

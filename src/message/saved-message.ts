import { isUtf8 } from 'node:buffer'
import { hash } from 'node:crypto'
import { BadLineError, type JsonObject, isObject, mapEntries, shown, textIn } from './bad-line.ts'
import { type FailedMessage, readFailure } from './failure.ts'
import { isBase64, unnotated } from './field-notation.ts'
import { valueAt } from './field-table.ts'
import { Header } from './headers.ts'
import { headersOf, textOf } from './native-headers.ts'
import { NsbError, errorText } from './nsb-error.ts'
import { readPropertyList, writePropertyList } from './property-list.ts'
import { type Told, listIn, textsAndTypes, toldBy, typedValue, wireParts } from './saved-properties.ts'

type Headers = Readonly<Record<string, string>>

const schema = 'nsb.message/1'
/** Longer than that of any message that brokers take by default. */
export const longestLine = 256 * 1024 * 1024

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
 * wire, with values that are no text as `{"!":"long","v":5}`; `properties` are the others of AMQP, none for a message of a folder. Where
 * the two do not tell everything, as of two headers with one name, `wire` has the bytes of both, as base64. `sha256` is that of the bytes
 * of the body, and of nothing else.
 *
 * @throws {NsbError} NSB_TOO_LARGE_TO_SAVE: the line could not be read again
 */
export function savedLine(message: Saveable, facts: LineFacts): string {
  const { body, headers, native, nativeId, unreadable } = message
  const { added, headers: hidden, wire, ...properties } = native
  const failed = readFailure(headers, nativeId, unreadable !== undefined, { native, body, queue: facts.queue })
  const line = {
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
    ...(Buffer.isBuffer(wire) ? wireParts(wire) : { headers: textsAndTypes(headers, added, hidden) }),
  }
  return facts.withoutBody === true ? JSON.stringify(line) : withBody(line, body, headers[Header.ContentType])
}

/** Bodies that are larger may have too many characters that JSON writes with six. */
const alwaysAsText = 32 * 1024 * 1024
/** In a line, beside the body. */
const besideBody = 4 * 1024 * 1024

/** Why a message cannot be kept in a line; undefined: it can. */
export function whyNotSaved({ body }: Pick<Saveable, 'body'>, uniqueId: string): NsbError | undefined {
  if ((body.length / 3) * 4 + besideBody <= longestLine) return undefined
  return new NsbError({
    code: 'NSB_TOO_LARGE_TO_SAVE',
    message: `Message '${uniqueId}' has a body of ${body.length} bytes: its line would be longer than the ${longestLine} bytes that can be read again. It stays where it is.`,
    suggestions: ['Leave it out, or send it back to where it failed: nsb errors replay'],
    details: { uniqueId, bytes: body.length },
  })
}

function withBody(line: { readonly uniqueId: string }, body: Uint8Array, contentType: string | undefined): string {
  const problem = whyNotSaved({ body }, line.uniqueId)
  if (problem !== undefined) throw problem
  const content = Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  const isText = isUtf8(content) && (content.length <= alwaysAsText || sizeInJson(content) <= (content.length / 3) * 4)
  const encoding = isText ? 'utf8' : 'base64'
  return JSON.stringify({ ...line, body: { encoding, contentType, data: content.toString(encoding) }, sha256: hash('sha256', content) })
}

/** How many bytes JSON makes of a text in UTF-8. */
function sizeInJson(text: Buffer): number {
  let size = 0
  for (const byte of text) size += byte < 0x20 ? 6 : byte === 0x22 || byte === 0x5c ? 2 : 1
  return size
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
  const { wire } = native
  const told = Buffer.isBuffer(wire) ? toldBy(readPropertyList(wire)).headers : {}
  const texts = names.map((name): [string, string] => {
    const value = (hidden as JsonObject)[name]
    return [name, typeof value === 'string' ? value : JSON.stringify(told[name] ?? typedValue(value, true))]
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
    return Array.isArray(value) ? jsValue(unnotated(value)) : undefined
  } catch {
    return undefined
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
  const told: Told = { properties: objectIn(line, 'properties'), headers: objectIn(line, 'headers') }
  const unreadable = textIn(line, 'unreadable')
  const body = bodyOf(line, verifyHash)
  const list = listIn(line, told)
  const { properties } = told
  const table = mapEntries(told.headers, (value) => (typeof value === 'string' ? value : jsValue(unnotated(value))))
  const nativeId = textIn(line, 'nativeId') ?? (properties['messageId'] as string | undefined) ?? ''
  const headers = shownHeaders(properties, table)
  const exportedAt = Date.parse(textIn(line, 'exportedAt') ?? '')
  return {
    queue: textIn(line, 'queue') ?? '',
    nativeId,
    headers,
    native: { ...nativeOf(properties, table, headers), ...(list && { wire: writePropertyList(list) }) },
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

function objectIn(line: JsonObject, name: string): JsonObject {
  const value = line[name]
  if (!isObject(value)) throw new BadLineError(`its '${name}' is no JSON object`)
  return value
}

const jsValue = (value: Buffer): unknown => valueAt(value, 0, value.length)

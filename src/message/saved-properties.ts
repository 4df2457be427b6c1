import { isDeepStrictEqual } from 'node:util'
import { BadLineError, type JsonObject, isObject, mapEntries, shown, textIn } from './bad-line.ts'
import { isBase64, notated, unnotated } from './field-notation.ts'
import { bytesOfValue, type Field, fieldsOf, tableOf, whyNotSent } from './field-table.ts'
import { isCounted } from './native-headers.ts'
import { errorText } from './nsb-error.ts'
import { type PropertyList, bytesOfProperty, propertyNames, propertyValue, readPropertyList, writePropertyList } from './property-list.ts'

// The properties of a message in its line, headers among them: what is told is for people and programs, and its bytes can be made again.

/** Of a message with nothing but texts, or of which nobody knows the bytes. */
export function textsAndTypes(headers: Readonly<Record<string, string>>, added: unknown, hidden: unknown): JsonObject {
  const names = Array.isArray(added) ? added.map(String) : []
  if (names.length === 0 && !isObject(hidden)) return headers
  const table: Record<string, unknown> = { ...headers }
  for (const name of names) delete table[name]
  const typed = isObject(hidden) ? mapEntries(hidden, (value, name) => typedValue(value, name.startsWith('x-'))) : {}
  // They are of the queue, and not of the message.
  return Object.fromEntries(Object.entries({ ...table, ...typed }).filter(([name]) => !isCounted(name)))
}

/** Where only their values are known, whole numbers are as wide as brokers and .NET expect them: they count in 64 bits. */
export function typedValue(value: unknown, isCount: boolean): unknown {
  return typeof value === 'string' ? value : notated(bytesOfValue(isCount ? withCounts(value) : value))
}

function withCounts(value: unknown): unknown {
  if (Number.isSafeInteger(value)) return { '!': 'int64', value }
  if (Array.isArray(value)) return value.map(withCounts)
  if (!isObject(value) || value instanceof Uint8Array || '!' in value) return value
  return mapEntries(value, withCounts)
}

/** `headers`, and `wire` where they and the properties do not tell everything. */
export function wireParts(wire: Buffer): JsonObject {
  const list = withoutCounts(readPropertyList(wire))
  const told = toldBy(list)
  return { headers: told.headers, ...(isTold(list, told) ? {} : { wire: writePropertyList(list).toString('base64') }) }
}

function withoutCounts(list: PropertyList): PropertyList {
  const table = list.get('headers')
  if (table === undefined) return list
  const fields = fieldsOf(table)
  const kept = fields.filter(({ name }) => !isCounted(name.toString('utf8')))
  return kept.length === fields.length ? list : new Map(list).set('headers', tableOf(kept))
}

/** What the bytes of properties say, as a line has it. */
export interface Told {
  readonly properties: JsonObject
  readonly headers: JsonObject
}

export function toldBy(list: PropertyList): Told {
  const properties: Record<string, unknown> = {}
  for (const [name, bytes] of list) if (name !== 'headers') properties[name] = propertyValue(name, bytes)
  const fields = fieldsOf(list.get('headers') ?? Buffer.alloc(0))
  return { properties, headers: Object.fromEntries(fields.map(({ name, value }) => [name.toString('utf8'), notated(value)])) }
}

/** Can the same bytes be made again of what is told? */
function isTold(list: PropertyList, told: Told): boolean {
  try {
    checkProperties(told.properties)
    return writePropertyList(listOf(told.properties, bytesOfHeaders(told.headers))).equals(writePropertyList(list))
  } catch {
    return false
  }
}

function listOf(properties: JsonObject, headers: readonly Field[]): PropertyList {
  const list: PropertyList = new Map()
  for (const name of propertyNames) {
    if (name === 'headers' ? headers.length > 0 : properties[name] !== undefined)
      list.set(name, name === 'headers' ? tableOf(headers) : bytesOfProperty(name, properties[name]))
  }
  return list
}

function bytesOfHeaders(headers: JsonObject): readonly Field[] {
  return Object.entries(headers).map(([name, value]) => ({ name: Buffer.from(name), value: unnotated(value) }))
}

/** The bytes of what a line tells; undefined: there is nothing but texts. */
export function listIn(line: JsonObject, told: Told): PropertyList | undefined {
  const whole = wholeListIn(line, told)
  if (whole !== undefined) return whole
  checkProperties(told.properties)
  const fields = Object.entries(told.headers).map(([name, value]) => ({ name: Buffer.from(name), value: checked(name, value) }))
  const isOfFolder = Object.keys(told.properties).length === 0
  const isPlain = Object.values(told.headers).every((value) => typeof value === 'string') && (isOfFolder || fields.length > 0)
  if (isPlain) return undefined
  try {
    return listOf(told.properties, fields)
  } catch (error) {
    throw new BadLineError(errorText(error), 'NSB_BAD_LINE', error)
  }
}

/** `wire`, unless somebody has changed what is told. */
function wholeListIn(line: JsonObject, told: Told): PropertyList | undefined {
  const text = textIn(line, 'wire')
  if (text === undefined) return undefined
  if (!isBase64(text)) throw new BadLineError("its 'wire' is not base64")
  try {
    const list = readPropertyList(Buffer.from(text, 'base64'))
    if (!isDeepStrictEqual(JSON.parse(JSON.stringify(toldBy(list))), told)) return undefined
    for (const { name, value } of fieldsOf(list.get('headers') ?? Buffer.alloc(0))) {
      const problem = whyNotSent(value)
      if (problem !== undefined) throw badHeader(name.toString(), problem)
    }
    return list
  } catch (error) {
    if (error instanceof BadLineError) throw error
    throw new BadLineError("its 'wire' is not what the properties of a message are made of", 'NSB_BAD_LINE', error)
  }
}

function checked(name: string, value: unknown): Buffer {
  try {
    return unnotated(value)
  } catch (error) {
    throw badHeader(name, errorText(error), error)
  }
}

function badHeader(name: string, reason: string, cause?: unknown): BadLineError {
  return new BadLineError(`its header ${shown(name)} has a value that no message can have: ${reason}`, 'NSB_BAD_LINE', cause)
}

const shortTexts = [
  'contentType',
  'contentEncoding',
  'correlationId',
  'replyTo',
  'expiration',
  'messageId',
  'type',
  'userId',
  'appId',
  'clusterId',
]
const longestShortText = 255

const ranges: Readonly<Record<string, readonly [least: number, most: number]>> = {
  deliveryMode: [0, 255],
  priority: [0, 255],
  timestamp: [0, Number.MAX_SAFE_INTEGER],
}

function checkProperties(given: JsonObject): void {
  for (const [name, value] of Object.entries(given)) {
    const range = Object.hasOwn(ranges, name) ? ranges[name] : undefined
    const fits =
      range === undefined
        ? shortTexts.includes(name) && typeof value === 'string' && Buffer.byteLength(value) <= longestShortText
        : Number.isSafeInteger(value) && (value as number) >= range[0] && (value as number) <= range[1]
    if (!fits) throw new BadLineError(`its property ${shown(name)} cannot be ${shown(value)}`)
  }
}

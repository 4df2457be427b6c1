import { isUtf8 } from 'node:buffer'
import { type FixedType, type FixedValue, bytesOfValue, fieldsOf, fixed, sized, sizeOfValue, tableOf, whyNotSent } from './field-table.ts'
import { deepest, isDecimal } from './native-headers.ts'

// A header value of AMQP as JSON has it: a text as text, anything else as {"!":"long","v":5}, so that its bytes can be made again.

type JsonObject = Readonly<Record<string, unknown>>

/** Whole numbers by their names here: the type on the wire, and the least and the most. */
const integers: Readonly<Record<string, readonly [type: FixedType, least: bigint, most: bigint]>> = {
  byte: ['b', -(2n ** 7n), 2n ** 7n - 1n],
  ubyte: ['B', 0n, 2n ** 8n - 1n],
  short: ['s', -(2n ** 15n), 2n ** 15n - 1n],
  ushort: ['u', 0n, 2n ** 16n - 1n],
  int: ['I', -(2n ** 31n), 2n ** 31n - 1n],
  uint: ['i', 0n, 2n ** 32n - 1n],
  long: ['l', -(2n ** 63n), 2n ** 63n - 1n],
  timestamp: ['T', 0n, 2n ** 64n - 1n],
}
const integerNames = new Map(Object.entries(integers).map(([name, [type]]) => [type as string, name]))

/** The JSON value for the bytes of a header value. What none has can be read by nobody but us: `{"!":"raw","v":"<base64>"}`. */
export function notated(value: Buffer): unknown {
  if (value[0] === 0x53 && isUtf8(value.subarray(5))) return value.toString('utf8', 5)
  const json = readable(value, 0)
  return json !== undefined && isSame(json, value) ? json : { '!': 'raw', v: value.toString('base64') }
}

function isSame(json: unknown, value: Buffer): boolean {
  try {
    return bytesOf(json, 0).equals(value)
  } catch {
    return false
  }
}

/** undefined: JSON has none. */
function readable(value: Buffer, depth: number): unknown {
  const type = String.fromCharCode(value[0] as number)
  const integer = integerNames.get(type)
  if (integer !== undefined) return { '!': integer, v: shortNumber(integerIn(value, type)) }
  switch (type) {
    case 'S':
      return value.toString('utf8', 5)
    case 't':
      return value[1] === 1
    case 'V':
      return null
    case 'f':
      return finite('float', value.readFloatBE(1))
    case 'd':
      return finite('double', value.readDoubleBE(1))
    case 'D':
      return { '!': 'decimal', v: { digits: value.readUInt32BE(2), places: value[1] } }
    case 'x':
      return { '!': 'bytes', v: value.toString('base64', 5) }
    case 'A':
      return depth < deepest ? allOrNone(itemsOf(value.subarray(5)).map((item) => readable(item, depth + 1))) : undefined
    case 'F': {
      if (depth >= deepest) return undefined
      const fields = fieldsOf(value.subarray(5))
      const values = allOrNone(fields.map((field) => readable(field.value, depth + 1)))
      if (values === undefined) return undefined
      const table = Object.fromEntries(fields.map(({ name }, index) => [name.toString('utf8'), values[index]]))
      return Object.hasOwn(table, '!') ? { '!': 'table', v: table } : table
    }
    default:
      return undefined
  }
}

const allOrNone = (values: readonly unknown[]): readonly unknown[] | undefined => (values.includes(undefined) ? undefined : values)
/** JSON knows no -0, and nothing that is no number. */
const finite = (name: string, v: number): unknown => (Number.isFinite(v) && !Object.is(v, -0) ? { '!': name, v } : undefined)

function integerIn(value: Buffer, type: string): bigint {
  const isSigned = type === 'b' || type === 's' || type === 'I' || type === 'l'
  const bits = BigInt(`0x${value.toString('hex', 1)}`)
  return isSigned ? BigInt.asIntN(8 * (value.length - 1), bits) : bits
}

/** More digits than a JSON number keeps everywhere are a text. */
const shortNumber = (value: bigint): number | string => (Number.isSafeInteger(Number(value)) ? Number(value) : String(value))

function itemsOf(list: Buffer): readonly Buffer[] {
  const items: Buffer[] = []
  for (let at = 0; at < list.length; at += (items.at(-1) as Buffer).length)
    items.push(list.subarray(at, at + sizeOfValue(list, at, list.length)))
  return items
}

/**
 * The bytes of a header value, from what {@link notated} gave or somebody wrote.
 *
 * @throws {Error} why it is none, or why no broker would take it
 */
export function unnotated(json: unknown): Buffer {
  const bytes = bytesOf(json, 0)
  const problem = typeof json === 'string' ? undefined : whyNotSent(bytes)
  if (problem !== undefined) throw new Error(problem)
  return bytes
}

function bytesOf(json: unknown, depth: number): Buffer {
  if (typeof json !== 'object' || json === null) return bytesOfValue(json)
  if (depth === deepest) throw new Error(`it is nested deeper than ${deepest} levels`)
  if (Array.isArray(json)) return sized('A', Buffer.concat(json.map((item) => bytesOf(item, depth + 1))))
  const object = json as JsonObject
  return Object.hasOwn(object, '!') ? bytesOfTyped(object, depth) : bytesOfTable(object, depth)
}

function bytesOfTable(table: JsonObject, depth: number): Buffer {
  return sized('F', tableOf(Object.entries(table).map(([name, each]) => ({ name: Buffer.from(name), value: bytesOf(each, depth + 1) }))))
}

function bytesOfTyped(object: JsonObject, depth: number): Buffer {
  const { '!': type, v } = object
  if (typeof type !== 'string' || !Object.hasOwn(object, 'v') || Object.keys(object).length !== 2)
    throw new Error('a table that has the name "!" is written as {"!":"table","v":{…}}')
  if (Object.hasOwn(integers, type)) return integerBytes(type, v)
  switch (type) {
    case 'float':
    case 'double':
      if (typeof v !== 'number') throw notOf(type, v)
      return fixed(type === 'float' ? 'f' : 'd', v)
    case 'decimal':
      if (!isDecimal(v) || !Number.isInteger(v.places) || v.digits !== v.digits >>> 0) throw notOf(type, v)
      return fixed('D', { digits: v.digits, places: v.places })
    case 'bytes':
      return sized('x', fromBase64(type, v))
    case 'raw':
      return fromBase64(type, v)
    case 'table':
      if (typeof v !== 'object' || v === null || Array.isArray(v)) throw notOf(type, v)
      return bytesOfTable(v as JsonObject, depth)
    default:
      throw new Error(`there is no type ${JSON.stringify(type).slice(0, 60)}`)
  }
}

function integerBytes(name: string, v: unknown): Buffer {
  const [type, least, most] = integers[name] as readonly [FixedType, bigint, bigint]
  const isWhole = typeof v === 'number' ? Number.isInteger(v) : typeof v === 'string' && /^-?\d{1,20}$/.test(v)
  const value = isWhole ? BigInt(v as number | string) : undefined
  if (value === undefined || value < least || value > most) throw notOf(name, v)
  return fixed(type, (type === 'l' || type === 'T' ? value : Number(value)) as FixedValue)
}

function fromBase64(name: string, v: unknown): Buffer {
  if (typeof v !== 'string' || !isBase64(v)) throw notOf(name, v)
  return Buffer.from(v, 'base64')
}

export const isBase64 = (text: string): boolean => text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text)

function notOf(type: string, v: unknown): Error {
  return new Error(`${JSON.stringify(v)?.slice(0, 60) ?? 'nothing'} is no ${type}`)
}

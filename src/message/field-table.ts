import { deepest, isDecimal } from './native-headers.ts'
import { setOwn } from './own-property.ts'

// The tables of AMQP 0-9-1 as RabbitMQ writes them. @source rabbitmq.com/amqp-0-9-1-errata.html

/** A field of a table, as it is on the wire. */
export interface Field {
  readonly name: Buffer
  /** The byte of its type, and its value. */
  readonly value: Buffer
}

const longestName = 255
const [longString, byteArray, table, list] = Buffer.from('SxFA')
/** Of those types whose values are all of one size. */
const sizes: ReadonlyMap<number, number> = new Map(
  Object.entries({ V: 0, t: 1, b: 1, B: 1, s: 2, u: 2, I: 4, i: 4, f: 4, D: 5, l: 8, L: 8, d: 8, T: 8 }).map(([type, size]) => [
    type.charCodeAt(0),
    size,
  ]),
)

/**
 * How many bytes a value takes, with that of its type.
 *
 * @param end no value goes beyond it
 * @throws {Error} it does, or it is of a type that AMQP does not have
 */
export function sizeOfValue(bytes: Buffer, at: number, end: number): number {
  const type = at < end ? (bytes[at] as number) : -1
  let size = sizes.get(type)
  if (size === undefined) {
    if (type === -1) throw tooLong()
    if (type !== longString && type !== byteArray && type !== table && type !== list)
      throw new Error(`The headers of a message have a value of type ${type}, which AMQP does not have.`)
    if (at + 5 > end) throw tooLong()
    size = 4 + bytes.readUInt32BE(at + 1)
  }
  if (at + 1 + size > end) throw tooLong()
  return 1 + size
}

export function tooLong(): Error {
  return new Error('The properties of a message are longer than their frame.')
}

/**
 * What a value means to JavaScript: an integer of 64 bits that is no safe number, a decimal and a timestamp in the notation of amqplib,
 * `{ '!': 'int64', value: 5n }`. Of tables that are nested deeper than anybody looks no more is read than `…`, as they are shown.
 *
 * @param at where the byte of its type is @param end no value goes beyond it
 */
export function valueAt(bytes: Buffer, at: number, end: number, depth = 0): unknown {
  const size = sizeOfValue(bytes, at, end)
  const from = at + 1
  switch (String.fromCharCode(bytes[at] as number)) {
    case 'S':
      return bytes.toString('utf8', at + 5, at + size)
    case 'b':
      return bytes.readInt8(from)
    case 'B':
      return bytes.readUInt8(from)
    case 's':
      return bytes.readInt16BE(from)
    case 'u':
      return bytes.readUInt16BE(from)
    case 'I':
      return bytes.readInt32BE(from)
    case 'i':
      return bytes.readUInt32BE(from)
    case 'l':
    case 'L':
      return wholeNumber(bytes.readBigInt64BE(from))
    case 'f':
      return bytes.readFloatBE(from)
    case 'd':
      return bytes.readDoubleBE(from)
    case 't':
      return bytes[from] !== 0
    case 'V':
      return null
    case 'D':
      return { '!': 'decimal', value: { places: bytes[from], digits: bytes.readUInt32BE(from + 1) } }
    case 'T':
      return { '!': 'timestamp', value: Number(bytes.readBigUInt64BE(from)) }
    case 'x':
      return bytes.subarray(at + 5, at + size)
    case 'F':
      return depth < deepest ? tableBetween(bytes, at + 5, at + size, depth + 1) : '…'
    default:
      return depth < deepest ? listBetween(bytes, at + 5, at + size, depth + 1) : '…'
  }
}

function tableBetween(bytes: Buffer, from: number, end: number, depth: number): Record<string, unknown> {
  const fields: Record<string, unknown> = {}
  for (let at = from; at < end; ) {
    const valueFrom = at + 1 + (bytes[at] as number)
    const name = bytes.toString('utf8', at + 1, valueFrom)
    const value = valueAt(bytes, valueFrom, end, depth)
    setOwn(fields, name, value)
    at = valueFrom + sizeOfValue(bytes, valueFrom, end)
  }
  return fields
}

function listBetween(bytes: Buffer, from: number, end: number, depth: number): unknown[] {
  const items: unknown[] = []
  for (let at = from; at < end; at += sizeOfValue(bytes, at, end)) items.push(valueAt(bytes, at, end, depth))
  return items
}

/** What a number cannot hold is kept in the notation that amqplib writes. */
function wholeNumber(value: bigint): unknown {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : { '!': 'int64', value }
}

/** @param bytes of a table, after its length @throws {Error} when it is none */
export function fieldsOf(bytes: Buffer): readonly Field[] {
  const fields: Field[] = []
  for (let at = 0; at < bytes.length; ) {
    const valueFrom = at + 1 + (bytes[at] as number)
    const end = valueFrom + sizeOfValue(bytes, valueFrom, bytes.length)
    fields.push({ name: bytes.subarray(at + 1, valueFrom), value: bytes.subarray(valueFrom, end) })
    at = end
  }
  return fields
}

/** The bytes of a table, after its length. @throws {RangeError} a name has more than 255 bytes */
export function tableOf(fields: readonly Field[]): Buffer {
  const parts: Buffer[] = []
  for (const { name, value } of fields) {
    if (name.length > longestName) throw new RangeError(`The name of a header has ${name.length} bytes, and at most ${longestName} fit.`)
    parts.push(Buffer.of(name.length), name, value)
  }
  return Buffer.concat(parts)
}

/**
 * The bytes of a value that {@link valueAt} or a program gives. A number is a double where it has a fraction, else as wide as it has to be,
 * 32 bits at least.
 *
 * @throws {RangeError} it is too large for its type; {TypeError} it is none that AMQP has
 */
export function bytesOfValue(value: unknown): Buffer {
  switch (typeof value) {
    case 'string':
      return sized('S', Buffer.from(value))
    case 'boolean':
      return Buffer.from(value ? 't\u0001' : 't\u0000')
    case 'number':
      return !Number.isSafeInteger(value) ? fixed('d', value) : fixed(value === (value | 0) ? 'I' : 'l', value)
    case 'object':
      if (value === null) return Buffer.from('V')
      if (value instanceof Uint8Array) return sized('x', Buffer.from(value))
      if (Array.isArray(value)) return sized('A', Buffer.concat(value.map(bytesOfValue)))
      return bytesOfObject(value as Readonly<Record<string, unknown>>)
    default:
      throw new TypeError(`A header cannot have a value of type ${typeof value}.`)
  }
}

const typeNames: Readonly<Record<string, FixedType>> = { int32: 'I', int64: 'l', double: 'd', timestamp: 'T', decimal: 'D' }

function bytesOfObject(value: Readonly<Record<string, unknown>>): Buffer {
  const { '!': name, value: plain } = value
  // A foreign table may look like one.
  const isTyped = typeof name === 'string' && Object.hasOwn(typeNames, name) && Object.keys(value).length === 2
  if (isTyped && (name === 'decimal' ? isDecimal(plain) : typeof plain === 'number' || typeof plain === 'bigint'))
    return fixed(typeNames[name] as FixedType, plain as FixedValue)
  return sized('F', tableOf(Object.entries(value).map(([field, each]) => ({ name: Buffer.from(field), value: bytesOfValue(each) }))))
}

/** Of a value with its length before it. */
export function sized(type: 'S' | 'x' | 'F' | 'A', bytes: Buffer): Buffer {
  const head = Buffer.from(`${type}\0\0\0\0`)
  head.writeUInt32BE(bytes.length, 1)
  return Buffer.concat([head, bytes])
}

/** Types whose values have one size. */
export type FixedType = keyof typeof writers
export type FixedValue = number | bigint | { readonly places: number; readonly digits: number }

const writers = {
  b: (to: Buffer, value: FixedValue) => to.writeInt8(value as number, 1),
  B: (to: Buffer, value: FixedValue) => to.writeUInt8(value as number, 1),
  s: (to: Buffer, value: FixedValue) => to.writeInt16BE(value as number, 1),
  u: (to: Buffer, value: FixedValue) => to.writeUInt16BE(value as number, 1),
  I: (to: Buffer, value: FixedValue) => to.writeInt32BE(value as number, 1),
  i: (to: Buffer, value: FixedValue) => to.writeUInt32BE(value as number, 1),
  l: (to: Buffer, value: FixedValue) => to.writeBigInt64BE(BigInt(value as number), 1),
  f: (to: Buffer, value: FixedValue) => to.writeFloatBE(value as number, 1),
  d: (to: Buffer, value: FixedValue) => to.writeDoubleBE(value as number, 1),
  T: (to: Buffer, value: FixedValue) => to.writeBigUInt64BE(BigInt(value as number), 1),
  D: (to: Buffer, value: FixedValue) => {
    const { digits, places } = value as { readonly places: number; readonly digits: number }
    to.writeUInt8(places, 1)
    to.writeUInt32BE(digits, 2)
  },
}

/** @throws {RangeError} the value does not fit */
export function fixed(type: FixedType, value: FixedValue): Buffer {
  const bytes = Buffer.alloc(1 + (sizes.get(type.charCodeAt(0)) as number), type)
  writers[type](bytes, value)
  return bytes
}

/**
 * Why a broker would not take a value; undefined: it would. RabbitMQ ends the connection over a number that is none. Goes into every depth
 * without a stack.
 */
export function whyNotSent(value: Buffer): string | undefined {
  if (value.length === 0) return 'it is no value of a header'
  const ends: { readonly end: number; readonly isTable: boolean }[] = []
  let at = 0
  for (;;) {
    while (ends.length > 0 && (ends.at(-1) as { readonly end: number }).end === at) ends.pop()
    if (at === value.length) return undefined
    const { end, isTable } = ends.at(-1) ?? { end: at === 0 ? value.length : at, isTable: false }
    if (isTable) at += 1 + (value[at] as number)
    let size: number
    try {
      size = sizeOfValue(value, at, end)
    } catch {
      return 'it is no value of a header'
    }
    const type = value[at]
    if ((type === 0x64 && !Number.isFinite(value.readDoubleBE(at + 1))) || (type === 0x66 && !Number.isFinite(value.readFloatBE(at + 1))))
      return 'no broker takes a number that is none, or infinite'
    if (type === table || type === list) {
      ends.push({ end: at + size, isTable: type === table })
      at += 5
    } else at += size
  }
}

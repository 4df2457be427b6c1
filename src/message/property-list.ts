import { tooLong } from './field-table.ts'

/** The properties of an AMQP message, in the order of the wire; the first has the highest flag. */
export const propertyNames = [
  'contentType',
  'contentEncoding',
  'headers',
  'deliveryMode',
  'priority',
  'correlationId',
  'replyTo',
  'expiration',
  'messageId',
  'timestamp',
  'type',
  'userId',
  'appId',
  'clusterId',
] as const

export type PropertyName = (typeof propertyNames)[number]

/** The bytes of those that a message has; of `headers` without the length of the table. */
export type PropertyList = Map<PropertyName, Buffer>

const highestFlag = 15
const longestText = 255
const fixedSizes: Readonly<Partial<Record<PropertyName, number>>> = { deliveryMode: 1, priority: 1, timestamp: 8 }

/** @param bytes flags and values @throws {Error} when they are none */
export function readPropertyList(bytes: Buffer): PropertyList {
  const list: PropertyList = new Map()
  if (bytes.length < 2) throw tooLong()
  const flags = bytes.readUInt16BE(0)
  let at = 2
  for (const [index, name] of propertyNames.entries()) {
    if ((flags & (1 << (highestFlag - index))) === 0) continue
    const prefix = name === 'headers' ? 4 : fixedSizes[name] === undefined ? 1 : 0
    if (at + prefix > bytes.length) throw tooLong()
    const size = fixedSizes[name] ?? (prefix === 4 ? bytes.readUInt32BE(at) : (bytes[at] as number))
    const end = at + prefix + size
    if (end > bytes.length) throw tooLong()
    list.set(name, bytes.subarray(at + prefix, end))
    at = end
  }
  if (at !== bytes.length) throw tooLong()
  return list
}

/** Flags and values, as the wire has them after the size of the body. */
export function writePropertyList(list: PropertyList): Buffer {
  let flags = 0
  const head = Buffer.alloc(2)
  const parts: Buffer[] = [head]
  for (const [index, name] of propertyNames.entries()) {
    const value = list.get(name)
    if (value === undefined) continue
    flags |= 1 << (highestFlag - index)
    if (name === 'headers') {
      const length = Buffer.alloc(4)
      length.writeUInt32BE(value.length)
      parts.push(length)
    } else if (fixedSizes[name] === undefined) parts.push(Buffer.of(value.length))
    parts.push(value)
  }
  head.writeUInt16BE(flags)
  return Buffer.concat(parts)
}

/** What the bytes of a property, not those of `headers`, mean to JavaScript. */
export function propertyValue(name: PropertyName, bytes: Buffer): string | number {
  if (fixedSizes[name] === undefined) return bytes.toString('utf8')
  return bytes.length === 1 ? (bytes[0] as number) : Number(bytes.readBigUInt64BE())
}

/** @throws {RangeError} it does not fit; {TypeError} it is of another type */
export function bytesOfProperty(name: PropertyName, value: unknown): Buffer {
  const size = fixedSizes[name]
  if (size === undefined ? typeof value !== 'string' : typeof value !== 'number')
    throw new TypeError(`The property ${name} of a message cannot be a ${typeof value}.`)
  if (size === undefined) {
    const bytes = Buffer.from(value as string)
    if (bytes.length > longestText)
      throw new RangeError(`The property ${name} of a message has ${bytes.length} bytes, and at most 255 fit.`)
    return bytes
  }
  const bytes = Buffer.alloc(size)
  if (size === 1) bytes.writeUInt8(value as number)
  else bytes.writeBigUInt64BE(BigInt(value as number))
  return bytes
}

import { deepest, isDecimal, textOf } from './native-headers.ts'
import { NativeProperties } from './outgoing.ts'

/** What amqplib has room for; a .NET endpoint may write twice as much. */
const tableBytes = 64 * 1024
const shortBytes = 255
const mark = '… cut by nsb'
/** No text is cut below this, in bytes. */
const shortest = 256

export interface Fitted {
  readonly properties: NativeProperties
  /** What was cut or left out, for a warning. */
  readonly lost: readonly string[]
}

/**
 * A copy of the properties that amqplib can write, whatever they are: for a message that has to reach the error queue. Stack traces
 * are cut first, then the largest texts; what is still too much after that is left out.
 */
export function fitted(original: NativeProperties): Fitted {
  const lost: string[] = []
  const headers = new Map<string, unknown>()
  for (const [name, value] of Object.entries(original.headers)) {
    const short = cut(name, shortBytes)
    if (short !== name) lost.push(`the end of the name '${short.slice(0, 60)}…'`)
    headers.set(short, isWritable(value) ? value : textOf(value))
  }
  let excess = sizeOfTable(headers) - tableBytes
  for (const [name, value] of byImportance(headers, (each) => (/stack(trace)?$/i.test(each) ? 0 : 1))) {
    const bytes = typeof value === 'string' ? Buffer.byteLength(value) : 0
    if (excess <= 0 || bytes <= shortest) continue
    const shorter = cut(String(value), Math.max(shortest, bytes - excess) - Buffer.byteLength(mark)) + mark
    headers.set(name, shorter)
    excess -= bytes - Buffer.byteLength(shorter)
    lost.push(`${bytes - Buffer.byteLength(shorter)} bytes of '${name}'`)
  }
  for (const [name, value] of byImportance(headers, (each) => (each.startsWith('NServiceBus.') ? 1 : 0))) {
    if (excess <= 0) break
    headers.delete(name)
    excess -= 1 + Buffer.byteLength(name) + sizeOf(value)
    lost.push(`'${name}'`)
  }
  const properties = Object.assign(new NativeProperties({}), original, { headers: Object.fromEntries(headers) })
  for (const name of ['contentType', 'contentEncoding', 'correlationId', 'replyTo', 'expiration', 'type', 'appId'] as const)
    if (tooLong(properties[name])) {
      properties[name] = undefined
      lost.push(`the property ${name}`)
    }
  if (tooLong(properties.messageId)) properties.messageId = cut(properties.messageId ?? '', shortBytes)
  return { properties, lost }
}

const tooLong = (text: string | undefined): boolean => text !== undefined && Buffer.byteLength(text) > shortBytes

/** At most so many bytes of UTF-8, and no half character. */
function cut(text: string, bytes: number): string {
  const encoded = Buffer.from(text)
  if (encoded.length <= bytes) return text
  let end = bytes
  while (end > 0 && ((encoded[end] ?? 0) & 0xc0) === 0x80) end -= 1
  return encoded.toString('utf8', 0, end)
}

/** Those of a lower rank first, and of one rank the largest. */
function byImportance(headers: ReadonlyMap<string, unknown>, rankOf: (name: string) => number): readonly (readonly [string, unknown])[] {
  return [...headers]
    .map(([name, value]) => ({ name, value, rank: rankOf(name), size: sizeOf(value) }))
    .toSorted((a, b) => a.rank - b.rank || b.size - a.size)
    .map(({ name, value }) => [name, value] as const)
}

/** Whether amqplib takes it for what it is: a foreign table can look like its own notation for types. */
function isWritable(value: unknown, depth = 0): boolean {
  if (value === undefined || value === null || Buffer.isBuffer(value)) return true
  if (typeof value === 'number') return Number.isSafeInteger(value)
  if (typeof value !== 'object') return typeof value === 'string' || typeof value === 'boolean'
  if (depth === deepest) return false
  if (Array.isArray(value)) return value.every((each) => isWritable(each, depth + 1))
  if ('!' in value) return 'value' in value && isTyped(value['!'], value.value)
  return Object.entries(value).every(([name, each]) => Buffer.byteLength(name) <= shortBytes && isWritable(each, depth + 1))
}

function isTyped(type: unknown, value: unknown): boolean {
  if (type === 'decimal') return isDecimal(value) && value.digits === value.digits >>> 0 && Number.isInteger(value.places)
  if (type === 'int64' && typeof value === 'bigint') return true
  if (typeof value !== 'number') return false
  if (type === 'int32') return value === (value | 0)
  if (type === 'int64') return Number.isInteger(value) && value >= -(2 ** 63) && value < 2 ** 63
  return type === 'double' || (type === 'timestamp' && Number.isInteger(value) && value >= 0 && value < 2 ** 64)
}

function sizeOfTable(fields: Iterable<readonly [string, unknown]>): number {
  let size = 4
  for (const [name, value] of fields) size += 1 + Buffer.byteLength(name) + sizeOf(value)
  return size
}

/** With the byte of the type; never less than amqplib needs. */
function sizeOf(value: unknown): number {
  if (typeof value === 'string') return 5 + Buffer.byteLength(value)
  if (Buffer.isBuffer(value)) return 5 + value.length
  if (Array.isArray(value)) return value.reduce<number>((size, each) => size + sizeOf(each), 5)
  if (typeof value === 'object' && value !== null && !('!' in value)) return 1 + sizeOfTable(Object.entries(value))
  return 9
}

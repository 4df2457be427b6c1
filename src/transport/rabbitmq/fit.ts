import { bytesOfValue } from '../../message/field-table.ts'
import { textOf } from './native-headers.ts'
import { NativeProperties } from './outgoing.ts'

const shortBytes = 255
const mark = '… cut by nsb'
/** No text is cut below this, in bytes. */
const shortest = 256
/** For the other properties, and for what a queue adds. */
const besideHeaders = 4096

export interface Fitted {
  readonly properties: NativeProperties
  /** What was cut or left out, for a warning. */
  readonly lost: readonly string[]
}

/**
 * A copy of the properties that can be written, whatever they are: for a message that has to reach the error queue. Stack traces are cut
 * first, then the largest texts; what is still too much after that is left out.
 *
 * @param room in bytes, for all of the properties
 */
export function fitted(original: NativeProperties, room: number): Fitted {
  const lost: string[] = []
  const headers = new Map<string, unknown>()
  for (const [name, value] of Object.entries(original.headers)) {
    const short = cut(name, shortBytes)
    if (short !== name) lost.push(`the end of the name '${short.slice(0, 60)}…'`)
    headers.set(short, sizeOf(value) === undefined ? textOf(value) : value)
  }
  let excess = sizeOfTable(headers) + besideHeaders - room
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
    excess -= 1 + Buffer.byteLength(name) + (sizeOf(value) ?? 0)
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
    .map(([name, value]) => ({ name, value, rank: rankOf(name), size: sizeOf(value) ?? 0 }))
    .toSorted((a, b) => a.rank - b.rank || b.size - a.size)
    .map(({ name, value }) => [name, value] as const)
}

function sizeOfTable(fields: Iterable<readonly [string, unknown]>): number {
  let size = 4
  for (const [name, value] of fields) size += 1 + Buffer.byteLength(name) + (sizeOf(value) ?? 0)
  return size
}

/** With the byte of the type; undefined: it cannot be written. */
function sizeOf(value: unknown): number | undefined {
  if (typeof value === 'string') return 5 + Buffer.byteLength(value)
  try {
    return bytesOfValue(value).length
  } catch {
    return undefined
  }
}

import type { ChannelModel } from 'amqplib'
import { sizeOfValue, tooLong, valueAt } from '../../message/field-table.ts'
import { setOwn } from '../../message/own-property.ts'
import { isCounted } from './native-headers.ts'

/** Not part of amqplib's documented surface: where it is not there, amqplib reads the properties itself. */
interface FrameReader {
  /** What was read of the socket, from the next frame on. */
  rest: Buffer
  recvFrame(): unknown
}

const propertiesFrame = 2
const propertiesId = 60
const frameEnd = 0xce
/** Type, channel and size. */
const frameHead = 7
/** Class, weight and size of the body, before the properties. */
const propertiesHead = 12

/**
 * Reads the properties of messages in amqplib's place, to the same values: headers are most of what receiving a message costs there. A
 * text that came with the message before is not made again, a header called `__proto__` is a header, an integer of 64 bits keeps its last
 * digits (the ticks of .NET have 18), and of tables nested deeper than anybody looks no more is read: amqplib runs out of stack with them,
 * each time that the broker sends the message again.
 */
export function readProperties(model: ChannelModel): void {
  const { connection } = model
  if (!isFrameReader(connection)) return
  const receive = connection.recvFrame.bind(connection)
  const reader = new PropertiesReader()
  // Where there is not yet a whole frame amqplib reads on and calls itself, and so this.
  connection.recvFrame = () => (connection.rest[0] === propertiesFrame ? nextFrame(connection, reader) : undefined) ?? receive()
}

function isFrameReader(connection: object): connection is FrameReader {
  return 'rest' in connection && Buffer.isBuffer(connection.rest) && 'recvFrame' in connection && typeof connection.recvFrame === 'function'
}

/** @returns the frame as amqplib gives it; undefined when not all of it has come, or when it is amqplib's to refuse */
function nextFrame(connection: FrameReader, reader: PropertiesReader): object | undefined {
  const bytes = connection.rest
  if (bytes.length < frameHead) return undefined
  const end = frameHead + bytes.readUInt32BE(3)
  if (end < frameHead + propertiesHead + 2 || bytes[end] !== frameEnd || bytes.readUInt16BE(frameHead) !== propertiesId) return undefined
  connection.rest = bytes.subarray(end + 1)
  return {
    id: propertiesId,
    channel: bytes.readUInt16BE(1),
    /** Of the body. */
    size: bytes.readUInt32BE(frameHead + 4) * 2 ** 32 + bytes.readUInt32BE(frameHead + 8),
    fields: reader.read(bytes, frameHead + propertiesHead, end),
  }
}

/** The properties of a message as they are on the wire, beside what was read of them. */
export interface Wire {
  /** Flags and values. */
  readonly bytes: Buffer
  /** So many headers have a name; of two with one name only the last can be seen. */
  readonly names: number
  /** What was read tells all of it: every header is a text but those that a queue counts by, and every text is UTF-8. */
  readonly isPlain: boolean
}

/** In the order in which they come. */
class Properties {
  contentType: string | undefined
  contentEncoding: string | undefined
  headers: Record<string, unknown> | undefined
  deliveryMode: number | undefined
  priority: number | undefined
  correlationId: string | undefined
  replyTo: string | undefined
  expiration: string | undefined
  messageId: string | undefined
  timestamp: number | undefined
  type: string | undefined
  userId: string | undefined
  appId: string | undefined
  clusterId: string | undefined
  #bytes: Buffer | undefined
  #from = 0
  #end = 0
  #names = 0
  #isPlain = true

  /** Kept as they are until somebody asks: most are never asked for. */
  keep(bytes: Buffer, from: number, end: number, names: number, isPlain: boolean): this {
    this.#bytes = bytes
    this.#from = from
    this.#end = end
    this.#names = names
    this.#isPlain = isPlain
    return this
  }

  static wireOf(properties: object): Wire | undefined {
    if (!(#bytes in properties) || properties.#bytes === undefined) return undefined
    return { bytes: properties.#bytes.subarray(properties.#from, properties.#end), names: properties.#names, isPlain: properties.#isPlain }
  }
}

/** undefined: amqplib has read them. */
export const wireOf = (properties: object): Wire | undefined => Properties.wireOf(properties)

/** A header that came before: most come again, after the same one, and many with the same value. */
class KnownHeader {
  readonly name: string
  readonly isCounted: boolean
  /** An object has it in its place, and the bytes of the text are those of the name. */
  readonly isPlain: boolean
  value = ''
  next: KnownHeader | undefined

  constructor(name: string) {
    this.name = name
    this.isCounted = isCounted(name)
    this.isPlain = name !== '__proto__' && !/^\d|\ufffd/.test(name)
  }
}

/** Names are untrusted, so the number of those that are remembered is bounded, and the length of the values with them. */
const rememberedNames = 1000
const rememberedLength = 200

/** Stands for what is no UTF-8. */
const replacement = '\ufffd'
const [longString] = Buffer.from('S')

/** Reads the properties of one message after the other. */
class PropertiesReader {
  #bytes: Buffer = Buffer.alloc(0)
  #at = 0
  #end = 0
  #names = 0
  #isPlain = true
  readonly #headers = new Map<string, KnownHeader>()
  /** Stands before the first header of a table. */
  readonly #none = new KnownHeader('')
  /** The properties of the message before, by their flag. */
  readonly #properties = Array.from({ length: 16 }, () => '')

  /**
   * @param from where the flags are that say which properties there are
   * @throws {Error} when something is longer than the frame, or of a type that AMQP does not have
   */
  read(bytes: Buffer, from: number, end: number): object {
    const flags = bytes.readUInt16BE(from)
    this.#bytes = bytes
    this.#at = from + 2
    this.#end = end
    this.#names = 0
    this.#isPlain = true
    const properties = new Properties()
    properties.contentType = this.#property(flags, 15)
    properties.contentEncoding = this.#property(flags, 14)
    properties.headers = has(flags, 13) ? this.#table() : undefined
    properties.deliveryMode = has(flags, 12) ? this.#octet() : undefined
    properties.priority = has(flags, 11) ? this.#octet() : undefined
    properties.correlationId = this.#property(flags, 10)
    properties.replyTo = this.#property(flags, 9)
    properties.expiration = this.#property(flags, 8)
    properties.messageId = this.#property(flags, 7)
    properties.timestamp = has(flags, 6) ? this.#timestamp() : undefined
    properties.type = this.#property(flags, 5)
    properties.userId = this.#property(flags, 4)
    properties.appId = this.#property(flags, 3)
    properties.clusterId = this.#property(flags, 2)
    return properties.keep(bytes, from, end, this.#names, this.#isPlain)
  }

  #timestamp(): number {
    const seconds = Number(this.#bytes.readBigUInt64BE(this.#skip(8)))
    if (!Number.isSafeInteger(seconds)) this.#isPlain = false
    return seconds
  }

  #property(flags: number, flag: number): string | undefined {
    if (!has(flags, flag)) return undefined
    const text = this.#text(this.#octet(), this.#properties[flag] as string)
    this.#properties[flag] = text
    return text
  }

  /** Nearly all values are texts, hence read here: a call for each of their parts takes a third longer. */
  #table(): Record<string, unknown> {
    const fields: Record<string, unknown> = {}
    const bytes = this.#bytes
    const end = this.#endOf(this.#long())
    let at = this.#at
    let header = this.#none
    while (at < end) {
      const typeAt = at + 1 + (bytes[at] as number)
      header = this.#header(header, at + 1, typeAt)
      let value: unknown
      if (bytes[typeAt] === longString) {
        const from = typeAt + 5
        at = from + bytes.readUInt32BE(typeAt + 1)
        if (at > end) throw tooLong()
        const text = this.#textBetween(from, at, header.value)
        if (text.length <= rememberedLength) header.value = text
        value = text
      } else {
        value = valueAt(bytes, typeAt, end)
        at = typeAt + sizeOfValue(bytes, typeAt, end)
        if (!header.isCounted) this.#isPlain = false
      }
      this.#names += 1
      if (!header.isPlain) this.#isPlain = false
      setOwn(fields, header.name, value)
    }
    this.#at = end
    return fields
  }

  #header(before: KnownHeader, from: number, to: number): KnownHeader {
    const guess = before.next
    if (guess && isBetween(guess.name, this.#bytes, from, to)) return guess
    const name = this.#bytes.toString('utf8', from, to)
    let header = this.#headers.get(name)
    if (!header) {
      if (this.#headers.size === rememberedNames) this.#forget()
      header = new KnownHeader(name)
      this.#headers.set(name, header)
    }
    before.next = header
    return header
  }

  /** Each that is forgotten would keep those that came after it. */
  #forget(): void {
    for (const header of this.#headers.values()) header.next = undefined
    this.#headers.clear()
  }

  /** @param known given back where it is what the bytes say */
  #text(size: number, known: string): string {
    const from = this.#skip(size)
    return this.#textBetween(from, from + size, known)
  }

  #textBetween(from: number, to: number, known: string): string {
    if (isBetween(known, this.#bytes, from, to)) return known
    const text = this.#bytes.toString('utf8', from, to)
    if (text.includes(replacement)) this.#isPlain = false
    return text
  }

  #octet(): number {
    return this.#bytes[this.#skip(1)] as number
  }

  #long(): number {
    return this.#bytes.readUInt32BE(this.#skip(4))
  }

  /** @returns where what is skipped begins */
  #skip(size: number): number {
    const from = this.#at
    this.#at = this.#endOf(size)
    return from
  }

  #endOf(size: number): number {
    const end = this.#at + size
    if (end > this.#end) throw tooLong()
    return end
  }
}

function has(flags: number, flag: number): boolean {
  return (flags & (1 << flag)) !== 0
}

function isBetween(text: string, bytes: Buffer, from: number, to: number): boolean {
  if (text.length !== to - from) return false
  for (let at = from; at < to; at++) {
    const byte = bytes[at] as number
    if (byte !== text.charCodeAt(at - from) || byte > 0x7f) return false
  }
  return true
}

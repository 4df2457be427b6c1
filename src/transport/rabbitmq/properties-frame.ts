import type { ChannelModel } from 'amqplib'
import { deepest } from './native-headers.ts'

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

/** A header that came before: most come again, after the same one, and many with the same value. */
class KnownHeader {
  readonly name: string
  value = ''
  next: KnownHeader | undefined

  constructor(name: string) {
    this.name = name
  }
}

/** Names are untrusted, so the number of those that are remembered is bounded, and the length of the values with them. */
const rememberedNames = 1000
const rememberedLength = 200

const [longString, table] = Buffer.from('SF')

/** Reads the properties of one message after the other. */
class PropertiesReader {
  #bytes: Buffer = Buffer.alloc(0)
  #at = 0
  #end = 0
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
    // In the order in which they come.
    return {
      contentType: this.#property(flags, 15),
      contentEncoding: this.#property(flags, 14),
      headers: has(flags, 13) ? this.#table(0) : undefined,
      deliveryMode: has(flags, 12) ? this.#octet() : undefined,
      priority: has(flags, 11) ? this.#octet() : undefined,
      correlationId: this.#property(flags, 10),
      replyTo: this.#property(flags, 9),
      expiration: this.#property(flags, 8),
      messageId: this.#property(flags, 7),
      timestamp: has(flags, 6) ? Number(bytes.readBigUInt64BE(this.#skip(8))) : undefined,
      type: this.#property(flags, 5),
      userId: this.#property(flags, 4),
      appId: this.#property(flags, 3),
      clusterId: this.#property(flags, 2),
    }
  }

  #property(flags: number, flag: number): string | undefined {
    if (!has(flags, flag)) return undefined
    const text = this.#text(this.#octet(), this.#properties[flag] as string)
    this.#properties[flag] = text
    return text
  }

  /** Nearly all values are texts, hence read here: a call for each of their parts takes a third longer. */
  #table(depth: number): Record<string, unknown> {
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
        this.#at = typeAt
        value = this.#value(depth)
        at = this.#at
      }
      if (header.name === '__proto__')
        Object.defineProperty(fields, header.name, { value, writable: true, enumerable: true, configurable: true })
      else fields[header.name] = value
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

  #value(depth: number): unknown {
    const bytes = this.#bytes
    const type = this.#octet()
    switch (String.fromCharCode(type)) {
      case 'S':
        return this.#text(this.#long(), '')
      case 'b':
        return bytes.readInt8(this.#skip(1))
      case 'B':
        return this.#octet()
      case 's':
        return bytes.readInt16BE(this.#skip(2))
      case 'u':
        return bytes.readUInt16BE(this.#skip(2))
      case 'I':
        return bytes.readInt32BE(this.#skip(4))
      case 'i':
        return this.#long()
      case 'l':
        return wholeNumber(bytes.readBigInt64BE(this.#skip(8)))
      case 'f':
        return bytes.readFloatBE(this.#skip(4))
      case 'd':
        return bytes.readDoubleBE(this.#skip(8))
      case 't':
        return this.#octet() !== 0
      case 'V':
        return null
      case 'D':
        return { '!': 'decimal', value: { places: this.#octet(), digits: this.#long() } }
      case 'T':
        return { '!': 'timestamp', value: Number(bytes.readBigUInt64BE(this.#skip(8))) }
      case 'x': {
        const size = this.#long()
        const from = this.#skip(size)
        return bytes.subarray(from, from + size)
      }
      case 'F':
      case 'A':
        if (depth < deepest) return type === table ? this.#table(depth + 1) : this.#array(depth + 1)
        this.#skip(this.#long())
        // As it is shown.
        return '…'
      default:
        throw new Error(`The headers of a message have a value of type ${type}, which AMQP does not have.`)
    }
  }

  #array(depth: number): unknown[] {
    const items: unknown[] = []
    const end = this.#endOf(this.#long())
    while (this.#at < end) items.push(this.#value(depth))
    return items
  }

  /** @param known given back where it is what the bytes say */
  #text(size: number, known: string): string {
    const from = this.#skip(size)
    return this.#textBetween(from, from + size, known)
  }

  #textBetween(from: number, to: number, known: string): string {
    return isBetween(known, this.#bytes, from, to) ? known : this.#bytes.toString('utf8', from, to)
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

function tooLong(): Error {
  return new Error('The properties of a message are longer than their frame.')
}

/** What a number cannot hold is kept in the notation that amqplib writes. */
function wholeNumber(value: bigint): unknown {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : { '!': 'int64', value }
}

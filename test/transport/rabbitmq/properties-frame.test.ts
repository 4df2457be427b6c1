import type { ChannelModel } from 'amqplib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { textOf } from '../../../src/message/native-headers.ts'
import { readProperties } from '../../../src/transport/rabbitmq/properties-frame.ts'
import { fieldTable, headerFrame, longString } from '../../interop/rabbitmq/wire.ts'
import { anyText, inCampaign, numRuns } from '../../property/runs.ts'

/** Parts of amqplib that it does not export. */
const frames = (await import('../../../node_modules/amqplib/lib/frame.js' as string)) as {
  default: {
    parseFrame(bytes: Buffer, max: number): { readonly rest: Buffer } | false
    decodeFrame(frame: object): unknown
  }
}
const definitions = (await import('../../../node_modules/amqplib/lib/defs.js' as string)) as {
  default: {
    readonly BasicProperties: number
    encodeProperties(this: void, id: number, channel: number, size: number, fields: object): Buffer
  }
}
const { BasicProperties, encodeProperties } = definitions.default

interface Connection {
  rest: Buffer
  recvFrame(): unknown
}

/** Reads frames of bytes that it is given, the way a connection of amqplib does. */
function amqplib(): Connection {
  return {
    rest: Buffer.alloc(0),
    recvFrame() {
      const frame = frames.default.parseFrame(this.rest, 2 ** 31)
      if (!frame) return false
      this.rest = frame.rest
      return frames.default.decodeFrame(frame)
    },
  }
}

function ours(): Connection {
  const connection = amqplib()
  readProperties({ connection } as unknown as ChannelModel)
  return connection
}

function read(connection: Connection, bytes: Buffer): unknown {
  connection.rest = bytes
  return connection.recvFrame()
}

const frameOf = (properties: object): Buffer => Buffer.from(encodeProperties(BasicProperties, 1, 1024, properties))

/** A frame with headers that no client could write. */
function oddFrame(fields: Parameters<typeof fieldTable>[0] | Buffer): Buffer {
  const properties = headerFrame(Buffer.isBuffer(fields) ? fields : fieldTable(fields), undefined)
  const head = Buffer.alloc(19)
  head[0] = 2
  head.writeUInt16BE(1, 1)
  head.writeUInt32BE(12 + properties.length, 3)
  head.writeUInt16BE(60, 7)
  return Buffer.concat([head, properties, Buffer.from([0xce])])
}

const headersIn = (frame: unknown): Record<string, unknown> =>
  (frame as { readonly fields: { readonly headers: Record<string, unknown> } }).fields.headers

// A lone surrogate is not UTF-8, and no client writes a name of more than 255 bytes.
const text = anyText.map((any) => Buffer.from(any).toString())
const short = fc.oneof(text, fc.constantFrom('NServiceBus.MessageId', 'é', 'e\u0301')).map((any) => any.slice(0, 60))
const leaf = fc.oneof(
  { weight: 4, arbitrary: text },
  fc.string({ minLength: 190, maxLength: 300 }),
  // Without its type amqplib writes some as integers, and fails.
  fc.double().map((value) => ({ '!': 'double', value })),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.boolean(),
  fc.constant(null),
  fc.uint8Array().map((bytes) => Buffer.from(bytes)),
  fc.nat(2 ** 31 - 1).map((value) => ({ '!': 'timestamp', value })),
  fc.tuple(fc.nat(255), fc.nat(2 ** 31 - 1)).map(([places, digits]) => ({ '!': 'decimal', value: { places, digits } })),
  fc.integer({ min: -128, max: 127 }).map((value) => ({ '!': 'int8', value })),
  fc.nat(255).map((value) => ({ '!': 'uint8', value })),
  fc.nat(65_535).map((value) => ({ '!': 'uint16', value })),
  fc.nat(2 ** 32 - 1).map((value) => ({ '!': 'uint32', value })),
  fc.float().map((value) => ({ '!': 'float', value })),
)
const names = short.filter((name) => name !== '__proto__')
const value = fc.oneof(
  { weight: 4, arbitrary: leaf },
  fc.array(fc.oneof(leaf, fc.array(leaf, { maxLength: 3 })), { maxLength: 3 }),
  fc.dictionary(
    names.filter((name) => name !== '!'),
    leaf,
    { maxKeys: 3 },
  ),
)
const octet = fc.nat(255)
const properties = fc.record(
  {
    contentType: short,
    contentEncoding: short,
    headers: fc.array(fc.tuple(names, value), { maxLength: 30 }).map((entries) => Object.fromEntries(entries)),
    deliveryMode: octet,
    priority: octet,
    correlationId: short,
    replyTo: short,
    expiration: short,
    messageId: short,
    timestamp: fc.maxSafeInteger().map(Math.abs),
    type: short,
    userId: short,
    appId: short,
    clusterId: short,
  },
  { requiredKeys: [] },
)

describe('the properties of a message', () => {
  it('are read to the values that amqplib gives, whatever came before', { timeout: inCampaign ? 600_000 : 60_000 }, () => {
    const own = ours()
    fc.assert(
      fc.property(fc.array(properties, { minLength: 1, maxLength: 4 }), (messages) => {
        for (const each of [...messages, ...messages]) {
          const frame = frameOf(each)
          const theirs = read(amqplib(), frame) as object
          expect(read(own, frame)).toEqual(theirs)
          expect(Object.keys(headersIn(read(own, frame)) ?? {})).toEqual(Object.keys(headersIn(theirs) ?? {}))
          expect(own.rest).toHaveLength(0)
        }
      }),
      { numRuns },
    )
  })

  it.each([2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n, 638_993_376_541_234_567n])('keep all digits of the integer %i', (value) => {
    const frame = frameOf({ headers: { ticks: { '!': 'int64', value }, table: { list: [{ '!': 'int64', value }] } } })

    const received = headersIn(read(ours(), frame))

    expect(received).toEqual({ ticks: { '!': 'int64', value }, table: { list: [{ '!': 'int64', value }] } })
    expect(textOf(received['ticks'])).toBe(String(value))
    expect(frameOf({ headers: received })).toEqual(frame)
  })

  it('are read when the whole frame has come, and the next frame is left', () => {
    const own = ours()
    const frame = frameOf({ messageId: 'the id', headers: { Name: 'Grüße' } })
    for (let length = 0; length < frame.length; length++) {
      expect(read(own, frame.subarray(0, length))).toBe(false)
      expect(own.rest).toHaveLength(length)
    }
    expect(read(own, Buffer.concat([frame, frame.subarray(0, 9)]))).toMatchObject({ id: BasicProperties, channel: 1, size: 1024 })
    expect(own.rest).toEqual(frame.subarray(0, 9))
  })

  it('are read after a thousand names, which are not remembered for ever', () => {
    const own = ours()
    for (let first = 0; first < 3000; first += 10) {
      const headers = Object.fromEntries(Array.from({ length: 10 }, (_, index) => [`Name ${first + index}`, String(first)]))
      expect(headersIn(read(own, frameOf({ headers })))).toEqual(headers)
    }
  })

  it('have headers that mean something to JavaScript as headers like others', () => {
    const headers = headersIn(
      read(
        ours(),
        oddFrame([
          ['__proto__', 'S', longString('p')],
          ['__proto__', 'F', fieldTable([['fail', 'S', longString('1')]])],
          ['constructor', 'S', longString('c')],
        ]),
      ),
    )

    expect(Object.keys(headers)).toEqual(['__proto__', 'constructor'])
    expect(Object.getPrototypeOf(headers)).toBe(Object.prototype)
    expect(Object.hasOwn(headers, 'fail')).toBe(false)
  })

  it('are told apart where the bytes are no UTF-8', () => {
    const own = ours()
    for (const bytes of [Buffer.from('é'), Buffer.from([0xe9]), Buffer.from([0xe9, 0x41]), Buffer.from('é')]) {
      const frame = oddFrame([[bytes, 'S', longString(bytes)]])
      expect(read(own, frame)).toEqual(read(amqplib(), frame))
    }
  })

  it.each([
    ['a text longer than the table', oddFrame(longString(Buffer.from('\u0001aS\0\0\0\u0009b')))],
    ['a name longer than the frame', oddFrame(longString(Buffer.from('\u00ffa')))],
    ['a table longer than the frame', oddFrame(Buffer.from([0, 0, 255, 255]))],
    ['a number that is cut', oddFrame([['Cut', 'l', Buffer.alloc(2)]])],
    ['a type that does not exist', oddFrame([['Odd', '?', Buffer.alloc(4)]])],
  ])('with %s are refused', (_, frame) => {
    expect(() => read(ours(), frame)).toThrow(/^The (properties|headers) of a message/)
  })
})

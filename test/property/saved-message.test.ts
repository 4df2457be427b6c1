import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Message, MessageProperties } from 'amqplib'
import { BadLineError, type Saveable, readSavedLine, savedLine } from '../../src/message/saved-message.ts'
import { headersOf } from '../../src/transport/rabbitmq/native-headers.ts'
import { nativeOf, unchangedProperties } from '../../src/transport/rabbitmq/raw.ts'
import { anyText, dictionaryOf, numRuns } from './runs.ts'

const facts = { queue: 'error', exportedAt: Date.UTC(2026, 10, 21) }

const bytes = fc.uint8Array({ maxLength: 40 }).map((each) => Buffer.from(each))
const body = fc.oneof(
  bytes,
  anyText.map((text) => Buffer.from(text)),
)

/** A header value as amqplib reads it. */
const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    anyText,
    fc.boolean(),
    fc.constant(null),
    fc.integer(),
    fc.maxSafeInteger(),
    // Whole numbers are written as integers, which have no -0.
    fc.double().map((number) => (number === 0 ? 0 : number)),
    bytes,
    fc.maxSafeNat().map((seconds) => ({ '!': 'timestamp', value: seconds })),
    fc.record({ digits: fc.nat(), places: fc.nat(255) }).map((decimal) => ({ '!': 'decimal', value: decimal })),
    fc.array(tie('any'), { maxLength: 3 }),
    fc.dictionary(fc.oneof(fc.string(), fc.constant('!')), tie('any'), { maxKeys: 3 }),
  ),
})).any

const special = fc.constantFrom(
  'NServiceBus.ReplyToAddress',
  'NServiceBus.CorrelationId',
  'NServiceBus.EnclosedMessageTypes',
  'NServiceBus.ContentType',
  'NServiceBus.FailedQ',
  'NServiceBus.RabbitMQ.CallbackQueue',
  'NServiceBus.Transport.RabbitMQ.UseNonPersistentDelivery',
  'x-death',
  'x-first-death-queue',
)
const shortText = fc.string({ maxLength: 60 })
const properties = fc.record(
  {
    contentType: shortText,
    contentEncoding: shortText,
    deliveryMode: fc.constantFrom(1, 2),
    priority: fc.nat(9),
    correlationId: shortText,
    replyTo: shortText,
    expiration: fc.constant('1000'),
    messageId: shortText,
    timestamp: fc.nat(),
    type: shortText,
    userId: shortText,
    appId: shortText,
    // amqplib makes a table the prototype that is called so.
    headers: fc.dictionary(
      fc.oneof(special, fc.string()).filter((name) => name !== '__proto__'),
      value,
      { maxKeys: 6, noNullPrototype: true },
    ),
  },
  { requiredKeys: [], noNullPrototype: true },
)

function heldFrom(given: object, content: Buffer): Saveable {
  const message = { properties: structuredCloneOf(given) } as unknown as Message
  const native = nativeOf(message)
  const { messageId } = message.properties as { messageId?: string }
  return {
    native,
    headers: headersOf(message.properties as MessageProperties),
    nativeId: messageId ?? '',
    body: content,
    unreadable: undefined,
  }
}

// `structuredClone` would make of buffers what they are made of.
function structuredCloneOf(given: object): object {
  return { ...given, ...('headers' in given && { headers: { ...(given.headers as object) } }) }
}

const outgoing = ({ body: content, headers, native, nativeId }: Saveable) =>
  ({ id: nativeId, headers, native, body: content, to: { exactQueue: 'error' }, unchanged: true }) as const

it('E-36 a message of a broker is read back from its line with every property, and every header and its type', () => {
  fc.assert(
    fc.property(properties, body, (given, content) => {
      const held = heldFrom(given, content)

      const read = readSavedLine(savedLine(held, facts), { verifyHash: true })

      expect(read.body).toEqual(content)
      expect(unchangedProperties(outgoing(read))).toEqual(unchangedProperties(outgoing(held)))
      if (Object.keys(held.native).some((name) => name !== 'headers' && name !== 'added')) expect(read.headers).toEqual(held.headers)
      expect(read.nativeId).toBe(held.nativeId)
    }),
    { numRuns },
  )
})

it('E-36 a message of a folder is read back from its line with every header', () => {
  fc.assert(
    fc.property(dictionaryOf(fc.oneof(special, anyText)), body, fc.uuid(), (headers, content, nativeId) => {
      const held: Saveable = { headers, native: {}, nativeId, body: content, unreadable: undefined }

      const read = readSavedLine(savedLine(held, facts), { verifyHash: true })

      expect(read).toEqual({ ...held, queue: 'error', exportedAt: facts.exportedAt, operation: undefined })
    }),
    { numRuns },
  )
})

it('any text is a message or refused with a reason, and never another error', () => {
  const json = fc.json()
  const almost = fc.record(
    {
      schema: fc.constant('nsb.message/1'),
      properties: fc.oneof(fc.object(), fc.constant({})),
      headers: fc.oneof(fc.dictionary(fc.string(), fc.oneof(fc.object({ key: fc.constantFrom('!', 'v', 'a') }), fc.anything())), json),
      body: fc.record({ encoding: fc.constantFrom('utf8', 'base64', 'hex', 7), data: fc.oneof(fc.string(), fc.nat()) }),
      sha256: fc.oneof(fc.string(), fc.nat()),
    },
    { requiredKeys: ['schema'] },
  )
  const line = fc.oneof(
    anyText,
    json,
    almost.map((each) => JSON.stringify(each, (_, inside: unknown) => (typeof inside === 'bigint' ? String(inside) : inside))),
  )
  fc.assert(
    fc.property(line, fc.boolean(), (text, verifyHash) => {
      try {
        readSavedLine(text, { verifyHash })
      } catch (error) {
        if (!(error instanceof BadLineError)) throw error
      }
    }),
    { numRuns },
  )
})

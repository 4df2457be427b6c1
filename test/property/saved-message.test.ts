import type { ChannelModel, Message, MessageProperties } from 'amqplib'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { fieldsOf, tableOf } from '../../src/message/field-table.ts'
import { isCounted } from '../../src/message/native-headers.ts'
import { type PropertyList, writePropertyList } from '../../src/message/property-list.ts'
import { BadLineError } from '../../src/message/bad-line.ts'
import { type Saveable, readSavedLine, savedLine } from '../../src/message/saved-message.ts'
import { headersOf } from '../../src/transport/rabbitmq/native-headers.ts'
import { readProperties } from '../../src/transport/rabbitmq/properties-frame.ts'
import { listOf } from '../../src/transport/rabbitmq/properties-writer.ts'
import { nativeOf, unchangedProperties } from '../../src/transport/rabbitmq/raw.ts'
import { anyProperties } from './any-properties.ts'
import { anyText, dictionaryOf, numRuns } from './runs.ts'

const facts = { queue: 'error', exportedAt: Date.UTC(2026, 10, 21) }

const bytes = fc.uint8Array({ maxLength: 40 }).map((each) => Buffer.from(each))
const body = fc.oneof(
  bytes,
  anyText.map((text) => Buffer.from(text)),
)

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

const connection = { rest: Buffer.alloc(0), recvFrame: (): unknown => undefined }
readProperties({ connection } as unknown as ChannelModel)

/** As a holding gives it. */
function heldFrom(list: PropertyList, content: Buffer): Saveable {
  const properties = propertiesIn(writePropertyList(list))
  const message = { properties } as unknown as Message
  const native = nativeOf(message)
  return {
    native,
    headers: headersOf(properties, native['headers'] === undefined),
    nativeId: (properties.messageId as string | undefined) ?? '',
    body: content,
    unreadable: undefined,
  }
}

function propertiesIn(list: Buffer): MessageProperties {
  const head = Buffer.alloc(19)
  head[0] = 2
  head.writeUInt32BE(12 + list.length, 3)
  head.writeUInt16BE(60, 7)
  connection.rest = Buffer.concat([head, list, Buffer.of(0xce)])
  return (connection.recvFrame() as { readonly fields: MessageProperties }).fields
}

/** What a message that is moved does not take along: it does not expire, and neither counts nor further receivers are its own. */
function moved(list: PropertyList): PropertyList {
  const rest = new Map([...list].filter(([name]) => name !== 'expiration'))
  const table = rest.get('headers')
  const stays = (name: string): boolean => !isCounted(name) && name !== 'CC' && name !== 'BCC'
  return table === undefined ? rest : rest.set('headers', tableOf(fieldsOf(table).filter(({ name }) => stays(name.toString('utf8')))))
}

const outgoing = ({ body: content, headers, native, nativeId }: Saveable) =>
  ({ id: nativeId, headers, native, body: content, to: { exactQueue: 'error' }, unchanged: true }) as const
const sent = (message: Saveable): Buffer => writePropertyList(listOf(unchangedProperties(outgoing(message))))

it('E-36 a message of a broker is moved, and read back from its line, with every byte of its properties', () => {
  fc.assert(
    fc.property(anyProperties, body, (list, content) => {
      const held = heldFrom(list, content)
      const expected = writePropertyList(moved(list))

      expect(sent(held)).toEqual(expected)
      const read = readSavedLine(savedLine(held, facts), { verifyHash: true })

      expect(sent(read)).toEqual(expected)
      expect(read.body).toEqual(content)
      expect(read.nativeId).toBe(held.nativeId)
      if (list.size > (list.has('headers') ? 1 : 0)) expect(read.headers).toEqual(held.headers)
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

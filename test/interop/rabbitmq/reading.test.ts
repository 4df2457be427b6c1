import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { defineEndpoint, handler } from '../../../src/index.ts'
import {
  CancelOrder,
  ExpiringQuote,
  GetOrder,
  GetOrderCount,
  GetOrderStatus,
  IOrderCancelled,
  OrderPlaced,
  PackOrder,
  PlaceOrder,
  PriorityOrderPlaced,
} from '../../support/shop.ts'
import type { IncomingMessage } from '../../../src/transport/transport.ts'
import { type System, system } from './endpoints.ts'
import { type Recorded, recording } from './wire.ts'

// Recorded bytes, published as they are to a real queue and received by our transport.

interface Found {
  readonly name: string
  readonly message: Recorded & { readonly properties: Record<string, unknown> }
}

/** Every message in a recording, wherever it stands in it. */
function messagesIn(name: string, value: unknown): readonly Found[] {
  if (typeof value !== 'object' || value === null) return []
  if (Array.isArray(value)) return value.flatMap((each, index) => messagesIn(`${name}[${index}]`, each))
  const own = 'properties' in value && 'headers' in value ? [{ name, message: value as Found['message'] }] : []
  return [...own, ...Object.entries(value).flatMap(([key, each]) => messagesIn(`${name}.${key}`, each))]
}

const all = readdirSync(join(import.meta.dirname, '../../fixtures/wire/rabbitmq'))
  .map((file) => file.replace('.json', ''))
  .flatMap((name) => messagesIn(name, recording(name)))
  .filter(({ message }) => message.properties['messageId'] !== undefined)

/** Of brokers and client libraries; no handler sees them. @source spec: MessageConverter */
const stripped = /^(x-|NServiceBus\.Transport\.RabbitMQ\.(DelayInSeconds|ConfirmationId)$)/

/** The headers as .NET hands them to its pipeline: what has a property of its own is taken from there. */
function asDotNetReads({ headers = {}, properties }: Found['message']): Record<string, unknown> {
  const kept = Object.fromEntries(Object.entries(headers).filter(([name]) => !stripped.test(name)))
  return {
    ...kept,
    ...(properties['replyTo'] !== undefined && { 'NServiceBus.ReplyToAddress': properties['replyTo'] }),
    ...(properties['correlationId'] !== undefined && { 'NServiceBus.CorrelationId': properties['correlationId'] }),
    ...(properties['contentType'] !== undefined && { 'NServiceBus.ContentType': properties['contentType'] }),
    ...(properties['deliveryMode'] === 1 && { 'NServiceBus.Transport.RabbitMQ.UseNonPersistentDelivery': 'True' }),
    ...(!('NServiceBus.EnclosedMessageTypes' in kept) &&
      properties['type'] !== undefined && { 'NServiceBus.EnclosedMessageTypes': properties['type'] }),
  }
}

describe('each recorded message', () => {
  let shop: System
  const received: IncomingMessage[] = []

  beforeAll(async () => {
    shop = await system()
    const transport = shop.transport('Shop.Server')
    await transport.createQueues(['Shop.Server'], ['error'])
    for (const { message } of all) shop.wire.publish('Shop.Server', '', message)
    let allReceived = (): void => undefined
    const complete = new Promise<void>((resolve) => {
      allReceived = resolve
    })
    await transport.receive(
      {
        queue: 'Shop.Server',
        errorQueue: 'error',
        concurrency: 1,
        transactionMode: 'receiveOnly',
        onDispatchFailed: async () => ({ kind: 'putBack' }),
        onSettled: () => undefined,
        onPoison: () => undefined,
        onCriticalError: () => undefined,
      },
      async (message) => {
        received.push(message)
        if (received.length === all.length) allReceived()
        return { kind: 'consume', outgoing: [] }
      },
    )
    await complete
  })

  for (const [index, { message, name }] of all.entries())
    it(`RMQ-10 is read to the same fields: ${name}`, () => {
      const body = message.bodyBase64 === undefined ? Buffer.from(message.bodyText ?? '') : Buffer.from(message.bodyBase64, 'base64')

      expect(received[index]).toMatchObject({
        id: message.headers?.['NServiceBus.MessageId'] ?? message.properties['messageId'],
        nativeId: message.properties['messageId'],
        headers: asDotNetReads(message),
        attempt: 1,
      })
      expect(Object.keys(received[index]?.headers ?? {}).sort()).toEqual(Object.keys(asDotNetReads(message)).sort())
      expect(Buffer.from(received[index]?.body ?? [])).toEqual(body)
    })

  it('is one of all recordings', () => {
    expect(all.length).toBe(73)
  })
})

describe('a recorded body', () => {
  it('is read to the same fields by a handler, whichever serializer wrote it', async () => {
    const types = {
      PlaceOrder,
      OrderPlaced,
      PriorityOrderPlaced,
      IOrderCancelled,
      ExpiringQuote,
      GetOrder,
      GetOrderCount,
      GetOrderStatus,
      CancelOrder,
      PackOrder,
    }
    const names = Object.keys(types)
    const typed = all.filter(
      ({ message, name }) =>
        /^(send|publish|callback|reply|sendlocal)/.test(name) &&
        names.includes(String(message.properties['type']).replace('Shop.Messages.', '')) &&
        message.properties['contentType'] === 'application/json',
    )
    const shop = await system()
    const read = new Map<string, unknown>()
    const reading = Object.values(types).map((type) =>
      handler(type as typeof PackOrder, (instance, context) => void read.set(context.messageId, Object.assign({}, instance))),
    )
    await shop.start(defineEndpoint('Shop.Reader', { handlers: reading }))

    for (const { message } of typed) shop.wire.publish('Shop.Reader', '', message)

    await expect.poll(() => read.size).toBe(typed.length)
    expect(typed.length).toBeGreaterThan(14)
    for (const { message, name } of typed)
      expect(numbers(read.get(String(message.properties['messageId']))), name).toEqual(
        numbers(JSON.parse(message.bodyText?.replace('\uFEFF', '') ?? '')),
      )
  })
})

/** Decimals as numbers: a message class may keep them as texts. */
function numbers(fields: unknown): unknown {
  return JSON.parse(JSON.stringify(fields), (_, value: unknown) =>
    typeof value === 'string' && /^-?\d+\.\d+$/.test(value) ? Number(value) : value,
  )
}

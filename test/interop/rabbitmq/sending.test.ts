import { beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type MessageSession, type RunningEndpoint, command, defineEndpoint, handler, route } from '../../../src/index.ts'
import {
  CancelOrder,
  ExpiringQuote,
  GetOrder,
  GetOrderCount,
  GetOrderStatus,
  IOrderCancelled,
  IOrderEvent,
  OrderDetails,
  OrderPlaced,
  OrderStatus,
  PackOrder,
  PlaceOrder,
  PriorityOrderPlaced,
  ReminderDue,
  sampleOrderId,
  shopHost,
} from '../../support/shop.ts'
import { readJson } from '../../../src/serialization/json-read.ts'
import { type System, system } from './endpoints.ts'
import { type WireMessage, delayExchanges, expectSame, recording, until, written } from './wire.ts'

// What endpoints of ours put on the wire, compared with what NServiceBus 10.2.8 put there.

let shop: System
let client: RunningEndpoint
let sender: RunningEndpoint
let server: RunningEndpoint

class KitchenSink extends command('Shop.Messages.KitchenSink', z.looseObject({}), { assembly: 'Shop.Messages' }) {}
const nothing = (): void => undefined
const toServer = [route('Shop.Messages', 'Shop.Server')]

beforeAll(async () => {
  shop = await system()
  server = await shop.start(defineEndpoint('Shop.Server', { host: shopHost, handlers: [handler(PackOrder, nothing)] }))
  await server.stop()
  const billing = [OrderPlaced, IOrderEvent, IOrderCancelled].map((event) => handler(event, nothing))
  await (await shop.start(defineEndpoint('Shop.Billing', { handlers: billing as never }))).stop()
  client = await shop.start(defineEndpoint('Shop.Client', { instance: '1', host: shopHost, routes: toServer }))
  sender = await shop.start(defineEndpoint('Shop.Sender', { sendOnly: true, host: shopHost, routes: toServer }))
})

const order = { OrderId: sampleOrderId }
const placeOrder = new PlaceOrder({
  ...order,
  Customer: 'Zoë & Sons <Ltd>',
  Total: '123.40',
  PlacedAt: '2026-03-01T09:30:15.25Z',
  Lines: [{ Sku: 'BOOK-1', Quantity: 2, UnitPrice: '61.70' }],
})
const placed = { ...order, Total: '123.40', Status: OrderStatus.Placed }
const sentTo = { destination: 'Shop.Server' }

/** The one message that reaches the queue of an endpoint while something is done. */
async function seen(endpoint: string, act: () => Promise<unknown>): Promise<WireMessage> {
  const messages = await shop.wire.spy([endpoint, ''])
  await act()
  const message = await until(messages, () => true)
  expect(messages).toHaveLength(1)
  return message
}

describe('what a client sends equals the recorded message: exchange, routing key, properties, headers and their types', () => {
  const cases: readonly { readonly name: string; readonly to?: string; act(session: MessageSession): Promise<unknown> }[] = [
    { name: 'send-command', act: (session) => session.send(placeOrder, sentTo) },
    { name: 'send-command-custom-header', act: (session) => session.send(placeOrder, { headers: { 'Shop.Tenant': 'acme-é' } }) },
    { name: 'send-command-custom-message-id', act: (session) => session.send(placeOrder, { messageId: 'order-0001' }) },
    {
      name: 'send-command-nonpersistent',
      act: (session) => session.send(placeOrder, { headers: { 'NServiceBus.Transport.RabbitMQ.UseNonPersistentDelivery': 'True' } }),
    },
    { name: 'send-command-sendonly', act: () => sender.send(placeOrder) },
    { name: 'send-ttbr', act: (session) => session.send(new ExpiringQuote(order)) },
    { name: 'reply-request', act: (session) => session.send(new CancelOrder({ ...order, Reason: null })) },
    { name: 'publish-class-event', to: 'Shop.Billing', act: (session) => session.publish(new OrderPlaced(placed)) },
    {
      name: 'publish-derived-event',
      to: 'Shop.Billing',
      act: (session) => session.publish(new PriorityOrderPlaced({ Priority: 9, ...placed })),
    },
    {
      name: 'publish-interface-event',
      to: 'Shop.Billing',
      act: (session) => session.publish(new IOrderCancelled({ Reason: 'Customer changed their mind', ...order })),
    },
  ]
  for (const { name, to = 'Shop.Server', ...each } of cases)
    it(`in ${name}`, async () => {
      expectSame(await seen(to, () => each.act(client)), recording(name))
    })

  const requests: readonly { readonly name: string; act(session: MessageSession): Promise<unknown> }[] = [
    { name: 'callback-enum-request', act: (session) => session.request(new GetOrderStatus(order), OrderStatus, { timeoutMs: 1 }) },
    {
      name: 'callback-int-request',
      act: (session) => session.request(new GetOrderCount({ Customer: 'Zoë & Sons <Ltd>' }), 'int', { timeoutMs: 1 }),
    },
    { name: 'callback-object-request', act: (session) => session.request(new GetOrder(order), OrderDetails, { timeoutMs: 1 }) },
  ]
  for (const { name, ...each } of requests)
    it(`CB-17 CB-21 in ${name}`, async () => {
      const message = await seen('Shop.Server', () => each.act(client).catch(nothing))

      expectSame(message, recording(name))
      expect(message.properties).toMatchObject({ correlationId: message.headers['NServiceBus.MessageId'], replyTo: 'Shop.Client-1' })
    })

  it('in sendlocal, headers in the recorded order', async () => {
    const message = await seen('Shop.Server', () => server.sendLocal(new PackOrder(order)))

    expectSame(message, recording('sendlocal'))
    expect(written(message)).toEqual(written(recording('sendlocal')))
  })

  it('in body-kitchensink-systemjson', async () => {
    const golden = recording<WireMessage & { readonly bodyBase64: string }>('body-kitchensink-systemjson')
    const everything = readJson(Buffer.from(golden.bodyBase64, 'base64')) as Record<string, unknown>

    const message = await seen('Shop.Server', () => client.send(new KitchenSink(everything)))

    expectSame(message, golden)
  })
})

describe('a send that cannot arrive', () => {
  it('RMQ-8 to a missing endpoint fails with its name, and what else is on its way arrives (send-to-missing-queue)', async () => {
    expect(recording<{ readonly exception: string }>('send-to-missing-queue').exception).toContain(`no exchange 'Shop.Missing'`)
    const arrived = await shop.wire.spy(['Shop.Server', ''])

    const outcomes = await Promise.allSettled(
      Array.from({ length: 101 }, (_, n) => client.send(new PackOrder(order), { destination: n === 50 ? 'Shop.Missing' : 'Shop.Server' })),
    )

    expect(outcomes.map(({ status }) => status === 'fulfilled')).toEqual(Array.from({ length: 101 }, (_, n) => n !== 50))
    expect(outcomes[50]).toMatchObject({ reason: { code: 'NSB_QUEUE_NOT_FOUND', message: expect.stringContaining(`'Shop.Missing'`) } })
    await expect.poll(() => arrived.length).toBe(100)
  })

  it('RMQ-9 to an exchange without a queue fails as unroutable, although the broker confirms it', async () => {
    await shop.wire.channel.assertExchange('Shop.Lost', 'fanout', { durable: true })

    await expect(client.send(new PackOrder(order), { destination: 'Shop.Lost' })).rejects.toMatchObject({
      code: 'NSB_UNROUTABLE',
      message: expect.stringMatching(/'Shop\.Lost' \(312 NO_ROUTE\)/),
    })
  })
})

describe('a deferred message', () => {
  it('RMQ-6 passes the recorded exchanges with the recorded routing keys and the delay as a 32-bit integer', async () => {
    const onTheWay = await shop.wire.spy(...delayExchanges)
    const arrived = await shop.wire.spy(['Shop.Server', ''])
    const delays: Readonly<Record<string, () => Parameters<MessageSession['send']>[1]>> = {
      'deferred-delay-0s': () => ({ delayDeliveryWith: 0 }),
      'deferred-delay-400ms': () => ({ delayDeliveryWith: 400 }),
      'deferred-delay-5s': () => ({ delayDeliveryWith: '5s' }),
      'deferred-at': () => ({ doNotDeliverBefore: new Date(Date.now() + 6000) }),
      'deferred-delay-100000s-first-hop': () => ({ delayDeliveryWith: '100000s' }),
    }
    const sentAt = performance.now()

    for (const [messageId, delay] of Object.entries(delays)) await sender.send(new ReminderDue(order), { messageId, ...delay() })

    await until(arrived, ({ properties }) => properties['messageId'] === 'deferred-delay-5s')
    expect(performance.now() - sentAt).toBeGreaterThanOrEqual(5000)
    await until(arrived, ({ properties }) => properties['messageId'] === 'deferred-at')
    const of =
      (name: string) =>
      ({ properties }: WireMessage): boolean =>
        properties['messageId'] === name
    for (const name of Object.keys(delays)) {
      const { hops = [], ...last } = withId(recording<WireMessage & { readonly hops?: readonly WireMessage[] }>(name), name)
      // What spies on one queue may come later than the message in another.
      await expect.poll(() => onTheWay.filter(of(name)), { message: name }).toHaveLength(Math.max(1, hops.length))
      const passed = onTheWay.filter(of(name))
      for (const [index, hop] of hops.entries()) expectSame(passed[index] as WireMessage, hop)
      // As the destination sees it; the one of a day is seen where it waits.
      expectSame((hops.length > 0 ? arrived : passed).find(of(name)) as WireMessage, last)
      expect(passed[0]?.headerWireTypes).toMatchObject({ 'NServiceBus.Transport.RabbitMQ.DelayInSeconds': 'I' })
      expect(written(passed[0] as WireMessage), name).toEqual(written(hops[0] ?? last))
    }
  })

  it('is refused beyond 2^28 - 1 s (deferred-too-long), and with a time to be received (deferred-with-ttbr)', async () => {
    expect(recording<{ readonly exception: string }>('deferred-too-long').exception).toContain('exceeds the maximum delay')
    expect(recording<{ readonly exception: string }>('deferred-with-ttbr').exception).toContain('is not supported')

    await expect(sender.send(new ReminderDue(order), { delayDeliveryWith: '268435456s' })).rejects.toMatchObject({
      code: 'NSB_DELAY_TOO_LONG',
      message: expect.stringContaining('268435455 s'),
    })
    await expect(sender.send(new ExpiringQuote(order), { delayDeliveryWith: '5s' })).rejects.toMatchObject({
      code: 'NSB_DELAYED_AND_EXPIRING',
    })
  })
})

/** With the id we send with for the recorded one. */
function withId<T extends WireMessage>(golden: T, id: string): T {
  return JSON.parse(JSON.stringify(golden).replaceAll(golden.properties['messageId'] as string, id)) as T
}

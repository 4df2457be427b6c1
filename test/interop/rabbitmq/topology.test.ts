import { beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { MessageInterface, command, defineEndpoint, event, handler } from '../../../src/index.ts'
import type { RabbitOptions } from '../../../src/transport/rabbitmq/transport.ts'
import { declaredArguments, isAtLeast } from '../../support/broker-version.ts'
import { IOrderCancelled, IOrderEvent, OrderPlaced, PlaceOrder, PriorityOrderPlaced, sampleOrderId, shopHost } from '../../support/shop.ts'
import { type System, system } from './endpoints.ts'
import { type WireMessage, expectSame, recording, until } from './wire.ts'

// What endpoints of ours create on an empty virtual host, compared with what NServiceBus created.

interface Binding {
  readonly source: string
  readonly destination: string
  readonly destination_type: 'queue' | 'exchange'
  readonly routing_key: string
  readonly arguments: Record<string, unknown>
}

interface Topology {
  readonly exchanges: readonly { readonly name: string; readonly type: string; readonly durable: boolean; readonly auto_delete: boolean }[]
  readonly queues: readonly { readonly name: string; readonly durable: boolean; readonly arguments: Record<string, unknown> }[]
  readonly bindings: readonly Binding[]
  readonly policies: readonly Row[]
}

interface RecordedTopology extends Topology {
  readonly afterFirstEndpoint: { readonly exchanges: readonly string[]; readonly queues: readonly string[] }
}

type Row = Readonly<Record<string, unknown>>

/** The fields that recordings have, in an order that does not depend on who was first. */
function rows(found: readonly Row[], fields: readonly string[]): readonly Row[] {
  return found
    .map((row) => Object.fromEntries(fields.map((field) => [field, row[field] ?? null])))
    .toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
}

const byName = (found: readonly Row[]): readonly Row[] => found.toSorted((a, b) => (String(a['name']) < String(b['name']) ? -1 : 1))

const fieldsOf = {
  exchanges: ['name', 'type', 'durable', 'auto_delete', 'internal', 'arguments'],
  queues: ['name', 'type', 'durable', 'auto_delete', 'exclusive', 'arguments'],
  bindings: ['source', 'destination', 'destination_type', 'routing_key', 'arguments'],
} as const

async function topologyOf({ host }: System): Promise<Record<keyof typeof fieldsOf | 'policies', readonly Row[]>> {
  const list = (what: string): Promise<readonly Row[]> => host.api('GET', `${what}/${host.name}`)
  const own = ({ name }: Row): boolean => name !== '' && !String(name).startsWith('amq.')
  return {
    exchanges: rows((await list('exchanges')).filter(own), fieldsOf.exchanges),
    queues: rows(
      (await list('queues')).filter(own).map((queue) => ({ ...queue, arguments: declaredArguments(queue['arguments']) })),
      fieldsOf.queues,
    ),
    bindings: rows(
      (await list('bindings')).filter(({ source }) => source !== ''),
      fieldsOf.bindings,
    ),
    policies: byName(await list('policies')),
  }
}

const nothing = (): void => undefined
const billing = defineEndpoint('Shop.Billing', {
  host: shopHost,
  handlers: [handler(OrderPlaced, nothing), handler(IOrderEvent, nothing), handler(IOrderCancelled, nothing)],
})
const order = { OrderId: sampleOrderId }
const placed = { ...order, Total: '123.40', Status: 1 }

/** Starts the recorded endpoints in the recorded order; they stop again, and what they made stays. */
async function startAll(
  shop: System,
  options: Partial<RabbitOptions>,
  afterFirst: () => Promise<void> = async () => undefined,
): Promise<void> {
  const server = defineEndpoint('Shop.Server', { auditQueue: 'audit', handlers: [handler(PlaceOrder, nothing)] })
  const started = [await shop.start(server, options)]
  await afterFirst()
  started.push(await shop.start(billing, options))
  const client = await shop.start(defineEndpoint('Shop.Client', { instance: '1' }), options)
  await client.publish(new PriorityOrderPlaced({ Priority: 9, ...placed }))
  await client.publish(new IOrderCancelled({ Reason: 'none', ...order }))
  await Promise.all([...started, client].map((endpoint) => endpoint.stop()))
}

describe.each([
  ['topology-quorum', { queueType: 'quorum' }],
  ['topology-classic', { queueType: 'classic' }],
  ['topology-direct', { topology: 'direct' }],
] as const)('in %s', (name, options) => {
  const golden = recording<RecordedTopology>(name)

  it('RMQ-1 exchanges, queues, arguments and bindings equal those of NServiceBus, after the first endpoint and after all', async () => {
    const shop = await system()

    await startAll(shop, options, async () => {
      const { exchanges, queues } = await topologyOf(shop)
      expect({ exchanges: exchanges.map((each) => each['name']), queues: queues.map((each) => each['name']) }).toEqual({
        exchanges: golden.afterFirstEndpoint.exchanges.toSorted(),
        queues: golden.afterFirstEndpoint.queues.toSorted(),
      })
    })

    const ours = await topologyOf(shop)
    for (const kind of ['exchanges', 'queues', 'bindings'] as const)
      expect(ours[kind], kind).toEqual(rows(golden[kind] as never, fieldsOf[kind]))
    await expect.poll(async () => (await topologyOf(shop)).policies).toEqual(byName([...golden.policies, ...limitPolicies(shop, golden)]))
  })

  it('RMQ-2 endpoints of ours start where NServiceBus has created everything', async () => {
    const shop = await system()
    await declareAll(shop, golden)

    await startAll(shop, options)

    const ours = await topologyOf(shop)
    expect(ours.exchanges).toEqual(rows(golden.exchanges as never, fieldsOf.exchanges))
    expect(ours.queues).toEqual(rows(golden.queues as never, fieldsOf.queues))
    // The reverse: the declarations of NServiceBus where all is there already raise no 406 either.
    await declareAll(shop, golden)
  })
})

/** What lifts the limit that newer brokers have for every quorum queue; it is written for those that are received from. */
function limitPolicies({ host }: System, { queues }: Topology): readonly Row[] {
  if (!isAtLeast(4)) return []
  const received = queues.filter(({ arguments: { 'x-queue-type': type }, name }) => type === 'quorum' && name.startsWith('Shop.'))
  return received.map(({ name }) => ({
    vhost: host.name,
    name: `nsb.${name}.delivery-limit`,
    pattern: `^${name.replaceAll('.', String.raw`\.`)}$`,
    'apply-to': 'quorum_queues',
    definition: { 'delivery-limit': 100_000 },
    priority: 0,
  }))
}

/** As a .NET endpoint declares it. */
async function declareAll({ wire: { channel } }: System, { bindings, exchanges, queues }: Topology): Promise<void> {
  for (const { auto_delete: autoDelete, durable, name, type } of exchanges)
    await channel.assertExchange(name, type, { durable, autoDelete })
  for (const queue of queues) await channel.assertQueue(queue.name, { durable: queue.durable, arguments: queue.arguments })
  for (const binding of bindings)
    await (binding.destination_type === 'queue'
      ? channel.bindQueue(binding.destination, binding.source, binding.routing_key, binding.arguments)
      : channel.bindExchange(binding.destination, binding.source, binding.routing_key, binding.arguments))
}

describe('an event', () => {
  let shop: System
  beforeAll(async () => {
    shop = await system()
  })

  it('RMQ-4 of NServiceBus reaches a subscriber of ours to its base class', async () => {
    const seen: unknown[] = []
    await shop.start(defineEndpoint('Shop.Stock', { handlers: [handler(OrderPlaced, (placing) => void seen.push(placing.OrderId))] }))
    const { channel } = shop.wire
    // Whoever publishes the derived event declares it, and what it is bound to.
    await channel.assertExchange('Shop.Messages:PriorityOrderPlaced', 'fanout', { durable: true })
    await channel.bindExchange('Shop.Messages:OrderPlaced', 'Shop.Messages:PriorityOrderPlaced', '')

    shop.wire.publish('Shop.Messages:PriorityOrderPlaced', '', recording('publish-derived-event'))

    await expect.poll(() => seen).toEqual([sampleOrderId])
  })

  it('RMQ-3 of ours reaches subscribers of its class, its base class and each of its interfaces, once each', async () => {
    class IAuditable extends MessageInterface<object>('Sales.IAuditable') {}
    class IDated extends MessageInterface<object>('Sales.IDated') {}
    class OrderEvent extends event('Sales.OrderEvent', z.object({})) {}
    class OrderMoved extends event('Sales.OrderMoved', z.object({}), { implements: [OrderEvent, IAuditable, IDated] }) {}
    const { channel } = shop.wire
    // Their endpoints have started once, and know nothing of the class that is published.
    const exchanges = ['Sales:OrderMoved', 'Sales:OrderEvent', 'Sales:IAuditable', 'Sales:IDated', 'System:Object', 'NServiceBus:IEvent']
    const subscribers: (readonly WireMessage[])[] = []
    for (const exchange of exchanges) {
      await channel.assertExchange(exchange, 'fanout', { durable: true })
      subscribers.push(await shop.wire.spy([exchange, '']))
    }
    const client = await shop.start(defineEndpoint('Sales.Client', { instance: '1' }))

    await client.publish(new OrderMoved({}))
    await client.publish(new OrderMoved({}))

    await expect.poll(() => subscribers.map((messages) => messages.length)).toEqual(exchanges.map(() => 2))
  })

  it('is not bound to again after unsubscribing, and still arrives by another binding: unsubscribe', async () => {
    const golden = recording<{ readonly [key in 'bindingsBefore' | 'bindingsAfter' | 'handlersRunAfterwards']: string[] }>('unsubscribe')
    const ran: string[] = []
    const names = ['Shop.Handlers.OrderPlacedHandler', 'Shop.Handlers.OrderEventHandler', 'Shop.Handlers.OrderCancelledHandler']
    const handlers = [OrderPlaced, IOrderEvent, IOrderCancelled].map((type, index) =>
      handler(type as typeof OrderPlaced, () => void ran.push(names[index] as string), { name: names[index] as string }),
    )
    const endpoint = await shop.start(defineEndpoint('Shop.Billing', { handlers }))
    const bindings = async (): Promise<string[]> => {
      const all = await shop.host.api<Binding[]>('GET', `bindings/${shop.host.name}`)
      return all
        .filter(({ destination }) => destination === 'Shop.Billing')
        .map(({ destination, destination_type: type, source }) => `${source} -> ${type} ${destination}`)
        .toSorted()
    }
    expect(await bindings()).toEqual(golden.bindingsBefore)

    await endpoint.unsubscribe(OrderPlaced)

    expect(await bindings()).toEqual(golden.bindingsAfter)
    const client = await shop.start(defineEndpoint('Shop.Client', { sendOnly: true }))
    await client.publish(new OrderPlaced(placed))
    await expect.poll(() => ran).toEqual(golden.handlersRunAfterwards)
    // Nothing to unbind is no error.
    await endpoint.unsubscribe(OrderPlaced)
  })

  it('of any class reaches who subscribed to NServiceBus.IEvent, on a broker without events too', async () => {
    const empty = await system()
    const log = { endpoint: 'Sales.Log', queue: 'Sales.Log' }
    const transport = empty.transport('Sales.Log')
    await transport.createQueues(['Sales.Log'])
    const everything = { fullName: 'NServiceBus.IEvent', kind: 'interface', base: undefined, interfaces: [] } as const

    await transport.subscribe(log, everything)

    const seen = await empty.wire.spy(['Sales.Log', ''])
    await (await empty.start(defineEndpoint('Sales.Client', { sendOnly: true }))).publish(new OrderPlaced(placed))
    await until(seen, ({ exchange }) => exchange === 'Shop.Messages:OrderPlaced')

    await transport.unsubscribe(log, everything)

    const { bindings } = await topologyOf(empty)
    expect(bindings.filter(({ destination, source }) => destination === 'Sales.Log' && source === 'System:Object')).toEqual([])
  })

  it('of the direct topology has the routing key of its type, and reaches the queue that is bound to it', async () => {
    const direct = await system()
    const ran: string[] = []
    await direct.start(
      defineEndpoint('Shop.Billing', {
        handlers: [handler(OrderPlaced, () => void ran.push('class')), handler(IOrderCancelled, () => void ran.push('interface'))],
      }),
      { topology: 'direct' },
    )
    const seen = await direct.wire.spy(['amq.topic', '#'])
    const client = await direct.start(defineEndpoint('Shop.Client', { instance: '1', host: shopHost }), { topology: 'direct' })

    await client.publish(new PriorityOrderPlaced({ Priority: 9, ...placed }))
    await client.publish(new IOrderCancelled({ Reason: 'Customer changed their mind', ...order }))

    await expect.poll(() => ran).toEqual(['class', 'interface'])
    expect(seen.map(({ exchange, routingKey }) => [exchange, routingKey])).toEqual([
      ['amq.topic', 'Shop-Messages-IOrderEvent.Shop-Messages-OrderPlaced.Shop-Messages-IOrderEvent.Shop-Messages-PriorityOrderPlaced'],
      ['amq.topic', 'Shop-Messages-IOrderEvent.Shop-Messages-IOrderCancelled'],
    ])
    const { exchange: _exchange, routingKey: _key, ...message } = recording('publish-interface-event')
    expectSame(seen[1] as WireMessage, message)
  })
})

describe('a delayed message', () => {
  class Remind extends command('Shop.Messages.Remind', z.object({})) {}

  it('RMQ-7 can be moved as the .NET tool moves it: its delay is an Int32, its destination begins at index 56 of its key', async () => {
    const shop = await system()
    const client = await shop.start(defineEndpoint('Shop.Client', { instance: '1' }))
    const level = await shop.wire.spy(['nsb.v2.delay-level-08', '#'])

    await client.sendLocal(new Remind({}), { delayDeliveryWith: '300s' })

    const { headers, headerWireTypes, routingKey } = await until(level, () => true)
    expect(headerWireTypes['NServiceBus.Transport.RabbitMQ.DelayInSeconds']).toBe('I')
    expect(headers['NServiceBus.Transport.RabbitMQ.DelayInSeconds']).toBe(300)
    expect(headers['NServiceBus.TimeSent']).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d:\d{6} Z$/)
    expect([routingKey.slice(56), routingKey.length]).toEqual(['Shop.Client', 56 + 'Shop.Client'.length])
  })
})

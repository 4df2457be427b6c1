import type { EventType } from '../../transport/transport.ts'
import type { CaseWorld, ContractGroup } from './contract.ts'
import { contents, depthIs, message, openWithQueue, same } from './support.ts'

const systemObject: EventType = { fullName: 'System.Object', kind: 'class', base: undefined, interfaces: [] }
const iMessage: EventType = { fullName: 'NServiceBus.IMessage', kind: 'interface', base: undefined, interfaces: [] }
const iEvent: EventType = { fullName: 'NServiceBus.IEvent', kind: 'interface', base: undefined, interfaces: [iMessage] }
const markers = [iEvent, iMessage]

/** PriorityOrderPlaced : OrderPlaced : IOrderEvent */
function hierarchy(world: CaseWorld): { readonly derived: EventType; readonly base: EventType; readonly iface: EventType } {
  const iface: EventType = { fullName: world.unique('Shop.IOrderEvent'), kind: 'interface', base: undefined, interfaces: markers }
  const base: EventType = { fullName: world.unique('Shop.OrderPlaced'), kind: 'class', base: systemObject, interfaces: [iface, ...markers] }
  const derived: EventType = { fullName: world.unique('Shop.PriorityOrderPlaced'), kind: 'class', base, interfaces: [iface, ...markers] }
  return { derived, base, iface }
}

export const pubsub: ContractGroup = {
  name: 'pubsub',
  cases: [
    {
      name: 'subscribers of the event, of its base class and of an interface get one copy each',
      async run(world) {
        const { transport } = await openWithQueue(world)
        const { derived, base, iface } = hierarchy(world)
        const queues = ['derived', 'base', 'interface', 'all', 'other'].map((name) => world.unique(name)) as [
          string,
          string,
          string,
          string,
          string,
        ]
        await transport.createQueues(queues)
        const subscribe = (queue: string, event: EventType): Promise<void> => transport.subscribe({ endpoint: queue, queue }, event)
        await subscribe(queues[0], derived)
        await subscribe(queues[1], base)
        await subscribe(queues[2], iface)
        for (const event of [derived, base, iface]) await subscribe(queues[3], event)
        await subscribe(queues[4], {
          fullName: world.unique('Shop.OrderCancelled'),
          kind: 'class',
          base: systemObject,
          interfaces: markers,
        })

        await transport.dispatch([message('published', '', { to: { event: derived } })])

        for (const queue of queues.slice(0, 4)) {
          await depthIs(transport, queue, 1)
          same(await contents(transport, queue), ['published'])
        }
        await depthIs(transport, queues[4], 0)
      },
    },
    {
      name: 'a subscriber of a derived event does not get the base event',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const { derived, base } = hierarchy(world)
        const other = world.unique('base')
        await transport.createQueues([other])
        await transport.subscribe({ endpoint: queue, queue }, derived)
        await transport.subscribe({ endpoint: other, queue: other }, base)

        await transport.dispatch([message('published', '', { to: { event: base } })])

        await depthIs(transport, other, 1)
        await depthIs(transport, queue, 0)
      },
    },
    {
      name: 'an interface can be published',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const { iface } = hierarchy(world)
        await transport.subscribe({ endpoint: queue, queue }, iface)

        await transport.dispatch([message('published', '', { to: { event: iface } })])

        await depthIs(transport, queue, 1)
      },
    },
    {
      name: 'subscribing again changes nothing, and unsubscribing ends it',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const { base } = hierarchy(world)
        const subscriber = { endpoint: queue, queue }
        const other = world.unique('other')
        await transport.createQueues([other])
        await transport.subscribe({ endpoint: other, queue: other }, base)
        await transport.subscribe(subscriber, base)
        await transport.subscribe(subscriber, base)
        await transport.dispatch([message('first', '', { to: { event: base } })])
        await depthIs(transport, queue, 1)

        await transport.unsubscribe(subscriber, base)
        await transport.unsubscribe(subscriber, base)
        await transport.dispatch([message('second', '', { to: { event: base } })])

        await depthIs(transport, other, 2)
        same(await contents(transport, queue), ['first'])
      },
    },
    {
      name: 'a subscription outlives its subscriber',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const { base } = hierarchy(world)
        await transport.subscribe({ endpoint: queue, queue }, base)
        await transport.close()

        const publisher = await world.open()
        await publisher.dispatch([message('published', '', { to: { event: base } })])

        await depthIs(publisher, queue, 1)
      },
    },
    {
      name: 'an event without subscribers goes nowhere, and that is no error',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)

        await transport.dispatch([message('published', '', { to: { event: hierarchy(world).derived } })])

        await depthIs(transport, queue, 0)
      },
    },
  ],
}

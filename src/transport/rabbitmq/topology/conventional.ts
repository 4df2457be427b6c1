import type { Channel } from 'amqplib'
import type { EventType } from '../../../message/event-type.ts'
import { delayBindingKey, deliveryExchange } from '../delay.ts'
import { checkQueueName } from '../queue-name.ts'
import { type Topology, type TopologySettings, declareQueue } from './topology.ts'

/**
 * A fanout exchange for each address and each event type; types are bound to what they derive from.
 *
 * @source NServiceBus.RabbitMQ: ConventionalRoutingTopology
 */
export function conventionalTopology(settings: TopologySettings): Topology {
  const { durable } = settings
  const declareExchange = async (channel: Channel, name: string): Promise<void> => {
    await channel.assertExchange(name, 'fanout', { durable })
  }

  /** Base classes up to System.Object, and every interface bound directly to the type itself. */
  const declareEvent = async (channel: Channel, event: EventType): Promise<void> => {
    const declared = new Set<string>()
    const declare = async (name: string): Promise<void> => {
      if (declared.has(name)) return
      declared.add(name)
      await declareExchange(channel, name)
    }
    const own = exchangeOf(event)
    await declare(own)
    for (let type = event; type.base; type = type.base) {
      await declare(exchangeOf(type.base))
      await channel.bindExchange(exchangeOf(type.base), exchangeOf(type), '')
    }
    for (const parent of allInterfaces(event)) {
      await declare(exchangeOf(parent))
      await channel.bindExchange(exchangeOf(parent), own, '')
    }
  }

  return {
    name: 'conventional',
    hasAddressExchanges: true,
    async createQueue(channel, address, lifetime) {
      await declareQueue(channel, address, settings, lifetime)
      // The exchange of a queue that goes by itself goes with it.
      await channel.assertExchange(address, 'fanout', { durable, autoDelete: lifetime?.expiresAfterMs !== undefined })
      await channel.bindQueue(address, address, '')
    },
    async removeQueue(channel, address) {
      await channel.deleteQueue(address)
      await channel.deleteExchange(address)
    },
    async bindForDelay(channel, address) {
      await channel.bindExchange(address, deliveryExchange, delayBindingKey(address))
    },
    routeTo: (address) => ({ exchange: address, routingKey: '' }),
    routeOf: (event) => ({ exchange: exchangeOf(event), routingKey: '' }),
    declareEvent,
    async subscribe(channel, address, event) {
      await declareEvent(channel, subscribed(event))
      await channel.bindExchange(address, exchangeOf(subscribed(event)), '')
    },
    async unsubscribe(channel, address, event) {
      await channel.unbindExchange(address, exchangeOf(subscribed(event)), '')
    },
  }
}

const systemObject = 'System.Object'

/** Who subscribes to the marker gets every class event: the exchange of the root of all classes has them. */
function subscribed(event: EventType): EventType {
  return event.fullName === 'NServiceBus.IEvent' ? { fullName: systemObject, kind: 'class', base: undefined, interfaces: [] } : event
}

/**
 * `Namespace:Name`: the outer name of a nested type and the arguments of a generic one are lost.
 *
 * @throws {NsbError} NSB_BAD_NAME
 */
export function exchangeOf({ fullName }: EventType): string {
  // The arguments of a closed generic hold dots of their own.
  const open = fullName.split('[', 1)[0] as string
  const dot = open.lastIndexOf('.')
  const name = open.slice(dot + 1)
  return checkQueueName(`${dot < 0 ? '' : open.slice(0, dot)}:${name.slice(name.lastIndexOf('+') + 1)}`, 'an exchange')
}

/** As reflection reports them: own, those of base classes, and those of interfaces, each once. */
export function allInterfaces(event: EventType): readonly EventType[] {
  const found = new Map<string, EventType>()
  const visit = (type: EventType): void => {
    for (const parent of type.interfaces) {
      if (!found.has(parent.fullName)) found.set(parent.fullName, parent)
      visit(parent)
    }
    if (type.base) visit(type.base)
  }
  visit(event)
  return [...found.values()]
}

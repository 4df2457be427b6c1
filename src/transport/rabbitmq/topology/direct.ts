import type { EventType } from '../../../message/event-type.ts'
import { NsbError } from '../../../message/nsb-error.ts'
import { delayBindingKey, deliveryExchange } from '../delay.ts'
import { type Topology, type TopologySettings, declareQueue } from './topology.ts'

export interface DirectSettings extends TopologySettings {
  /** The topic exchange of all events; default: `amq.topic`, which every broker has. */
  readonly exchange?: string
}

const builtIn = 'amq.topic'

/**
 * Queues are reached through the default exchange, events through one topic exchange.
 *
 * @source NServiceBus.RabbitMQ: DirectRoutingTopology, DefaultRoutingKeyConvention
 */
export function directTopology(settings: DirectSettings): Topology {
  const exchange = settings.exchange ?? builtIn
  return {
    name: 'direct',
    hasAddressExchanges: false,
    createQueue: (channel, address, lifetime) => declareQueue(channel, address, settings, lifetime),
    async removeQueue(channel, address) {
      await channel.deleteQueue(address)
    },
    async bindForDelay(channel, address) {
      await channel.bindQueue(address, deliveryExchange, delayBindingKey(address))
    },
    routeTo: (address) => ({ exchange: '', routingKey: address }),
    routeOf: (event) => ({ exchange, routingKey: checkedKey(routingKeyOf(event)) }),
    async declareEvent(channel) {
      if (exchange !== builtIn) await channel.assertExchange(exchange, 'topic', { durable: settings.durable })
    },
    async subscribe(channel, address, event) {
      if (exchange !== builtIn) await channel.assertExchange(exchange, 'topic', { durable: settings.durable })
      await channel.bindQueue(address, exchange, bindingKeyOf(event))
    },
    async unsubscribe(channel, address, event) {
      await channel.unbindQueue(address, exchange, bindingKeyOf(event))
    },
  }
}

const markers = new Set(['NServiceBus.IMessage', 'NServiceBus.ICommand', 'NServiceBus.IEvent'])
const isSystem = ({ fullName }: EventType): boolean => fullName.startsWith('System.')

/** Base classes first, then the first interface, then the type itself; dots of a name become dashes. */
export function routingKeyOf(event: EventType): string {
  const own = event.fullName.replaceAll('.', '-')
  const parent = event.interfaces.find((type) => !isSystem(type) && !markers.has(type.fullName))
  return [event.base && !isSystem(event.base) ? routingKeyOf(event.base) : '', parent ? routingKeyOf(parent) : '', own]
    .filter(Boolean)
    .join('.')
}

function bindingKeyOf(event: EventType): string {
  return event.fullName === 'NServiceBus.IEvent' || event.fullName === 'System.Object' ? '#' : `${checkedKey(routingKeyOf(event))}.#`
}

function checkedKey(key: string): string {
  if (Buffer.byteLength(key) <= 253) return key
  throw new NsbError({
    code: 'NSB_ROUTING_KEY_TOO_LONG',
    message: `The routing key of an event is longer than the 255 bytes that AMQP allows: ${key.slice(0, 120)}…`,
    suggestions: ['Shorten the names of its base classes, or use the conventional topology'],
  })
}

import type { Channel } from 'amqplib'
import type { EventType } from '../../../message/event-type.ts'

export type QueueType = 'quorum' | 'classic'

/** Of a queue that is not an endpoint's; such a queue is classic, and not worth being kept on several nodes. */
export interface QueueLifetime {
  /** It goes when nobody used it for this long. */
  readonly expiresAfterMs?: number
  readonly messagesExpireAfterMs?: number
  /** With more than so many the oldest go. */
  readonly mostMessages?: number
}

export interface TopologySettings {
  readonly queueType: QueueType
  /** Whether exchanges and classic queues survive a restart of the broker; default: true. */
  readonly durable: boolean
}

/** Where on the broker a message is published. */
export interface Route {
  readonly exchange: string
  readonly routingKey: string
}

/**
 * How endpoints reach each other on a broker. All endpoints of a system use the same. Equal to what the .NET transport declares,
 * so that it does not matter who comes first.
 */
export interface Topology {
  readonly name: 'conventional' | 'direct'
  /** Each address has an exchange of its own, to which a tap can be bound. */
  readonly hasAddressExchanges: boolean
  /** Declares the queue of an address and what leads to it. */
  createQueue(channel: Channel, address: string, lifetime?: QueueLifetime): Promise<void>
  removeQueue(channel: Channel, address: string): Promise<void>
  bindForDelay(channel: Channel, address: string): Promise<void>
  routeTo(address: string): Route
  routeOf(event: EventType): Route
  /** What has to be there before the first event of a type is published. */
  declareEvent(channel: Channel, event: EventType): Promise<void>
  subscribe(channel: Channel, address: string, event: EventType): Promise<void>
  unsubscribe(channel: Channel, address: string, event: EventType): Promise<void>
}

/** Declares a queue as the .NET transport does: quorum with that one argument, classic with none. */
export async function declareQueue(channel: Channel, name: string, settings: TopologySettings, lifetime?: QueueLifetime): Promise<void> {
  const quorum = settings.queueType === 'quorum' && lifetime === undefined
  await channel.assertQueue(name, {
    durable: quorum || settings.durable,
    ...(lifetime?.expiresAfterMs === undefined ? {} : { expires: lifetime.expiresAfterMs }),
    ...(lifetime?.messagesExpireAfterMs === undefined ? {} : { messageTtl: lifetime.messagesExpireAfterMs }),
    ...(lifetime?.mostMessages === undefined ? {} : { maxLength: lifetime.mostMessages }),
    ...(quorum ? { arguments: { 'x-queue-type': 'quorum' } } : {}),
  })
}

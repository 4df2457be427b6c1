import type { Channel } from 'amqplib'
import { NsbError } from '../../message/nsb-error.ts'

const levels = 28
export const deliveryExchange = 'nsb.v2.delay-delivery'
/** About 8.5 years. @source NServiceBus.RabbitMQ: DelayInfrastructure */
export const maxDelaySeconds = 2 ** levels - 1

/** What the 28 digits and dots leave of a routing key. */
const longestAddress = 255 - 2 * levels

const levelName = (level: number): string => `nsb.v2.delay-level-${String(level).padStart(2, '0')}`

/** Queues and exchanges of the delay infrastructure, old and new, and what .NET transports leave behind: no application's. */
export function isInfrastructure(name: string): boolean {
  return /^nsb\.(v2\.)?delay-(level-\d\d|delivery)$/.test(name) || name === 'nsb.v2.verify-stream-flag-enabled'
}

/**
 * Whole seconds to wait from `now` until `deliverAt`, both in ms; never less than asked for.
 *
 * @throws {NsbError} NSB_DELAY_TOO_LONG
 */
export function delaySeconds(deliverAt: number, now: number): number {
  // Times are rounded up to whole ms on the way here, which must not make another second of them.
  const seconds = Math.max(0, Math.ceil((deliverAt - now - 1) / 1000))
  if (seconds <= maxDelaySeconds) return seconds
  throw new NsbError({
    code: 'NSB_DELAY_TOO_LONG',
    message: `A message cannot be delayed for ${seconds} s: RabbitMQ endpoints delay for ${maxDelaySeconds} s (8.5 years) at most.`,
    suggestions: ['Send it when it is due'],
  })
}

/**
 * Where a delayed message for an address is published.
 *
 * @throws {NsbError} NSB_ROUTING_KEY_TOO_LONG
 * @source NServiceBus.RabbitMQ: DelayInfrastructure.CalculateRoutingKey
 */
export function delayRoute(seconds: number, address: string): { readonly exchange: string; readonly routingKey: string } {
  let key = ''
  for (let level = levels - 1; level >= 0; level--) key += `${(seconds >> level) & 1}.`
  if (Buffer.byteLength(address) > longestAddress)
    throw new NsbError({
      code: 'NSB_ROUTING_KEY_TOO_LONG',
      message: `A message for '${address.slice(0, 120)}…' cannot be delayed: its routing key is longer than the 255 bytes that AMQP allows.`,
      suggestions: [`Use an address of at most ${longestAddress} bytes`],
    })
  return { exchange: levelName(Math.max(0, 31 - Math.clz32(seconds))), routingKey: key + address }
}

/** What a destination is bound to the delivery exchange with. A `#` matches dots too: `Orders` also gets what is for `Sales.Orders`. */
export const delayBindingKey = (address: string): string => `#.${address}`

/** Declares the 28 levels and the delivery exchange; what exists stays. @source NServiceBus.RabbitMQ: DelayInfrastructure.Build */
export async function declareDelayInfrastructure(channel: Channel): Promise<void> {
  const work: Promise<unknown>[] = []
  work.push(channel.assertExchange(deliveryExchange, 'topic', { durable: true }))
  for (let level = 0; level < levels; level++) {
    const name = levelName(level)
    const below = level === 0 ? deliveryExchange : levelName(level - 1)
    const prefix = '*.'.repeat(levels - 1 - level)
    work.push(
      channel.assertExchange(name, 'topic', { durable: true }),
      channel.assertQueue(name, {
        durable: true,
        arguments: {
          'x-queue-type': 'quorum',
          'x-dead-letter-strategy': 'at-least-once',
          'x-overflow': 'reject-publish',
          'x-message-ttl': 2 ** level * 1000,
          'x-dead-letter-exchange': below,
        },
      }),
      channel.bindQueue(name, name, `${prefix}1.#`),
      channel.bindExchange(below, name, `${prefix}0.#`),
    )
  }
  await Promise.all(work)
}

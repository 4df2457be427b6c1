import type { Message } from 'amqplib'
import { NsbError } from '../../message/nsb-error.ts'
import { QueueNotFoundError } from '../queue-not-found.ts'
import type { Destination, OutgoingMessage } from '../transport.ts'
import type { ConnectionSettings } from './connection-settings.ts'
import { delaySeconds } from './delay.ts'
import type { NativeProperties } from './outgoing.ts'
import type { Publication } from './publication.ts'

/** The address, queue or event type that a message is for. */
export function addressOf(to: Destination): string {
  return 'address' in to ? to.address : 'exactQueue' in to ? to.exactQueue : to.event.fullName
}

export function targetOf({ exchange, routingKey, to }: Publication): string {
  return to ? addressOf(to) : exchange || routingKey
}

export function noQueue(address: string, settings: ConnectionSettings): NsbError {
  return new QueueNotFoundError(address, [], `on ${settings.toString()}`)
}

/** The broker has sent the message back. */
export function unroutable(publication: Publication, { fields }: Message, settings: ConnectionSettings): NsbError {
  const { to } = publication
  if (to && 'exactQueue' in to) return noQueue(to.exactQueue, settings)
  if (to && 'address' in to && publication.exchange === '') return noQueue(to.address, settings)
  const { replyCode: code, replyText: text } = fields as { readonly replyCode?: number; readonly replyText?: string }
  return new NsbError({
    code: 'NSB_UNROUTABLE',
    message: `Message could not be routed to '${targetOf(publication)}' (${code ?? ''} ${text ?? ''}): the exchange '${fields.exchange}' has no queue for it.`,
    suggestions: ['Start its endpoint once, so that it creates its queue'],
  })
}

export function nacked(publication: Publication): NsbError {
  return new NsbError({
    code: 'NSB_NACKED',
    message: `The broker refused a message for '${targetOf(publication)}': a queue is full or has failed.`,
    suggestions: ['Look at the queue and its limits, then send it again'],
  })
}

/** The broker ended the channel because of it. */
export function messageTooLarge(publication: Publication, limit: number): NsbError {
  const size = publication.content.length
  return new NsbError({
    code: 'NSB_MESSAGE_TOO_LARGE',
    message: `The body of a message for '${targetOf(publication)}' is ${size} bytes, and the broker takes no more than ${limit}.`,
    suggestions: ['Send a reference to the data instead', "Or raise 'max_message_size' of the broker"],
    details: { bodyBytes: size, limit },
  })
}

/** @throws {NsbError} NSB_DELAYED_EVENT, NSB_DELAYED_AND_EXPIRING, NSB_DELAY_TOO_LONG */
export function checkedDelay({ expiresAfterMs, id, to }: OutgoingMessage, deliverAt: Date, now: number): number {
  if ('event' in to)
    throw new NsbError({
      code: 'NSB_DELAYED_EVENT',
      message: `The event '${to.event.fullName}' cannot be delayed: RabbitMQ delays what goes to one queue.`,
    })
  if (expiresAfterMs !== undefined)
    throw new NsbError({
      code: 'NSB_DELAYED_AND_EXPIRING',
      message: `Message '${id}' is delayed and has a time to be received; RabbitMQ cannot do both.`,
      suggestions: ['Leave one of the two out'],
    })
  return delaySeconds(deliverAt.getTime(), now)
}

export function noConfirm(publication: Publication, timeoutMs: number, blocked: string | undefined): NsbError {
  return new NsbError({
    code: 'NSB_NO_CONFIRM',
    message: `The broker did not confirm a message for '${targetOf(publication)}' within ${timeoutMs} ms${blocked === undefined ? '' : `; it takes none now: ${blocked}`}. Whether it arrives is not known.`,
    suggestions: ['Look at the broker, then at the queue, before sending it again'],
  })
}

/** Who sent it was interrupted while the broker took no messages. */
export function leftUnconfirmed(publication: Publication, blocked: string): NsbError {
  return new NsbError({
    code: 'NSB_NO_CONFIRM',
    message: `A message for '${targetOf(publication)}' was not confirmed when it was interrupted: the broker takes none now: ${blocked}. Whether it arrives is not known.`,
    suggestions: ['Look at the broker, then at the queue, before sending it again'],
  })
}

/** The same for one that had not been sent yet. */
export function notSent(publication: Publication, blocked: string): NsbError {
  return new NsbError({
    code: 'NSB_NOT_SENT',
    message: `A message for '${targetOf(publication)}' was not sent: it was interrupted while the broker took none: ${blocked}.`,
    suggestions: ['Send it again when the broker takes messages'],
  })
}

/** @param room for the properties of a message, in bytes; undefined: the connection is gone */
export function tooLarge({ headers }: NativeProperties, room: number | undefined, cause: RangeError): NsbError {
  const sizes = Object.entries(headers)
    .map(([name, value]) => ({ name, size: typeof value === 'string' ? Buffer.byteLength(value) : 8 }))
    .toSorted((a, b) => b.size - a.size)
  return new NsbError({
    code: 'NSB_HEADERS_TOO_LARGE',
    message: `The headers of a message are ${sizes.reduce((sum, { name, size }) => sum + name.length + size + 6, 0)} bytes; the broker takes ${room ?? 'fewer'} for all properties together, and 255 for a name. The largest: ${sizes
      .slice(0, 3)
      .map(({ name, size }) => `'${name.slice(0, 60)}' (${size})`)
      .join(', ')}.`,
    suggestions: ['Put large data into the body'],
    cause,
  })
}

import type { Channel, ConfirmChannel, Message, Options } from 'amqplib'
import type { Destination } from '../transport.ts'
import type { NativeProperties } from './outgoing.ts'

/** Messages that are dispatched together: done when all of them are settled, with the first error if there is one. */
export class Batch {
  #left: number
  #failed: unknown
  readonly #resolve: () => void
  readonly #reject: (error: unknown) => void

  constructor(size: number, resolve: () => void, reject: (error: unknown) => void) {
    this.#left = size
    this.#resolve = resolve
    this.#reject = reject
  }

  settle(error: unknown): void {
    this.#failed ??= error
    if (--this.#left > 0) return
    if (this.#failed === undefined) this.#resolve()
    else this.#reject(this.#failed)
  }
}

/**
 * A message on its way to the broker. As few objects as possible belong to it: thousands are alive at once, and what lives for a
 * moment costs more to collect than to make. The first fields are those of AMQP's `basic.publish`.
 */
export class Publication {
  exchange: string
  routingKey: string
  /** What cannot be routed comes back, and counts as failed. */
  readonly mandatory: boolean
  readonly immediate = false
  readonly ticket = undefined
  readonly content: Buffer
  properties: NativeProperties
  readonly to: Destination | undefined
  readonly batch: Batch
  publishedAt = 0
  /** It came back before its confirm. */
  returned: Message | undefined = undefined
  /** It was on a channel that ended because of another message, and was published again. */
  again = false
  settled = false
  /** On its way to the error queue: headers that cannot be written are cut. */
  mayBeCut = false
  previous: Publication | undefined = undefined
  next: Publication | undefined = undefined

  constructor(
    exchange: string,
    routingKey: string,
    content: Buffer,
    properties: NativeProperties,
    to: Destination | undefined,
    batch: Batch,
  ) {
    this.exchange = exchange
    this.routingKey = routingKey
    this.mandatory = to === undefined || !('event' in to)
    this.content = content
    this.properties = properties
    this.to = to
    this.batch = batch
  }
}

/** What is on its way, or waits for it, oldest first. A list: taking the first of a long array moves all the others. */
export class UnderWay {
  size = 0
  bytes = 0
  first: Publication | undefined
  #last: Publication | undefined

  add(publication: Publication): void {
    publication.previous = this.#last
    if (this.#last) this.#last.next = publication
    else this.first = publication
    this.#last = publication
    this.size += 1
    this.bytes += publication.content.length
  }

  remove(publication: Publication): void {
    const { next, previous } = publication
    if (previous) previous.next = next
    else this.first = next
    if (next) next.previous = previous
    else this.#last = previous
    publication.previous = undefined
    publication.next = undefined
    this.size -= 1
    this.bytes -= publication.content.length
  }
}

/** amqplib's own step below `publish`, which copies options and headers into other objects first: a quarter of the cost of a send. */
interface LaidOut {
  sendMessage(fields: object, properties: object, content: Buffer): boolean
  pushConfirmCallback(confirmed: (error: unknown) => void): void
}

/** @throws {RangeError} the headers are too large; {TypeError} something cannot be written; {Error} the channel has ended */
export function publishOn(channel: ConfirmChannel, publication: Publication, confirmed: (error: unknown) => void): void {
  if (isLaidOut(channel)) {
    channel.sendMessage(publication, publication.properties, publication.content)
    channel.pushConfirmCallback(confirmed)
    return
  }
  const { content, exchange, mandatory, properties, routingKey } = publication
  channel.publish(exchange, routingKey, content, { ...(properties as Options.Publish), mandatory }, confirmed)
}

/** Not part of amqplib's documented surface: without it everything works, more slowly. */
export function isLaidOut(channel: Channel): channel is Channel & ConfirmChannel & LaidOut {
  return 'sendMessage' in channel && 'pushConfirmCallback' in channel
}

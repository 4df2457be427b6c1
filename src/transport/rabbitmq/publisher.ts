import type { Channel, ConfirmChannel, Message, Options } from 'amqplib'
import type { EventType } from '../../message/event-type.ts'
import { Header } from '../../message/headers.ts'
import { NsbError, errorText } from '../../message/nsb-error.ts'
import type { Clock } from '../clock.ts'
import { QueueNotFoundError } from '../queue-not-found.ts'
import type { Destination, OutgoingMessage } from '../transport.ts'
import { channelError, lostError, replyCode, replyText } from './broker-error.ts'
import type { BrokerConnection } from './connection.ts'
import type { ConnectionSettings } from './connection-settings.ts'
import { declareDelayInfrastructure, delayRoute, delaySeconds, deliveryExchange } from './delay.ts'
import { type CustomizeMessage, propertiesOf } from './outgoing.ts'
import type { Route, Topology } from './topology/topology.ts'

/** What may be on its way without a confirm; more waits its turn, so that memory stays bounded. */
const limits = { messages: 2000, bytes: 64 * 1024 * 1024 }
const sweepMs = 1000
/** A destination that was seen is not looked for again on the same connection for this long. */
const knownForMs = 60_000
/** Room for the rest of the headers when the text of an exception is cut to fit amqplib's 64 KiB. */
const stackTraceRoom = 32 * 1024

export interface PublisherOptions {
  readonly connection: BrokerConnection
  readonly settings: ConnectionSettings
  readonly topology: Topology
  readonly clock: Clock
  readonly customize: CustomizeMessage | undefined
  /** After this time without a confirm a message counts as failed; undefined: the connection decides. */
  readonly confirmTimeoutMs: number | undefined
  readonly warn: (warning: string) => void
}

/** Something on its way: published, and neither confirmed nor refused. */
interface Pending {
  readonly route: Route
  readonly content: Buffer
  properties: Options.Publish
  /** Undeliverable messages come back, and count as failed. */
  readonly mandatory: boolean
  readonly to: Destination | undefined
  readonly done: (error: unknown) => void
  publishedAt: number
  returned: Message | undefined
  /** It was on a channel that ended because of another message, and was published again. */
  again: boolean
}

/** Raw messages that are moved as they are. */
export interface RawMessage {
  readonly route: Route
  readonly content: Buffer
  readonly properties: Options.Publish
  readonly to: Destination | undefined
}

/**
 * Publishes with confirms over one channel. A dispatch is done when the broker has every message of it; what cannot be routed is
 * an error although the broker confirms it too.
 */
export class Publisher {
  readonly #options: PublisherOptions
  #opening: Promise<ConfirmChannel> | undefined
  /** Set while the channel can be used at once. */
  #channel: ConfirmChannel | undefined
  readonly #pending = new Set<Pending>()
  #pendingBytes = 0
  readonly #waiting: (() => void)[] = []
  /** Destinations that were seen on this connection, and when. */
  readonly #known = new Map<string, number>()
  readonly #declaredEvents = new Set<string>()
  #sweeping: (() => void) | undefined

  constructor(options: PublisherOptions) {
    this.#options = options
  }

  /** Resolves when the broker has confirmed all of them. @throws the first error, when all are settled */
  async dispatch(outgoing: readonly OutgoingMessage[]): Promise<void> {
    if (outgoing.length === 0) return
    const now = this.#options.clock.now()
    const messages = outgoing.map((message) => this.#prepare(message, now))
    for (const message of outgoing) if (!this.#isReady(message, now)) await this.#makeReady(message)
    await this.#publishAll(messages)
  }

  async dispatchRaw(message: RawMessage): Promise<void> {
    await this.#publishAll([message])
  }

  /** Messages that are on their way. */
  get pending(): number {
    return this.#pending.size
  }

  async close(): Promise<void> {
    this.#sweeping?.()
    const channel = await this.#opening?.catch(() => undefined)
    await channel?.close().catch(() => undefined)
  }

  #prepare(message: OutgoingMessage, now: number): RawMessage {
    const { topology, customize } = this.#options
    const { to } = message
    if ('event' in to) {
      if (message.deliverAt !== undefined)
        throw new NsbError({
          code: 'NSB_DELAYED_EVENT',
          message: `The event '${to.event.fullName}' cannot be delayed: RabbitMQ delays what goes to one queue.`,
        })
      return { route: topology.routeOf(to.event), ...this.#native(message, undefined, customize), to }
    }
    if (message.deliverAt === undefined)
      return {
        route: 'address' in to ? topology.routeTo(to.address) : { exchange: '', routingKey: to.exactQueue },
        ...this.#native(message, undefined, customize),
        to,
      }
    if (message.expiresAfterMs !== undefined)
      throw new NsbError({
        code: 'NSB_DELAYED_AND_EXPIRING',
        message: `Message '${message.id}' is delayed and has a time to be received; RabbitMQ cannot do both.`,
        suggestions: ['Leave one of the two out'],
      })
    const seconds = delaySeconds(message.deliverAt.getTime(), now)
    return { route: delayRoute(seconds, addressOf(to)), ...this.#native(message, seconds, customize), to }
  }

  #native(
    message: OutgoingMessage,
    delay: number | undefined,
    customize: CustomizeMessage | undefined,
  ): { readonly content: Buffer; readonly properties: Options.Publish } {
    const properties = propertiesOf(message, delay)
    customize?.(properties, message)
    const { body } = message
    return { content: Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength), properties }
  }

  /** Whether nothing has to be looked for or declared before the message is published. */
  #isReady({ to, deliverAt }: OutgoingMessage, now: number): boolean {
    if ('event' in to) return this.#declaredEvents.has(to.event.fullName)
    if (deliverAt !== undefined) return this.#isKnown(delayOf(addressOf(to)), now)
    return 'exactQueue' in to || !this.#options.topology.hasAddressExchanges || this.#isKnown(to.address, now)
  }

  #isKnown(key: string, now: number): boolean {
    const seen = this.#known.get(key)
    return seen !== undefined && now - seen < knownForMs
  }

  async #makeReady({ to, deliverAt }: OutgoingMessage): Promise<void> {
    const { clock, connection, topology } = this.#options
    if ('event' in to) return this.#declareEvent(to.event)
    const address = addressOf(to)
    const key = deliverAt === undefined ? address : delayOf(address)
    try {
      await connection.withChannel(async (channel) => {
        if (deliverAt === undefined) await channel.checkExchange(address)
        else await this.#bindForDelay(channel, to)
      })
    } catch (error) {
      if (replyCode(error) === 404) throw this.#noQueue(address)
      throw channelError(error, `send to '${address}' over the ${topology.name} topology`)
    }
    this.#known.set(key, clock.now())
  }

  /** Makes a delayed message to an address that does not exist fail here, and not when it is due. */
  async #bindForDelay(channel: Channel, to: Destination): Promise<void> {
    const bind = async (on: Channel): Promise<void> => {
      if ('exactQueue' in to) await on.bindQueue(to.exactQueue, deliveryExchange, `#.${to.exactQueue}`)
      else await this.#options.topology.bindForDelay(on, addressOf(to))
    }
    try {
      await this.#options.connection.withChannel(bind)
    } catch (error) {
      if (replyCode(error) !== 404 || !errorText(error).includes(deliveryExchange)) throw error
      await declareDelayInfrastructure(channel)
      await bind(channel)
    }
  }

  async #declareEvent(event: EventType): Promise<void> {
    const { connection, topology, warn } = this.#options
    try {
      await connection.withChannel((channel) => topology.declareEvent(channel, event))
    } catch (error) {
      const code = replyCode(error)
      if (code !== 403 && code !== 406) throw error
      // Somebody else may have declared it: publishing shows it.
      warn(`The exchanges of '${event.fullName}' could not be declared: ${replyText(errorText(error))}.`)
    }
    this.#declaredEvents.add(event.fullName)
  }

  async #publishAll(messages: readonly RawMessage[]): Promise<void> {
    let left = messages.length
    let failed: unknown
    let end = (): void => {}
    const all = new Promise<void>((resolve) => {
      end = resolve
    })
    const done = (error: unknown): void => {
      failed ??= error
      if (--left === 0) end()
    }
    for (const message of messages) {
      while (!this.#hasRoomFor(message)) await this.#room()
      this.#publish({
        ...message,
        mandatory: message.to === undefined || !('event' in message.to),
        done,
        publishedAt: 0,
        returned: undefined,
        again: false,
      })
    }
    await all
    if (failed !== undefined) throw failed
  }

  #hasRoomFor({ content }: RawMessage): boolean {
    return this.#pending.size === 0 || (this.#pending.size < limits.messages && this.#pendingBytes + content.length <= limits.bytes)
  }

  #room(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  #publish(pending: Pending): void {
    this.#pending.add(pending)
    this.#pendingBytes += pending.content.length
    pending.publishedAt = this.#options.clock.now()
    if (this.#channel) this.#publishOn(this.#channel, pending)
    else
      this.#open().then(
        (channel) => this.#publishOn(channel, pending),
        (error: unknown) => this.#settle(pending, error),
      )
    if (this.#options.confirmTimeoutMs !== undefined) this.#sweep(this.#options.confirmTimeoutMs)
  }

  #publishOn(channel: ConfirmChannel, pending: Pending): void {
    const { route, content, properties, mandatory } = pending
    const confirmed = (error: unknown): void => this.#confirmed(channel, pending, error)
    try {
      channel.publish(route.exchange, route.routingKey, content, { ...properties, mandatory }, confirmed)
    } catch (error) {
      const smaller = error instanceof RangeError ? withShortStackTrace(properties) : undefined
      if (smaller) {
        this.#options.warn(
          `The stack trace of a message to '${route.exchange || route.routingKey}' was cut: RabbitMQ headers are limited to 64 KiB.`,
        )
        pending.properties = smaller
        return this.#publishOn(channel, pending)
      }
      this.#settle(pending, error instanceof RangeError ? tooLarge(properties, error) : this.#publishError(error))
    }
  }

  #publishError(error: unknown): unknown {
    // amqplib throws this when the channel has ended and the event that says so has not come yet.
    return error instanceof Error && error.name === 'IllegalOperationError'
      ? lostError(this.#options.connection.name, this.#options.settings, error)
      : error
  }

  #confirmed(channel: ConfirmChannel, pending: Pending, error: unknown): void {
    if (!error) return this.#settle(pending, pending.returned && this.#unroutable(pending, pending.returned))
    const reason = ended.get(channel)
    if (reason === undefined && errorText(error) === 'message nacked')
      return this.#settle(
        pending,
        new NsbError({
          code: 'NSB_NACKED',
          message: `The broker refused a message for '${targetOf(pending)}': a queue is full or has failed.`,
          suggestions: ['Look at the queue and its limits, then send it again'],
        }),
      )
    // The channel has ended: of another message's fault, of its own, or with the connection.
    if (replyCode(reason) !== 404) return this.#settle(pending, this.#channelEnded(reason))
    if (errorText(reason).includes(`'${pending.route.exchange}'`) && pending.route.exchange !== '') return this.#exchangeMissing(pending)
    if (pending.again) return this.#settle(pending, this.#channelEnded(reason))
    pending.again = true
    this.#open().then(
      (next) => this.#publishOn(next, pending),
      (failure: unknown) => this.#settle(pending, failure),
    )
  }

  #channelEnded(reason: unknown): unknown {
    if (replyCode(reason) === undefined) return lostError(this.#options.connection.name, this.#options.settings, reason)
    const named = channelError(reason, 'publish')
    return named === reason
      ? new NsbError({
          code: 'NSB_CHANNEL_CLOSED',
          message: `The broker ended the channel: ${replyText(errorText(reason))}.`,
          cause: reason,
        })
      : named
  }

  #exchangeMissing(pending: Pending): void {
    const { to } = pending
    if (!to || !('event' in to)) {
      this.#known.clear()
      return this.#settle(pending, this.#noQueue(to ? addressOf(to) : pending.route.exchange))
    }
    // Somebody has removed the exchange of the event since it was declared.
    this.#declaredEvents.delete(to.event.fullName)
    if (pending.again) return this.#settle(pending, this.#noQueue(pending.route.exchange))
    pending.again = true
    this.#declareEvent(to.event)
      .then(() => this.#open())
      .then(
        (channel) => this.#publishOn(channel, pending),
        (error: unknown) => this.#settle(pending, error),
      )
  }

  #settle(pending: Pending, error: unknown): void {
    if (!this.#pending.delete(pending)) return pending.done(error)
    this.#pendingBytes -= pending.content.length
    this.#waiting.shift()?.()
    pending.done(error)
  }

  #noQueue(address: string): NsbError {
    return new QueueNotFoundError(address, [], `on ${this.#options.settings.toString()}`)
  }

  #unroutable(pending: Pending, { fields }: Message): NsbError {
    const { to } = pending
    if (to && 'exactQueue' in to) return this.#noQueue(to.exactQueue)
    if (to && 'address' in to && pending.route.exchange === '') return this.#noQueue(to.address)
    const { replyCode: code, replyText: text } = fields as { readonly replyCode?: number; readonly replyText?: string }
    return new NsbError({
      code: 'NSB_UNROUTABLE',
      message: `Message could not be routed to '${targetOf(pending)}' (${code ?? ''} ${text ?? ''}): the exchange '${fields.exchange}' has no queue for it.`,
      suggestions: ['Start its endpoint once, so that it creates its queue'],
    })
  }

  #open(): Promise<ConfirmChannel> {
    this.#opening ??= this.#openChannel().catch((error: unknown) => {
      this.#opening = undefined
      throw error
    })
    return this.#opening
  }

  async #openChannel(): Promise<ConfirmChannel> {
    const channel = await (await this.#options.connection.open()).createConfirmChannel()
    channel.on('return', (message) => this.#returned(message))
    // The reason comes before amqplib fails what is pending, which may then be published on the next channel.
    const end = (reason?: unknown): void => {
      if (reason !== undefined) ended.set(channel, reason)
      if (this.#channel !== channel) return
      this.#channel = undefined
      this.#opening = undefined
    }
    channel.on('error', end)
    channel.on('close', () => end())
    this.#channel = channel
    this.#known.clear()
    return channel
  }

  /** The broker sends it back right before it confirms it; equal messages are equally unroutable. */
  #returned(message: Message): void {
    const { exchange, routingKey } = message.fields
    const id: unknown = message.properties.messageId
    for (const pending of this.#pending)
      if (
        pending.mandatory &&
        pending.returned === undefined &&
        pending.route.exchange === exchange &&
        pending.route.routingKey === routingKey &&
        pending.properties.messageId === id
      ) {
        pending.returned = message
        return
      }
  }

  #sweep(timeoutMs: number): void {
    this.#sweeping ??= this.#options.clock.after(Math.min(sweepMs, timeoutMs), () => {
      this.#sweeping = undefined
      const now = this.#options.clock.now()
      const blocked = this.#options.connection.blocked
      for (const pending of this.#pending)
        if (now - pending.publishedAt >= timeoutMs)
          this.#settle(
            pending,
            new NsbError({
              code: 'NSB_NO_CONFIRM',
              message: `The broker did not confirm a message for '${targetOf(pending)}' within ${timeoutMs} ms${blocked === undefined ? '' : `; it takes none now: ${blocked}`}. Whether it arrives is not known.`,
              suggestions: ['Look at the broker, then at the queue, before sending it again'],
            }),
          )
      if (this.#pending.size > 0) this.#sweep(timeoutMs)
    })
  }
}

/** Why a channel ended. */
const ended = new WeakMap<Channel, unknown>()

const delayOf = (address: string): string => `delay ${address}`

function addressOf(to: Destination): string {
  return 'address' in to ? to.address : 'exactQueue' in to ? to.exactQueue : to.event.fullName
}

function targetOf({ to, route }: Pending): string {
  return to ? addressOf(to) : route.exchange || route.routingKey
}

/** A copy of the properties whose stack trace leaves room for the rest; undefined when that is not what is too large. */
function withShortStackTrace(properties: Options.Publish): Options.Publish | undefined {
  const headers = properties.headers as Record<string, unknown>
  const trace = headers[Header.ExceptionStackTrace]
  if (typeof trace !== 'string' || trace.length <= stackTraceRoom) return undefined
  return { ...properties, headers: { ...headers, [Header.ExceptionStackTrace]: `${trace.slice(0, stackTraceRoom / 2)}\n[cut]` } }
}

function tooLarge(properties: Options.Publish, cause: RangeError): NsbError {
  const sizes = Object.entries(properties.headers as Record<string, unknown>)
    .map(([name, value]) => ({ name, size: typeof value === 'string' ? Buffer.byteLength(value) : 8 }))
    .toSorted((a, b) => b.size - a.size)
  return new NsbError({
    code: 'NSB_HEADERS_TOO_LARGE',
    message: `The headers of a message are ${sizes.reduce((sum, { name, size }) => sum + name.length + size + 6, 0)} bytes; the limit is 64 KiB together and 255 for a name. The largest: ${sizes
      .slice(0, 3)
      .map(({ name, size }) => `'${name.slice(0, 60)}' (${size})`)
      .join(', ')}.`,
    suggestions: ['Put large data into the body'],
    cause,
  })
}

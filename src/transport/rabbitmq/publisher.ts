import type { Channel, ConfirmChannel, Message } from 'amqplib'
import { Header } from '../../message/headers.ts'
import { type NsbError, errorText } from '../../message/nsb-error.ts'
import type { Clock } from '../clock.ts'
import type { Destination, OutgoingMessage } from '../transport.ts'
import { endedChannelError, replyCode, sizeLimitIn } from './broker-error.ts'
import type { BrokerConnection } from './connection.ts'
import type { ConnectionSettings } from './connection-settings.ts'
import { delayRoute } from './delay.ts'
import { Destinations } from './destinations.ts'
import { fitted } from './fit.ts'
import { type CustomizeMessage, type NativeProperties, propertiesOf } from './outgoing.ts'
import { Batch, Publication, UnderWay, publishOn } from './publication.ts'
import {
  addressOf,
  checkedDelay,
  leftUnconfirmed,
  messageTooLarge,
  nacked,
  noConfirm,
  noQueue,
  notSent,
  targetOf,
  tooLarge,
  unroutable,
} from './publish-error.ts'
import { unchangedProperties } from './raw.ts'
import type { Route, Topology } from './topology/topology.ts'

/** What may be on its way without a confirm; more waits its turn, so that memory stays bounded. */
const limits = { messages: 2000, bytes: 64 * 1024 * 1024 }
const sweepMs = 1000
/** For properties, where there is no connection to ask. */
const leastRoom = 64 * 1024

export interface PublisherOptions {
  readonly connection: BrokerConnection
  readonly settings: ConnectionSettings
  readonly topology: Topology
  readonly clock: Clock
  readonly customize: CustomizeMessage | undefined
  /** After this time without a confirm a message counts as failed; undefined: the connection decides. */
  readonly confirmTimeoutMs: number | undefined
  /** Once it is aborted, no message waits for a broker that takes none. */
  readonly interrupted: AbortSignal | undefined
  readonly warn: (warning: string) => void
}

/** A message that is moved as it is. */
export interface RawMessage {
  readonly route: Route
  readonly content: Buffer
  readonly properties: NativeProperties
  readonly to: Destination
  /** Headers that cannot be written are cut rather than the message refused. */
  readonly mayBeCut?: boolean
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
  readonly #underWay = new UnderWay()
  /** No room for them yet, oldest first. */
  readonly #waiting = new UnderWay()
  readonly #destinations: Destinations
  /** undefined: the broker takes it from a certificate. */
  readonly #ownName: string | undefined
  #sweeping: (() => void) | undefined

  constructor(options: PublisherOptions) {
    this.#options = options
    this.#destinations = new Destinations(options)
    options.connection.onBlocked(this.#endBlocked)
    options.interrupted?.addEventListener('abort', this.#endBlocked)
    const { tls, user } = options.settings
    this.#ownName = tls?.externalAuth === true ? undefined : user
  }

  /** Resolves when the broker has confirmed all of them; rejects with the first error, when all are settled. */
  dispatch(outgoing: readonly OutgoingMessage[]): Promise<void> {
    if (outgoing.length === 0) return Promise.resolve()
    const now = this.#options.clock.now()
    for (const message of outgoing) if (!this.#destinations.isReady(message, now)) return this.#dispatchWhenReady(outgoing)
    return this.#dispatch(outgoing, now)
  }

  dispatchRaw({ content, mayBeCut = false, properties, route, to }: RawMessage): Promise<void> {
    this.#leaveOutForeignUser(properties)
    return new Promise((resolve, reject) => {
      const publication = new Publication(route.exchange, route.routingKey, content, properties, to, new Batch(1, resolve, reject))
      publication.mayBeCut = mayBeCut
      this.#publishOrWait(publication)
    })
  }

  async #dispatchWhenReady(outgoing: readonly OutgoingMessage[]): Promise<void> {
    const { clock } = this.#options
    for (const message of outgoing) if (!this.#destinations.isReady(message, clock.now())) await this.#destinations.makeReady(message)
    await this.#dispatch(outgoing, clock.now())
  }

  // Everything is prepared before the first one leaves: what is wrong with one of them is found while none is on its way.
  #dispatch(outgoing: readonly OutgoingMessage[], now: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const batch = new Batch(outgoing.length, resolve, reject)
      const [only] = outgoing
      if (only && outgoing.length === 1) this.#publishOrWait(this.#publicationOf(only, now, batch))
      else for (const publication of outgoing.map((message) => this.#publicationOf(message, now, batch))) this.#publishOrWait(publication)
    })
  }

  /** Messages that are on their way. */
  get pending(): number {
    return this.#underWay.size + this.#waiting.size
  }

  async close(): Promise<void> {
    this.#options.interrupted?.removeEventListener('abort', this.#endBlocked)
    this.#sweeping?.()
    if (this.#channel) await this.#options.connection.closeChannel(this.#channel)
  }

  #publicationOf(message: OutgoingMessage, now: number, batch: Batch): Publication {
    const { customize, topology } = this.#options
    const { body, deliverAt, to } = message
    const seconds = deliverAt === undefined ? undefined : checkedDelay(message, deliverAt, now)
    const route =
      'event' in to
        ? topology.routeOf(to.event)
        : seconds !== undefined
          ? delayRoute(seconds, addressOf(to))
          : 'address' in to
            ? topology.routeTo(to.address)
            : { exchange: '', routingKey: to.exactQueue }
    const isMoved = message.unchanged === true && message.native !== undefined && Object.keys(message.native).length > 0
    const properties = isMoved ? unchangedProperties(message) : propertiesOf(message, seconds)
    if (isMoved) this.#leaveOutForeignUser(properties)
    else customize?.(properties, message)
    const content = Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength)
    const publication = new Publication(route.exchange, route.routingKey, content, properties, to, batch)
    publication.mayBeCut = !isMoved && Header.FailedQ in properties.headers
    return publication
  }

  /** A broker refuses a name that is not the publisher's, and ends the channel over it. */
  #leaveOutForeignUser(properties: NativeProperties): void {
    if (properties.userId !== this.#ownName) properties.userId = undefined
  }

  #publishOrWait(publication: Publication): void {
    const { connection, interrupted } = this.#options
    if (interrupted?.aborted === true && connection.blocked !== undefined)
      return publication.batch.settle(notSent(publication, connection.blocked))
    if (this.#waiting.size === 0 && this.#hasRoomFor(publication)) this.#publish(publication)
    else this.#waiting.add(publication)
  }

  /** What is under way may still arrive, when the broker takes messages again; what waits does not. */
  readonly #endBlocked = (): void => {
    const { connection, interrupted } = this.#options
    if (interrupted?.aborted !== true || connection.blocked === undefined) return
    for (let each = this.#waiting.first; each; each = this.#waiting.first) {
      this.#waiting.remove(each)
      each.batch.settle(notSent(each, connection.blocked))
    }
    for (let each = this.#underWay.first; each; each = this.#underWay.first) this.#settle(each, leftUnconfirmed(each, connection.blocked))
  }

  #hasRoomFor({ content }: Publication): boolean {
    const { bytes, size } = this.#underWay
    return size === 0 || (size < limits.messages && bytes + content.length <= limits.bytes)
  }

  #publishWaiting(): void {
    for (let next = this.#waiting.first; next && this.#hasRoomFor(next); next = this.#waiting.first) {
      this.#waiting.remove(next)
      this.#publish(next)
    }
  }

  #publish(publication: Publication): void {
    this.#underWay.add(publication)
    if (this.#channel) this.#publishOn(this.#channel, publication)
    else this.#publishOnNext(publication)
    if (this.#options.confirmTimeoutMs !== undefined) {
      publication.publishedAt = this.#options.clock.now()
      this.#sweep(this.#options.confirmTimeoutMs)
    }
  }

  #publishOnNext(publication: Publication): void {
    this.#open().then(
      (channel) => this.#publishOn(channel, publication),
      (error: unknown) => this.#settle(publication, error),
    )
  }

  #publishOn(channel: ConfirmChannel, publication: Publication): void {
    // It may have timed out while the channel was opened.
    if (publication.settled) return
    try {
      publishOn(channel, publication, (error) => this.#confirmed(channel, publication, error))
    } catch (error) {
      if (isEnded(error)) {
        // The channel has ended, and the event that says so has not come yet. Nothing was written.
        this.#forget(channel)
        return this.#publishOnNext(publication)
      }
      // So amqplib says that something cannot be written.
      const unwritable = error instanceof RangeError || error instanceof TypeError
      if (unwritable && publication.mayBeCut) return this.#publishCut(channel, publication)
      this.#settle(
        publication,
        error instanceof RangeError ? tooLarge(publication.properties, this.#options.connection.roomForProperties, error) : error,
      )
    }
  }

  /** A message that does not reach the error queue fails for ever. */
  #publishCut(channel: ConfirmChannel, publication: Publication): void {
    const { lost, properties } = fitted(publication.properties, this.#options.connection.roomForProperties ?? leastRoom)
    publication.mayBeCut = false
    publication.properties = properties
    const some = lost.length > 5 ? `${lost.slice(0, 5).join(', ')} and ${lost.length - 5} more` : lost.join(', ')
    this.#options.warn(
      `A message for '${targetOf(publication)}' has headers beyond what the broker takes, or such as cannot be written; left out: ${some}.`,
    )
    this.#publishOn(channel, publication)
  }

  #confirmed(channel: ConfirmChannel, publication: Publication, error: unknown): void {
    if (!error)
      return this.#settle(publication, publication.returned && unroutable(publication, publication.returned, this.#options.settings))
    const reason = ended.get(channel)
    if (reason === undefined && errorText(error) === 'message nacked') return this.#settle(publication, nacked(publication))
    // The channel has ended: of another message's fault, of its own, or with the connection.
    const limit = sizeLimitIn(reason)
    if (limit !== undefined && publication.content.length > limit) return this.#settle(publication, messageTooLarge(publication, limit))
    if (replyCode(reason) !== 404 && limit === undefined) return this.#settle(publication, this.#channelEnded(reason))
    if (limit === undefined && errorText(reason).includes(`'${publication.exchange}'`) && publication.exchange !== '')
      return this.#exchangeMissing(publication)
    if (publication.again) return this.#settle(publication, this.#channelEnded(reason))
    publication.again = true
    this.#publishOnNext(publication)
  }

  #channelEnded(reason: unknown): unknown {
    return replyCode(reason) === undefined ? this.#options.connection.lostError(reason) : endedChannelError(reason, 'publish')
  }

  #exchangeMissing(publication: Publication): void {
    const { to } = publication
    if (!to || !('event' in to)) {
      this.#destinations.forgetSeen()
      return this.#settle(publication, this.#noQueue(to ? addressOf(to) : publication.exchange))
    }
    // Somebody has removed the exchange of the event since it was declared.
    if (publication.again) return this.#settle(publication, this.#noQueue(publication.exchange))
    publication.again = true
    this.#destinations
      .declareAgain(to.event)
      .then(() => this.#open())
      .then(
        (channel) => this.#publishOn(channel, publication),
        (error: unknown) => this.#settle(publication, error),
      )
  }

  #settle(publication: Publication, error: unknown): void {
    // A confirm may come after the time-out.
    if (publication.settled) return
    publication.settled = true
    this.#underWay.remove(publication)
    if (this.#waiting.size > 0) this.#publishWaiting()
    publication.batch.settle(error)
  }

  #noQueue(address: string): NsbError {
    return noQueue(address, this.#options.settings)
  }

  #open(): Promise<ConfirmChannel> {
    this.#opening ??= this.#openChannel().catch((error: unknown) => {
      this.#opening = undefined
      throw error
    })
    return this.#opening
  }

  async #openChannel(): Promise<ConfirmChannel> {
    const channel = await this.#options.connection.createConfirmChannel()
    channel.on('return', (message) => this.#returned(message))
    // The reason comes before amqplib fails what is under way, which may then be published on the next channel.
    const end = (reason?: unknown): void => {
      if (reason !== undefined) ended.set(channel, reason)
      this.#forget(channel)
    }
    channel.on('error', end)
    channel.on('close', () => end())
    this.#channel = channel
    this.#destinations.forgetSeen()
    return channel
  }

  #forget(channel: ConfirmChannel): void {
    if (this.#channel !== channel) return
    this.#channel = undefined
    this.#opening = undefined
  }

  /** The broker sends it back right before it confirms it; equal messages are equally unroutable. */
  #returned(message: Message): void {
    const { exchange, routingKey } = message.fields
    const id: unknown = message.properties.messageId
    for (let each = this.#underWay.first; each; each = each.next)
      if (
        each.mandatory &&
        each.returned === undefined &&
        each.exchange === exchange &&
        each.routingKey === routingKey &&
        each.properties.messageId === id
      ) {
        each.returned = message
        return
      }
  }

  #sweep(timeoutMs: number): void {
    this.#sweeping ??= this.#options.clock.after(Math.min(sweepMs, timeoutMs), () => {
      this.#sweeping = undefined
      const due = this.#options.clock.now() - timeoutMs
      const { blocked } = this.#options.connection
      for (let each = this.#underWay.first; each && each.publishedAt <= due; each = this.#underWay.first)
        this.#settle(each, noConfirm(each, timeoutMs, blocked))
      if (this.#underWay.size > 0) this.#sweep(timeoutMs)
    })
  }
}

/** Why a channel ended. */
const ended = new WeakMap<Channel, unknown>()

const isEnded = (error: unknown): boolean => error instanceof Error && error.name === 'IllegalOperationError'

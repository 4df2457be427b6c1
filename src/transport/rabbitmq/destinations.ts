import type { Channel } from 'amqplib'
import type { EventType } from '../../message/event-type.ts'
import { errorText } from '../../message/nsb-error.ts'
import type { Clock } from '../clock.ts'
import type { Destination, OutgoingMessage } from '../transport.ts'
import { channelError, replyCode, replyText } from './broker-error.ts'
import type { BrokerConnection } from './connection.ts'
import type { ConnectionSettings } from './connection-settings.ts'
import { declareDelayInfrastructure, deliveryExchange } from './delay.ts'
import { addressOf, noQueue } from './publish-error.ts'
import { isQueueName } from './queue-name.ts'
import type { Topology } from './topology/topology.ts'

/** What was seen is not looked for again on the same connection for this long. */
const knownForMs = 60_000

export interface DestinationsOptions {
  readonly connection: BrokerConnection
  readonly settings: ConnectionSettings
  readonly topology: Topology
  readonly clock: Clock
  readonly warn: (warning: string) => void
}

/**
 * What has to be there before a message is published: a publish to an exchange that is missing ends the channel, and with it all that
 * is on its way there.
 */
export class Destinations {
  readonly #options: DestinationsOptions
  /** What was seen on this connection, and when. */
  readonly #known = new Map<string, number>()
  readonly #declaredEvents = new Set<string>()
  /** What is being looked for or declared now. */
  readonly #readying = new Map<string, Promise<void>>()

  constructor(options: DestinationsOptions) {
    this.#options = options
  }

  /** Everything is looked for again. */
  forgetSeen(): void {
    this.#known.clear()
  }

  /** For an event whose exchange somebody has removed. */
  declareAgain(event: EventType): Promise<void> {
    this.#declaredEvents.delete(event.fullName)
    return this.#declareEvent(event)
  }

  /** Whether nothing has to be looked for or declared before the message is published. */
  isReady({ to, deliverAt }: OutgoingMessage, now: number): boolean {
    if ('event' in to) return this.#declaredEvents.has(to.event.fullName)
    if (deliverAt !== undefined) return this.#isKnown(delayOf(addressOf(to)), now)
    // Without a look the broker says of each message whether its queue is there; a name that no queue can have never gets so far.
    if ('exactQueue' in to || !this.#options.topology.hasAddressExchanges) return isQueueName(addressOf(to))
    return this.#isKnown(to.address, now)
  }

  #isKnown(key: string, now: number): boolean {
    const seen = this.#known.get(key)
    return seen !== undefined && now - seen < knownForMs
  }

  /** All who need the same wait for the same. @throws {NsbError} NSB_QUEUE_NOT_FOUND */
  makeReady({ to, deliverAt }: OutgoingMessage): Promise<void> {
    const address = addressOf(to)
    const key = 'event' in to ? `event ${address}` : deliverAt === undefined ? address : delayOf(address)
    const readying =
      this.#readying.get(key) ??
      ('event' in to ? this.#declareEvent(to.event) : this.#look(to, key, deliverAt !== undefined)).finally(() =>
        this.#readying.delete(key),
      )
    this.#readying.set(key, readying)
    return readying
  }

  async #look(to: Destination, key: string, delayed: boolean): Promise<void> {
    const { clock, connection, settings, topology } = this.#options
    const address = addressOf(to)
    if (!isQueueName(address)) throw noQueue(address, settings)
    try {
      await connection.withChannel(async (channel) => {
        if (delayed) await this.#bindForDelay(channel, to)
        else await channel.checkExchange(address)
      })
    } catch (error) {
      if (replyCode(error) === 404) throw noQueue(address, settings)
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
}

const delayOf = (address: string): string => `delay ${address}`

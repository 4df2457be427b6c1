import type { Channel, ConsumeMessage, Message } from 'amqplib'
import { NsbError } from '../../message/nsb-error.ts'
import type { Clock } from '../clock.ts'
import { QueueNotFoundError } from '../queue-not-found.ts'
import { Acknowledgements } from './acknowledgements.ts'
import { AnsweredTime } from './answered-time.ts'
import { endedChannelError, replyCode } from './broker-error.ts'
import type { BrokerConnection } from './connection.ts'
import { type Counts, askCounts } from './counts.ts'

/** Nothing came for so long: either there is no more, or the broker is slow. */
export const silenceMs = 1000
/** A broker honours a prefetch up to this; 0 would mean 2,000 on a quorum queue. */
export const largestPage = 65_535
/** Nothing came for so many times that although there is something, and the broker says so: it gives nothing out. */
export const patience = 10
const barrierPollMs = 1

/**
 * A broker finds an acknowledged delivery by going through the older ones of its channel that are not settled: with 100,000 of them held
 * each acknowledgement takes milliseconds. So further ones are taken on a channel of their own.
 */
const takenPerChannel = 2000

/** One of the channels. */
interface Part {
  readonly channel: Channel
  readonly acknowledgements: Acknowledgements
  taken: number
  /** Something it took was acknowledged. */
  hasAcknowledged: boolean
}

/** One of those that took messages; what it took stays held when it is cancelled. */
export interface Consumer {
  /** Its number: what it took is behind what the ones before took. */
  readonly take: number
  readonly part: Part
  /** The broker sends it nothing more while it has so many that are not acknowledged. */
  readonly room: number
  /** All it has taken. */
  taken: number
  /** Those of them that are not acknowledged. */
  unsettled: number
  /** Those of them that were looked at and stay; its reader's to count. */
  staying: number
  /** It is being ended: nothing of what it took is acknowledged before. */
  ending: Promise<void> | undefined
}

/** A message that was taken. The order of the queue is that of the takes, and within one that of the tags. */
export interface Taken {
  readonly raw: ConsumeMessage
  readonly tag: number
  readonly consumer: Consumer
}

export interface QueueChannelOptions {
  readonly connection: BrokerConnection
  readonly clock: Clock
  readonly queue: string
  /** Messages are taken to be acknowledged, not only to be looked at. */
  readonly acknowledges: boolean
  /** Something has come, or the channel has ended. */
  changed(): void
}

/** Where messages of one queue are taken, settled and given back; what it took stays held for as long as it is open. */
export class QueueChannel {
  readonly #options: QueueChannelOptions
  /** In the order in which they were opened; the last one takes. */
  readonly #parts: Part[] = []
  #mayOpenMore = true
  /** Why it has ended. */
  #lost: NsbError | undefined
  /** Consumers there were: what one of them took was taken together. */
  #takes = 0
  #endTake: (() => void) | undefined
  #stream: { readonly consumer: Consumer; readonly consumerTag: string } | undefined

  private constructor(options: QueueChannelOptions) {
    this.#options = options
    // Right after its channels; it knows why.
    options.connection.onLost((error) => {
      this.#lost = error
    })
  }

  static async open(options: QueueChannelOptions): Promise<QueueChannel> {
    const queueChannel = new QueueChannel(options)
    queueChannel.#add(await options.connection.createChannel())
    return queueChannel
  }

  #add(channel: Channel): void {
    const { connection, queue } = this.#options
    const acknowledgements = new Acknowledgements(channel)
    this.#parts.push({ channel, acknowledgements, taken: 0, hasAcknowledged: false })
    let reason: NsbError | undefined
    channel.on('error', (error) => {
      reason =
        replyCode(error) === 404 ? new QueueNotFoundError(queue, [], 'any more') : endedChannelError(error, `hold messages of '${queue}'`)
    })
    channel.on('close', () => {
      acknowledgements.end()
      this.#stream = undefined
      this.#lost = reason ?? connection.lostError('the channel was closed')
      this.#endTake?.()
      this.#options.changed()
    })
  }

  get #last(): Part {
    return this.#parts.at(-1) as Part
  }

  get #channel(): Channel {
    return this.#last.channel
  }

  /** The next consumer has a channel of its own where the last one has taken enough. */
  async #open(enough: number): Promise<void> {
    if (!this.#mayOpenMore || this.#last.taken < enough) return
    try {
      this.#add(await this.#options.connection.createChannel())
    } catch {
      // The broker allows no more; on the last one it is only slower.
      this.#mayOpenMore = false
    }
  }

  /** One that is about to begin. */
  async #nextConsumer(room: number, enough: number): Promise<Consumer> {
    await this.#open(enough)
    await this.#ask(this.#channel.prefetch(room))
    return { take: ++this.#takes, part: this.#last, room, taken: 0, unsettled: 0, staying: 0, ending: undefined }
  }

  get lost(): NsbError | undefined {
    return this.#lost
  }

  /** The one that brings messages now. */
  get streaming(): Consumer | undefined {
    return this.#stream?.consumer
  }

  throwIfLost(): void {
    if (this.#lost) throw this.#lost
  }

  /**
   * Takes up to so many with a consumer that is cancelled when they are there; what a cancelled consumer took stays held.
   *
   * @param arrived told of each
   * @returns how many there were
   * @throws {NsbError} NSB_NOTHING_DELIVERED
   */
  async take(size: number, arrived: (message: Taken) => void): Promise<number> {
    const { acknowledges, clock, queue } = this.#options
    const consumer = await this.#nextConsumer(size, acknowledges ? takenPerChannel : Number.POSITIVE_INFINITY)
    let end = (): void => {}
    let isOver = false
    const ended = new Promise<void>((resolve) => {
      end = (): void => {
        isOver = true
        resolve()
      }
    })
    let problem: unknown
    const fail = (error: unknown): void => {
      problem = error
      end()
    }
    this.#endTake = end
    const { consumerTag } = await this.#ask(
      this.#channel.consume(queue, (message) => {
        if (message !== null) arrived(takenBy(consumer, message))
        if (message === null || consumer.taken >= size) end()
      }),
    )
    let cancel = (): void => {}
    const watch = (seen: number, silences: number): void => {
      cancel = clock.after(silenceMs, () => {
        if (consumer.taken !== seen) return watch(consumer.taken, 0)
        this.depth().then((depth) => {
          if (isOver || depth === 0) return end()
          if (silences < patience) return watch(seen, silences + 1)
          fail(nothingDelivered(queue, depth))
        }, fail)
      })
    }
    watch(0, 1)
    await ended
    cancel()
    this.#endTake = undefined
    if (problem === undefined) await this.#untilStill(consumer)
    // Deliveries that cross the cancellation are ours too.
    await this.#ask(this.#channel.cancel(consumerTag))
    if (problem !== undefined) throw problem
    return consumer.taken
  }

  /** Ends the taking that is under way: what it has stays held. */
  endTake(): void {
    this.#endTake?.()
  }

  /** Brings messages until it is ended, and keeps `room` of them held. */
  async openStream(room: number, arrived: Taken[]): Promise<Consumer> {
    // Its messages are acknowledged as they go, so not even a page of older ones should be searched for each.
    const consumer = await this.#nextConsumer(room, 1)
    const { consumerTag } = await this.#ask(
      this.#channel.consume(this.#options.queue, (message) => {
        if (message === null) this.#stream = undefined
        else arrived.push(takenBy(consumer, message))
        this.#options.changed()
      }),
    )
    this.#stream = { consumer, consumerTag }
    return consumer
  }

  /** When it has brought all it may, or nothing came for so many times. What it has brought stays held. */
  async endStream(silences = 1): Promise<void> {
    const { consumer, consumerTag } = this.#stream ?? {}
    if (consumer === undefined || consumerTag === undefined) return
    let mayAcknowledge = (): void => {}
    consumer.ending = new Promise<void>((resolve) => {
      mayAcknowledge = resolve
    })
    try {
      await this.#untilStill(consumer, silences)
      this.#stream = undefined
      const cancelled = this.#ask(consumer.part.channel.cancel(consumerTag))
      // What is acknowledged after that brings it nothing more.
      consumer.ending = undefined
      mayAcknowledge()
      await cancelled
    } finally {
      consumer.ending = undefined
      mayAcknowledge()
    }
  }

  /**
   * Waits until nothing can be on its way to a consumer whose messages nobody acknowledges meanwhile: it has as many as it may have, or
   * there are no more. What is on its way to one that is cancelled goes to the end of a quorum queue.
   */
  async #untilStill(consumer: Consumer, silences = 1): Promise<void> {
    const time = new AnsweredTime()
    let taken = consumer.taken
    while (consumer.unsettled < consumer.room && !this.#lost) {
      await this.pause()
      if (consumer.taken > taken) {
        taken = consumer.taken
        time.restart()
      }
      // Or somebody else has the queue to himself.
      else if ((await this.depth()) === 0 || time.answered() > silences * silenceMs) return
    }
  }

  /** Removes a message, together with others of this turn of the event loop. @returns when; undefined: now */
  acknowledge({ consumer, tag }: Pick<Taken, 'consumer' | 'tag'>): Promise<void> | undefined {
    const acknowledge = (): void => {
      consumer.unsettled -= 1
      consumer.part.hasAcknowledged = true
      consumer.part.acknowledgements.add(tag)
    }
    if (consumer.ending === undefined) return acknowledge() as undefined
    return consumer.ending.then(() => {
      this.throwIfLost()
      acknowledge()
    })
  }

  /** Sends what was acknowledged. */
  flush(): void {
    for (const { acknowledgements } of this.#parts) acknowledgements.flush()
  }

  /** Gives back everything its consumer took up to a delivery that is not settled yet. */
  nackUpTo({ consumer, tag }: Pick<Taken, 'consumer' | 'tag'>): void {
    this.throwIfLost()
    consumer.part.channel.nack({ fields: { deliveryTag: tag } } as Message, true, true)
  }

  /** Of the queue; only what it says itself is believed. */
  async counts(): Promise<Counts> {
    return this.#named(askCounts(this.#channel, this.#options.queue, this.#options.connection))
  }

  /** Messages waiting in the queue. */
  async depth(): Promise<number> {
    return (await this.counts()).depth
  }

  /** Between two questions. */
  pause(): Promise<void> {
    return new Promise((resolve) => this.#options.clock.after(barrierPollMs, resolve))
  }

  async close(): Promise<void> {
    await Promise.all(this.#parts.map(({ channel }) => this.#options.connection.closeChannel(channel)))
  }

  /** @throws {NsbError} that says why the channel or the connection ended */
  #ask<T>(request: Promise<T>): Promise<T> {
    return this.#named(this.#options.connection.answer(request))
  }

  async #named<T>(request: Promise<T>): Promise<T> {
    try {
      return await request
    } catch (error) {
      throw this.#lost ?? endedChannelError(error, `hold messages of '${this.#options.queue}'`)
    }
  }
}

function takenBy(consumer: Consumer, raw: ConsumeMessage): Taken {
  consumer.taken += 1
  consumer.unsettled += 1
  consumer.part.taken += 1
  return { raw, tag: raw.fields.deliveryTag, consumer }
}

/** @param depth messages that the queue says it has */
export function nothingDelivered(queue: string, depth: number): NsbError {
  return new NsbError({
    code: 'NSB_NOTHING_DELIVERED',
    message: `Queue '${queue}' has ${depth} messages, and gave none out for ${(patience * silenceMs) / 1000} s: another consumer has the queue to itself, or the broker is slow.`,
    suggestions: ['Look who consumes from it: nsb queues list', 'Try again when the broker has less to do'],
    details: { queue, depth },
  })
}

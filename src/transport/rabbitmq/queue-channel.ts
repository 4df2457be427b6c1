import type { Channel, ConsumeMessage, Message } from 'amqplib'
import type { NsbError } from '../../message/nsb-error.ts'
import type { Clock } from '../clock.ts'
import { QueueNotFoundError } from '../queue-not-found.ts'
import { Acknowledgements } from './acknowledgements.ts'
import { endedChannelError, replyCode } from './broker-error.ts'
import type { BrokerConnection } from './connection.ts'

/** Nothing came for so long: either there is no more, or the broker is slow. */
export const silenceMs = 1000
/** Nothing came for so many times that although there is something: somebody else has the queue to himself. */
const patience = 10
/** A queue that shows nothing more of what was given back for so long is being consumed by somebody. */
const visibleWithinMs = 2000
const barrierPollMs = 1
const settledWithinMs = 5000

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
}

/** A message that was taken. The order of the queue is that of the takes, and within one that of the tags. */
export interface Taken {
  readonly raw: ConsumeMessage
  readonly tag: number
  /** Number of the consumer that brought it; what comes after it was cancelled is still its. */
  readonly take: number
  readonly part: Part
}

export interface QueueChannelOptions {
  readonly connection: BrokerConnection
  readonly clock: Clock
  readonly queue: string
  readonly warn: (warning: string) => void
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
  #stream: string | undefined
  /** Waiting for what was given back to be seen made sense so far. */
  #isSeen = true

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
    this.#parts.push({ channel, acknowledgements, taken: 0 })
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
  async #open(): Promise<void> {
    if (!this.#mayOpenMore || this.#last.taken < takenPerChannel) return
    try {
      this.#add(await this.#options.connection.createChannel())
    } catch {
      // The broker allows no more; on the last one it is only slower.
      this.#mayOpenMore = false
    }
  }

  /** For a consumer that is about to begin: makes of what it brings what was taken. */
  #beginTake(): (raw: ConsumeMessage) => Taken {
    const take = ++this.#takes
    const part = this.#last
    return (raw) => {
      part.taken += 1
      return { raw, tag: raw.fields.deliveryTag, take, part }
    }
  }

  get lost(): NsbError | undefined {
    return this.#lost
  }

  get isStreaming(): boolean {
    return this.#stream !== undefined
  }

  throwIfLost(): void {
    if (this.#lost) throw this.#lost
  }

  /**
   * Takes up to so many with a consumer that is cancelled when they are there; what a cancelled consumer took stays held.
   *
   * @param arrived told of each
   * @returns how many there were
   */
  async take(size: number, arrived: (message: Taken) => void): Promise<number> {
    await this.#open()
    const taken = this.#beginTake()
    const { clock, queue, warn } = this.#options
    let count = 0
    let end = (): void => {}
    const ended = new Promise<void>((resolve) => {
      end = resolve
    })
    this.#endTake = end
    await this.#ask(this.#channel.prefetch(size))
    const { consumerTag } = await this.#ask(
      this.#channel.consume(queue, (message) => {
        if (message !== null) arrived(taken(message))
        if (message === null || ++count >= size) end()
      }),
    )
    let cancel = (): void => {}
    const watch = (seen: number, silences: number): void => {
      cancel = clock.after(silenceMs, () => {
        if (count !== seen) return watch(count, 0)
        this.depth().then((depth) => {
          if (depth > 0 && silences < patience) return watch(seen, silences + 1)
          if (depth > 0)
            warn(
              `Nothing comes of the ${depth} messages in '${queue}': another consumer may have the queue to itself, or the broker is slow.`,
            )
          end()
        }, end)
      })
    }
    watch(0, 1)
    await ended
    cancel()
    this.#endTake = undefined
    // Deliveries that cross the cancellation are ours too.
    await this.#ask(this.#channel.cancel(consumerTag))
    return count
  }

  /** Ends the taking that is under way: what it has stays held. */
  endTake(): void {
    this.#endTake?.()
  }

  /** Brings messages until it is ended, and keeps `room` of them held. */
  async openStream(room: number, arrived: Taken[]): Promise<void> {
    await this.#open()
    const taken = this.#beginTake()
    await this.#ask(this.#channel.prefetch(room))
    const { consumerTag } = await this.#ask(
      this.#channel.consume(this.#options.queue, (message) => {
        if (message === null) this.#stream = undefined
        else arrived.push(taken(message))
        this.#options.changed()
      }),
    )
    this.#stream = consumerTag
  }

  /** What it has brought stays held. */
  async endStream(): Promise<void> {
    const stream = this.#stream
    this.#stream = undefined
    if (stream !== undefined) await this.#ask(this.#channel.cancel(stream))
  }

  /** Removes a message, together with others of this turn of the event loop. */
  acknowledge({ part, tag }: Pick<Taken, 'part' | 'tag'>): void {
    part.acknowledgements.addTag(tag)
  }

  /** Sends what was acknowledged. */
  flush(): void {
    for (const { acknowledgements } of this.#parts) acknowledgements.flush()
  }

  /** Gives back everything its consumer took up to a delivery that is not settled yet. */
  nackUpTo({ part, tag }: Pick<Taken, 'part' | 'tag'>): void {
    this.throwIfLost()
    part.channel.nack({ fields: { deliveryTag: tag } } as Message, true, true)
  }

  /** Messages waiting in the queue. */
  async depth(): Promise<number> {
    return (await this.#ask(this.#channel.checkQueue(this.#options.queue))).messageCount
  }

  /** The depth, where it makes sense to wait for {@link untilSeen}. */
  async depthBefore(): Promise<number> {
    return this.#isSeen ? this.depth() : 0
  }

  /** Waits until what was given back can be seen, and no longer than it makes sense: a consumer may take it at once. */
  async untilSeen(before: number, count: number): Promise<void> {
    let most = before
    let end = performance.now() + visibleWithinMs
    while (this.#isSeen) {
      const depth = await this.depth()
      if (depth >= before + count) return
      if (depth > most) {
        most = depth
        end = performance.now() + visibleWithinMs
      }
      this.#isSeen = performance.now() < end
      await new Promise<void>((resolve) => this.#options.clock.after(barrierPollMs, resolve))
    }
  }

  /**
   * Waits until a quorum queue has done what was acknowledged: it does so in its own time, and what it has not come to when the channel
   * ends is there again. Until then who took the messages counts as a consumer.
   *
   * @param others consumers that are not ours
   */
  async untilSettled(others: number): Promise<void> {
    const end = performance.now() + settledWithinMs
    while ((await this.#ask(this.#channel.checkQueue(this.#options.queue))).consumerCount > others) {
      // Somebody else may have come meanwhile.
      if (performance.now() > end) return
      await new Promise<void>((resolve) => this.#options.clock.after(barrierPollMs, resolve))
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#parts.map(({ channel }) => this.#options.connection.closeChannel(channel)))
  }

  /** @throws {NsbError} that says why the channel or the connection ended */
  async #ask<T>(request: Promise<T>): Promise<T> {
    try {
      return await this.#options.connection.answer(request)
    } catch (error) {
      throw this.#lost ?? endedChannelError(error, `hold messages of '${this.#options.queue}'`)
    }
  }
}

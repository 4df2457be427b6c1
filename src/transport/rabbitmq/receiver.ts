import { hostname } from 'node:os'
import type { Channel, ConsumeMessage } from 'amqplib'
import { Header } from '../../message/headers.ts'
import { NsbError, errorText } from '../../message/nsb-error.ts'
import type { Clock } from '../clock.ts'
import { MessagesInHand, Outage, type Taken } from '../in-hand.ts'
import type { Decide, IncomingMessage, OutgoingMessage, ReceiveOptions, Receiving } from '../transport.ts'
import { Acknowledgements } from './acknowledgements.ts'
import { type Attempt, DeliveryAttempts } from './attempts.ts'
import { channelError, isOutage, replyText } from './broker-error.ts'
import type { BrokerConnection } from './connection.ts'
import { DoneUnsaid } from './done-unsaid.ts'
import { headersOf } from './native-headers.ts'
import type { Publisher } from './publisher.ts'
import { rawProperties } from './raw.ts'
import type { Topology } from './topology/topology.ts'

export interface ReceiverOptions {
  readonly connection: BrokerConnection
  readonly publisher: Publisher
  readonly topology: Topology
  readonly clock: Clock
  readonly endpoint: string
  /** Does the queue count the deliveries of a message? A classic queue does not. */
  readonly queueCounts: boolean
  readonly warn: (warning: string) => void
  /** Waits before the connection is opened again; the last one repeats. In ms. */
  readonly recoveryDelaysMs: readonly number[]
  /** After so long without a connection a critical error is raised. */
  readonly circuitBreakerMs: number
  ended(): void
}

const maxPrefetch = 65_535
/** A broker that does not answer does not keep a receiver from stopping for longer. */
const cancelledWithinMs = 5000

/** A consumer on one channel, which ends with it. */
interface Consumer {
  readonly channel: Channel
  readonly acknowledgements: Acknowledgements
  readonly tag: string
}

interface Waiting {
  readonly consumer: Consumer
  readonly message: ConsumeMessage
}

/** Takes messages of one queue over a connection of its own, which is opened again for as long as it takes. */
export class RabbitReceiver implements Receiving {
  readonly #options: ReceiverOptions
  readonly #receive: ReceiveOptions
  readonly #inHand: MessagesInHand
  /** Prefetched and not begun. */
  #waiting: Waiting[] = []
  #nextWaiting = 0
  #consumer: Consumer | undefined
  readonly #attempts: DeliveryAttempts
  readonly #doneUnsaid = new DoneUnsaid()
  /** Messages that cannot be read, on their way to the error queue. */
  readonly #poison = new Set<Promise<void>>()
  #breaker: (() => void) | undefined
  /** There is no consumer, and one is being made or waited for. */
  #recovering = true
  #cancelRecovery: (() => void) | undefined
  #stopped: Promise<void> | undefined

  private constructor(options: ReceiverOptions, receive: ReceiveOptions, decide: Decide) {
    this.#options = options
    this.#receive = receive
    this.#attempts = new DeliveryAttempts({ queueCounts: options.queueCounts, prefetch: prefetchFor(receive) })
    this.#inHand = new MessagesInHand(receive, decide, options.clock, () => this.#takeAll())
  }

  /** @throws {NsbError} when the first connection cannot be made or the queue not be consumed */
  static async start(options: ReceiverOptions, receive: ReceiveOptions, decide: Decide): Promise<RabbitReceiver> {
    const receiver = new RabbitReceiver(options, receive, decide)
    options.connection.onLost((error) => receiver.#lost(error))
    try {
      await receiver.#consume()
    } catch (error) {
      await options.connection.close()
      throw error
    }
    receiver.#consuming()
    return receiver
  }

  get inHand(): number {
    return this.#inHand.size + this.#poison.size
  }

  stop(options: { readonly graceMs?: number } = {}): Promise<void> {
    const ended = this.#inHand.stop(options.graceMs)
    this.#stopped ??= this.#stop(ended)
    return this.#stopped
  }

  async #stop(ended: Promise<void>): Promise<void> {
    const { connection } = this.#options
    this.#cancelRecovery?.()
    this.#breaker?.()
    const consumer = this.#consumer
    if (consumer) await connection.answer(consumer.channel.cancel(consumer.tag), cancelledWithinMs).catch(() => undefined)
    // What was never begun goes back at once, instead of with the end of the connection.
    for (const { consumer: of, message } of this.#takeWaiting()) of.acknowledgements.giveBack(message, false)
    await ended
    await Promise.all(this.#poison)
    if (consumer && !consumer.acknowledgements.ended) {
      consumer.acknowledgements.flush()
      consumer.acknowledgements.end()
      // The last acknowledgement before the end of a connection can be lost; closing the channel first waits for it.
      await connection.closeChannel(consumer.channel)
    }
    await connection.close()
    this.#options.ended()
  }

  async #consume(): Promise<void> {
    const { connection, endpoint } = this.#options
    const { queue } = this.#receive
    const channel = await connection.createChannel()
    const acknowledgements = new Acknowledgements(channel)
    const tag = `${hostname()} - ${endpoint} - ${Math.random().toString(36).slice(2, 8)}`
    const consumer: Consumer = { channel, acknowledgements, tag }
    let reason: unknown
    channel.on('error', (error) => {
      reason = error
    })
    channel.on('close', () => {
      this.#end(consumer)
      // Without a reason of its own it ends with the connection, which is about to say why.
      if (reason !== undefined && this.#consumer === consumer) this.#lost(reason)
    })
    try {
      await connection.answer(channel.prefetch(prefetchFor(this.#receive)))
      // Whoever else consumes may have been given what came back from the channel before this one.
      if (this.#doneUnsaid.isWaiting && (await connection.answer(channel.checkQueue(queue))).consumerCount > 0) this.#doneUnsaid.forgetAll()
      this.#consumer = consumer
      await connection.answer(channel.consume(queue, (message) => this.#delivered(consumer, message), { consumerTag: tag }))
    } catch (error) {
      this.#consumer = undefined
      if (!acknowledgements.ended) await connection.closeChannel(channel)
      const named = channelError(reason ?? error, `consume queue '${queue}'`)
      throw reason === undefined && !(named instanceof NsbError) ? connection.lostError(error) : named
    }
  }

  #delivered(consumer: Consumer, message: ConsumeMessage | null): void {
    if (message === null) {
      if (this.#consumer === consumer) this.#lost(new Error(`queue '${this.#receive.queue}' is gone`))
      return
    }
    if (this.#stopped || consumer.acknowledgements.ended) return
    this.#waiting.push({ consumer, message })
    this.#takeAll()
  }

  #takeAll(): void {
    while (!this.#inHand.full) {
      const next = this.#waiting[this.#nextWaiting]
      if (!next) break
      this.#nextWaiting += 1
      if (!next.consumer.acknowledgements.ended) this.#take(next)
    }
    if (this.#nextWaiting < this.#waiting.length && this.#nextWaiting < 1000) return
    this.#waiting = this.#waiting.slice(this.#nextWaiting)
    this.#nextWaiting = 0
  }

  #takeWaiting(): readonly Waiting[] {
    const rest = this.#waiting.slice(this.#nextWaiting)
    this.#waiting = []
    this.#nextWaiting = 0
    return rest
  }

  #take({ consumer, message }: Waiting): void {
    const nativeId: unknown = message.properties.messageId
    if (typeof nativeId !== 'string' || nativeId.trim() === '') return this.#moveToErrorQueue(consumer, message, 'it has no message-id')
    const attempt = this.#attempts.of(message)
    const headers = headersOf(message.properties)
    const incoming: IncomingMessage = {
      id: headers[Header.MessageId] || nativeId,
      nativeId,
      headers,
      body: message.content,
      queue: this.#receive.queue,
      attempt: attempt.number,
    }
    if (!message.fields.redelivered) this.#doneUnsaid.firstDelivery()
    else if (this.#doneUnsaid.take(incoming, attempt.told)) return consumer.acknowledgements.add(message.fields.deliveryTag)
    this.#inHand.settle(new Delivery(this, consumer, message, attempt, incoming))
  }

  /** Carries out `consume`. */
  consume(delivery: Delivery, outgoing: readonly OutgoingMessage[]): void | Promise<void> {
    if (outgoing.length === 0) return this.#acknowledge(delivery)
    return this.#options.publisher.dispatch(outgoing).then(
      () => this.#acknowledge(delivery),
      (error: unknown) => {
        throw isOutage(error) ? new Outage(error) : error
      },
    )
  }

  #acknowledge({ attempt, consumer, message, native }: Delivery): void {
    if (consumer.acknowledgements.ended) this.#doneUnsaid.add({ message, told: attempt.told })
    else consumer.acknowledgements.add(native.fields.deliveryTag)
    this.#attempts.forget(native)
  }

  /** Carries out `putBack`. */
  putBack({ attempt, consumer, native }: Delivery, attempted: boolean): void {
    if (attempted) this.#attempts.failed(native, attempt)
    consumer.acknowledgements.giveBack(native, attempted)
  }

  /** As it is, without failure headers: nothing of it may be read. */
  #moveToErrorQueue(consumer: Consumer, message: ConsumeMessage, reason: string): void {
    const { publisher, topology } = this.#options
    const { errorQueue, queue } = this.#receive
    const nativeId = `delivery ${message.fields.deliveryTag}`
    const moving: Promise<void> = publisher
      .dispatchRaw({
        route: topology.routeTo(errorQueue),
        content: message.content,
        properties: rawProperties(message),
        to: { address: errorQueue },
        mayBeCut: true,
      })
      .then(
        () => {
          if (!consumer.acknowledgements.ended) consumer.acknowledgements.add(message.fields.deliveryTag)
          this.#receive.onPoison({ nativeId, queue, reason })
        },
        (error: unknown) => {
          consumer.acknowledgements.giveBack(message, false)
          this.#inHand.report(error)
          this.#inHand.pause()
        },
      )
      .finally(() => this.#poison.delete(moving))
    this.#poison.add(moving)
  }

  /** What it still holds comes back. */
  #end({ acknowledgements }: Consumer): void {
    if (acknowledgements.ended) return
    acknowledgements.end()
    this.#doneUnsaid.channelEnded()
  }

  /** The connection, the channel or the consumer has ended, and not because of us. */
  #lost(reason: unknown): void {
    const consumer = this.#consumer
    this.#consumer = undefined
    this.#takeWaiting()
    if (consumer && !consumer.acknowledgements.ended) {
      // Only the consumer has ended: what its channel holds would be held for good.
      this.#end(consumer)
      void this.#options.connection.closeChannel(consumer.channel)
    }
    if (this.#stopped || this.#recovering) return
    this.#recovering = true
    const { circuitBreakerMs, clock, warn } = this.#options
    const timedOut = errorText(reason).includes('delivery acknowledgement on channel')
    warn(
      `Receiving from '${this.#receive.queue}' was interrupted (${replyText(errorText(reason))}); it goes on by itself.${timedOut ? ' A message took longer than the broker allows: raise its consumer_timeout, 30 minutes by default.' : ''}`,
    )
    this.#breaker ??= clock.after(circuitBreakerMs, () => {
      this.#breaker = undefined
      this.#inHand.report(
        new NsbError({
          code: 'NSB_CONNECTION_BROKEN',
          message: `'${this.#receive.queue} MessagePump' connection to the broker has failed.`,
          suggestions: ['Look at the broker; receiving goes on when it is back'],
          cause: reason,
        }),
      )
    })
    this.#recover(0)
  }

  #recover(attempt: number): void {
    const { clock, recoveryDelaysMs, warn } = this.#options
    const delay = recoveryDelaysMs[Math.min(attempt, recoveryDelaysMs.length - 1)] ?? 10_000
    this.#cancelRecovery = clock.after(delay, () => {
      this.#consume().then(
        () => {
          if (!this.#stopped) warn(`Receiving from '${this.#receive.queue}' goes on.`)
          this.#consuming()
        },
        () => {
          if (!this.#stopped) this.#recover(attempt + 1)
        },
      )
    })
  }

  /** A consumer was made; unless it was lost again, or nobody wants it any more. */
  #consuming(): void {
    const consumer = this.#consumer
    this.#recovering = false
    this.#cancelRecovery = undefined
    if (this.#stopped) {
      if (consumer) void this.#options.connection.closeChannel(consumer.channel)
      return
    }
    if (!consumer) return this.#lost(this.#options.connection.lostError('the channel was closed'))
    this.#breaker?.()
    this.#breaker = undefined
  }
}

/** Enough that nobody waits for the network. */
const prefetchFor = ({ concurrency }: ReceiveOptions): number => Math.min(maxPrefetch, concurrency * 3)

/** One message in hand. */
class Delivery implements Taken {
  readonly #receiver: RabbitReceiver
  readonly consumer: Consumer
  readonly native: ConsumeMessage
  readonly attempt: Attempt
  readonly message: IncomingMessage

  constructor(receiver: RabbitReceiver, consumer: Consumer, native: ConsumeMessage, attempt: Attempt, message: IncomingMessage) {
    this.#receiver = receiver
    this.consumer = consumer
    this.native = native
    this.attempt = attempt
    this.message = message
  }

  consume(outgoing: readonly OutgoingMessage[]): void | Promise<void> {
    return this.#receiver.consume(this, outgoing)
  }

  putBack(attempted: boolean): void {
    this.#receiver.putBack(this, attempted)
  }
}

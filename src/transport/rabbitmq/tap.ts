import type { ConsumeMessage } from 'amqplib'
import { Header } from '../../message/headers.ts'
import { NsbError, errorText } from '../../message/nsb-error.ts'
import type { Clock } from '../clock.ts'
import type { IncomingMessage, TapEvents } from '../transport.ts'
import { channelError, replyCode } from './broker-error.ts'
import type { BrokerConnection } from './connection.ts'
import { headersOf } from './native-headers.ts'

export interface TapOptions {
  /** Of this tap alone: its private queue goes with it. */
  readonly connection: BrokerConnection
  readonly exchange: string
  /** The queue that is watched, for its messages and for errors. */
  readonly queue: string
  readonly clock: Clock
  readonly warn: (warning: string) => void
  /** Undefined: an interruption is a warning. */
  readonly events: TapEvents | undefined
  /** Waits before the connection is opened again; the last one repeats. In ms. */
  readonly recoveryDelaysMs: readonly number[]
}

/** Copies of what reaches an exchange, through a private queue that goes with its connection; the real queue is not touched. */
export class BrokerTap {
  readonly #options: TapOptions
  readonly #seen: (message: IncomingMessage) => void
  #stopped = false
  /** There is no private queue, and one is being made or waited for. */
  #recovering = true
  #cancelRecovery: (() => void) | undefined

  private constructor(options: TapOptions, seen: (message: IncomingMessage) => void) {
    this.#options = options
    this.#seen = seen
  }

  /** @throws {NsbError} when the first connection cannot be made or the exchange not be watched; NSB_NO_TAP when there is none */
  static async start(options: TapOptions, seen: (message: IncomingMessage) => void): Promise<BrokerTap> {
    const tap = new BrokerTap(options, seen)
    try {
      await tap.#consume()
    } catch (error) {
      await options.connection.close()
      throw error
    }
    tap.#recovering = false
    return tap
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancelRecovery?.()
    await this.#options.connection.close()
  }

  async #consume(): Promise<void> {
    const { connection, exchange, queue } = this.#options
    const channel = await connection.createChannel()
    let reason: unknown
    let ended = false
    const end = (why: unknown): void => {
      if (ended) return
      ended = true
      this.#lost(why)
    }
    channel.on('error', (error) => {
      reason = error
    })
    // The connection says why it was lost only after its channels have ended.
    channel.on('close', () => process.nextTick(() => end(reason ?? connection.lostError('the channel was closed'))))
    const watch = async (): Promise<void> => {
      // Not made: bound to nothing but the private queue, it would swallow what belongs into the queue.
      await channel.checkExchange(exchange)
      const own = await channel.assertQueue('', { exclusive: true, autoDelete: true, durable: false })
      await channel.bindQueue(own.queue, exchange, '')
      await channel.consume(
        own.queue,
        (message) => (message === null ? end(new Error('its private queue is gone')) : this.#show(message)),
        {
          noAck: true,
        },
      )
    }
    try {
      await connection.answer(watch())
    } catch (error) {
      ended = true
      await connection.closeChannel(channel)
      if (replyCode(reason ?? error) === 404) throw noExchange(queue)
      const named = channelError(reason ?? error, `watch queue '${queue}'`)
      throw reason === undefined && !(named instanceof NsbError) ? connection.lostError(error) : named
    }
    if (ended) throw connection.lostError('the channel was closed')
  }

  #show({ content, properties }: ConsumeMessage): void {
    if (this.#stopped) return
    const { queue, warn } = this.#options
    const headers = headersOf(properties)
    const nativeId = typeof properties.messageId === 'string' ? properties.messageId : ''
    try {
      this.#seen({ id: headers[Header.MessageId] || nativeId, nativeId, headers, body: content, queue, attempt: 1 })
    } catch (error) {
      // It would close the channel.
      warn(`A message of '${queue}' that was seen could not be handled: ${errorText(error)}`)
    }
  }

  /** What comes meanwhile is not seen; what comes afterwards is. */
  #lost(reason: unknown): void {
    if (this.#stopped || this.#recovering) return
    const { events, queue, warn } = this.#options
    if (events === undefined) warn(`Watching '${queue}' was interrupted (${errorText(reason)}); it goes on by itself.`)
    else events.interrupted(reason)
    this.#recovering = true
    this.#recover(0)
  }

  #resumed(): void {
    const { events, queue, warn } = this.#options
    if (events === undefined) warn(`Watching '${queue}' goes on.`)
    else events.resumed()
  }

  #recover(attempt: number): void {
    const { clock, recoveryDelaysMs } = this.#options
    const delay = recoveryDelaysMs[Math.min(attempt, recoveryDelaysMs.length - 1)] ?? 10_000
    this.#cancelRecovery = clock.after(delay, () => {
      this.#consume().then(
        () => {
          this.#recovering = false
          if (!this.#stopped) this.#resumed()
        },
        () => {
          if (!this.#stopped) this.#recover(attempt + 1)
        },
      )
    })
  }
}

function noExchange(queue: string): NsbError {
  return new NsbError({
    code: 'NSB_NO_TAP',
    message: `Queue '${queue}' cannot be watched: there is no exchange of its name, so that nothing shows what reaches it.`,
    suggestions: ['Look at the queue itself: nsb errors list'],
  })
}

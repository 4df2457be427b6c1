import { Header } from '../../message/headers.ts'
import type { IncomingMessage } from '../transport.ts'
import { channelError } from './broker-error.ts'
import type { BrokerConnection } from './connection.ts'
import { headersOf } from './native-headers.ts'

/** Copies of what reaches an exchange, through a private queue that goes with its connection; the real queue is not touched. */
export class BrokerTap {
  readonly #connection: BrokerConnection
  #stopped = false

  private constructor(connection: BrokerConnection) {
    this.#connection = connection
  }

  static async start(
    connection: BrokerConnection,
    exchange: string,
    queue: string,
    durable: boolean,
    seen: (message: IncomingMessage) => void,
  ): Promise<BrokerTap> {
    const tap = new BrokerTap(connection)
    const consume = async (): Promise<void> => {
      const channel = await (await connection.open()).createChannel()
      let reason: unknown
      channel.on('error', (error) => {
        reason = error
      })
      try {
        // Its endpoint may not have been started yet; this is how it would declare it.
        await channel.assertExchange(exchange, 'fanout', { durable })
        const own = await channel.assertQueue('', { exclusive: true, autoDelete: true, durable: false })
        await channel.bindQueue(own.queue, exchange, '')
        await channel.consume(
          own.queue,
          (message) => {
            if (message === null || tap.#stopped) return
            const headers = headersOf(message.properties)
            const nativeId = typeof message.properties.messageId === 'string' ? message.properties.messageId : ''
            seen({ id: headers[Header.MessageId] || nativeId, nativeId, headers, body: message.content, queue, attempt: 1 })
          },
          { noAck: true },
        )
      } catch (error) {
        throw channelError(reason ?? error, `watch queue '${queue}'`)
      }
    }
    await consume()
    connection.onLost(() => {
      // What comes meanwhile is not seen; what comes afterwards is.
      if (!tap.#stopped) consume().catch(() => undefined)
    })
    return tap
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#connection.close()
  }
}

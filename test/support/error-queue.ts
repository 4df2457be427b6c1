import amqplib, { type Options } from 'amqplib'
import { readProperties } from '../../src/transport/rabbitmq/properties-frame.ts'
import { failureHeaders } from '../cli/nsb.ts'
import { isAtLeast } from './broker-version.ts'
import { expect } from 'vitest'
import type { VirtualHost } from './virtual-host.ts'

export interface ErrorQueueOptions {
  readonly kind: 'classic' | 'quorum'
  /** Of the queue itself; undefined: none. */
  readonly deliveryLimit?: number
}

/** A message as it lies in a queue of a broker. */
export interface Lying {
  readonly body: string
  /** Without what the queue counts. */
  readonly headers: Readonly<Record<string, unknown>>
  readonly properties: Readonly<Record<string, unknown>>
  readonly redelivered: boolean
  /** How often the queue, if it is a quorum queue, has given it out before. */
  readonly deliveries: number
}

/** More are not asked for one by one. */
const fewMessages = 100

/** An error queue of a broker as no transport of ours made it, and what is in it. */
export class ErrorQueue {
  readonly #host: VirtualHost
  readonly name: string

  private constructor(host: VirtualHost, name: string) {
    this.#host = host
    this.name = name
  }

  /** One that is there. */
  static open(host: VirtualHost, name: string): ErrorQueue {
    return new ErrorQueue(host, name)
  }

  static async make(host: VirtualHost, name: string, { deliveryLimit, kind }: ErrorQueueOptions): Promise<ErrorQueue> {
    const queue = new ErrorQueue(host, name)
    const limit = deliveryLimit === undefined ? {} : { 'x-delivery-limit': deliveryLimit }
    await queue.#on(async (channel) => {
      await channel.assertQueue(name, { durable: true, arguments: kind === 'quorum' ? { 'x-queue-type': 'quorum', ...limit } : {} })
      await channel.assertExchange(name, 'fanout', { durable: true })
      await channel.bindQueue(name, name, '')
    })
    return queue
  }

  /** Failures `m1`, `m2` … of the endpoint `Sales`, their ids as bodies. */
  async fill(count: number, headers: (id: string) => Readonly<Record<string, string>> = () => ({})): Promise<void> {
    const ids = Array.from({ length: count }, (_, index) => `m${index + 1}`)
    await this.put(ids.map((id) => ({ body: id, headers: failureHeaders(id, headers(id)), properties: { messageId: id } })))
  }

  async put(
    messages: readonly {
      readonly body: string
      readonly headers: Readonly<Record<string, unknown>>
      readonly properties?: Options.Publish
    }[],
  ): Promise<void> {
    await this.#on(async (channel) => {
      for (const { body, headers, properties } of messages)
        channel.publish('', this.name, Buffer.from(body), { persistent: true, ...properties, headers })
      await channel.waitForConfirms()
    })
  }

  /** Takes all that is ready, in order. */
  async drain(): Promise<readonly Lying[]> {
    const taken: Lying[] = []
    await this.#on(async (channel) => {
      const { messageCount } = await channel.checkQueue(this.name)
      if (messageCount > fewMessages) await takeAtLeast(messageCount, channel, this.name, taken)
      for (;;) {
        const message = await channel.get(this.name, { noAck: true })
        if (message === false) return
        taken.push(lying(message))
      }
    })
    return taken
  }

  /** Messages that are ready. */
  async depth(): Promise<number> {
    let depth = 0
    await this.#on(async (channel) => {
      depth = (await channel.checkQueue(this.name)).messageCount
    })
    return depth
  }

  async remove(): Promise<void> {
    await this.#on(async (channel) => void (await channel.deleteQueue(this.name)))
  }

  /** Consumes from it and acknowledges nothing. @returns ends that */
  async consume(): Promise<() => Promise<void>> {
    const connection = await amqplib.connect(this.#host.url)
    const channel = await connection.createChannel()
    await channel.prefetch(1)
    await channel.consume(this.name, () => undefined)
    return () => connection.close()
  }

  /** Takes all that is ready, and goes without a word: a failed delivery of each message, so many times. */
  async failDeliveries(times: number): Promise<void> {
    for (let time = 0; time < times; time++)
      await this.#on(async (channel) => {
        const { messageCount } = await channel.checkQueue(this.name)
        let taken = 0
        await channel.prefetch(messageCount)
        await channel.consume(this.name, () => void taken++)
        await expect.poll(() => taken).toBe(messageCount)
      })
  }

  async #on(use: (channel: amqplib.ConfirmChannel) => Promise<void>): Promise<void> {
    const connection = await amqplib.connect(this.#host.url)
    // Of deep tables amqplib runs out of stack.
    readProperties(connection)
    try {
      await use(await connection.createConfirmChannel())
    } finally {
      await connection.close()
    }
  }
}

function lying({ content, fields: { redelivered }, properties: { headers, ...properties } }: amqplib.Message): Lying {
  const { 'x-delivery-count': failed, 'x-acquired-count': acquired, ...others } = headers ?? {}
  const deliveries = redelivered ? Number((isAtLeast(4, 3) ? acquired : failed) ?? 0) : 0
  return { body: content.toString(), headers: others, properties: { ...properties }, redelivered, deliveries }
}

/** Consumes until there are so many, and whatever comes with them. */
async function takeAtLeast(count: number, channel: amqplib.Channel, queue: string, taken: Lying[]): Promise<void> {
  let enough = (): void => {}
  const isEnough = new Promise<void>((resolve) => (enough = resolve))
  const take = (message: amqplib.Message | null): void => {
    if (message !== null && taken.push(lying(message)) >= count) enough()
  }
  const { consumerTag } = await channel.consume(queue, take, { noAck: true })
  await isEnough
  await channel.cancel(consumerTag)
}

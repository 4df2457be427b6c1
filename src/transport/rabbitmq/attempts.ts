import type { Message } from 'amqplib'
import { Header } from '../../message/headers.ts'
import { deliveryCountOf } from './native-headers.ts'

const remembered = 1000

/** At most so many keys; the one that was not used longest goes first. */
export class RecentKeys<T> {
  readonly #entries = new Map<string, T>()

  get(key: string): T | undefined {
    return this.#entries.get(key)
  }

  set(key: string, value: T): void {
    this.#entries.delete(key)
    this.#entries.set(key, value)
    if (this.#entries.size <= remembered) return
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest)
      return
    }
  }

  /** @returns whether it was there */
  delete(key: string): boolean {
    return this.#entries.delete(key)
  }
}

/** What one process remembers of a message between its deliveries. @source NServiceBus.RabbitMQ: MessagePump */
export function messageKey(nativeId: string, message: Message): string {
  const retries: unknown = message.properties.headers?.[Header.Retries]
  return `${nativeId}-${typeof retries === 'string' ? retries : '0'}`
}

/**
 * The number of this delivery: what a quorum queue says, and on classic queues what this process has counted.
 *
 * @param counted how often this process saw the message fail
 * @source NServiceBus.RabbitMQ: MessagePump.GetDeliveryAttempts
 */
export function attemptOf(message: Message, counted: number): number {
  if (!message.fields.redelivered) return 1
  const count = deliveryCountOf(message)
  return count === undefined ? counted + 1 : count + 1
}

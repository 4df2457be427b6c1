import { crc32 } from 'node:zlib'
import type { ConsumeMessage } from 'amqplib'
import { Header } from '../../message/headers.ts'
import { deliveryCountOf } from './native-headers.ts'

const remembered = 1000
/** No queue counts up to that. */
const mostDeliveries = 1_000_000_000

/** How often a message was delivered. */
export interface Attempt {
  /** 1 for the first delivery. */
  readonly number: number
  /** What the message says of it; undefined: nothing that could be a count of its queue. */
  readonly told: number | undefined
}

/**
 * The number of each delivery. A quorum queue counts itself, and writes its count into the message at each delivery but the first.
 * A classic queue does not count, but a message may have brought such a count from another queue. So a count is believed only if it has
 * grown since this process saw the message fail, and never below what the process itself has counted: whatever a message says, the
 * number grows with every failure.
 *
 * @source NServiceBus.RabbitMQ: MessagePump.GetDeliveryAttempts
 */
export class DeliveryAttempts {
  readonly #queueCounts: boolean
  readonly #most: number
  /** The last failed delivery of each message; the one that failed longest ago is the first. */
  readonly #failed = new Map<string, Attempt>()

  /**
   * @param options.queueCounts false: the queue is known to be a classic one
   * @param options.prefetch so many messages may be delivered at once
   */
  constructor({ prefetch, queueCounts }: { readonly queueCounts: boolean; readonly prefetch: number }) {
    this.#queueCounts = queueCounts
    // A message that is forgotten between two of its deliveries would begin anew, for ever.
    this.#most = Math.max(remembered, 2 * prefetch)
  }

  of(message: ConsumeMessage): Attempt {
    const told = this.#queueCounts ? countIn(message) : undefined
    if (!message.fields.redelivered) return { number: 1, told }
    const last = this.#failed.get(messageKey(message))
    const counted = (last?.number ?? 0) + 1
    const isBelieved = told !== undefined && (last?.told === undefined || told > last.told)
    return { number: isBelieved ? Math.max(counted, told + 1) : counted, told }
  }

  failed(message: ConsumeMessage, attempt: Attempt): void {
    const key = messageKey(message)
    this.#failed.delete(key)
    this.#failed.set(key, attempt)
    if (this.#failed.size <= this.#most) return
    for (const oldest of this.#failed.keys()) {
      this.#failed.delete(oldest)
      return
    }
  }

  /** The message has left the queue. */
  forget(message: ConsumeMessage): void {
    if (message.fields.redelivered) this.#failed.delete(messageKey(message))
  }
}

function countIn(message: ConsumeMessage): number | undefined {
  const count = deliveryCountOf(message)
  return count !== undefined && Number.isInteger(count) && count >= 0 && count < mostDeliveries ? count : undefined
}

/** Producers use ids again, so the body belongs to it. */
function messageKey({ content, properties }: ConsumeMessage): string {
  const retries: unknown = properties.headers?.[Header.Retries]
  return `${String(properties.messageId)}-${typeof retries === 'string' ? retries : '0'}-${crc32(content)}`
}

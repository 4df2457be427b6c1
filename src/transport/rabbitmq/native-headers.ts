import type { Message } from 'amqplib'
import { Native } from '../../message/native-headers.ts'

export { Native, deepest, headersOf, isCounted, isNotShown, textOf } from '../../message/native-headers.ts'

/** How often a quorum queue has given the message out before, or what a message has brought from another queue. */
export function deliveryCountOf({ properties }: Message): number | undefined {
  const count: unknown = properties.headers?.[Native.DeliveryCount]
  return typeof count === 'number' ? count : undefined
}

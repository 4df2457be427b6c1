import { inject } from 'vitest'

/** Is the broker that the tests share of this version, or newer? */
export function isAtLeast(major: number, minor = 0): boolean {
  const [itsMajor = 0, itsMinor = 0] = inject('broker').version.split('.').map(Number)
  return itsMajor > major || (itsMajor === major && itsMinor >= minor)
}

/** Does giving a message back count as a failed delivery? See test/assumptions/rabbitmq/delivery-count.test.ts */
export const givingBackCounts = !isAtLeast(4, 3)

/** The delivery limit of a quorum queue for which nobody has set one. */
export const defaultLimit = isAtLeast(4) ? 20 : 'unlimited'

/** Names of headers in the order in which a queue gives them out: newer brokers sort them. */
export const inBrokerOrder = (names: readonly string[]): readonly string[] => (isAtLeast(4) ? names.toSorted() : names)

/** Arguments that a queue was declared with: newer brokers tell the type of a classic queue among them. */
export function declaredArguments(told: unknown): unknown {
  const { 'x-queue-type': type, ...others } = told as Readonly<Record<string, unknown>>
  return type === 'classic' && isAtLeast(4) ? others : told
}

import type { BrokerConnection } from './connection.ts'

export interface BrokerVersion {
  readonly major: number
  readonly minor: number
}

/** An unknown version counts as 4.0, where limits are the strictest. */
export async function versionOf(connection: BrokerConnection): Promise<BrokerVersion> {
  const { version } = (await connection.open()).connection.serverProperties
  const [major, minor] = String(version).split('.').map(Number)
  return { major: major || 4, minor: minor || 0 }
}

/**
 * Does a message that is given back come nearer to the delivery limit of its queue? Since 4.3 only a delivery that failed counts: one that
 * was rejected, or was open when its channel ended.
 *
 * @source test/assumptions/rabbitmq/delivery-count.test.ts
 */
export function countsGiveBacks({ major, minor }: BrokerVersion): boolean {
  return major < 4 || (major === 4 && minor < 3)
}

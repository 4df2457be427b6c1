import { randomBytes } from 'node:crypto'
import { NsbError } from '../../message/nsb-error.ts'
import { channelError, replyCode } from './broker-error.ts'
import { BrokerConnection } from './connection.ts'
import { deliveryExchange } from './delay.ts'
import { Management } from './management.ts'
import { connectionOf } from './open.ts'
import { identityOf } from './same-broker.ts'
import type { BrokerReport, ProbeOptions, RabbitSettings } from './settings.ts'

const managementTimeoutMs = 5000

/**
 * Connects, and tries what endpoints and operators do: on a queue of its own, which goes with the connection.
 *
 * @throws {NsbError} why it cannot be connected with
 */
export async function probeBroker(settings: RabbitSettings, { endpoint, timeoutMs, warn }: ProbeOptions): Promise<BrokerReport> {
  const broker = connectionOf(settings, warn)
  const connection = new BrokerConnection({
    settings: broker,
    name: `${endpoint} Administration`,
    endpoint,
    movesMessages: false,
    timeoutMs,
    warn,
  })
  try {
    const { product, version } = (await connection.open()).connection.serverProperties
    const management = new Management(broker, settings.management ?? {}, Math.min(managementTimeoutMs, timeoutMs), () =>
      identityOf(connection),
    )
    const problem = await management.get('overview?columns=rabbitmq_version').then(
      () => undefined,
      (error: unknown) => (error instanceof NsbError ? problemOf(error) : String(error)),
    )
    const refused: string[] = []
    const hasDelays = await hasExchange(connection, deliveryExchange)
    const queue = `nsb.probe.${randomBytes(8).toString('hex')}`
    const steps = [
      ['declare a queue', () => connection.withChannel((channel) => channel.assertQueue(queue, { exclusive: true, durable: false }))],
      ['read a queue', () => connection.withChannel((channel) => channel.get(queue))],
      ['publish to a queue', () => publish(connection, queue)],
    ] as const
    for (const [what, attempt] of steps) {
      const error = await attempt().then(
        () => undefined,
        (reason: unknown) => channelError(reason, what),
      )
      if (error === undefined) continue
      if (!(error instanceof NsbError) || error.code !== 'NSB_NOT_PERMITTED') throw error
      refused.push(error.message)
      // Without the queue the further steps say nothing.
      if (what === 'declare a queue') break
    }
    // The broker says so with the first message that it gets.
    if (connection.blocked !== undefined) refused.push(`The broker takes no messages for now: ${connection.blocked}.`)
    return {
      address: connection.address,
      product: String(product),
      version: String(version),
      management: { address: management.address, problem },
      hasDelays,
      refused,
    }
  } finally {
    await connection.close()
  }
}

/** Where one was found, what to do about it is no matter of switching it on. */
function problemOf({ code, message, suggestions }: NsbError): string {
  return code === 'NSB_MANAGEMENT_ELSEWHERE' ? `${message} ${suggestions.join(' ')}.` : message
}

async function hasExchange(connection: BrokerConnection, exchange: string): Promise<boolean> {
  try {
    await connection.withChannel((channel) => channel.checkExchange(exchange))
    return true
  } catch (error) {
    if (replyCode(error) === 404) return false
    throw channelError(error, `look for exchange '${exchange}'`)
  }
}

async function publish(connection: BrokerConnection, queue: string): Promise<void> {
  const channel = await connection.createConfirmChannel()
  const refusal = new Promise<never>((_resolve, reject) => channel.once('error', reject))
  try {
    const confirmed = new Promise<void>((resolve, reject) => {
      channel.sendToQueue(queue, Buffer.alloc(0), {}, (error) => (error ? reject(error as Error) : resolve()))
    })
    await connection.answer(Promise.race([refusal, confirmed.catch(() => refusal)]))
    await connection.closeChannel(channel)
  } finally {
    refusal.catch(() => undefined)
  }
}

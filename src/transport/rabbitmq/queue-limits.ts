import type { Channel } from 'amqplib'
import { errorText } from '../../message/nsb-error.ts'
import { endedChannelError, replyCode } from './broker-error.ts'
import type { BrokerConnection } from './connection.ts'
import type { Management } from './management.ts'

/** What decides how often a message of a queue may be looked at. */
export interface QueueLimits {
  readonly kind: 'classic' | 'quorum'
  /** A message survives so many give-backs, and the next one drops it. */
  readonly limit: number | 'unlimited' | 'unknown'
}

/** Without being told, the strictest default that a broker has: 20 since RabbitMQ 4.0. */
export const assumedLimit = 20

/**
 * Finds out the kind of a queue that exists and its delivery limit: from the management API where it can be reached, else from
 * the way the broker refuses another declaration, which does not tell the limit of a policy.
 */
export async function limitsOf(connection: BrokerConnection, management: Management, queue: string): Promise<QueueLimits> {
  return (await askManagement(connection, management, queue)) ?? (await askByDeclaring(connection, queue))
}

async function askManagement(connection: BrokerConnection, management: Management, queue: string): Promise<QueueLimits | undefined> {
  const facts = record(await management.tryGet(`queues/{vhost}/${encodeURIComponent(queue)}`))
  if (!facts || !(await isSameBroker(connection, management))) return undefined
  if (facts['type'] !== 'quorum') return { kind: 'classic', limit: 'unlimited' }
  const told = facts['delivery_limit']
  if (told === 'unlimited' || told === -1) return { kind: 'quorum', limit: 'unlimited' }
  if (typeof told === 'number') return { kind: 'quorum', limit: told }
  const policies = await matchingPolicyLimits(management, queue)
  if (policies === undefined) return { kind: 'quorum', limit: 'unknown' }
  const major = await majorVersion(connection)
  const own = record(facts['arguments'])?.['x-delivery-limit']
  // Up to 3.x a negative limit is zero, since 4.0 it is none.
  const limits = [own, ...policies].filter((limit) => typeof limit === 'number').map((limit) => (limit < 0 && major < 4 ? 0 : limit))
  if (limits.length === 0) return { kind: 'quorum', limit: major < 4 ? 'unlimited' : assumedLimit }
  const set = limits.filter((limit) => limit >= 0)
  return { kind: 'quorum', limit: set.length === 0 ? 'unlimited' : Math.min(...set) }
}

/** The port of the management API is a guess unless it was named: on that of another broker a queue of the same name may be another one. */
async function isSameBroker(connection: BrokerConnection, management: Management): Promise<boolean> {
  const { cluster_name: ours } = (await connection.open()).connection.serverProperties
  const theirs = record(await management.tryGet('overview'))?.['cluster_name']
  return typeof theirs !== 'string' || typeof ours !== 'string' || theirs === ours
}

/**
 * The delivery limits of the policies that apply to a queue. The queue itself tells them only after the broker's next statistics.
 *
 * @returns undefined when they cannot be read
 */
async function matchingPolicyLimits(management: Management, queue: string): Promise<readonly unknown[] | undefined> {
  const limits: unknown[] = []
  for (const path of ['policies/{vhost}', 'operator-policies/{vhost}']) {
    const policies = await management.tryGet(path)
    if (!Array.isArray(policies)) return undefined
    const [applied] = policies
      .map(record)
      .filter((policy) => policy !== undefined && /^(all|queues|quorum_queues)$/.test(String(policy['apply-to'])))
      .filter((policy) => matches(policy?.['pattern'], queue))
      .toSorted((a, b) => Number(b?.['priority'] ?? 0) - Number(a?.['priority'] ?? 0))
    limits.push(record(applied?.['definition'])?.['delivery-limit'])
  }
  return limits
}

/** A pattern that JavaScript cannot read counts as matching: too careful is safe. */
function matches(pattern: unknown, queue: string): boolean {
  try {
    return new RegExp(String(pattern)).test(queue)
  } catch {
    return true
  }
}

async function majorVersion(connection: BrokerConnection): Promise<number> {
  const { version } = (await connection.open()).connection.serverProperties
  return Number.parseInt(String(version), 10) || 4
}

/** What a queue was declared with shows in the refusal of a declaration that differs. */
async function askByDeclaring(connection: BrokerConnection, queue: string): Promise<QueueLimits> {
  const declared: Record<string, unknown> = { 'x-queue-type': 'quorum' }
  const declare = async (channel: Channel): Promise<void> => {
    // Nothing must be created in case it has just gone.
    await channel.checkQueue(queue)
    await channel.assertQueue(queue, { durable: true, arguments: declared })
  }
  for (let tries = 0; tries < 20; tries++) {
    try {
      await connection.withChannel(declare)
      const limit = declared['x-delivery-limit']
      return { kind: 'quorum', limit: typeof limit === 'number' ? limit : 'unknown' }
    } catch (error) {
      // Who may not declare may still read; then the strictest is assumed.
      if (replyCode(error) === 403) return { kind: 'quorum', limit: 'unknown' }
      if (replyCode(error) !== 406) throw endedChannelError(error, `look at queue '${queue}'`)
      const text = errorText(error)
      const [, name = ''] = /inequivalent arg '([^']+)'/.exec(text) ?? []
      if (name === 'x-queue-type' || !name.startsWith('x-')) return { kind: 'classic', limit: 'unlimited' }
      const [, value, type] = /current is the value '([^']*)' of type '([^']*)'/.exec(text) ?? []
      if (value === undefined || name in declared) return { kind: 'quorum', limit: 'unknown' }
      declared[name] = type === 'longstr' ? value : Number(value)
    }
  }
  return { kind: 'quorum', limit: 'unknown' }
}

function record(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Readonly<Record<string, unknown>>) : undefined
}

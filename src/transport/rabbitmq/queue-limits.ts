import type { Channel } from 'amqplib'
import { errorText } from '../../message/nsb-error.ts'
import { endedChannelError, replyCode } from './broker-error.ts'
import { countsGiveBacks, versionOf } from './broker-version.ts'
import type { BrokerConnection } from './connection.ts'
import type { Management } from './management.ts'
import { type Policies, type Told, appliedPolicies, deliveryLimitOf, readPolicies, record } from './policies.ts'

/** What decides how often a message of a queue may be looked at. */
export interface QueueLimits {
  readonly kind: 'classic' | 'quorum' | 'stream'
  /** A message survives so many failed deliveries, and the next one drops it. */
  readonly limit: number | 'unlimited' | 'unknown'
}

/** The same, and what a look costs. */
export interface LookLimits extends QueueLimits {
  /** Giving a message back counts as a failed delivery. */
  readonly giveBacksCount: boolean
}

/** Of a queue that can be held. */
export interface HeldLimits extends LookLimits {
  readonly kind: 'classic' | 'quorum'
}

/** Without being told, the strictest default that a broker has: 20 since RabbitMQ 4.0. */
export const assumedLimit = 20

/**
 * Finds out the kind of a queue that exists and its delivery limit: from the management API where it can be reached, else from
 * the way the broker refuses another declaration, which does not tell the limit of a policy.
 */
export async function limitsOf(connection: BrokerConnection, management: Management, queue: string): Promise<LookLimits> {
  const limits = (await askManagement(connection, management, queue)) ?? (await askByDeclaring(connection, queue))
  return { ...limits, giveBacksCount: countsGiveBacks(await versionOf(connection)) }
}

/** Give-backs before the broker drops a message. */
export const looksLeftOf = ({ giveBacksCount, limit }: LookLimits): QueueLimits['limit'] => (giveBacksCount ? limit : 'unlimited')

async function askManagement(connection: BrokerConnection, management: Management, queue: string): Promise<QueueLimits | undefined> {
  const [answer, policies, { major }] = await Promise.all([
    management.tryGet(`queues/{vhost}/${encodeURIComponent(queue)}`),
    readPolicies(management),
    versionOf(connection),
  ])
  const told = record(answer)
  return told ? limitsIn(told, policies, major) : undefined
}

/**
 * Kind and limit of a queue.
 *
 * @param told of the queue, by the management API
 * @param policies undefined: they cannot be read; the queue may tell what they say
 * @param major of the version of the broker
 */
export function limitsIn(told: Told, policies: Policies | undefined, major: number): QueueLimits {
  if (told['type'] === 'stream') return { kind: 'stream', limit: 'unlimited' }
  if (told['type'] !== 'quorum') return { kind: 'classic', limit: 'unlimited' }
  return { kind: 'quorum', limit: quorumLimit(told, policies, major) }
}

function quorumLimit(told: Told, policies: Policies | undefined, major: number): QueueLimits['limit'] {
  const { delivery_limit: limit } = told
  if (limit === 'unlimited' || limit === -1) return 'unlimited'
  if (typeof limit === 'number') return limit
  const set = setLimits(told, policies)
  if (set === undefined) return 'unknown'
  // Up to 3.x a negative limit is zero, since 4.0 it is none.
  const limits = set.map(({ value }) => (value < 0 && major < 4 ? 0 : value))
  if (limits.length === 0) return major < 4 ? 'unlimited' : assumedLimit
  const kept = limits.filter((value) => value >= 0)
  return kept.length === 0 ? 'unlimited' : Math.min(...kept)
}

/** A limit that somebody has set, and where. */
export interface SetLimit {
  readonly value: number
  readonly by: 'argument' | 'policy' | 'operator policy'
  /** Of the policy. */
  readonly name?: string
}

/** The limits that are set for a queue, of which the lowest holds; undefined: those of policies are not known. */
export function setLimits(told: Told, policies: Policies | undefined): readonly SetLimit[] | undefined {
  const argument = record(told['arguments'])?.['x-delivery-limit']
  const own: readonly SetLimit[] = typeof argument === 'number' ? [{ value: argument, by: 'argument' }] : []
  if (policies === undefined) {
    // An empty one is a list there.
    const effective: unknown = told['effective_policy_definition']
    if (effective === undefined || effective === null) return undefined
    const value = deliveryLimitOf({ definition: effective })
    const name: unknown = told['policy'] ?? told['operator_policy']
    return value === undefined ? own : [...own, { value, by: 'policy', ...(typeof name === 'string' && { name }) }]
  }
  const { operator, user } = appliedPolicies(policies, String(told['name']))
  const set = [
    { policy: user, by: 'policy' },
    { policy: operator, by: 'operator policy' },
  ] as const
  return [
    ...own,
    ...set.flatMap(({ by, policy }) => {
      const value = deliveryLimitOf(policy)
      return value === undefined ? [] : [{ value, by, name: String(policy?.['name']) }]
    }),
  ]
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
      if (name === 'x-queue-type' || !name.startsWith('x-'))
        return { kind: /current is (?:the value )?'stream'/.test(text) ? 'stream' : 'classic', limit: 'unlimited' }
      const [, value, type] = /current is the value '([^']*)' of type '([^']*)'/.exec(text) ?? []
      if (value === undefined || name in declared) return { kind: 'quorum', limit: 'unknown' }
      declared[name] = type === 'longstr' ? value : Number(value)
    }
  }
  return { kind: 'quorum', limit: 'unknown' }
}

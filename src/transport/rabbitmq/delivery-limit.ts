import { NsbError, errorText } from '../../message/nsb-error.ts'
import { versionOf } from './broker-version.ts'
import type { BrokerConnection } from './connection.ts'
import type { Management } from './management.ts'
import { type Policies, type Told, appliedPolicies, readPolicies, record } from './policies.ts'
import { type SetLimit, assumedLimit, limitsIn, setLimits } from './queue-limits.ts'

/** What the transport sets for "none": brokers exist that ignore -1. @source NServiceBus.RabbitMQ: BrokerVerifier */
export const standInForNone = 100_000

/** A policy as the management API takes it. */
export interface LimitPolicy {
  readonly name: string
  readonly value: {
    readonly pattern: string
    readonly 'apply-to': 'quorum_queues'
    readonly definition: { readonly 'delivery-limit': number }
    readonly priority: 0
  }
}

/** What to do about the delivery limit of a queue that an endpoint receives from. */
export type LimitDecision =
  | { readonly kind: 'leave' }
  | { readonly kind: 'write'; readonly policy: LimitPolicy }
  | { readonly kind: 'warn'; readonly warning: string }

const leave: LimitDecision = { kind: 'leave' }

/**
 * Without a limit a message is put back as often as it takes; with one the broker drops it after that. RabbitMQ 4 has one by default.
 *
 * @param queue as the management API tells it
 * @param policies undefined: they may not be read
 * @param major of the version of the broker
 * @source NServiceBus.RabbitMQ: BrokerVerifier.ValidateDeliveryLimit
 */
export function decideDeliveryLimit(queue: Told, policies: Policies | undefined, major: number): LimitDecision {
  const { kind, limit } = limitsIn(queue, policies, major)
  if (kind !== 'quorum') return leave
  const name = String(queue['name'])
  const own = limitPolicy(name)
  const set = setLimits(queue, policies)
  const lowest = set?.toSorted((a, b) => a.value - b.value)[0]
  // The first releases of the .NET transport wrote -1, which some brokers ignore.
  if (lowest?.value === -1 && lowest.by === 'policy' && lowest.name === own.name) return { kind: 'write', policy: own }
  if (limit === 'unlimited' || (limit !== 'unknown' && limit >= standInForNone)) return warnOfUnanchored(name, policies)
  if (lowest !== undefined) return { kind: 'warn', warning: limitWarning(name, limit === 'unknown' ? lowest.value : limit, lowest) }
  if (limit === 'unknown' || set === undefined) {
    const told = limit === 'unknown' ? 'may have a delivery limit' : `has a delivery limit of ${limit}`
    return {
      kind: 'warn',
      warning: `Queue '${name}' ${told}, and its policies could not be read. ${consequence} Set one: ${setPolicy(own)}`,
    }
  }
  const foreign = policies && appliedPolicies(policies, name).user
  if (foreign === undefined) return { kind: 'write', policy: own }
  return {
    kind: 'warn',
    warning: `Queue '${name}' has the delivery limit of RabbitMQ ${major}, ${limit}. ${consequence} Only one policy can apply to a queue: add "delivery-limit": ${standInForNone} to '${String(foreign['name'])}'.`,
  }
}

const consequence =
  'A message that is put back more often than its limit, by immediate retries or lost connections, is dropped by the broker.'

function limitWarning(queue: string, limit: number, { by, name }: SetLimit): string {
  const origin = by === 'argument' ? `its argument 'x-delivery-limit'` : `${by} '${name ?? ''}'`
  const next =
    by === 'argument' ? 'Make the queue again without it; a policy can only lower it' : `Set "delivery-limit" to ${standInForNone} there`
  return `Queue '${queue}' has a delivery limit of ${limit}, set by ${origin}. ${consequence} ${next}.`
}

/** Early releases of the .NET transport did not anchor the pattern, so that it applies to other queues as well. */
function warnOfUnanchored(queue: string, policies: Policies | undefined): LimitDecision {
  const applied = policies && appliedPolicies(policies, queue).user
  const [name, pattern] = [String(applied?.['name']), String(applied?.['pattern'])]
  if (applied === undefined || !/^nsb\..*\.delivery-limit$/.test(name) || /^\^.*\$$/s.test(pattern)) return leave
  return {
    kind: 'warn',
    warning: `Policy '${name}' applies to other queues as well: its pattern '${pattern}' is not anchored with ^ and $.`,
  }
}

function limitPolicy(queue: string): LimitPolicy {
  return {
    name: `nsb.${queue}.delivery-limit`,
    value: {
      pattern: `^${escaped(queue)}$`,
      'apply-to': 'quorum_queues',
      definition: { 'delivery-limit': standInForNone },
      priority: 0,
    },
  }
}

/** @source .NET `Regex.Escape`, so that both write the same policy */
const escaped = (text: string): string => text.replaceAll(/[\\*+?|{[()^$.# ]/g, String.raw`\$&`)

function setPolicy({ name, value }: LimitPolicy): string {
  return `rabbitmqctl set_policy --apply-to queues '${name}' '${value.pattern}' '${JSON.stringify(value.definition)}'`
}

const managementCodes: readonly string[] = ['NSB_MANAGEMENT_ELSEWHERE', 'NSB_MANAGEMENT_UNREACHABLE']

export interface LimitCheck {
  readonly connection: BrokerConnection
  readonly management: Management
  readonly queue: string
  readonly warn: (warning: string) => void
}

/** Looks at the limit of a queue, and writes the policy that it needs. Never rejects: a queue is received from all the same. */
export async function checkDeliveryLimit({ connection, management, queue, warn }: LimitCheck): Promise<void> {
  try {
    const [told, policies, { major }] = await Promise.all([
      management.get(`queues/{vhost}/${encodeURIComponent(queue)}`),
      readPolicies(management),
      versionOf(connection),
    ])
    const facts = record(told)
    // It was received from already, so it has gone.
    if (facts === undefined) return
    const decision = decideDeliveryLimit(facts, policies, major)
    if (decision.kind === 'warn') warn(decision.warning)
    if (decision.kind === 'write') await write(decision.policy, { management, queue, warn })
  } catch (error) {
    // Why there is no connection is said by those who need it.
    if (error instanceof NsbError && managementCodes.includes(error.code))
      warn(`The delivery limits of queues are not known. ${error.message} ${consequence}`)
  }
}

async function write(policy: LimitPolicy, { management, queue, warn }: Omit<LimitCheck, 'connection'>): Promise<void> {
  try {
    await management.put(`policies/{vhost}/${encodeURIComponent(policy.name)}`, policy.value)
  } catch (error) {
    warn(
      `Queue '${queue}' has a delivery limit of ${assumedLimit}, and its policy could not be written: ${errorText(error)} ${consequence} Set it: ${setPolicy(policy)}`,
    )
  }
}

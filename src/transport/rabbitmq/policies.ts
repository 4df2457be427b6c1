import type { Management } from './management.ts'

/** What a value of the management API holds; its answers are not checked further than they are used. */
export type Told = Readonly<Record<string, unknown>>

/** The policies of a virtual host. Of each kind one applies to a queue, and where both say the same thing, the stricter one holds. */
export interface Policies {
  readonly user: readonly Told[]
  readonly operator: readonly Told[]
}

/** @returns undefined: they cannot be read */
export async function readPolicies(management: Management): Promise<Policies | undefined> {
  const [user, operator] = (await Promise.all([management.tryGet('policies/{vhost}'), management.tryGet('operator-policies/{vhost}')])).map(
    records,
  )
  return user && operator && { user, operator }
}

/** The policies that apply to a quorum queue. The queue itself tells them only after the broker's next statistics. */
export function appliedPolicies({ operator, user }: Policies, queue: string): { readonly user?: Told; readonly operator?: Told } {
  const [ours, theirs] = [highest(user, queue), highest(operator, queue)]
  return { ...(ours && { user: ours }), ...(theirs && { operator: theirs }) }
}

export function deliveryLimitOf(policy: Told | undefined): number | undefined {
  const limit = record(policy?.['definition'])?.['delivery-limit']
  return typeof limit === 'number' ? limit : undefined
}

function highest(policies: readonly Told[], queue: string): Told | undefined {
  return policies
    .filter((policy) => /^(all|queues|quorum_queues)$/.test(String(policy['apply-to'])) && matches(policy['pattern'], queue))
    .toSorted((a, b) => Number(b['priority'] ?? 0) - Number(a['priority'] ?? 0))[0]
}

/** A pattern that JavaScript cannot read counts as matching: too careful is safe. */
function matches(pattern: unknown, queue: string): boolean {
  try {
    return new RegExp(String(pattern)).test(queue)
  } catch {
    return true
  }
}

function records(value: unknown): readonly Told[] | undefined {
  return Array.isArray(value) ? value.map(record).filter((each) => each !== undefined) : undefined
}

export function record(value: unknown): Told | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Told) : undefined
}

import { NsbError } from '../../message/nsb-error.ts'
import { QueueNotFoundError } from '../../transport/queue-not-found.ts'
import type { QueueFacts, Transport } from '../../transport/transport.ts'

/** A broker tells the limits with its list, unless its policies may not be read; asking more queues than that takes too long. */
const mostLimits = 100
const atOnce = 8

/** Every queue; delivery limits that the list does not tell are asked for while there are not too many. */
export async function listQueues(transport: Transport): Promise<readonly QueueFacts[]> {
  const facts = [...(await transport.queues())]
  const open = facts.flatMap(({ deliveryLimit }, index) => (deliveryLimit === 'unknown' ? [index] : []))
  if (open.length > mostLimits) return facts
  for (let at = 0; at < open.length; at += atOnce)
    await Promise.all(
      open.slice(at, at + atOnce).map(async (index) => {
        const listed = facts[index] as QueueFacts
        facts[index] = (await transport.inspect(listed.queue)) ?? listed
      }),
    )
  return facts
}

/** @param where for people, in the error @throws {QueueNotFoundError} */
export async function showQueue(transport: Transport, queue: string, where: string): Promise<QueueFacts> {
  const facts = await transport.inspect(queue)
  if (facts !== undefined) return facts
  const names = await transport.queues().catch(() => [])
  throw new QueueNotFoundError(
    queue,
    names.map((each) => each.queue),
    `on ${where}`,
  )
}

export interface CreatedQueue {
  readonly queue: string
  /** `same`: it was there already. */
  readonly action: 'create' | 'same'
}

/**
 * Makes queues as an endpoint does at its start.
 *
 * @param sending queues that are only sent to, such as the error queue
 * @returns those that are there now; a transport may make a queue that is only sent to with its first message
 */
export async function createQueues(
  transport: Transport,
  receiving: readonly string[],
  sending: readonly string[],
): Promise<readonly CreatedQueue[]> {
  const further = [...new Set(sending)].filter((queue) => !receiving.includes(queue))
  const before = await existing(transport, [...receiving, ...further])
  await transport.createQueues(receiving, further)
  const after = await existing(transport, [...receiving, ...further])
  return after.map((queue) => ({ queue, action: before.includes(queue) ? 'same' : 'create' }))
}

async function existing(transport: Transport, queues: readonly string[]): Promise<readonly string[]> {
  const facts = await Promise.all(queues.map((queue) => transport.inspect(queue)))
  return queues.filter((_queue, index) => facts[index] !== undefined)
}

/**
 * May a queue be emptied?
 *
 * @param overrule codes of safety rules that do not count (`--force`)
 * @throws {QueueNotFoundError}
 * @throws {NsbError} NSB_QUEUE_HAS_CONSUMER
 */
export async function checkPurge(transport: Transport, queue: string, where: string, overrule: readonly string[]): Promise<QueueFacts> {
  const facts = await showQueue(transport, queue, where)
  if (typeof facts.consumers === 'number' && facts.consumers > 0 && !overrule.includes('NSB_QUEUE_HAS_CONSUMER'))
    throw new NsbError({
      code: 'NSB_QUEUE_HAS_CONSUMER',
      message: `Queue '${queue}' is not emptied: ${facts.consumers} consumer(s) take messages from it, and what they have in hand comes back.`,
      suggestions: ['Stop them, or use --force'],
      details: { queue, consumers: facts.consumers },
    })
  return facts
}

/** As documents and tables show it; what is not known is left out. */
export function queueFields({ consumers, deliveryLimit, depth, kind, queue }: QueueFacts): {
  readonly queue: string
  readonly type: QueueFacts['kind']
  readonly depth: number
  readonly consumers?: number
  readonly deliveryLimit?: number | 'unlimited'
} {
  return {
    queue,
    type: kind,
    depth,
    ...(consumers !== 'unknown' && { consumers }),
    ...(deliveryLimit !== 'unknown' && { deliveryLimit }),
  }
}

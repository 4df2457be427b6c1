import { failureHeaders } from '../../cli/nsb.ts'
import type { ErrorQueue } from '../../support/error-queue.ts'
import type { ErrorWorld } from '../../support/error-world.ts'

export const numbers = (count: number, first = 1): string[] => Array.from({ length: count }, (_, index) => `m${index + first}`)
export const bodiesIn = async (queue: ErrorQueue): Promise<string[]> => (await queue.drain()).map(({ body }) => body)
/** Names and types of the staging queues. */
export async function staging({ host }: ErrorWorld): Promise<{ readonly name: string; readonly type: string }[]> {
  const queues = await host.api<{ name: string; type: string }[]>('GET', `queues/${host.name}`)
  return queues.filter(({ name }) => name.startsWith('nsb.staging.'))
}

/** As it was put, with what the broker has added left out. */
export const asPut = (
  lying: readonly { body: string; headers: Readonly<Record<string, unknown>>; properties: Readonly<Record<string, unknown>> }[],
) =>
  lying.map(({ body, headers, properties }) => {
    const { 'x-delivery-count': _count, 'x-acquired-count': _acquired, ...own } = headers
    return { body, headers: own, properties }
  })

/** Failures `m1`, `m2` … with typed headers and properties. */
export const messages = (count: number, target: (index: number) => string = () => 'Sales') =>
  Array.from({ length: count }, (_, index) => ({
    body: `m${index + 1}`,
    headers: {
      ...failureHeaders(`m${index + 1}`, {
        'NServiceBus.FailedQ': target(index),
        'NServiceBus.TimeOfFailure': `2026-11-21 00:21:15:${String(index).padStart(6, '0')} Z`,
      }),
      Number: { '!': 'long', value: index },
      List: [1, 'two', true],
    },
    properties: {
      messageId: `native-${index + 1}`,
      correlationId: 'c',
      type: 't',
      priority: 3,
      appId: 'shop',
      contentType: 'application/json',
    },
  }))

import type { Channel } from 'amqplib'
import { expect, it } from 'vitest'
import type { BrokerConnection } from '../../../src/transport/rabbitmq/connection.ts'
import { askCounts } from '../../../src/transport/rabbitmq/counts.ts'

// The rest is tried with real queues in silent-queue.test.ts.

it('a line on which every answer takes as long as a silent queue does not make an empty queue a silent one', async () => {
  const later = <T>(value: T): Promise<T> => new Promise((resolve) => setTimeout(() => resolve(value), 280))
  let asked = 0
  const channel = {
    checkQueue: () => later({ queue: 'q', messageCount: 0, consumerCount: 0, asked: ++asked }),
    checkExchange: () => later({}),
  } as unknown as Channel
  const connection = { timeoutMs: 30_000, answer: (request: Promise<unknown>) => request } as unknown as BrokerConnection

  expect(await askCounts(channel, 'q', connection)).toEqual({ depth: 0, consumers: 0 })
  expect(asked).toBe(2)
})

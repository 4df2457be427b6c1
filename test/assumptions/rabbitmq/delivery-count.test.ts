import { type Channel, type ChannelModel, type ConfirmChannel, type GetMessage, connect } from 'amqplib'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { defaultLimit, givingBackCounts, isAtLeast } from '../../support/broker-version.ts'
import { type VirtualHost, makeVirtualHost } from '../../support/virtual-host.ts'

let host: VirtualHost
let connection: ChannelModel
let channel: ConfirmChannel
beforeAll(async () => {
  host = await makeVirtualHost()
  connection = await connect(host.url)
  channel = await connection.createConfirmChannel()
  await channel.assertQueue('dropped')
})
afterEach(() => channel.deleteQueue('counted'))
afterAll(async () => {
  await connection.close()
  await host.remove()
})

const dropped = 'dropped'

/** A quorum queue with one message. */
async function counted(limit: number | undefined, headers: Readonly<Record<string, unknown>> = {}): Promise<void> {
  const limited = limit === undefined ? {} : { 'x-delivery-limit': limit }
  const seen = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': dropped }
  await channel.assertQueue('counted', { durable: true, arguments: { 'x-queue-type': 'quorum', ...limited, ...seen } })
  channel.sendToQueue('counted', Buffer.from('body'), { headers: { ...headers } })
  await channel.waitForConfirms()
}

/** What becomes of it: a delivery, or its end. */
async function next(from: Channel = channel): Promise<GetMessage | typeof dropped> {
  return vi.waitUntil(async () => (await from.get('counted')) || ((await channel.get(dropped, { noAck: true })) && dropped), {
    timeout: 20_000,
    interval: 5,
  })
}

const counts = ({ properties: { headers = {} } }: GetMessage): readonly unknown[] => [
  headers['x-delivery-count'],
  headers['x-acquired-count'],
]

/** At a first delivery newer brokers say nothing. */
const first = [isAtLeast(4) ? undefined : 0, undefined]

const ways = {
  nack: async (message: GetMessage, its: Channel) => its.nack(message, false, true),
  reject: async (message: GetMessage, its: Channel) => its.reject(message, true),
  close: async (_: GetMessage, its: Channel) => its.close(),
} as const

/** `x-delivery-count` and `x-acquired-count` of the deliveries, so many at most, when each is given back in that way. */
async function deliveries(way: keyof typeof ways, most: number): Promise<readonly unknown[]> {
  const seen: unknown[] = []
  while (seen.length < most) {
    const its = way === 'close' ? await connection.createChannel() : channel
    const message = await next(its)
    if (message === dropped) {
      if (its !== channel) await its.close()
      return [...seen, dropped]
    }
    seen.push(counts(message))
    await ways[way](message, its)
  }
  return seen
}

describe('a quorum queue counts the deliveries of a message', () => {
  it.each(['reject', 'close'] as const)('that fail by %s, and drops it when there were more than its limit', async (way) => {
    await counted(2)

    const acquired = (count: number): number | undefined => (isAtLeast(4, 3) ? count : undefined)
    expect(await deliveries(way, 9)).toEqual([first, [1, acquired(1)], [2, acquired(2)], dropped])
  })

  it('that end with basic.nack and requeue, unless it only counts failures: since 4.3 it tells of them in another header', async () => {
    await counted(2)

    const [told, ...more] = await deliveries('nack', 5)

    expect(told).toEqual(first)
    const others = [1, 2, 3, 4].map((count) => [undefined, count])
    expect(more).toEqual(givingBackCounts ? [[1, undefined], [2, undefined], dropped] : others)
  })

  it('up to 20 by default since 4.0, and without end before', async () => {
    await counted(undefined)

    const seen = await deliveries('reject', 30)

    expect([seen.length, seen.at(-1) === dropped]).toEqual(defaultLimit === 20 ? [22, true] : [30, false])
  })

  it('and what counts a message has brought along is taken for its own at some deliveries', async () => {
    await counted(undefined, { 'x-delivery-count': 9, 'x-acquired-count': 7 })

    const [brought, again] = await deliveries('nack', 2)

    // Older brokers always write the first header, newer ones only what is not zero: the second one from 4.3 on.
    expect(brought).toEqual(isAtLeast(4) ? [9, 7] : [0, 7])
    expect(again).toEqual(isAtLeast(4, 3) ? [9, 1] : [1, 7])
  })
})

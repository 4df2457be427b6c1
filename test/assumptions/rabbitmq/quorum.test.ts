import assert from 'node:assert/strict'
import { type Channel, type ChannelModel, type ConsumeMessage, connect } from 'amqplib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type VirtualHost, makeVirtualHost } from '../../support/virtual-host.ts'

let host: VirtualHost
let connection: ChannelModel
beforeAll(async () => {
  host = await makeVirtualHost()
  connection = await connect(host.url)
})
afterAll(async () => {
  await connection.close()
  await host.remove()
})

/** A consumer that took so many messages and was cancelled. */
async function taken(queue: string, count: number): Promise<{ readonly channel: Channel; readonly messages: readonly ConsumeMessage[] }> {
  const setup = await connection.createConfirmChannel()
  await setup.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'quorum' } })
  for (let index = 0; index < count; index++) setup.sendToQueue(queue, Buffer.from(String(index)))
  await setup.waitForConfirms()
  await setup.close()
  const channel = await connection.createChannel()
  await channel.prefetch(count)
  const messages: ConsumeMessage[] = []
  const { consumerTag } = await channel.consume(queue, (message) => void (message && messages.push(message)))
  await expect.poll(() => messages.length).toBe(count)
  await channel.cancel(consumerTag)
  return { channel, messages }
}

describe('what a quorum queue tells of who holds its messages', () => {
  it('a cancelled consumer counts until the last of its messages is settled', async () => {
    const { channel, messages } = await taken('held', 100)
    const consumers = async (): Promise<number> => (await channel.checkQueue('held')).consumerCount

    assert.equal(await consumers(), 1)
    for (const message of messages.slice(0, -1)) channel.ack(message)
    await expect.poll(async () => (await channel.checkQueue('held')).consumerCount).toBe(1)
    channel.ack(messages.at(-1) as ConsumeMessage)
    await expect.poll(consumers).toBe(0)
    await channel.close()
  })

  it('one that gave its messages back counts no longer either', async () => {
    const { channel, messages } = await taken('returned', 10)

    channel.nack(messages.at(-1) as ConsumeMessage, true, true)
    await expect.poll(async () => (await channel.checkQueue('returned')).consumerCount).toBe(0)
    await channel.close()
  })
})

import { join } from 'node:path'
import { mkdirSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import amqplib from 'amqplib'
import { failureHeaders, nsb, temporaryFolder } from '../../cli/nsb.ts'
import { type Broker, startBroker } from '../../support/broker.ts'
import { openRabbit } from '../../transport/rabbitmq/faults-support.ts'
import { Chance } from '../chance.ts'

const inCampaign = process.env['NSB_CAMPAIGN'] === '1'
const count = Number(process.env['NSB_CAMPAIGN_STALLED'] ?? 100_000)
const stalls = Number(process.env['NSB_CAMPAIGN_STALLS'] ?? 5)
const stallMs = 3000
const deadlineMs = 120_000

describe.skipIf(!inCampaign)('a broker that stands still while looks give back, which needs NSB_CAMPAIGN=1', () => {
  let broker: Broker
  beforeAll(async () => {
    broker = await startBroker()
  })
  afterAll(() => broker.remove())

  it.each([
    ['quorum', {}],
    ['quorum', { 'x-delivery-limit': 100 }],
    ['classic', {}],
  ] as const)(
    `E-14 E-18 %s %j: a look says that all is back, or ends with 3, and the next one finds all of it in its order`,
    { timeout: 1_800_000 },
    async (kind, limit) => {
      const queue = `stalled-${kind}-${Object.keys(limit).length}`
      await broker.api('PUT', `queues/%2F/${queue}`, { durable: true, arguments: { 'x-queue-type': kind, ...limit } })
      await fill(queue)
      const url = `amqp://guest:guest@127.0.0.1:${broker.port}`
      const folder = temporaryFolder()
      const profile = { transport: 'rabbitmq', connection: url, management: `http://127.0.0.1:${broker.managementPort}` }
      writeFileSync(join(folder, 'nsb.json'), JSON.stringify({ profiles: { default: profile } }))
      mkdirSync(join(folder, 'state'))
      const run = (...words: readonly string[]) =>
        nsb(['errors', 'list', '--error-queue', queue, '--refresh', '--limit', '1', '--max-hold', '200000', '--json', ...words], {
          cwd: folder,
          env: { NSB_STATE_DIR: join(folder, 'state') },
        })
      const transport = openRabbit(url)
      const chance = new Chance(count)
      const codes: (number | null)[] = []

      for (let stall = 0; stall < stalls; stall++) {
        let isOver = false
        const looking = run().finally(() => (isOver = true))
        // A classic queue gives back so fast that the moment may be missed.
        await expect
          .poll(async () => isOver || (await transport.inspect(queue))?.depth === 0, { timeout: deadlineMs, interval: 10 })
          .toBe(true)
        await new Promise((resolve) => setTimeout(resolve, chance.between(0, 1500)))
        broker.freeze()
        await new Promise((resolve) => setTimeout(resolve, stallMs))
        broker.thaw()
        const { code, stderr } = await looking
        codes.push(code)
        expect([0, 3, 5], stderr).toContain(code)

        const next = await run('--fail-if-any')
        expect([next.code, next.json()['total']], next.stderr).toEqual([8, count])
      }

      const order = await drained(queue)
      const moved = order.filter((number, index) => number !== index).length
      console.log(JSON.stringify({ queue: kind, ...limit, messages: count, stalls, codes, found: order.length, outOfPlace: moved }))
      expect([order.length, codes.includes(3) ? 0 : moved]).toEqual([count, 0])
    },
  )

  const connected = () => amqplib.connect(`amqp://guest:guest@127.0.0.1:${broker.port}`)

  async function fill(queue: string): Promise<void> {
    const connection = await connected()
    const channel = await connection.createConfirmChannel()
    for (let number = 0; number < count; number++) {
      const id = `m${number}`
      channel.sendToQueue(queue, Buffer.from(id), { persistent: true, messageId: id, headers: failureHeaders(id) })
      if (number % 1000 === 999) await channel.waitForConfirms()
    }
    await channel.waitForConfirms()
    await connection.close()
  }

  /** The numbers of the messages in the order of the queue, which is empty then. */
  async function drained(queue: string): Promise<readonly number[]> {
    const connection = await connected()
    const channel = await connection.createChannel()
    await channel.prefetch(1000)
    const numbers: number[] = []
    let done = (): void => {}
    const all = new Promise<void>((resolve) => (done = resolve))
    await channel.consume(queue, (message) => {
      if (message === null) return done()
      numbers.push(Number(message.content.toString().slice(1)))
      channel.ack(message)
      if (numbers.length === count) done()
    })
    await all
    await channel.close()
    await connection.close()
    return numbers
  }
})

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import amqplib from 'amqplib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { failureHeaders, nsb, temporaryFolder } from '../../cli/nsb.ts'
import type { Broker } from '../../support/broker.ts'
import { type Cluster, startCluster } from '../../support/cluster.ts'
import { openRabbit, until } from '../../transport/rabbitmq/faults-support.ts'
import { underFire } from '../../transport/rabbitmq/under-fire.ts'

const inCampaign = process.env['NSB_CAMPAIGN'] === '1'
const messages = Number(process.env['NSB_CAMPAIGN_MESSAGES'] ?? 20_000)
const downMs = 3000
const upMs = 4000
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

describe.skipIf(!inCampaign)('a cluster of three nodes, which takes minutes and needs NSB_CAMPAIGN=1', () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await startCluster(3)
  }, 120_000)
  afterAll(() => cluster.remove(), 60_000)

  const urlOf = ({ port }: Broker): string => `amqp://guest:guest@127.0.0.1:${port}`

  /** Kills who leads a queue, and starts it again. @returns whether anybody led it */
  async function killLeaderOf(queue: string): Promise<boolean> {
    const leader = await cluster.leaderOf(queue)
    if (leader === undefined) return false
    await leader.stop()
    await pause(downMs)
    await leader.start()
    await pause(upMs)
    return true
  }

  it('RMQ-13 an endpoint goes on when the leader of its queue is killed again and again: nothing is lost', {
    timeout: 1_200_000,
  }, async () => {
    let killed = 0
    const account = await underFire({
      url: urlOf(cluster.nodes[0]),
      calmUrl: urlOf(cluster.nodes[0]),
      hosts: cluster.hosts,
      messages,
      async fault(number) {
        await pause(1000)
        if (await killLeaderOf(number % 2 === 0 ? 'In' : 'Out')) killed++
      },
      calm: async () => undefined,
    })

    console.log(JSON.stringify({ ...account, killed }))
    expect(account).toMatchObject({ messages, lost: 0, strange: 0 })
    expect(killed).toBeGreaterThan(0)
  })

  it('E-24 a replay goes on, or is resumed, when the leader of the error queue is killed: nothing is lost', {
    timeout: 1_200_000,
  }, async () => {
    const [first] = cluster.nodes
    const transport = openRabbit(urlOf(first))
    await transport.createQueues(['error', 'Sales'])
    await transport.close()
    await fill('error')
    const folder = temporaryFolder()
    const profile = {
      transport: 'rabbitmq',
      connection: urlOf(first),
      hosts: cluster.hosts.map(({ host, port }) => `${host}:${port}`),
      management: `http://127.0.0.1:${first.managementPort}`,
    }
    writeFileSync(join(folder, 'nsb.json'), JSON.stringify({ profiles: { default: profile } }))
    const run = (...words: readonly string[]) => nsb(words, { cwd: folder, env: { NSB_STATE_DIR: join(folder, 'state') } })

    const replaying = run('errors', 'replay', '--all', '--rate', `${Math.ceil(messages / 10)}/s`, '--yes', '--json')
    await until('it is under way', async () => (await depthOf('Sales')) > 0)
    expect(await killLeaderOf('error'), 'somebody led the queue').toBe(true)
    const codes = [(await replaying).code]
    let announced = 0
    for (let tries = 0; tries < 10 && (await isOpen()); tries++) {
      const resumed = await run('errors', 'resume', '--yes', '--json')
      codes.push(resumed.code)
      announced = Math.max(announced, Number(resumed.json()['mayArriveTwice'] ?? 0))
    }

    const [sent, left] = [await drained('Sales'), await drained('error')]
    const found = new Set([...sent, ...left])
    const twice = sent.length + left.length - found.size
    console.log(JSON.stringify({ messages, codes, sent: sent.length, left: left.length, twice, announced }))
    expect([found.size, left.length]).toEqual([messages, 0])
    expect(twice, 'every duplicate is announced').toBeLessThanOrEqual(announced)

    async function isOpen(): Promise<boolean> {
      return (await run('errors', 'resume', '--list', '--json')).stdout.includes('"command": "replay"') || (await depthOf('error')) > 0
    }
  })

  const connected = async () => {
    for (const node of cluster.nodes) {
      const connection = await amqplib.connect(urlOf(node)).catch(() => undefined)
      if (connection !== undefined) return connection
    }
    throw new Error('no node answers')
  }

  async function depthOf(queue: string): Promise<number> {
    const connection = await connected()
    try {
      return (await (await connection.createChannel()).checkQueue(queue)).messageCount
    } finally {
      await connection.close()
    }
  }

  async function fill(queue: string): Promise<void> {
    const connection = await connected()
    const channel = await connection.createConfirmChannel()
    for (let number = 0; number < messages; number++) {
      const id = `m${number}`
      channel.sendToQueue(queue, Buffer.from(id), { persistent: true, messageId: id, headers: failureHeaders(id) })
      if (number % 1000 === 999) await channel.waitForConfirms()
    }
    await channel.waitForConfirms()
    await connection.close()
  }

  /** The contents of a queue, which is empty then. */
  async function drained(queue: string): Promise<readonly string[]> {
    const connection = await connected()
    const channel = await connection.createChannel()
    const contents: string[] = []
    for (let message = await channel.get(queue, { noAck: true }); message; message = await channel.get(queue, { noAck: true }))
      contents.push(message.content.toString())
    await connection.close()
    return contents
  }
})

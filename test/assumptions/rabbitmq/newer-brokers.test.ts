import { type ChannelModel, type ConfirmChannel, type GetMessage, connect } from 'amqplib'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { inBrokerOrder, isAtLeast } from '../../support/broker-version.ts'
import { startBroker } from '../../support/broker.ts'
import { type VirtualHost, makeVirtualHost } from '../../support/virtual-host.ts'
import { depthIs, look, message, openRabbit, receive, textOf } from '../../transport/rabbitmq/faults-support.ts'

let host: VirtualHost
let connection: ChannelModel
let channel: ConfirmChannel
beforeAll(async () => {
  host = await makeVirtualHost()
  connection = await connect(host.url)
  channel = await connection.createConfirmChannel()
})
afterAll(async () => {
  await connection.close()
  await host.remove()
})

const taken = (queue: string): Promise<GetMessage> =>
  vi.waitUntil(() => channel.get(queue, { noAck: true }), { timeout: 20_000, interval: 5 })

/** On a connection of its own, which a refusal may end. @returns what the broker says; undefined: it does it */
async function refusal(use: (its: ConfirmChannel) => Promise<unknown>, url = host.url): Promise<string | undefined> {
  const model = await connect(url)
  const ended: unknown[] = []
  model.on('error', (error) => ended.push(error))
  onTestFinished(() => model.close().catch(() => undefined))
  const its = await model.createConfirmChannel()
  its.on('error', (error) => ended.push(error))
  try {
    await use(its)
    return undefined
  } catch (error) {
    return String(ended[0] ?? error)
  }
}

describe('what is different on newer brokers', () => {
  it('classic queues are not mirrored any more: such a policy is refused since 4.0', async () => {
    const policy = { pattern: '^mirrored$', definition: { 'ha-mode': 'all' } }
    const put = host.api('PUT', `policies/${host.name}/mirrored`, policy)

    if (isAtLeast(4)) await expect(put).rejects.toThrow(/ha-mode.*not recognised/)
    else await expect(put).resolves.toBeUndefined()
  })

  it('a queue that is neither durable nor exclusive is made, which is deprecated since 4.0 and can be refused; nsb needs none', async ({
    skip,
  }) => {
    const transient = (its: ConfirmChannel): Promise<unknown> => its.assertQueue('transient', { durable: false })
    expect(await refusal(transient)).toBeUndefined()
    if (!isAtLeast(4)) return skip('this broker cannot refuse what is deprecated')
    const config = ['transient_nonexcl_queues', 'global_qos'].map((name) => `deprecated_features.permit.${name} = false`).join('\n')
    const broker = await startBroker({ config })
    onTestFinished(() => broker.remove())
    const url = `amqp://guest:guest@127.0.0.1:${broker.port}`

    expect(await refusal(transient, url)).toMatch(/transient_nonexcl_queues.*deprecated/)

    const transport = openRabbit(url, { management: { url: `http://127.0.0.1:${broker.managementPort}` } })
    await transport.createQueues(['Sales'])
    const tapped: string[] = []
    const tap = await transport.tap('Sales', ({ id }) => tapped.push(id))
    const answers = await transport.temporaryQueue('answers', 60_000)
    await transport.dispatch([message('held', 'Sales'), message('answer', answers.address)])
    await depthIs(transport, 'Sales', 1)
    expect((await look(transport, 'Sales')).flat().map(textOf)).toEqual(['held'])
    const seen = await receive(transport, 'Sales')
    await expect.poll(() => seen.deliveries.map(textOf)).toEqual(['held'])
    await expect.poll(() => tapped).toHaveLength(1)
    await Promise.all([seen.stop(), tap.stop(), answers.remove()])
  })

  it('a prefetch for a whole channel counts for each consumer since 4.3, and before quorum queues refuse it', async () => {
    for (const [queue, arguments_] of [
      ['classic', {}],
      ['quorum', { 'x-queue-type': 'quorum' }],
    ] as const) {
      await channel.assertQueue(queue, { durable: true, arguments: arguments_ })
      for (let number = 0; number < 10; number++) channel.sendToQueue(queue, Buffer.from('x'))
    }
    await channel.waitForConfirms()
    let [classic, quorum] = [0, 0]
    const both = async (its: ConfirmChannel, queue: string, seen: () => void): Promise<void> => {
      await its.prefetch(3, true)
      await its.consume(queue, seen)
      await its.consume(queue, seen)
    }

    const inClassic = await refusal((its) => both(its, 'classic', () => classic++))
    const inQuorum = await refusal((its) => both(its, 'quorum', () => quorum++))

    expect(inClassic).toBeUndefined()
    await expect.poll(() => classic).toBe(isAtLeast(4, 3) ? 6 : 3)
    if (isAtLeast(4, 3)) await expect.poll(() => quorum).toBe(6)
    else expect(inQuorum).toMatch(/NOT_IMPLEMENTED - queue 'quorum' .* does not support global qos/)
  })

  it('headers come out in the order of their names since 4.0', async () => {
    const names = ['b', 'a', 'B', '$.first']
    await channel.assertQueue('ordered')
    channel.sendToQueue('ordered', Buffer.from('x'), { headers: Object.fromEntries(names.map((name) => [name, 'x'])) })

    expect(Object.keys((await taken('ordered')).properties.headers ?? {})).toEqual(inBrokerOrder(names))
  })

  it.each(['classic', 'quorum'])('in a %s queue x-death of a client is that of the broker no longer since 4.0', async (type) => {
    const dying = `dying-${type}`
    const dead = `dead-${type}`
    await channel.assertQueue(dead)
    const deadLetters = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': dead }
    await channel.assertQueue(dying, { durable: true, arguments: { 'x-queue-type': type, ...deadLetters } })
    const claimed = [{ count: 3, reason: 'rejected', queue: 'claimed', exchange: '', 'routing-keys': ['claimed'] }]
    channel.sendToQueue(dying, Buffer.from('x'), { headers: { 'x-death': claimed, 'x-first-death-queue': 'claimed' } })
    await channel.waitForConfirms()

    const living = await vi.waitUntil(() => channel.get(dying), { timeout: 20_000, interval: 5 })
    channel.reject(living, false)

    // Until the broker has something to say it passes as it came.
    expect(living.properties.headers).toMatchObject({ 'x-death': claimed, 'x-first-death-queue': 'claimed' })
    const headers = (await taken(dead)).properties.headers ?? {}
    const deaths = (headers['x-death'] as readonly { readonly queue: string; readonly count: number }[]).map(
      ({ count, queue }) => `${queue} ${count}`,
    )
    const own = `${dying} 1`
    expect([deaths, headers['x-first-death-queue'], headers['x-last-death-queue']]).toEqual(
      isAtLeast(4) ? [[own], dying, dying] : [[own, 'claimed 3'], 'claimed', undefined],
    )
  })
})

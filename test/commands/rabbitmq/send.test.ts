import { describe, expect, it, onTestFinished } from 'vitest'
import { type Ended, nsb } from '../../cli/nsb.ts'
import { type BrokerShop, brokerShop } from '../../support/broker-shop.ts'
import { ErrorQueue } from '../../support/error-queue.ts'
import { sortedHeaders } from '../../support/header-order.ts'
import type { RunningNsb } from '../../support/running-nsb.ts'
import { type VirtualHost, makeVirtualHost } from '../../support/virtual-host.ts'

interface World {
  readonly host: VirtualHost
  readonly shop: BrokerShop
  /** The queues of the virtual host, by name. */
  queues(): Promise<Readonly<Record<string, { readonly type: string; readonly arguments: object }>>>
}

async function makeWorld(settings: Readonly<Record<string, unknown>> = {}, statements?: string): Promise<World> {
  const host = await makeVirtualHost()
  onTestFinished(() => host.remove())
  const queues: World['queues'] = async () => {
    const listed = await host.api<readonly { name: string; type: string; arguments: object }[]>('GET', `queues/${host.name}`)
    return Object.fromEntries(listed.map(({ arguments: given, name, type }) => [name, { type, arguments: given }]))
  }
  return { host, shop: brokerShop(host, settings, statements), queues }
}

/** The shop as an endpoint, once it is ready. */
async function running({ shop }: World, ...flags: readonly string[]): Promise<RunningNsb> {
  const endpoint = shop.start('run', '--no-retries', '--log', 'json', ...flags)
  await expect.poll(() => endpoint.stdout.includes('"event":"ready"') || endpoint.stderr, { timeout: 20_000 }).toBe(true)
  return endpoint
}

const errorsIn = async ({ host }: World): Promise<number> => ErrorQueue.open(host, 'error').depth()
const order = (id: string): string[] => ['send', 'PlaceOrder', '--data', `OrderId=${id}`]
const codeOf = (ended: Ended): unknown => (ended.json()['error'] as { readonly code: string }).code

describe('send and publish on RabbitMQ', () => {
  it('CLI-10 print the body of the reply alone, and leave a reply queue that goes by itself', { timeout: 60_000 }, async () => {
    const world = await makeWorld()
    await running(world)

    const { code, stderr, stdout } = await world.shop.run(...order('42'), '--await-reply')

    expect(code, stderr).toBe(0)
    expect(stdout).toBe('{"OrderId":"42"}\n')
    expect(stderr).toContain('reply Shop.OrderAccepted from Shop')
    const [name = '', queue] = Object.entries(await world.queues()).find(([each]) => each.startsWith('nsb.reply.')) ?? []
    expect(name).toMatch(/^nsb\.reply\.([\w-]+\.)?[0-9a-f]{16}$/)
    expect(queue).toMatchObject({ type: 'classic', arguments: { 'x-expires': 600_000 } })
    const exchange = await world.host.api('GET', `exchanges/${world.host.name}/${name}`)
    expect(exchange).toMatchObject({ type: 'fanout', auto_delete: true })
  })

  it('CLI-11 tell with 8 that the request has failed, by its exception, and leave the error queue untouched', {
    timeout: 60_000,
  }, async () => {
    const world = await makeWorld()
    await running(world)

    const ended = await world.shop.run(...order('bad'), '--await-reply', '--reply-timeout', '20s', '--json')

    expect(ended.code, ended.stderr).toBe(8)
    expect(ended.json()).toMatchObject({ status: 'failed', failure: { exceptionType: 'Node.Error', exceptionMessage: 'no stock for bad' } })
    const errors = ErrorQueue.open(world.host, 'error')
    expect((await errors.drain()).map(({ redelivered }) => redelivered)).toEqual([false])
  })

  it('CLI-11 find the failed request with one look at the timeout in the direct topology', { timeout: 60_000 }, async () => {
    const world = await makeWorld({ topology: 'direct' })
    await running(world)

    const replied = await world.shop.run(...order('42'), '--await-reply', '--reply-timeout', '20s')
    const failed = await world.shop.run(...order('bad'), '--await-reply', '--reply-timeout', '3s', '--json')

    expect([replied.code, replied.stdout]).toEqual([0, '{"OrderId":"42"}\n'])
    expect(failed.code, failed.stderr).toBe(8)
    expect(failed.json()).toMatchObject({ status: 'failed', failure: { exceptionMessage: 'no stock for bad' } })
    expect(await errorsIn(world)).toBe(1)
  })

  it('CLI-11 end with 7 when there is no reply in time, and say whether it still waits or was taken', { timeout: 60_000 }, async () => {
    const world = await makeWorld({}, 'await Promise.resolve()')
    await world.shop.run('queues', 'create', 'Shop')

    const waiting = await world.shop.run(...order('1'), '--await-reply', '--reply-timeout', '300ms')
    await running(world)
    const taken = await world.shop.run(...order('2'), '--await-reply', '--reply-timeout', '2s')

    expect([waiting.code, taken.code]).toEqual([7, 7])
    expect(waiting.stderr).toContain("No endpoint receives now from 'Shop'")
    expect(waiting.stderr).toContain("It still waits in 'Shop'")
    expect(taken.stderr).toContain('An endpoint has taken it')
  })

  it('CB-27 never make the responder fail: a late and a second reply have a queue to go to', { timeout: 60_000 }, async () => {
    const twice = `await context.reply(new OrderAccepted({ OrderId: message.OrderId })); await new Promise((resolve) => setTimeout(resolve, 500))
    await context.reply(new OrderAccepted({ OrderId: 'late' }))`
    const world = await makeWorld({}, twice)
    const endpoint = await running(world)

    const early = await world.shop.run(...order('1'), '--await-reply', '--reply-timeout', '100ms')
    const replied = await world.shop.run(...order('2'), '--await-reply', '--reply-timeout', '20s')
    await expect.poll(() => endpoint.lines.filter(({ event }) => event === 'handled').length, { timeout: 20_000 }).toBe(2)

    expect([early.code, replied.code]).toEqual([7, 0])
    expect(await errorsIn(world)).toBe(0)
  })

  it('send without waiting, to a handler that replies all the same: those replies keep themselves few', { timeout: 60_000 }, async () => {
    const world = await makeWorld()
    await world.shop.run('queues', 'create', 'Shop')

    const sent = await world.shop.run(...order('1'), '--json')
    const ran = await world.shop.run('run', '--max', '1', '--max-time', '30s')

    expect([sent.code, ran.code], ran.stderr).toEqual([0, 0])
    expect(sent.json()).toMatchObject({ destination: 'Shop', status: 'sent' })
    expect((await world.queues())['nsb.reply.unread']).toMatchObject({
      type: 'classic',
      arguments: { 'x-message-ttl': 86_400_000, 'x-max-length': 10_000 },
    })
  })

  it('refuse a destination without a queue, and send nothing', async () => {
    const world = await makeWorld()

    const ended = await world.shop.run(...order('1'), '--json')

    expect([ended.code, codeOf(ended)]).toEqual([4, 'NSB_QUEUE_NOT_FOUND'])
  })

  it('say the same as on the learning transport', { timeout: 60_000 }, async () => {
    const world = await makeWorld()
    await running(world)
    const folder = world.shop.folder
    const onFolder = (...words: readonly string[]): Promise<Ended> => nsb([...words, '--transport', 'learning'], { cwd: folder })
    const learning = world.shop.start('run', '--no-retries', '--log', 'json', '--transport', 'learning')
    await expect.poll(() => learning.stdout.includes('"event":"ready"') || learning.stderr, { timeout: 20_000 }).toBe(true)
    const shape = ({ code, stdout }: Ended): string =>
      `${code} ${sortedHeaders(stdout)
        .replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'ID')
        .replaceAll(/"latencyMs": \d+/g, '"latencyMs": 0')
        .replaceAll(/\d{4}-\d\d-\d\d [\d:]+ Z/g, 'TIME')
        .replaceAll(/"(traceparent|NServiceBus.OpenTelemetry[^"]*)": "[^"]*",?\s*/g, '')}`

    for (const words of [
      [...order('1'), '--json'],
      [...order('1'), '--await-reply', '--json', '--id', 'one'],
      [...order('bad'), '--await-reply', '--json', '--id', 'two'],
      [...order('1'), '--expect', '$.OrderId=2', '--await-reply'],
      [...order('1'), '--repeat', '3', '-o', 'ids', '--id', 'x'],
    ])
      expect(shape(await world.shop.run(...words)), words.join(' ')).toBe(shape(await onFolder(...words)))
    learning.kill('SIGTERM')
    await learning.ended
  })
})

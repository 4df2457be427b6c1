import assert from 'node:assert/strict'
import { describe, expect, it, onTestFinished } from 'vitest'
import { failureHeaders } from '../../cli/nsb.ts'
import { type BrokerShop, brokerShop } from '../../support/broker-shop.ts'
import { ErrorQueue } from '../../support/error-queue.ts'
import type { RunningNsb } from '../../support/running-nsb.ts'
import { startTcpProxy } from '../../support/tcp-proxy.ts'
import { type VirtualHost, makeVirtualHost } from '../../support/virtual-host.ts'

interface World {
  readonly host: VirtualHost
  readonly errors: ErrorQueue
  readonly shop: BrokerShop
  /** As an endpoint sends a failure: to the exchange, or in the direct topology to the queue. */
  readonly fail: (...ids: readonly string[]) => Promise<void>
}

async function makeWorld(settings: Readonly<Record<string, unknown>> = {}): Promise<World> {
  const host = await makeVirtualHost()
  onTestFinished(() => host.remove())
  const errors = await ErrorQueue.make(host, 'error', { kind: 'quorum', deliveryLimit: 20 })
  const exchange = settings['topology'] === 'direct' ? '' : 'error'
  const fail = async (...ids: readonly string[]): Promise<void> => {
    for (const id of ids)
      await host.api('POST', `exchanges/${host.name}/${exchange === '' ? 'amq.default' : exchange}/publish`, {
        properties: { headers: failureHeaders(id), message_id: id },
        routing_key: 'error',
        payload: id,
        payload_encoding: 'string',
      })
  }
  return { host, errors, shop: brokerShop(host, settings), fail }
}

/** `nsb errors watch --json`, once it watches. */
async function watching({ shop }: Pick<World, 'shop'>, ...flags: readonly string[]): Promise<RunningNsb> {
  const watch = shop.start('errors', 'watch', '--json', ...flags)
  await expect.poll(() => watch.stdout.includes('"watching"') || watch.stderr, { timeout: 20_000 }).toBe(true)
  return watch
}

const events = (watch: RunningNsb, name: string): readonly Record<string, unknown>[] => watch.lines.filter(({ event }) => event === name)
const failedOf = (watch: RunningNsb): unknown[] => events(watch, 'failed').map(({ messageId }) => messageId)
const until = (holds: () => boolean): Promise<void> => expect.poll(holds, { timeout: 20_000 }).toBe(true)

async function interrupted(watch: RunningNsb): Promise<void> {
  watch.kill('SIGINT')
  expect(await watch.ended, watch.stderr).toBe(130)
}

describe('errors watch on RabbitMQ', () => {
  it('E-45 shows a new failure and leaves the queued message as if nobody had looked', { timeout: 60_000 }, async () => {
    const world = await makeWorld()
    const watch = await watching(world)

    await world.fail('m1')
    await until(() => failedOf(watch).length === 1)
    await interrupted(watch)

    const [lying] = await world.errors.drain()
    expect([lying?.body, lying?.redelivered, lying?.deliveries]).toEqual(['m1', false, 0])
    expect(watch.lines[0]).toMatchObject({ event: 'watching', by: 'tap', depth: 0, queueType: 'quorum' })
  })

  it('E-45 works while somebody else consumes the queue', { timeout: 60_000 }, async () => {
    const world = await makeWorld()
    const stop = await world.errors.consume()
    onTestFinished(stop)
    const watch = await watching(world)

    await world.fail('m1', 'm2')
    await until(() => failedOf(watch).length === 2)
    await interrupted(watch)

    assert.deepEqual(failedOf(watch), ['m1', 'm2'])
    assert.equal(watch.stderr.includes('!'), false)
  })

  it('goes on after its connection was lost, and says what may be missing', { timeout: 90_000 }, async () => {
    const world = await makeWorld()
    const { port } = new URL(world.host.url)
    const proxy = await startTcpProxy(Number(port))
    onTestFinished(() => proxy.close())
    const disturbed = { ...world.host, url: world.host.url.replace(`:${port}/`, `:${proxy.port}/`) }
    await world.errors.put([{ body: 'before', headers: failureHeaders('before') }])
    const watch = await watching({ shop: brokerShop(disturbed) }, '--timeout', '3s', '--interval', '200ms')

    proxy.become('stall')
    proxy.reset()
    await until(() => events(watch, 'interrupted').length === 1)
    await world.fail('missed1', 'missed2')
    proxy.become('pass')
    proxy.reset()
    await until(() => events(watch, 'resumed').length === 1)
    await world.fail('seen')
    await until(() => failedOf(watch).length === 1)
    await interrupted(watch)

    assert.deepEqual(failedOf(watch), ['seen'])
    expect(events(watch, 'resumed')).toMatchObject([{ before: 1, depth: 3 }])
    expect(watch.stderr).toContain('failures in between were not shown: it had 1 message, and has 3 now')
  })

  it('refuses a queue that does not exist with 4, names similar ones, and makes nothing', async () => {
    const { host, shop } = await makeWorld()
    const exchanges = async (): Promise<unknown> =>
      (await host.api<{ name: string }[]>('GET', `exchanges/${host.name}`)).map(({ name }) => name)
    const before = await exchanges()

    const ended = await shop.run('errors', 'watch', '--error-queue', 'eror')

    expect(ended.code).toBe(4)
    expect(ended.stderr).toMatch(/NSB_QUEUE_NOT_FOUND: .*'eror'.*error/s)
    expect(await exchanges()).toEqual(before)
  })

  it('shows the depth of a queue that has no exchange of its name, and makes none', { timeout: 60_000 }, async () => {
    const { errors, host, shop } = await makeWorld()
    await host.api('DELETE', `exchanges/${host.name}/error`)
    const watch = await watching({ shop }, '--interval', '100ms')

    await errors.put([{ body: 'm1', headers: failureHeaders('m1') }])
    await until(() => events(watch, 'depth').length > 0)
    await interrupted(watch)
    const first = await shop.run('errors', 'watch', '--exit-on-first')

    expect(watch.lines[0]).toMatchObject({ event: 'watching', by: 'depth', depth: 0 })
    expect([first.code, first.stderr.includes('NSB_CANNOT_WATCH')]).toEqual([2, true])
    await expect(host.api('GET', `exchanges/${host.name}/error`)).rejects.toThrow('404')
  })

  it('says that its queue is gone, which is not an empty one', { timeout: 60_000 }, async () => {
    const { errors, host, shop } = await makeWorld()
    await host.api('DELETE', `exchanges/${host.name}/error`)
    const watch = await watching({ shop }, '--interval', '100ms')

    await host.api('DELETE', `queues/${host.name}/${errors.name}`)
    await until(() => events(watch, 'interrupted').length === 1)
    await interrupted(watch)

    expect(JSON.stringify(events(watch, 'interrupted'))).toContain('There is no queue')
  })

  it('shows in the direct topology the depth when it has risen, and touches nothing', { timeout: 60_000 }, async () => {
    const world = await makeWorld({ topology: 'direct' })
    await world.fail('m1')
    const watch = await watching(world, '--interval', '100ms')

    await world.fail('m2', 'm3')
    await until(() => events(watch, 'depth').at(-1)?.['depth'] === 3)
    await interrupted(watch)

    assert.equal(events(watch, 'depth')[0]?.['before'], 1)
    const lying = await world.errors.drain()
    expect(lying.map(({ redelivered, deliveries }) => [redelivered, deliveries])).toEqual(Array.from({ length: 3 }, () => [false, 0]))
  })

  it.each([
    ['--type', 'PlaceOrder'],
    ['--exec', 'cat'],
    ['--exit-on-first', '-v'],
  ])('refuses %s in the direct topology, because a depth says nothing of messages', { timeout: 60_000 }, async (...flags) => {
    const { shop } = await makeWorld({ topology: 'direct' })

    const { code, json } = await shop.run('errors', 'watch', '--json', ...flags)

    expect(code).toBe(2)
    expect(json()).toMatchObject({ error: { code: 'NSB_CANNOT_WATCH' } })
  })

  it('reads the queue with --deep when it has grown, and shows what is new and selected', { timeout: 60_000 }, async () => {
    const world = await makeWorld({ topology: 'direct' })
    await world.fail('old1', 'old2')
    const watch = await watching(world, '--deep', '--interval', '100ms', '--header', '!hidden')

    await world.fail('new1')
    await until(() => failedOf(watch).length === 1)
    await world.errors.put([{ body: 'hidden', headers: failureHeaders('hidden', { hidden: 'yes' }) }])
    await world.fail('new2')
    await until(() => failedOf(watch).length === 2)
    await interrupted(watch)

    assert.deepEqual(failedOf(watch), ['new1', 'new2'])
    const lying = await world.errors.drain()
    assert.deepEqual(
      lying.map(({ body }) => body),
      ['old1', 'old2', 'new1', 'hidden', 'new2'],
    )
    // One look for each time that it had grown, and none in between.
    assert.ok(Number(lying[0]?.deliveries) <= 3)
  })

  it('says once that the queue was not read because another nsb has it in hand, and reads it afterwards', { timeout: 60_000 }, async () => {
    const world = await makeWorld({ topology: 'direct' })
    const watch = await watching(world, '--deep', '--interval', '100ms')
    const other = await makeHolder(world)

    await world.fail('m1')
    await until(() => events(watch, 'notLooked').length === 1)
    await until(() => events(watch, 'depth').length === 1)
    await other.end()
    await until(() => failedOf(watch).length === 1)
    await interrupted(watch)

    assert.equal(events(watch, 'notLooked').length, 1)
  })
})

/** Has the lock of the error queue, as another nsb. */
async function makeHolder({ host }: World): Promise<{ end(): Promise<void> }> {
  const { default: amqplib } = await import('amqplib')
  const connection = await amqplib.connect(host.url)
  const channel = await connection.createChannel()
  await channel.assertQueue('nsb.lock.error', { exclusive: true, autoDelete: true, durable: false })
  return { end: () => connection.close() }
}

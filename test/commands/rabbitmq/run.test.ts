import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type BrokerShop, brokerShop } from '../../support/broker-shop.ts'
import { ErrorQueue } from '../../support/error-queue.ts'
import { type VirtualHost, makeVirtualHost } from '../../support/virtual-host.ts'

async function makeShop(statements?: string): Promise<{ readonly host: VirtualHost; readonly shop: BrokerShop }> {
  const host = await makeVirtualHost()
  onTestFinished(() => host.remove())
  return { host, shop: brokerShop(host, {}, statements) }
}

const send = (shop: BrokerShop, id: string) => shop.run('send', 'PlaceOrder', '--data', `OrderId=${id}`)
const depthOf = async (host: VirtualHost, queue: string): Promise<number> => ErrorQueue.open(host, queue).depth()

describe('nsb run on RabbitMQ', () => {
  it('creates its queues, says where it is without the password, and ends with 0 when nothing is left', { timeout: 60_000 }, async () => {
    const { host, shop } = await makeShop()
    const first = await shop.run('run', '--until-idle', '200ms')
    await send(shop, '1')
    await send(shop, '2')

    const ended = await shop.run('run', '--until-idle', '500ms', '--log', 'json')

    expect([first.code, ended.code], first.stderr + ended.stderr).toEqual([0, 0])
    expect(first.stdout).toContain('rabbitmq (amqp://guest:***@')
    const summary = JSON.parse(ended.stdout.trim().split('\n').at(-1) ?? '{}') as object
    expect(summary).toMatchObject({ schema: 'nsb.summary/1', handled: 2, failed: 0 })
    const queues = await host.api<readonly { name: string; type: string }[]>('GET', `queues/${host.name}`)
    expect(queues.filter(({ name }) => !name.startsWith('nsb.')).map(({ name, type }) => `${name} ${type}`)).toEqual([
      'Shop quorum',
      'error quorum',
    ])
  })

  it('is not idle while a message is in hand or waits for its delayed retry', { timeout: 60_000 }, async () => {
    const { shop } = await makeShop(`await new Promise((resolve) => setTimeout(resolve, 800))
    if (context.headers['NServiceBus.Retries'] === undefined) throw new Error('not yet')`)
    await shop.run('queues', 'create', 'Shop')
    await send(shop, '1')

    const retries = ['--immediate-retries', '0', '--delayed-retries', '1', '--delay-increase', '1s']
    const ended = await shop.run('run', ...retries, '--until-idle', '300ms', '--log', 'json')

    expect(ended.code, ended.stderr).toBe(0)
    expect(JSON.parse(ended.stdout.trim().split('\n').at(-1) ?? '{}')).toMatchObject({ handled: 1, failed: 0, retried: 1 })
  })

  it('ends every loop in the error queue, although a message has brought a count of deliveries from another queue', async () => {
    const host = await makeVirtualHost()
    onTestFinished(() => host.remove())
    const shop = brokerShop(host, { queueType: 'classic' })
    await shop.run('queues', 'create', 'Shop')
    const brought = { 'x-delivery-count': 0, 'NServiceBus.Retries': '-999999999', 'NServiceBus.EnclosedMessageTypes': 'Shop.PlaceOrder' }
    await host.api('POST', `exchanges/${host.name}/amq.default/publish`, {
      routing_key: 'Shop',
      properties: { message_id: 'o1', delivery_mode: 2, content_type: 'application/json', headers: brought },
      payload: '{"OrderId":"bad"}',
      payload_encoding: 'string',
    })

    const retries = ['--immediate-retries', '3', '--delayed-retries', '1', '--delay-increase', '1s']
    const ended = await shop.run('run', ...retries, '--until-idle', '300ms', '--log', 'json')

    expect(ended.code, ended.stderr).toBe(8)
    expect(JSON.parse(ended.stdout.trim().split('\n').at(-1) ?? '{}')).toMatchObject({ handled: 0, failed: 1, retried: 7 })
    expect(await depthOf(host, 'error')).toBe(1)
  })

  it('removes what waits with --purge, and not without a yes', { timeout: 60_000 }, async () => {
    const { host, shop } = await makeShop()
    await shop.run('queues', 'create', 'Shop')
    await send(shop, '1')
    await send(shop, '2')

    const refused = await shop.run('run', '--purge', '--until-idle', '200ms')
    const left = await depthOf(host, 'Shop')
    const purged = await shop.run('run', '--purge', '--yes', '--until-idle', '200ms')

    expect([refused.code, left, purged.code], purged.stderr).toEqual([6, 2, 0])
    expect(purged.stderr).toContain('removed 2 from Shop')
  })

  it('CLI-17 consumes from a protected profile only with --confirm and its name; --yes alone is refused', { timeout: 60_000 }, async () => {
    const host = await makeVirtualHost()
    onTestFinished(() => host.remove())
    const shop = brokerShop(host, { protect: true })
    await shop.run('queues', 'create', 'Shop', '--confirm', 'default')
    await shop.run('send', 'PlaceOrder', '--data', 'OrderId=1', '--confirm', 'default')

    const refused = [
      await shop.run('run', '--until-idle', '200ms'),
      await shop.run('run', '--until-idle', '200ms', '--yes'),
      await shop.run('run', '--until-idle', '200ms', '--confirm', 'prod'),
      await shop.run('run', '--watch', '--until-idle', '200ms', '--yes'),
    ]
    const left = await depthOf(host, 'Shop')
    const ran = await shop.run('run', '--until-idle', '500ms', '--confirm', 'default')
    const watched = await shop.run('run', '--watch', '--max-time', '1s', '--confirm', 'default')

    expect([...refused.map(({ code }) => code), left]).toEqual([6, 6, 6, 6, 1])
    expect(refused[0]?.stderr).toContain('--confirm default')
    expect([ran.code, watched.code, await depthOf(host, 'Shop')], ran.stderr + watched.stderr).toEqual([0, 0, 0])
  })

  it('goes on with new code under --watch', { timeout: 60_000 }, async () => {
    const { shop } = await makeShop()
    const file = join(shop.folder, 'src/handlers/place-order.handler.ts')
    const run = shop.start('run', '--watch', '--no-retries', '--log', 'json')
    await expect.poll(() => run.stdout.includes('"event":"ready"') || run.stderr, { timeout: 20_000 }).toBe(true)
    const ready = (): number => run.lines.filter(({ event }) => event === 'ready').length

    writeFileSync(file, readFileSync(file, 'utf8').replace("'bad'", "'good'"))
    await expect.poll(ready, { timeout: 20_000 }).toBe(2)
    await send(shop, 'good')

    await expect.poll(() => run.lines.some(({ event }) => event === 'failed'), { timeout: 20_000 }).toBe(true)
    run.kill('SIGTERM')
    expect(await run.ended).toBe(143)
  })

  it('warns when the connection is interrupted, and goes on when it is back', { timeout: 90_000 }, async () => {
    const { host, shop } = await makeShop()
    const run = shop.start('run', '--log', 'json')
    await expect.poll(() => run.stdout.includes('"event":"ready"') || run.stderr, { timeout: 20_000 }).toBe(true)
    const ours = async (): Promise<readonly { readonly name: string }[]> =>
      (await host.api<readonly { name: string; vhost: string }[]>('GET', 'connections')).filter(({ vhost }) => vhost === host.name)
    // The management API tells of a connection some seconds after it was made, and of one that has ended as long.
    const endThem = async (): Promise<string> => {
      for (const { name } of await ours()) await host.api('DELETE', `connections/${encodeURIComponent(name)}`).catch(() => undefined)
      return run.stderr
    }

    await expect
      .poll(endThem, { timeout: 20_000, interval: 500 })
      .toMatch(/^! Receiving from 'Shop' was interrupted \(.*\); it goes on by itself\.$/m)
    expect((await send(shop, '1')).code).toBe(0)
    await expect.poll(() => run.lines.some(({ event }) => event === 'handled'), { timeout: 30_000 }).toBe(true)
    expect(run.stderr).not.toContain('guest:guest')
  })
})

import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { RabbitOptions } from '../../../src/transport/rabbitmq/transport.ts'
import { nsb, temporaryFolder } from '../../cli/nsb.ts'
import { ErrorQueue } from '../../support/error-queue.ts'
import { type TcpProxy, startTcpProxy } from '../../support/tcp-proxy.ts'
import { type VirtualHost, makeVirtualHost } from '../../support/virtual-host.ts'
import { depthIs, hasCode, holdOptions, look, openRabbit, textOf } from './faults-support.ts'
import type { OpenedTransport } from './faults-support.ts'

// Issue 14: a broker that is silent for a while says nothing, and nothing is concluded from it.

let host: VirtualHost
beforeAll(async () => {
  host = await makeVirtualHost()
})
afterAll(() => host.remove())

let queues = 0
const kinds = [
  ['a quorum queue without a limit', { kind: 'quorum' }],
  ['a quorum queue with a limit', { kind: 'quorum', deliveryLimit: 20 }],
  ['a classic queue', { kind: 'classic' }],
] as const

async function filled(count: number, options: (typeof kinds)[number][1]): Promise<ErrorQueue> {
  const queue = await ErrorQueue.make(host, `stalled${++queues}`, options)
  await queue.fill(count)
  await depthIs(openRabbit(host.url), queue.name, count)
  return queue
}

/** A way to the broker that can stop carrying bytes. */
async function stallingWay(options: Partial<RabbitOptions> = {}): Promise<{ proxy: TcpProxy; url: string; transport: OpenedTransport }> {
  const proxy = await startTcpProxy(host.settings.hosts[0].port)
  onTestFinished(() => proxy.close())
  const url = host.url.replace(/:\d+\//, `:${proxy.port}/`)
  return { proxy, url, transport: openRabbit(url, { management: host.management, ...options }) }
}

const stallMs = 2500
const idsOf = (count: number): readonly string[] => Array.from({ length: count }, (_, index) => `m${index + 1}`)
/** The method that gives messages back, up to a delivery and into the queue. */
const basicNack = Buffer.from([0, 60, 0, 120])

describe('a broker that stalls', () => {
  it.each(kinds)('while a look gives back to %s has everything in its order when the look is over', async (_, options) => {
    const { name } = await filled(2000, options)
    const { proxy, transport } = await stallingWay()
    const holding = await transport.hold(name, holdOptions({ purpose: 'look', page: 500, max: 10_000 }))
    for await (const messages of holding.pages()) expect(messages).toHaveLength(500)

    proxy.becomeAfter(basicNack, 'stall')
    const giving = holding.giveBack()
    setTimeout(() => proxy.become('pass'), stallMs)
    const given = await giving

    expect(given).toEqual({ returned: 2000, rescued: [], newerArrivals: 0 })
    expect((await openRabbit(host.url).inspect(name))?.depth).toBe(2000)
    expect(
      (await look(openRabbit(host.url, { management: host.management }), name, { page: 500, max: 10_000 })).flat().map(textOf),
    ).toEqual(idsOf(2000))
    expect(transport.warnings).toEqual([])
  })

  it.each(kinds)('in the middle of a look at %s has not shown everything', async (_, options) => {
    const { name } = await filled(900, options)
    const { proxy, transport } = await stallingWay()
    const holding = await transport.hold(name, holdOptions({ purpose: 'look', page: 300, max: 10_000 }))

    const shown: string[] = []
    for await (const messages of holding.pages()) {
      shown.push(...messages.map(textOf))
      if (shown.length !== 300) continue
      proxy.become('stall')
      setTimeout(() => proxy.become('pass'), stallMs)
    }
    await holding.giveBack()

    expect(shown).toEqual(idsOf(900))
  })

  it('for longer than the time-out, so that nobody knows what is back, makes giving back end as interrupted, and says so', async () => {
    const { name } = await filled(2000, { kind: 'quorum' })
    const { proxy, transport } = await stallingWay({ timeoutMs: 300 })
    const holding = await transport.hold(name, holdOptions({ purpose: 'look', page: 500, max: 10_000 }))
    for await (const _ of holding.pages());

    proxy.becomeAfter(basicNack, 'stall')
    const given = await holding.giveBack()

    expect(given).toMatchObject({ returned: 2000, interrupted: true })
    expect(transport.warnings).toEqual([
      expect.stringMatching(
        /^Giving back the messages of 'stalled\d+' was interrupted, so that not all are known to be back: .*did not answer/,
      ),
    ])
    proxy.reset()
    await depthIs(openRabbit(host.url), name, 2000)
  })

  it('for longer than the time-out in the middle of a look fails the look', async () => {
    const { name } = await filled(900, { kind: 'quorum' })
    const { proxy, transport } = await stallingWay({ timeoutMs: 300 })
    const holding = await transport.hold(name, holdOptions({ purpose: 'look', page: 300, max: 10_000 }))
    const pages = holding.pages()[Symbol.asyncIterator]()
    await pages.next()

    proxy.become('stall')

    await expect(pages.next()).rejects.toSatisfy(hasCode('NSB_CONNECTION_LOST'))
    expect(await holding.giveBack()).toMatchObject({ interrupted: true })
  })
})

describe('nsb errors list', () => {
  const list = (url: string, queue: string, ...more: readonly string[]) =>
    nsb(['errors', 'list', '--error-queue', queue, '--json', '--limit', '3', '--max-hold', '10000', ...more], {
      cwd: temporaryFolder(),
      env: { NSB_CONNECTION: url, NSB_STATE_DIR: temporaryFolder() },
    })

  it('after a look that a stall of the broker has delayed finds everything', async () => {
    const { name } = await filled(2000, { kind: 'quorum' })
    const { proxy, url } = await stallingWay()
    proxy.becomeAfter(basicNack, 'stall')
    const listing = list(url, name)
    await expect.poll(() => proxy.mood).toBe('stall')
    setTimeout(() => proxy.become('pass'), stallMs)

    const first = await listing
    const second = await list(host.url, name, '--fail-if-any')

    expect(first).toMatchObject({ code: 0, stderr: expect.not.stringContaining('!') })
    expect(second.code).toBe(8)
    expect(second.json()).toMatchObject({ total: 2000 })
  })

  it('CLI-3 ends with 3 and says so when the broker has not confirmed within --timeout that everything is back', async () => {
    const { name } = await filled(2000, { kind: 'quorum' })
    const { proxy, url } = await stallingWay()
    proxy.becomeAfter(basicNack, 'stall')

    const listed = await list(url, name, '--timeout', '500ms')

    expect(listed.code).toBe(3)
    expect(listed.json()).toMatchObject({ schema: 'nsb.errors.list/1', total: 2000 })
    expect(listed.stderr).toMatch(/! Giving back the messages of 'stalled\d+' was interrupted, so that not all are known to be back/)
    proxy.reset()
    await depthIs(openRabbit(host.url), name, 2000)
  })
})

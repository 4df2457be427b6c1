import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { Header } from '../../../src/message/headers.ts'
import type { NsbError } from '../../../src/message/nsb-error.ts'
import { type Clock, systemClock } from '../../../src/transport/clock.ts'
import { type Broker, startBroker } from '../../support/broker.ts'
import { type TcpProxy, startTcpProxy } from '../../support/tcp-proxy.ts'
import {
  type OpenedTransport,
  consume,
  depthIs,
  dispatchInsistently,
  hasCode,
  holdOptions,
  killed,
  message,
  openRabbit,
  receive,
  startScript,
  textOf,
  until,
} from './faults-support.ts'
import { underFire } from './under-fire.ts'

const messages = 1000
let broker: Broker
let url: string
beforeAll(async () => {
  broker = await startBroker()
  url = `amqp://guest:guest@127.0.0.1:${broker.port}`
})
afterAll(() => broker.remove())

const proxies: TcpProxy[] = []
afterEach(async () => {
  await Promise.all(proxies.splice(0).map((proxy) => proxy.close()))
  // An exclusive one goes with its connection.
  for (const { name } of (await broker.api('GET', 'queues/%2F?columns=name')) as readonly { readonly name: string }[])
    if (!name.startsWith('nsb.v2.')) await broker.api('DELETE', `queues/%2F/${encodeURIComponent(name)}`).catch(() => undefined)
})

async function throughProxy(record = false): Promise<{ readonly proxy: TcpProxy; readonly url: string }> {
  const proxy = await startTcpProxy(broker.port, record)
  proxies.push(proxy)
  return { proxy, url: `amqp://guest:guest@127.0.0.1:${proxy.port}` }
}

interface Connection {
  readonly name: string
  readonly client_properties: { readonly connection_name?: string }
}

/** Closes every connection whose name ends so. @returns how many those were */
async function closeConnections(ending: string): Promise<number> {
  const all = (await broker.api('GET', 'connections')) as readonly Connection[]
  const named = all.filter(({ client_properties: { connection_name: name } }) => name?.endsWith(ending))
  // It may have ended by itself meanwhile.
  for (const { name } of named) await broker.api('DELETE', `connections/${encodeURIComponent(name)}`).catch(() => undefined)
  return named.length
}

describe('while the broker is disturbed', () => {
  it(`RMQ-13 nothing of ${messages} messages is lost when connections are reset, cut in mid-frame and closed by the broker`, async () => {
    const { proxy, url: disturbed } = await throughProxy()

    const account = await underFire({
      url: disturbed,
      calmUrl: url,
      messages,
      async fault(number) {
        await new Promise((resolve) => setTimeout(resolve, 300))
        if (number % 3 === 0) proxy.reset()
        else if (number % 3 === 1) proxy.cutAfter(1 + ((number * 377) % 2000))
        else await closeConnections('Publish')
      },
      calm: async () => proxy.cutAfter(Number.POSITIVE_INFINITY),
    })

    expect(account).toMatchObject({ lost: 0, strange: 0 })
    expect(account.interruptions).toBeGreaterThan(0)
  })

  it(`RMQ-13 nothing of ${messages} messages is lost when the broker ends and comes back under load`, async () => {
    let restarted = false

    const account = await underFire({
      url,
      calmUrl: url,
      messages,
      async fault() {
        if (restarted) return new Promise((resolve) => setTimeout(resolve, 20))
        restarted = true
        await new Promise((resolve) => setTimeout(resolve, 100))
        await broker.control('stop_app')
        await broker.control('start_app')
      },
      calm: async () => undefined,
    })

    expect(account).toMatchObject({ lost: 0, strange: 0 })
    expect(account.interruptions).toBeGreaterThan(0)
  })

  it('RMQ-13 nothing is lost when an endpoint process is killed again and again', async () => {
    const transport = openRabbit(url)
    await transport.createQueues(['Shop', 'Out', 'error'])
    const orders = Array.from({ length: 300 }, (_, number) => `o${number}`)
    await transport.dispatch(
      orders.map((OrderId) =>
        message(OrderId, 'Shop', {
          headers: {
            [Header.EnclosedMessageTypes]: 'Shop.PlaceOrder',
            [Header.ContentType]: 'application/json',
            [Header.MessageIntent]: 'Send',
          },
          body: Buffer.from(JSON.stringify({ OrderId })),
        }),
      ),
    )
    const arrived = new Set<string>()
    await receive(transport, 'Out', async (incoming) => {
      arrived.add((JSON.parse(textOf(incoming)) as { OrderId: string }).OrderId)
      return consume()
    })

    for (const share of [0.2, 0.5]) {
      const endpoint = startScript('handle', url)
      await until('some are handled', () => arrived.size > orders.length * share)
      await killed(endpoint)
    }
    startScript('handle', url)
    await until('all are handled', () => arrived.size === orders.length)

    expect([...arrived].toSorted()).toEqual(orders.toSorted())
    expect((await transport.inspect('error'))?.depth).toBe(0)
  })

  it('sends wait while the broker is short of memory, which is reported, and nothing is lost', async () => {
    const transport = openRabbit(url)
    await transport.createQueues(['In'])
    await transport.dispatch([message('before', 'In')])

    await broker.control('set_vm_memory_high_watermark', 'absolute', '1MB')
    let settled = 0
    const sending = Array.from({ length: 20 }, (_, number) => transport.dispatch([message(`m${number}`, 'In')]).then(() => settled++))
    await until('it is reported', () => transport.warnings.some((warning) => /takes no messages .*low on memory/.test(warning)))
    expect(settled).toBe(0)

    await broker.control('set_vm_memory_high_watermark', '0.4')
    await Promise.all(sending)
    await depthIs(transport, 'In', 21)
    expect(transport.warnings.at(-1)).toContain('takes messages on')
  })

  it('a transport can be closed while the broker takes no messages', async () => {
    const transport = openRabbit(url)
    await transport.createQueues(['In'])
    await transport.dispatch([message('before', 'In')])
    await broker.control('set_vm_memory_high_watermark', 'absolute', '1MB')

    const sending = transport.dispatch([message('m', 'In')])
    const failed = expect(sending).rejects.toSatisfy(hasCode('NSB_CONNECTION_LOST'))
    await until('it is reported', () => transport.warnings.some((warning) => warning.includes('takes no messages')))
    await transport.close()

    await failed
    await broker.control('set_vm_memory_high_watermark', '0.4')
  })
})

describe('a receiver', () => {
  it('RMQ-13 goes on by itself when its connection is closed through the management API', async () => {
    const transport = openRabbit(url)
    await transport.createQueues(['In'])
    const seen = await receive(transport, 'In')

    await until('the connection is known', async () => (await closeConnections('In MessagePump')) === 1)
    await until('the interruption is reported', () =>
      transport.warnings.some((warning) => /'In' was interrupted .*CONNECTION_FORCED/.test(warning)),
    )
    await dispatchInsistently(transport, message('m', 'In'))
    await until('it arrives', () => seen.deliveries.length > 0)

    expect(seen.deliveries.map(textOf)).toEqual(['m'])
    expect(transport.warnings.at(-1)).toBe(`Receiving from 'In' goes on.`)
    expect(seen.errors).toEqual([])
  })

  it('RMQ-13 raises a critical error after two minutes without a connection, no earlier, and receives again afterwards', async () => {
    const { proxy, url: disturbed } = await throughProxy()
    const timers: { readonly ms: number; fire: (() => void) | undefined }[] = []
    const clock: Clock = {
      now: () => systemClock.now(),
      after(ms, then) {
        if (ms < 60_000) return systemClock.after(ms, then)
        const timer: (typeof timers)[number] = { ms, fire: then }
        timers.push(timer)
        return () => {
          timer.fire = undefined
        }
      },
    }
    const transport = openRabbit(disturbed, { clock })
    await transport.createQueues(['In'])
    const seen = await receive(transport, 'In')

    proxy.reset()
    await until('it goes on', () => transport.warnings.at(-1) === `Receiving from 'In' goes on.`)
    expect(timers.map(({ ms, fire }) => ({ ms, waits: fire !== undefined }))).toEqual([{ ms: 120_000, waits: false }])

    proxy.become('stall')
    proxy.reset()
    await until('the breaker is armed again', () => timers.length === 2)
    expect(seen.errors).toEqual([])
    timers[1]?.fire?.()
    expect(seen.errors).toSatisfy(([error]: unknown[]) => hasCode('NSB_CONNECTION_BROKEN')(error))

    proxy.become('pass')
    await dispatchInsistently(openRabbit(url), message('m', 'In'))
    await until('it arrives', () => seen.deliveries.length > 0)
  })

  it('reports that its queue was deleted, and goes on when it is made again', async () => {
    const transport = openRabbit(url)
    await transport.createQueues(['In'])
    const seen = await receive(transport, 'In')

    await broker.api('DELETE', 'queues/%2F/In')
    await until('it is reported', () => transport.warnings.some((warning) => warning.includes(`queue 'In' is gone`)))
    await transport.createQueues(['In'])
    await transport.dispatch([message('m', 'In')])
    await until('it arrives', () => seen.deliveries.length > 0)

    expect(seen.errors).toEqual([])
    const [pump] = ((await broker.api('GET', 'connections')) as readonly (Connection & { readonly channels: number })[]).filter(
      ({ client_properties: { connection_name: name } }) => name === 'In MessagePump',
    )
    expect(pump?.channels ?? 0, 'channels of a consumer that has ended do not pile up').toBeLessThanOrEqual(1)
  })

  it('RMQ-12 a message whose acknowledgement was lost with the connection is not handled twice', async () => {
    const { proxy, url: disturbed } = await throughProxy()
    const transport = openRabbit(disturbed)
    await transport.createQueues(['In'])
    let handled = 0
    await receive(transport, 'In', async () => {
      handled++
      proxy.reset()
      await until('the connection is lost', () => transport.warnings.some((warning) => warning.includes('was interrupted')))
      return consume()
    })

    await dispatchInsistently(openRabbit(url), message('m', 'In'))
    await until('it goes on', () => transport.warnings.at(-1) === `Receiving from 'In' goes on.`)
    await depthIs(openRabbit(url), 'In', 0)
    await transport.close()

    await depthIs(openRabbit(url), 'In', 0)
    expect(handled).toBe(1)
  })

  describe('RMQ-12 whose id is used again', () => {
    /** Ends the connection of the receiver, and waits until it goes on. */
    async function interrupted(transport: OpenedTransport): Promise<void> {
      await until('the connection is known', async () => (await closeConnections('In MessagePump')) === 1)
      await until('it goes on', () => transport.warnings.at(-1) === `Receiving from 'In' goes on.`)
    }

    it.each(['quorum', 'classic'] as const)(
      'handles a message whose id it has acknowledged before a connection was lost, as often as it takes (%s)',
      async (queueType) => {
        const transport = openRabbit(url, { queueType })
        await transport.createQueues(['In'])
        const outcomes: string[] = []
        let fails = false
        await receive(transport, 'In', async ({ attempt }) => {
          outcomes.push(`${attempt} ${fails ? 'failed' : 'handled'}`)
          if (!fails) return consume()
          fails = false
          return { kind: 'putBack' }
        })

        await dispatchInsistently(transport, message('order-42', 'In', { nativeId: 'order-42' }))
        await until('it is handled', () => outcomes.length === 1)
        await interrupted(transport)
        fails = true
        await dispatchInsistently(transport, message('order-42', 'In', { nativeId: 'order-42' }))
        await until('it is handled again after it failed', () => outcomes.length === 3)
        await transport.close()

        expect(outcomes).toEqual(['1 handled', '1 failed', '2 handled'])
        await depthIs(openRabbit(url), 'In', 0)
      },
    )

    it('skips the redelivery of what was done when its connection was lost, and no other message with its id', async () => {
      const transport = openRabbit(url)
      await transport.createQueues(['In'])
      const handled: string[] = []
      let release = (): void => {}
      const isLost = new Promise<void>((resolve) => (release = resolve))
      await receive(
        transport,
        'In',
        async (incoming) => {
          handled.push(`${textOf(incoming)} ${incoming.attempt}`)
          if (handled.length === 1) await isLost
          return consume()
        },
        { concurrency: 1 },
      )

      const sent = (body: string) => message('order-42', 'In', { nativeId: 'order-42', body: Buffer.from(body) })
      await dispatchInsistently(transport, sent('first'))
      await until('the first is in hand', () => handled.length === 1)
      await dispatchInsistently(transport, sent('second'))
      await dispatchInsistently(transport, sent('first'))
      await until('the others wait in the receiver', async () => (await transport.inspect('In'))?.depth === 0)
      await until('the connection is known', async () => (await closeConnections('In MessagePump')) === 1)
      await until('the interruption is reported', () => transport.warnings.some((warning) => warning.includes('was interrupted')))
      release()
      await until('what was not done is handled', () => handled.length === 3)
      await dispatchInsistently(transport, sent('first'))
      await until('what is new is handled', () => handled.length === 4)
      await transport.close()

      // The two that waited are redelivered: the same content twice, and one of them was done.
      expect(handled.map((each) => each.split(' ')[0])).toEqual(['first', 'second', 'first', 'first'])
      await depthIs(openRabbit(url), 'In', 0)
    })
  })

  it('that cannot be started leaves no connection behind and does not start later', async () => {
    const transport = openRabbit(url, { endpoint: 'Lonely' })

    await expect(receive(transport, 'Missing')).rejects.toThrow(/NOT_FOUND|no queue/)

    await transport.createQueues(['Missing'])
    const facts = await transport.inspect('Missing')
    expect(facts?.consumers).toBe(0)
    await until('no connection of it is left', async () => (await closeConnections('Missing MessagePump')) === 0)
  })

  it('stops although the broker does not answer any more', async () => {
    const { proxy, url: disturbed } = await throughProxy()
    const transport = openRabbit(disturbed, { timeoutMs: 1500 })
    await transport.createQueues(['In'])
    const seen = await receive(transport, 'In')

    proxy.become('stall')
    await seen.stop()
    await transport.close()
    proxy.become('pass')
    await until('its sockets are gone', () => proxy.open === 0)
  }, 30_000)

  it('stops while it has no connection', async () => {
    const { proxy, url: disturbed } = await throughProxy()
    const transport = openRabbit(disturbed)
    await transport.createQueues(['In'])
    const seen = await receive(transport, 'In')

    proxy.become('stall')
    proxy.reset()
    await until('it is reported', () => transport.warnings.some((warning) => warning.includes('was interrupted')))
    await seen.stop()
  })

  it('waits at its end for what could not be read and is on its way to the error queue', async () => {
    const transport = openRabbit(url)
    await transport.createQueues(['In', 'error'])
    const poison: unknown[] = []
    const { default: amqplib } = await import('amqplib')
    const plain = await amqplib.connect(url)
    const channel = await plain.createConfirmChannel()
    for (let number = 0; number < 10; number++) channel.sendToQueue('In', Buffer.from('no id'))
    await channel.waitForConfirms()
    await plain.close()

    const seen = await receive(transport, 'In', undefined, { onPoison: (each) => poison.push(each) })
    await until('the first is there', () => poison.length > 0)
    await seen.stop()

    await until('none is lost', async () => {
      const [left, moved] = await Promise.all([transport.inspect('In'), transport.inspect('error')])
      return (left?.depth ?? 0) + (moved?.depth ?? 0) === 10 && moved?.depth === poison.length
    })
  })
})

describe('a connection', () => {
  it('is made to the next host when the first is dead, and to that one again when it comes back to it', async () => {
    const { proxy, url: disturbed } = await throughProxy()
    const { parseConnection } = await import('../../../src/transport/rabbitmq/connection-settings.ts')
    const dead = await startTcpProxy(broker.port)
    await dead.close()
    const settings = parseConnection(`amqp://guest:guest@127.0.0.1:${dead.port}`).settings.with({
      hosts: [{ host: '127.0.0.1', port: proxy.port }],
    })
    const transport = openRabbit(disturbed, { settings })

    await transport.createQueues(['In'])
    proxy.reset()
    await dispatchInsistently(transport, message('m', 'In'))

    await depthIs(transport, 'In', 1)
  })

  it('to a host that accepts and says nothing ends in an error that says so', async () => {
    const { proxy, url: disturbed } = await throughProxy()
    proxy.become('stall')
    const transport = openRabbit(disturbed, { timeoutMs: 300 })

    await expect(transport.inspect('In')).rejects.toSatisfy(hasCode('NSB_CONNECTION_TIMED_OUT'))
  })

  it('CLI-7 that was lost says to look before sending again only where messages were under way', async () => {
    const { proxy, url: disturbed } = await throughProxy()
    const calm = openRabbit(url)
    await calm.createQueues(['error', 'Out'])
    await calm.dispatch(Array.from({ length: 100 }, (_, number) => message(`m${number}`, 'error')))
    const hintOf = (using: Promise<unknown>): Promise<string> =>
      using.then(
        () => 'it was not lost',
        (error: NsbError) => `${error.code}: ${error.suggestions.join()}`,
      )
    const reading = async (purpose: 'look' | 'change'): Promise<string> => {
      const holding = await openRabbit(disturbed).hold('error', holdOptions({ page: 50, purpose }))
      const pages = holding.pages()[Symbol.asyncIterator]()
      await pages.next()
      proxy.reset()
      const hint = await hintOf(pages.next())
      await holding.giveBack()
      return hint
    }
    const stalled = async (use: () => Promise<unknown>): Promise<string> => {
      proxy.become('stall')
      const hint = await hintOf(use())
      proxy.become('pass')
      return hint
    }

    const [looking, changing] = [await reading('look'), await reading('change')]
    const transport = openRabbit(disturbed, { timeoutMs: 1500 })
    await transport.inspect('Out')
    const inspecting = await stalled(() => transport.inspect('Out'))
    await transport.dispatch([message('before', 'Out')])
    const sending = await stalled(() => transport.dispatch([message('m', 'Out')]))

    for (const hint of [looking, inspecting]) expect(hint).toMatch(/^NSB_CONNECTION_LOST: No message was under way/)
    expect(changing).toMatch(/^NSB_CONNECTION_LOST: .*look before sending it again/)
    expect(sending).toMatch(/^NSB_(CONNECTION_LOST|NO_CONFIRM): .*before sending it again/)
  })

  it('that stops answering ends the request that waits', async () => {
    const { proxy, url: disturbed } = await throughProxy()
    const transport = openRabbit(disturbed, { timeoutMs: 1500 })
    await transport.createQueues(['In'])

    proxy.become('stall')
    await expect(transport.inspect('In')).rejects.toSatisfy(hasCode('NSB_CONNECTION_LOST'))

    proxy.become('pass')
    expect(await transport.inspect('In')).toMatchObject({ depth: 0 })
  })

  it('can be closed while it is being made', async () => {
    const { proxy, url: disturbed } = await throughProxy()
    proxy.become('stall')
    const transport = openRabbit(disturbed)

    const asking = expect(transport.inspect('In')).rejects.toSatisfy(hasCode('NSB_TRANSPORT_CLOSED'))
    await until('it is being made', () => proxy.open === 1)
    await transport.close()

    await asking
    proxy.become('pass')
    await until('its socket is gone', () => proxy.open === 0)
  })

  it('that is lost while messages are on their way fails each of them, and the next goes over a new one', async () => {
    const { proxy, url: disturbed } = await throughProxy()
    const transport = openRabbit(disturbed)
    await transport.createQueues(['In'])
    await transport.dispatch([message('first', 'In')])

    proxy.become('stall')
    const sending = Array.from({ length: 5000 }, (_, number) => transport.dispatch([message(`m${number}`, 'In')]))
    const outcomes = Promise.allSettled(sending)
    proxy.reset()
    proxy.become('pass')

    const failed = (await outcomes).filter((each) => each.status === 'rejected')
    for (const { reason } of failed) expect(reason).toSatisfy(hasCode('NSB_CONNECTION_LOST'))
    await transport.dispatch([message('last', 'In')])
    await until('what was accepted is there', async () => ((await transport.inspect('In'))?.depth ?? 0) >= 5002 - failed.length)
  })
})

describe('a tap', () => {
  it('E-45 sees messages again when its connection was lost and the broker was away for a while', async () => {
    const { proxy, url: disturbed } = await throughProxy()
    const calm = openRabbit(url)
    await calm.createQueues(['error'])
    const transport = openRabbit(disturbed, { timeoutMs: 3000 })
    const seen: string[] = []
    const tap = await transport.tap('error', (incoming) => {
      seen.push(textOf(incoming))
      throw new Error('what looks on fails')
    })

    await calm.dispatch([message('first', 'error')])
    await until('the first is seen', () => seen.includes('first'))
    proxy.become('stall')
    proxy.reset()
    await until('it tries again', () => proxy.open > 0)
    proxy.become('pass')
    proxy.reset()
    await until('the next are seen', async () => {
      await calm.dispatch([message('next', 'error')])
      return seen.includes('next')
    })

    await tap.stop()
    expect(transport.warnings.some((warning) => warning.includes('what looks on fails'))).toBe(true)
    expect(transport.warnings).toContain(`Watching 'error' goes on.`)
  })
})

describe('a holding', () => {
  it('E-19 never rejects, and closes no channel before everything is given back', async () => {
    const { proxy, url: disturbed } = await throughProxy(true)
    const calm = openRabbit(url)
    await calm.createQueues(['error'])
    await calm.dispatch(Array.from({ length: 100 }, (_, number) => message(`m${number}`, 'error')))
    const transport = openRabbit(disturbed)

    const holding = await transport.hold('error', holdOptions({ page: 30 }))
    let moved = 0
    for await (const page of holding.pages())
      for (const held of page.slice(0, 3)) {
        await holding.consume(held, [])
        moved++
      }
    const framesWhileHeld = methodsIn(proxy.sent())
    await holding.giveBack()

    expect(framesWhileHeld.filter((method) => method === 'basic.nack')).toEqual([])
    expect(methodsIn(proxy.sent())).not.toContain('basic.reject')
    expect((await calm.inspect('error'))?.depth).toBe(100 - moved)
  })

  it('that loses its connection says so, and loses nothing', async () => {
    const { proxy, url: disturbed } = await throughProxy()
    const calm = openRabbit(url)
    await calm.createQueues(['error'])
    await calm.dispatch(Array.from({ length: 100 }, (_, number) => message(`m${number}`, 'error')))
    const transport = openRabbit(disturbed)

    const holding = await transport.hold('error', holdOptions({ page: 50 }))
    const pages = holding.pages()[Symbol.asyncIterator]()
    const first = (await pages.next()).value
    proxy.reset()

    await expect(pages.next()).rejects.toSatisfy(hasCode('NSB_CONNECTION_LOST'))
    await expect(holding.consume(first?.[0] as never, [])).rejects.toSatisfy(hasCode('NSB_CONNECTION_LOST'))
    await holding.giveBack()
    expect(transport.warnings.some((warning) => /Giving back .* was interrupted/.test(warning))).toBe(true)
    await depthIs(calm, 'error', 100)
  })

  it('that is killed leaves every message in the queue', async () => {
    const calm = openRabbit(url)
    await calm.createQueues(['error'])
    await calm.dispatch(Array.from({ length: 120 }, (_, number) => message(`m${number}`, 'error')))

    const holder = startScript('hold', url, 'error')
    await until('it holds all', () => holder.lines().includes('120'))
    expect((await calm.inspect('error'))?.depth).toBe(0)
    await killed(holder)

    await depthIs(calm, 'error', 120)
  })
})

/** The names of the AMQP methods in what a client has sent, as far as these tests ask for them. */
function methodsIn(sent: Buffer): readonly string[] {
  const names: Readonly<Record<string, string>> = { '60.90': 'basic.reject', '60.120': 'basic.nack', '20.40': 'channel.close' }
  const found: string[] = []
  let at = 0
  while (at + 8 <= sent.length) {
    // Each connection begins with its protocol header.
    if (sent.toString('latin1', at, at + 4) === 'AMQP') {
      at += 8
      continue
    }
    const size = sent.readUInt32BE(at + 3)
    if (sent[at] === 1) found.push(names[`${sent.readUInt16BE(at + 7)}.${sent.readUInt16BE(at + 9)}`] ?? '')
    at += size + 8
  }
  return found.filter((name) => name !== '')
}

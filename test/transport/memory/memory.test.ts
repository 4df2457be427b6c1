import { strict as assert } from 'node:assert'
import { describe, it } from 'vitest'
import {
  consume,
  contents,
  depthIs,
  hasCode,
  holdOptions,
  message,
  putBack,
  textOf,
  until,
} from '../../../src/testing/transport-contract/support.ts'
import type { Clock } from '../../../src/transport/clock.ts'
import { MemoryNetwork, memoryTransport } from '../../../src/transport/memory/transport.ts'
import type { Decide, IncomingMessage, ReceiveOptions, Transport } from '../../../src/transport/transport.ts'

/** A clock that stands still until it is moved. */
function handClock(): { readonly clock: Clock; readonly waiting: () => number; readonly move: (ms: number) => void } {
  let now = 0
  const timers = new Set<{ readonly due: number; readonly call: () => void }>()
  return {
    clock: {
      now: () => now,
      after(ms, then) {
        const timer = { due: now + ms, call: then }
        timers.add(timer)
        return () => timers.delete(timer)
      },
    },
    waiting: () => timers.size,
    move(ms) {
      now += ms
      for (const timer of [...timers].filter((each) => each.due <= now)) {
        timers.delete(timer)
        timer.call()
      }
    },
  }
}

async function receive(transport: Transport, queue: string, decide: Decide = async () => consume(), options: Partial<ReceiveOptions> = {}) {
  const deliveries: IncomingMessage[] = []
  const receiving = await transport.receive(
    {
      queue,
      errorQueue: 'error',
      concurrency: 1,
      transactionMode: 'sendsAtomicWithReceive',
      onDispatchFailed: async () => putBack,
      onCriticalError: () => {},
      onSettled: () => undefined,
      onPoison: () => undefined,
      ...options,
    },
    async (incoming, signal) => {
      deliveries.push(incoming)
      return decide(incoming, signal)
    },
  )
  return { deliveries, stop: () => receiving.stop() }
}

describe('on a clock that stands still', () => {
  it('a delayed message waits for the clock, and for nothing else', async () => {
    const { clock, move, waiting } = handClock()
    const transport = memoryTransport({ clock })
    const seen = await receive(transport, 'sales')
    await transport.dispatch([message('later', 'sales', { deliverAt: new Date(3_600_000) }), message('now', 'sales')])
    await until('the receiver waits for the due time', () => waiting() === 1)
    assert.deepEqual(seen.deliveries.map(textOf), ['now'])

    move(3_599_999)
    await new Promise(setImmediate)
    assert.equal(seen.deliveries.length, 1)
    move(1)
    await until('the message arrives', () => seen.deliveries.length === 2)

    await seen.stop()
    assert.equal(waiting(), 0)
  })

  it('a message that is put back is delivered again although no time passes', async () => {
    const { clock } = handClock()
    const transport = memoryTransport({ clock })
    const seen = await receive(transport, 'sales', async (incoming) => (incoming.attempt < 6 ? putBack : consume()))

    await transport.dispatch([message('order', 'sales')])
    await until('it is delivered six times', () => seen.deliveries.length === 6)

    assert.deepEqual(
      seen.deliveries.map((incoming) => incoming.attempt),
      [1, 2, 3, 4, 5, 6],
    )
  })

  it('a message expires when the clock says so', async () => {
    const { clock, move } = handClock()
    const transport = memoryTransport({ clock })
    await transport.dispatch([message('expires', 'sales', { expiresAfterMs: 1000 }), message('stays', 'sales')])

    move(999)
    assert.equal((await transport.inspect('sales'))?.depth, 2)
    move(1)

    assert.deepEqual(await contents(transport, 'sales'), ['stays'])
  })

  it('a temporary queue goes when its time is over', async () => {
    const { clock, move } = handClock()
    const transport = memoryTransport({ clock })
    const { address } = await transport.temporaryQueue('reply', 1000)

    move(1000)

    assert.equal(await transport.inspect(address), undefined)
  })
})

describe('several transports', () => {
  it('see each other on one network, and nothing of another', async () => {
    const network = new MemoryNetwork()
    const [one, two, stranger] = [memoryTransport({ network }), memoryTransport({ network }), memoryTransport()]

    await one.dispatch([message('order', 'sales')])

    await depthIs(two, 'sales', 1)
    assert.equal(await stranger.inspect('sales'), undefined)
  })
})

describe('changing a queue', () => {
  it('is refused next to a receiver, unless that rule is overruled', async () => {
    const transport = memoryTransport()
    const seen = await receive(transport, 'error')

    await assert.rejects(transport.hold('error', holdOptions()), hasCode('NSB_QUEUE_HAS_CONSUMER'))
    const held = await transport.hold('error', holdOptions({ overrule: ['NSB_QUEUE_HAS_CONSUMER'] }))
    await held.giveBack()
    await seen.stop()

    await (await transport.hold('error', holdOptions())).giveBack()
  })

  it('is refused while another operation changes it; looking is not', async () => {
    const transport = memoryTransport()
    await transport.createQueues(['error'])
    const held = await transport.hold('error', holdOptions())

    await assert.rejects(transport.hold('error', holdOptions()), hasCode('NSB_QUEUE_LOCKED'))
    await (await transport.hold('error', holdOptions({ purpose: 'look' }))).giveBack()
    await held.giveBack()

    await (await transport.hold('error', holdOptions())).giveBack()
  })
})

describe('an address', () => {
  it('must not be empty', async () => {
    await assert.rejects(memoryTransport().dispatch([message('x', '')]), hasCode('NSB_BAD_ADDRESS'))
  })
})

import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { command, defineEndpoint, handler } from '../../src/index.ts'
import { startEndpoint } from '../../src/runtime/endpoint.ts'
import { silentLogger } from '../../src/runtime/logger.ts'
import { memoryTransport, MemoryNetwork } from '../../src/transport/memory/transport.ts'
import { VirtualClock } from '../../src/testing/virtual-clock.ts'
import type { EndpointEvent } from '../../src/runtime/engine.ts'

class Work extends command('Shop.Work', z.object({})) {}

describe('when an endpoint is stopped', () => {
  it('RC-10 a handler that heeds the signal is rolled back: no failure is counted and no error copy made', async () => {
    const network = new MemoryNetwork()
    const transport = memoryTransport({ network })
    const events: EndpointEvent[] = []
    let begun = (): void => undefined
    const inHand = new Promise<void>((resolve) => {
      begun = resolve
    })
    const definition = defineEndpoint('Sales', {
      handlers: [
        handler(Work, async (_, context) => {
          begun()
          await new Promise((__, reject) => {
            context.signal.addEventListener('abort', () => reject(context.signal.reason as Error))
          })
        }),
      ],
      recoverability: { immediateRetries: 0, delayedRetries: 0 },
    })
    const endpoint = await startEndpoint(definition, { transport, logger: silentLogger, observe: (event) => events.push(event) })
    await endpoint.sendLocal(new Work({}))
    await inHand

    await endpoint.stop({ graceMs: 0 })

    expect(events.map(({ outcome }) => outcome.kind)).toEqual(['cancelled'])
    expect((await transport.inspect('Sales'))?.depth).toBe(1)
    expect((await transport.inspect('error'))?.depth ?? 0).toBe(0)
  })

  it('waits for what is in hand, and stopping twice is fine', async () => {
    const transport = memoryTransport()
    const done: string[] = []
    let release = (): void => undefined
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    const definition = defineEndpoint('Sales', {
      handlers: [
        handler(Work, async () => {
          done.push('begun')
          await gate
          done.push('finished')
        }),
      ],
    })
    const endpoint = await startEndpoint(definition, { transport, logger: silentLogger })
    await endpoint.sendLocal(new Work({}))
    await expect.poll(() => done).toEqual(['begun'])

    const stops = [endpoint.stop(), endpoint.stop()]
    release()
    await Promise.all(stops)

    expect(done).toEqual(['begun', 'finished'])
  })
})

describe('when a handler never settles', () => {
  it('a stop with a grace period ends all the same, the message is put back, and nothing of it leaves', async () => {
    const network = new MemoryNetwork()
    const clock = new VirtualClock()
    const transport = memoryTransport({ network, clock })
    const errors: unknown[] = []
    let begun = false
    const definition = defineEndpoint('Sales', {
      handlers: [
        handler(Work, async (_, context) => {
          await context.forwardCurrentMessageTo('Archive')
          begun = true
          await new Promise(() => undefined)
        }),
      ],
    })
    const endpoint = await startEndpoint(definition, {
      transport,
      clock,
      logger: { ...silentLogger, error: (_, error) => void errors.push(error) },
    })
    await endpoint.sendLocal(new Work({}))
    await expect.poll(() => begun).toBe(true)

    const stopped = endpoint.stop({ graceMs: 5000 })
    await clock.advance(10_000)
    await stopped

    expect((await transport.inspect('Sales'))?.depth).toBe(1)
    expect((await transport.inspect('Archive'))?.depth ?? 0).toBe(0)
    expect(errors).toMatchObject([{ code: 'NSB_DECISION_ABANDONED' }])
  })
})

describe('a message whose batch can never be dispatched', () => {
  it('ends in the error queue after its retries instead of looping', async () => {
    const network = new MemoryNetwork()
    const transport = memoryTransport({ network })
    const refusing = new Proxy(transport, {
      get(target, property) {
        if (property !== 'receive')
          return (
            (Reflect.get(target, property, target) as (...args: unknown[]) => unknown)?.bind?.(target) ??
            Reflect.get(target, property, target)
          )
        return (options: Parameters<typeof transport.receive>[0], decide: Parameters<typeof transport.receive>[1]) =>
          target.receive(options, async (message, signal) => {
            const verdict = await decide(message, signal)
            if (verdict.kind !== 'consume') return verdict
            return {
              ...verdict,
              outgoing: verdict.outgoing.map((outgoing) =>
                'address' in outgoing.to && outgoing.to.address === 'Nowhere' ? { ...outgoing, to: { exactQueue: 'Nowhere' } } : outgoing,
              ),
            }
          })
      },
    })
    let runs = 0
    const definition = defineEndpoint('Sales', {
      handlers: [
        handler(Work, async (_, context) => {
          runs += 1
          await context.forwardCurrentMessageTo('Nowhere')
        }),
      ],
      recoverability: { immediateRetries: 2, delayedRetries: 0 },
    })
    const endpoint = await startEndpoint(definition, { transport: refusing, logger: silentLogger })

    await endpoint.sendLocal(new Work({}))
    await expect.poll(async () => (await transport.inspect('error'))?.depth).toBe(1)
    await endpoint.stop()

    expect(runs).toBe(3)
  })
})

import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type Logger, command, defineEndpoint, handler, silentLogger } from '../../src/index.ts'
import { testEndpoint, testWorld } from '../../src/testing/index.ts'

class Work extends command('Shop.Work', z.object({ Id: z.number() })) {}
class Other extends command('Shop.Other', z.object({})) {}

const noRetries = { immediateRetries: 0, delayedRetries: 0 }

/** An endpoint whose database is down until it is told otherwise. */
async function withDatabase(settings: { consecutiveFailures: number; waitMs?: number }, logger?: Logger) {
  const database = { up: false }
  const log: string[] = []
  let running = 0
  const work = async (name: string): Promise<void> => {
    running += 1
    log.push(`${name}, ${running} at once`)
    await new Promise((resolve) => setImmediate(resolve))
    running -= 1
    if (!database.up) throw new Error('database is down')
  }
  const endpoint = await testEndpoint(
    defineEndpoint('Sales', {
      handlers: [handler(Work, ({ Id }) => work(String(Id))), handler(Other, () => work('other'))],
      concurrency: 3,
      recoverability: noRetries,
      rateLimit: { ...settings, onStarted: () => void log.push('started'), onEnded: () => void log.push('ended') },
    }),
    logger ? { logger } : {},
  )
  const send = async (...ids: readonly number[]): Promise<void> => {
    for (const id of ids) await endpoint.sendLocal(new Work({ Id: id }))
    await endpoint.world.settle()
  }
  return { database, endpoint, log, send }
}

describe('after consecutive failures', () => {
  it('messages are handled one at a time, with a wait after each further failure', async () => {
    const { endpoint, log, send } = await withDatabase({ consecutiveFailures: 2 })

    await send(1)
    await send(2)
    await send(3, 4)
    expect(log).toEqual(['1, 1 at once', '2, 1 at once', 'started'])
    expect([endpoint.world.errorQueue.length, endpoint.rateLimited]).toEqual([1, 3])

    await endpoint.world.advance(999)
    expect(log).toHaveLength(3)
    await endpoint.world.advance(1)
    expect(log.slice(3)).toEqual(['3, 1 at once'])
    await endpoint.world.advance('1s')
    expect(log.slice(4)).toEqual(['4, 1 at once'])
    await endpoint.world.advance('1s')
    expect(endpoint.world.errorQueue).toHaveLength(4)
  })

  it('the first success ends it: what waited goes on, as many at a time as before', async () => {
    const { database, endpoint, log, send } = await withDatabase({ consecutiveFailures: 1, waitMs: 5000 })
    await send(1, 2, 3)
    log.length = 0
    await send(4, 5)

    database.up = true
    await endpoint.world.advance('5s')
    await send(6, 7, 8)

    expect(log.slice(0, 2)).toEqual(['4, 1 at once', 'ended'])
    expect(log.slice(2).toSorted().at(-1)).toMatch(/^8, [23] at once$/)
    expect([endpoint.world.errorQueue.length, endpoint.rateLimited]).toEqual([3, 0])
  })

  it('every failed attempt counts, retries and other types too, and a success starts the count again', async () => {
    const { database, endpoint, log, send } = await withDatabase({ consecutiveFailures: 3 })

    await send(1)
    await endpoint.receive(new Other({}))
    database.up = true
    await send(2)
    database.up = false
    await send(3)
    await endpoint.receive(new Other({}))
    expect(log).not.toContain('started')

    await send(4)
    expect(log).toContain('started')
  })

  it('counts immediate retries', async () => {
    const started: number[] = []
    let attempts = 0
    const endpoint = await testEndpoint({
      handlers: [
        handler(Work, () => {
          attempts += 1
          throw new Error('down')
        }),
      ],
      recoverability: { immediateRetries: 5, delayedRetries: 0 },
      rateLimit: { consecutiveFailures: 3, onStarted: () => void started.push(attempts) },
    })

    const outcome = await endpoint.receive(new Work({ Id: 1 }))
    await endpoint.world.advance('1m')

    expect([outcome.attempts, started, attempts]).toEqual([2, [3], 6])
  })

  it('a stop waits for none of it: what waits for its turn is put back, and what has failed is decided on', async () => {
    const { endpoint, send } = await withDatabase({ consecutiveFailures: 1, waitMs: 3_600_000 })
    await send(1, 2, 3, 4)
    await send(5)

    await endpoint.stop()

    expect(endpoint.rateLimited).toBe(0)
    expect(endpoint.world.errorQueue.length + ((await endpoint.world.transport().inspect('Sales'))?.depth ?? 0)).toBe(5)
  })

  it('a stop without transactions loses nothing: what waits for its turn was taken already, so it is handled', async () => {
    const handled: number[] = []
    const endpoint = await testEndpoint(
      defineEndpoint('Sales', {
        handlers: [
          handler(Work, ({ Id }) => {
            handled.push(Id)
            throw new Error('down')
          }),
        ],
        concurrency: 3,
        transactionMode: 'none',
        rateLimit: { consecutiveFailures: 1 },
      }),
    )
    for (const id of [1, 2, 3]) await endpoint.sendLocal(new Work({ Id: id }))
    await endpoint.world.settle()

    await endpoint.stop()

    expect(handled).toEqual([1, 2, 3])
    expect(endpoint.world.errorQueue).toHaveLength(3)
  })

  it('a callback that throws is logged, and does no harm', async () => {
    const errors: string[] = []
    const logger: Logger = { ...silentLogger, error: (text) => void errors.push(text) }
    const endpoint = await testWorld({ logger }).start(
      defineEndpoint('Sales', {
        handlers: [handler(Work, () => Promise.reject(new Error('down')))],
        recoverability: noRetries,
        rateLimit: {
          consecutiveFailures: 1,
          onStarted: () => {
            throw new Error('no pager')
          },
        },
      }),
    )

    await endpoint.receive(new Work({ Id: 1 }))
    await endpoint.world.advance('1s')

    expect(errors[0]).toBe(`The rate limit's onStarted failed:`)
    expect(endpoint.world.errorQueue).toHaveLength(1)
  })
})

it('a rate limit needs a threshold above zero', () => {
  expect(() => defineEndpoint('Sales', { rateLimit: { consecutiveFailures: 0 } })).toThrow(
    expect.objectContaining({ code: 'NSB_BAD_ENDPOINT' }),
  )
})

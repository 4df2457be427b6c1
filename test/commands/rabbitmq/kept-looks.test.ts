import { existsSync, readdirSync, readFileSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { failureHeaders } from '../../cli/nsb.ts'
import { type BrokerShop, brokerShop } from '../../support/broker-shop.ts'
import { givingBackCounts } from '../../support/broker-version.ts'
import { ErrorQueue, type ErrorQueueOptions } from '../../support/error-queue.ts'
import { makeVirtualHost } from '../../support/virtual-host.ts'

const limited: ErrorQueueOptions = { kind: 'quorum', deliveryLimit: 20 }
const free: ErrorQueueOptions = { kind: 'classic' }

interface World {
  readonly errors: ErrorQueue
  readonly shop: BrokerShop
  /** Puts failures with these ids into the error queue. */
  readonly fail: (...ids: readonly string[]) => Promise<void>
}

async function makeWorld(options: ErrorQueueOptions, settings: Readonly<Record<string, unknown>> = {}): Promise<World> {
  const host = await makeVirtualHost()
  onTestFinished(() => host.remove())
  const errors = await ErrorQueue.make(host, 'error', options)
  const fail = async (...ids: readonly string[]): Promise<void> => {
    const before = await errors.depth()
    await errors.put(
      ids.map((id) => ({
        body: `{"OrderId":"${id}"}`,
        headers: failureHeaders(id),
        properties: { messageId: id, contentType: 'application/json' },
      })),
    )
    await expect.poll(() => errors.depth()).toBe(before + ids.length)
  }
  return { errors, shop: brokerShop(host, settings), fail }
}

const keptBy = ({ state }: BrokerShop): string[] => {
  const folder = join(state, 'snapshots')
  return existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : []
}
/** The line that says so; nothing of it depends on how fast it went. */
const asOf = (change: string): RegExp =>
  new RegExp(`^as 'error' was (?:just now|\\d+ (?:s|min) ago)${change}; --refresh reads it again$`, 'm')
/** How often each message was delivered. */
const looksAt = async (errors: ErrorQueue): Promise<unknown[]> => (await errors.drain()).map(({ deliveries }) => deliveries)

describe('what a look has kept', () => {
  it('has the body for show, in every form that needs no more, and touches nothing', async () => {
    const { errors, fail, shop } = await makeWorld(limited)
    await fail('m1')
    await shop.run('errors', 'list')

    const shown = await shop.run('errors', 'show', 'm1')
    const body = await shop.run('errors', 'show', 'm1', '--body')
    const raw = await shop.run('errors', 'show', 'm1', '--raw')

    expect(shown.stdout).toMatch(/body +application\/json, 16 B\n +\{ "OrderId": "m1" \}/)
    expect([body.stdout, raw.stdout]).toEqual(['{ "OrderId": "m1" }\n', '{"OrderId":"m1"}'])
    for (const { stderr } of [shown, body, raw]) expect(stderr).toMatch(asOf(''))
    expect(await looksAt(errors)).toEqual([1])
  })

  // Since 4.3 a look costs nothing.
  it.skipIf(!givingBackCounts)(
    'has no body where the profile does not want it: show says what reading costs, or reads where that is free',
    async () => {
      const [dear, cheap] = [await makeWorld(limited, { keepBodies: false }), await makeWorld(free, { keepBodies: false })]
      for (const { fail, shop } of [dear, cheap]) {
        await fail('m1')
        await shop.run('errors', 'list')
      }

      const [told, read] = [await dear.shop.run('errors', 'show', 'm1'), await cheap.shop.run('errors', 'show', 'm1')]

      expect(told.stdout).toMatch(
        /body +not kept; --refresh reads the queue, which the broker counts as a delivery of each of its 1 message/,
      )
      expect(told.stderr).toContain('nsb errors show')
      expect(readFileSync(String(keptBy(dear.shop)[0]), 'utf8')).not.toContain('OrderId')
      expect(read.stdout).toContain('{ "OrderId": "m1" }')
      expect(await looksAt(dear.errors)).toEqual([1])
    },
  )

  it('says in every document of which moment it is, and whether it was kept', async () => {
    const { fail, shop } = await makeWorld(limited)
    await fail('m1')
    const before = new Date().toISOString()

    const listed = (await shop.run('errors', 'list', '--json')).json()
    const cached = (await shop.run('errors', 'list', '--cached', '--json')).json()
    const counted = (await shop.run('errors', 'list', '--cached', '--count', '--json')).json()
    const streamed = (await shop.run('errors', 'list', '--cached', '-o', 'ndjson')).stdout.trimEnd().split('\n').at(-1)
    const grouped = (await shop.run('errors', '--json')).json()
    const shown = (await shop.run('errors', 'show', 'm1', '--json')).json()

    expect(listed).toMatchObject({ cached: false, asOf: expect.any(String) })
    expect(String(listed['asOf']) >= before).toBe(true)
    for (const each of [cached, counted, JSON.parse(String(streamed)) as object, grouped])
      expect(each).toMatchObject({ cached: true, asOf: listed['asOf'] })
    expect(shown).toMatchObject({ cached: false, asOf: expect.any(String) })
    expect(String(shown['asOf']) > String(listed['asOf'])).toBe(true)
  })

  it('says so beside a table as well, also with --quiet', async () => {
    const { fail, shop } = await makeWorld(limited)
    await fail('m1')
    await shop.run('errors', 'list')

    const ended = await Promise.all([
      shop.run('errors', '-q'),
      shop.run('errors', 'list', '--cached', '-q'),
      shop.run('errors', 'list', '--cached', '-q', '-o', 'ids'),
      shop.run('errors', 'show', 'm1', '-q'),
    ])

    for (const { stderr } of ended) {
      expect(stderr).toMatch(asOf(''))
      expect(stderr.trimEnd()).not.toContain('\n')
    }
  })

  it('is not used when the queue has another number of messages, where looking is free', async () => {
    const { fail, shop } = await makeWorld(free)
    await fail('m1')
    await shop.run('errors', 'list')
    await fail('m2')

    const grouped = await shop.run('errors', 'groups', '--json')

    expect(grouped.json()).toMatchObject({ total: 2, cached: false })
  })

  // Since 4.3 a look costs nothing.
  it.skipIf(!givingBackCounts)('is given with the difference in words where looks are limited', async () => {
    const { errors, fail, shop } = await makeWorld(limited)
    await fail('m1', 'm2')
    await shop.run('errors', 'list')
    await fail('m3', 'm4', 'm5')

    const more = await shop.run('errors', 'groups', '--json')
    await errors.drain()
    await expect.poll(() => errors.depth()).toBe(0)
    const fewer = await shop.run('errors', 'groups', '--json')

    expect(more.json()).toMatchObject({ total: 2, cached: true, changedBy: 3 })
    expect(more.stderr).toMatch(asOf(', 3 more since'))
    expect(fewer.json()).toMatchObject({ total: 2, cached: true, changedBy: -2 })
    expect(fewer.stderr).toMatch(asOf(', 2 fewer wait now'))
  })

  // Since 4.3 a look costs nothing.
  it.skipIf(!givingBackCounts)('is not said to be an empty queue when the queue is not empty any more', async () => {
    const { fail, shop } = await makeWorld(limited)
    const empty = await shop.run('errors', 'list')
    const asked = await shop.run('errors')
    await fail('m1')

    const grouped = await shop.run('errors')
    const check = await shop.run('errors', 'list', '--cached', '--fail-if-any')

    expect(empty.stderr).toContain('the error queue is empty')
    // What was kept is the same as what is there now.
    expect(asked.stderr).toContain('the error queue is empty')
    expect(grouped.stderr).toContain('the error queue was empty then, and is not any more')
    expect(grouped.stderr).not.toContain('is empty')
    expect(check.code).toBe(8)
  })

  it('is not of a queue that is gone', async () => {
    const { errors, fail, shop } = await makeWorld(free)
    await fail('m1')
    await shop.run('errors', 'list')
    await errors.remove()

    const grouped = await shop.run('errors')

    expect(grouped.code).toBe(4)
  })

  it('is never a part of a queue', async () => {
    const { fail, shop } = await makeWorld(free)
    await fail('m1', 'm2', 'm3')

    const part = await shop.run('errors', 'list', '--max-hold', '2', '--force', '--json')
    const grouped = await shop.run('errors', '--json')

    expect(part.json()['total']).toBe(2)
    expect(grouped.json()).toMatchObject({ total: 3, cached: false })
  })

  it('goes with the next command after ten minutes, whatever that is, and with errors forget', async () => {
    const { fail, shop } = await makeWorld(limited)
    await fail('m1')
    await shop.run('errors', 'list')
    const [file = ''] = keptBy(shop)
    const then = Date.now() / 1000 - 601
    utimesSync(file, then, then)

    await shop.run('config', 'list')
    const aged = keptBy(shop)
    await shop.run('errors', 'list')
    const forgotten = await shop.run('errors', 'forget', '--json')
    const again = await shop.run('errors', 'forget')

    expect([aged, keptBy(shop)]).toEqual([[], []])
    expect(forgotten.json()).toEqual({ schema: 'nsb.errors.forget/1', removed: 1 })
    expect(again.stderr).toContain('nothing was kept')
  })
})

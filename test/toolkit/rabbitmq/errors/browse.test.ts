import assert from 'node:assert/strict'
import { afterAll, beforeAll, describe, it, onTestFinished } from 'vitest'
import { groupFailed, listFailed, showFailed } from '../../../../src/toolkit/errors/browse/browse.ts'
import type { BrowseOptions } from '../../../../src/toolkit/errors/browse/browsed.ts'
import { SnapshotFile } from '../../../../src/toolkit/errors/browse/snapshot.ts'
import { rabbitTransport } from '../../../../src/transport/rabbitmq/transport.ts'
import type { Transport } from '../../../../src/transport/transport.ts'
import { failureHeaders, temporaryFolder } from '../../../cli/nsb.ts'
import { givingBackCounts } from '../../../support/broker-version.ts'
import { ErrorQueue, type ErrorQueueOptions } from '../../../support/error-queue.ts'
import { type VirtualHost, makeVirtualHost } from '../../../support/virtual-host.ts'

let host: VirtualHost
beforeAll(async () => {
  host = await makeVirtualHost()
})
afterAll(() => host.remove())

let queues = 0

async function errorQueue(options: ErrorQueueOptions, count: number): Promise<ErrorQueue> {
  const queue = await ErrorQueue.make(host, `error-${++queues}`, options)
  await queue.fill(count)
  return queue
}

function open(): Transport {
  const transport = rabbitTransport({ settings: host.settings, management: host.management, warn: () => undefined })
  onTestFinished(() => transport.close())
  return transport
}

const optionsFor = ({ name }: ErrorQueue, more: Partial<BrowseOptions> = {}): BrowseOptions => ({
  queue: name,
  criteria: {},
  now: Date.now(),
  overrule: [],
  maxHold: 100_000,
  signal: new AbortController().signal,
  ...more,
})

const listOptions = (queue: ErrorQueue, more: Partial<BrowseOptions> = {}) => ({ ...optionsFor(queue, more), limit: 50, exact: false })

const bodies = (count: number): string[] => Array.from({ length: count }, (_, index) => `m${index + 1}`)
const bodiesIn = async (queue: ErrorQueue): Promise<string[]> => (await queue.drain()).map(({ body }) => body)
const hasCode =
  (code: string) =>
  (error: unknown): boolean =>
    (error as { readonly code?: string }).code === code

describe('a look at an error queue of a broker', () => {
  it.each<[string, ErrorQueueOptions, number]>([
    ['E-10 a classic queue of 1,000', { kind: 'classic' }, 1000],
    ['E-11 a quorum queue of 100 with a limit', { kind: 'quorum', deliveryLimit: 20 }, 100],
    ['E-11 a quorum queue of 1,500 with a limit', { kind: 'quorum', deliveryLimit: 20 }, 1500],
    ['E-11 a quorum queue of 100 without a limit', { kind: 'quorum' }, 100],
    ['E-11 a quorum queue of 1,500 without a limit', { kind: 'quorum' }, 1500],
  ])('%s: the same messages in the same order are there afterwards', async (_, options, count) => {
    const queue = await errorQueue(options, count)
    const transport = open()

    const listed = await listFailed(transport, listOptions(queue))
    const grouped = await groupFailed(transport, { ...optionsFor(queue), by: 'exception' })

    assert.equal(listed.total, count)
    assert.equal(listed.items.length, 50)
    assert.deepEqual(
      grouped.groups.map((group) => group.count),
      [count],
    )
    assert.deepEqual(await bodiesIn(queue), bodies(count))
  })

  it('E-12 of a queue with limit 3 is refused from the third time on where looks spend it, and no message is ever lost', async () => {
    const queue = await errorQueue({ kind: 'quorum', deliveryLimit: 3 }, 40)
    const stateFolder = temporaryFolder()
    const snapshot = new SnapshotFile(stateFolder, host.name, queue.name)
    const outcomes: string[] = []

    // Each time as a command of its own does it: nothing but the state folder is remembered.
    for (let time = 1; time <= 10; time++) {
      const transport = rabbitTransport({ settings: host.settings, management: host.management, stateFolder, warn: () => undefined })
      outcomes.push(
        await listFailed(transport, listOptions(queue, { snapshot })).then(
          ({ total }) => String(total),
          (error: { readonly code: string }) => error.code,
        ),
      )
      await transport.close()
      assert.equal(await queue.depth(), 40)
    }

    assert.deepEqual(outcomes, ['40', '40', ...Array<string>(8).fill(givingBackCounts ? 'NSB_LOOKS_EXHAUSTED' : '40')])
    assert.deepEqual((await bodiesIn(queue)).toSorted(), bodies(40).toSorted())
  })

  it('E-12 goes on when it is forced, or when the queue has another limit', async () => {
    const queue = await errorQueue({ kind: 'quorum', deliveryLimit: 3 }, 5)
    const snapshot = new SnapshotFile(temporaryFolder(), host.name, queue.name)
    const look = async (overrule: readonly string[]): Promise<number> => {
      const transport = open()
      return (await listFailed(transport, listOptions(queue, { snapshot, overrule }))).total
    }
    await queue.failDeliveries(givingBackCounts ? 2 : 3)
    await assert.rejects(look([]), hasCode('NSB_LOOKS_EXHAUSTED'))

    assert.equal(await look(['NSB_LOOKS_EXHAUSTED']), 5)

    assert.equal(await queue.depth(), 5)
  })

  it('E-14 shows nothing that came later, and counts it', async () => {
    const queue = await errorQueue({ kind: 'classic' }, 3)
    const transport = open()
    const hold = transport.hold.bind(transport)
    transport.hold = async (...words) => {
      const holding = await hold(...words)
      await queue.put([{ body: 'late', headers: failureHeaders('late') }])
      return holding
    }

    const listed = await listFailed(transport, listOptions(queue))

    assert.equal(listed.newerArrivals, 1)
    assert.equal(listed.total, 3)
    assert.deepEqual(await bodiesIn(queue), ['m1', 'm2', 'm3', 'late'])
  })

  it('E-18 shows more than 2,000 messages of a quorum queue', async () => {
    const queue = await errorQueue({ kind: 'quorum' }, 2500)

    const listed = await listFailed(open(), { ...listOptions(queue), limit: 3000 })

    assert.equal(new Set(listed.items.map(({ failed }) => failed.messageId)).size, 2500)
    assert.equal(await queue.depth(), 2500)
  })

  it('does nothing by half: a queue that is larger than what is held is not read', async () => {
    const queue = await errorQueue({ kind: 'quorum' }, 5)

    await assert.rejects(listFailed(open(), listOptions(queue, { maxHold: 4 })), hasCode('NSB_HOLD_TOO_SMALL'))

    assert.deepEqual(
      (await queue.drain()).map(({ redelivered }) => redelivered),
      Array(5).fill(false),
    )
  })

  it('that was cut by what may be held is never kept as the whole', async () => {
    const queue = await errorQueue({ kind: 'quorum' }, 5)
    const snapshot = new SnapshotFile(temporaryFolder(), 'broker', queue.name)

    const cut = await listFailed(open(), listOptions(queue, { maxHold: 4, overrule: ['NSB_HOLD_TOO_SMALL'], snapshot }))
    const kept = await snapshot.read(Date.now())

    assert.equal(cut.total, 4)
    assert.equal(kept, undefined)
    assert.equal((await listFailed(open(), listOptions(queue, { cached: true, snapshot }))).total, 5)
  })

  it('tells one event that failed in two subscribers apart, and marks the same failure that is there twice', async () => {
    const queue = await errorQueue({ kind: 'classic' }, 0)
    const inBilling = { 'NServiceBus.ProcessingEndpoint': 'Billing', 'NServiceBus.FailedQ': 'Billing' }
    const put = (more: Record<string, string>) => ({ body: 'x', headers: failureHeaders('one', more), properties: { messageId: 'one' } })
    await queue.put([put({}), put(inBilling), put({})])

    const { items } = await listFailed(open(), listOptions(queue))

    assert.deepEqual(items.map(({ duplicate, failed }) => `${failed.endpoint} ${duplicate}`).toSorted(), [
      'Billing false',
      'Sales false',
      'Sales true',
    ])
    assert.equal(new Set(items.map(({ failed }) => failed.uniqueId)).size, 2)
  })
})

describe('the snapshot of a look', () => {
  it('E-17 answers for ten minutes without a delivery, with the same groups', async () => {
    const queue = await errorQueue({ kind: 'quorum', deliveryLimit: 20 }, 20)
    const snapshot = new SnapshotFile(temporaryFolder(), host.name, queue.name)
    const transport = open()
    const now = Date.now()
    const fresh = await groupFailed(transport, { ...optionsFor(queue, { snapshot, now }), by: 'exception' })

    const cached = await groupFailed(transport, {
      ...optionsFor(queue, { snapshot, cached: true, now: now + 9 * 60_000 }),
      by: 'exception',
    })
    const byType = await listFailed(transport, listOptions(queue, { snapshot, cached: true, criteria: { type: ['PlaceOrder'] } }))
    const pages = [0, 8, 16].map((skip) => listFailed(transport, { ...listOptions(queue, { snapshot, cached: true }), limit: 8, skip }))
    const paged = (await Promise.all(pages)).map(({ items }) => items.map(({ failed }) => failed.messageId))
    const again = await listFailed(transport, listOptions(queue, { snapshot, cached: true, now: now + 11 * 60_000 }))

    assert.deepEqual(cached.groups, fresh.groups)
    assert.deepEqual([fresh.cached, cached.cached, cached.asOf, cached.changedBy], [false, true, fresh.asOf, 0])
    assert.equal(byType.total, 20)
    assert.deepEqual(
      paged.flat(),
      byType.items.map(({ failed }) => failed.messageId),
    )
    assert.deepEqual(
      paged.map((page) => page.length),
      [8, 8, 4],
    )
    assert.equal(again.cached, false)
    // One look for the groups, and one when the snapshot was too old.
    assert.deepEqual(
      (await queue.drain()).map(({ deliveries }) => deliveries),
      Array(20).fill(2),
    )
  })

  it('is not asked what it does not know: other headers, and bodies', async () => {
    const queue = await errorQueue({ kind: 'classic' }, 2)
    const snapshot = new SnapshotFile(temporaryFolder(), host.name, queue.name)
    const transport = open()
    await listFailed(transport, listOptions(queue, { snapshot }))

    const byHeader = await listFailed(transport, listOptions(queue, { snapshot, cached: true, criteria: { header: ['!Nothing'] } }))
    const shown = await showFailed(transport, optionsFor(queue, { snapshot, cached: true }), 'm1')

    assert.equal(byHeader.cached, false)
    assert.equal(Buffer.from(shown.message.body).toString(), 'm1')
  })
})

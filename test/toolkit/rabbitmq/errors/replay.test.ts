import assert from 'node:assert/strict'
import { afterAll, beforeAll, describe, it, onTestFinished } from 'vitest'
import { type ReplayOptions, planReplay } from '../../../../src/toolkit/errors/replay/plan.ts'
import { prepareReplay } from '../../../../src/toolkit/errors/replay/prepare-replay.ts'
import { type ReplayReport, type ReplayRun, acknowledgementQueue } from '../../../../src/toolkit/errors/replay/replay.ts'
import { parseConnection } from '../../../../src/transport/rabbitmq/connection-settings.ts'
import { rabbitTransport } from '../../../../src/transport/rabbitmq/transport.ts'
import type { Transport } from '../../../../src/transport/transport.ts'
import { until } from '../../../../src/testing/transport-contract/support.ts'
import { failureHeaders } from '../../../cli/nsb.ts'
import { declaredArguments } from '../../../support/broker-version.ts'
import { ErrorQueue } from '../../../support/error-queue.ts'
import { replayOptions, replayRun } from '../../../support/replay-options.ts'
import { startTcpProxy } from '../../../support/tcp-proxy.ts'
import { type VirtualHost, makeVirtualHost } from '../../../support/virtual-host.ts'

let host: VirtualHost
beforeAll(async () => {
  host = await makeVirtualHost()
})
afterAll(() => host.remove())

let worlds = 0

interface World {
  readonly transport: Transport
  readonly errors: ErrorQueue
  readonly sales: ErrorQueue
  /** Headers of a failure of this world's endpoint. */
  readonly failure: (id: string, more?: Readonly<Record<string, string>>) => Record<string, string>
}

async function makeWorld(kind: 'classic' | 'quorum' = 'quorum'): Promise<World> {
  const number = ++worlds
  const errors = await ErrorQueue.make(host, `error-${number}`, { kind })
  const sales = await ErrorQueue.make(host, `Sales-${number}`, { kind })
  const transport = rabbitTransport({ settings: host.settings, management: host.management, warn: () => undefined })
  onTestFinished(() => transport.close())
  const failure = (id: string, more: Readonly<Record<string, string>> = {}): Record<string, string> =>
    failureHeaders(id, { 'NServiceBus.ProcessingEndpoint': sales.name, 'NServiceBus.FailedQ': sales.name, ...more })
  return { transport, errors, sales, failure }
}

/** Fills the error queue with so many failures `m1`, `m2` … */
async function filled(count: number, kind?: 'classic' | 'quorum'): Promise<World> {
  const world = await makeWorld(kind)
  await world.errors.fill(count, (id) => world.failure(id))
  return world
}

const optionsFor = ({ errors }: World, more: Partial<ReplayOptions> = {}): ReplayOptions => replayOptions({ queue: errors.name, ...more })

interface How {
  readonly options?: Partial<ReplayOptions>
  readonly run?: Partial<ReplayRun>
  /** Nobody is asked. Default: somebody is, so that the plan is known before. */
  readonly confirmed?: boolean
}

async function replayed(world: World, { confirmed = false, options, run }: How = {}): Promise<ReplayReport> {
  const prepared = await prepareReplay(world.transport, optionsFor(world, options), { confirmed, window: 50 })
  onTestFinished(() => prepared.release())
  return prepared.run(replayRun(run))
}

const bodies = (count: number): string[] => Array.from({ length: count }, (_, index) => `m${index + 1}`)
const bodiesIn = async (queue: ErrorQueue): Promise<string[]> => (await queue.drain()).map(({ body }) => body)
const resultsOf = ({ items }: ReplayReport): string[] => items.map(({ result }) => result)

describe('replay on a broker', () => {
  it('E-20 keeps a message whose queue has a name that no queue can have, and sends the others', async () => {
    const world = await makeWorld()
    const long = 'é'.repeat(200)
    await world.errors.fill(3, (id) => world.failure(id, id === 'm2' ? { 'NServiceBus.FailedQ': long } : {}))

    const report = await replayed(world)

    assert.deepEqual([report.published, report.leftInQueue], [2, 1])
    assert.equal(report.items.find(({ result }) => result !== 'published')?.target, long)
    assert.deepEqual(await bodiesIn(world.errors), ['m2'])
  })

  it('E-20 sends all of them in order under the same message id, a new native id, and with the same bytes', async () => {
    const world = await filled(100)

    const report = await replayed(world)

    const copies = await world.sales.drain()
    assert.deepEqual([report.selected, report.published, report.failed, report.leftInQueue], [100, 100, 0, 0])
    assert.deepEqual(
      copies.map(({ body, headers }) => [body, headers['NServiceBus.MessageId']]),
      bodies(100).map((id) => [id, id]),
    )
    assert.deepEqual(
      copies.map(({ properties }) => properties['messageId']),
      report.items.map(({ uniqueId }) => `${uniqueId}.1`),
    )
    assert.deepEqual(await world.errors.drain(), [])
  })

  it('E-21 E-28 E-29 sends no trace of the failure, of the broker or of an old acknowledgement address, and counts', async () => {
    const world = await makeWorld('classic')
    const leftovers = {
      'NServiceBus.Retries': '3',
      'NServiceBus.ExceptionInfo.Data.Handler type': 'X',
      'x-delivery-count': 9,
      'ServiceControl.Retry.AcknowledgementQueue': 'nowhere',
      'Nsb.Replay.Count': '1',
      Custom: 'kept',
      Number: 42,
    }
    await world.errors.put([{ body: 'm1', headers: { ...world.failure('m1'), ...leftovers }, properties: { messageId: 'm1' } }])

    const report = await replayed(world)

    const [copy] = await world.sales.drain()
    const { 'Nsb.Replay.At': at, 'Nsb.Replay.Operation': operation, ...headers } = copy?.headers ?? {}
    assert.deepEqual(headers, {
      'NServiceBus.MessageId': 'm1',
      'NServiceBus.ContentType': 'application/json',
      'NServiceBus.EnclosedMessageTypes': 'Shop.Messages.PlaceOrder, Shop.Messages',
      Custom: 'kept',
      Number: 42,
      'ServiceControl.Retry.UniqueMessageId': report.items[0]?.uniqueId,
      'Nsb.Replay.Count': '2',
    })
    assert.ok(at)
    assert.equal(operation, report.operation)
    assert.equal(copy?.properties['messageId'], `${report.items[0]?.uniqueId}.2`)
  })

  it('keeps the AMQP properties but for those that would make the copy pass unseen or be refused', async () => {
    const world = await makeWorld()
    const properties = {
      messageId: 'm1',
      contentType: 'application/json',
      contentEncoding: 'utf-8',
      correlationId: 'c',
      replyTo: 'Web',
      type: 'Shop.PlaceOrder',
      priority: 3,
      appId: 'shop',
      timestamp: 1_700_000_000,
      expiration: '600000',
    }
    await world.errors.put([{ body: 'm1', headers: world.failure('m1'), properties }])

    const report = await replayed(world)

    const [copy] = await world.sales.drain()
    const { expiration: _, ...kept } = properties
    const present = Object.entries(copy?.properties ?? {}).filter(([, value]) => value !== undefined)
    assert.deepEqual(Object.fromEntries(present), { ...kept, messageId: `${report.items[0]?.uniqueId}.1`, deliveryMode: 2 })
  })

  it('keeps the native id when that is asked for, and gives one to a message that has none', async () => {
    const world = await makeWorld()
    await world.errors.put([
      { body: 'm1', headers: world.failure('m1'), properties: { messageId: 'native' } },
      { body: 'm2', headers: world.failure('m2') },
    ])

    const report = await replayed(world, { run: { sameNativeId: true } })

    assert.deepEqual(
      (await world.sales.drain()).map(({ properties }) => properties['messageId']),
      ['native', `${report.items[1]?.uniqueId}.1`],
    )
  })

  it('E-23 leaves a message whose queue does not exist, names the queue, and sends the others', async () => {
    const world = await makeWorld()
    await world.errors.put([
      { body: 'm1', headers: world.failure('m1', { 'NServiceBus.FailedQ': 'Sails' }) },
      { body: 'm2', headers: world.failure('m2') },
    ])

    for (const confirmed of [false, true]) {
      const report = await replayed(world, { confirmed })
      assert.equal(report.items[0]?.error?.code, 'NSB_QUEUE_NOT_FOUND')
      assert.match(String(report.items[0]?.error?.message), /'Sails'/)
      assert.equal(report.leftInQueue, 1)
    }

    assert.deepEqual(await bodiesIn(world.sales), ['m2'])
    assert.deepEqual(await bodiesIn(world.errors), ['m1'])
  })

  it('E-25 plans without changing anything, and says which targets do not exist', async () => {
    const world = await makeWorld()
    await world.errors.put([
      { body: 'm1', headers: world.failure('m1', { 'NServiceBus.FailedQ': 'Sails' }) },
      { body: 'm2', headers: world.failure('m2') },
    ])

    const plan = await planReplay(world.transport, optionsFor(world))

    assert.deepEqual(
      plan.targets.map(({ count, problem, target }) => [target, count, (problem as { code?: string } | undefined)?.code]),
      [
        ['Sails', 1, 'NSB_QUEUE_NOT_FOUND'],
        [world.sales.name, 1, undefined],
      ],
    )
    assert.equal(await world.sales.depth(), 0)
    assert.deepEqual(await bodiesIn(world.errors), ['m1', 'm2'])
  })

  it('E-27 sends a message with a CC header once, to one queue, and one that another user sent', async () => {
    const world = await makeWorld('classic')
    const other = await ErrorQueue.make(host, `${world.sales.name}-other`, { kind: 'classic' })
    const shovelled = { ...world.failure('m2') }
    await world.errors.put([
      { body: 'm1', headers: { ...world.failure('m1'), CC: [other.name] } },
      { body: 'm2', headers: shovelled, properties: { userId: 'guest' } },
    ])
    // The copy that the broker made of it when it was put there is not ours.
    await other.drain()
    await host.api('PUT', 'users/operator', { password: 'operator', tags: 'administrator' })
    await host.api('PUT', `permissions/${host.name}/operator`, { configure: '.*', write: '.*', read: '.*' })
    const { parseConnection } = await import('../../../../src/transport/rabbitmq/connection-settings.ts')
    const { settings } = parseConnection(host.url.replace('guest:guest', 'operator:operator'))
    const transport = rabbitTransport({ settings, management: host.management, warn: () => undefined })
    onTestFinished(() => transport.close())

    const report = await replayed({ ...world, transport })

    assert.deepEqual(resultsOf(report), ['published', 'published'])
    assert.deepEqual(await bodiesIn(world.sales), ['m1', 'm2'])
    assert.deepEqual(await bodiesIn(other), [])
  })

  it('E-31 sends to another queue, and the identity of the failure goes with the copy', async () => {
    const world = await filled(1)
    const other = await ErrorQueue.make(host, `${world.sales.name}-other`, { kind: 'quorum' })

    const report = await replayed(world, { options: { to: other.name } })

    const [copy] = await other.drain()
    assert.equal(copy?.headers['ServiceControl.Retry.UniqueMessageId'], report.items[0]?.uniqueId)
    assert.equal(copy?.headers['NServiceBus.ProcessingEndpoint'], undefined)
  })

  it('replays one event that failed in two subscribers once for each of them, and a failure that is there twice once', async () => {
    for (const confirmed of [false, true]) {
      const world = await makeWorld()
      const billing = await ErrorQueue.make(host, `Billing-${worlds}`, { kind: 'quorum' })
      const inBilling = { 'NServiceBus.ProcessingEndpoint': billing.name, 'NServiceBus.FailedQ': billing.name }
      const put = (body: string, more: Record<string, string> = {}) => ({
        body,
        headers: world.failure('one', more),
        properties: { messageId: 'one' },
      })
      await world.errors.put([put('sales'), put('billing', inBilling), put('sales')])

      const report = await replayed(world, { confirmed })

      assert.deepEqual([report.selected, report.published, report.duplicates, report.leftInQueue], [2, 2, 1, 1])
      assert.deepEqual(await bodiesIn(world.sales), ['sales'])
      assert.deepEqual(await bodiesIn(billing), ['billing'])
      assert.deepEqual(await bodiesIn(world.errors), ['sales'])
    }
  })

  it('replays each of two failures with one id and one moment: producers use ids again', async () => {
    for (const confirmed of [false, true]) {
      const world = await makeWorld()
      const put = (body: string) => ({ body, headers: world.failure('one'), properties: { messageId: 'one' } })
      await world.errors.put([put('first'), put('second'), put('first')])

      const report = await replayed(world, { confirmed })

      assert.deepEqual([report.selected, report.published, report.duplicates, report.leftInQueue], [2, 2, 1, 1])
      assert.deepEqual(await bodiesIn(world.sales), ['first', 'second'])
      assert.deepEqual(await bodiesIn(world.errors), ['first'])
    }
  })

  it('costs what stays one delivery, whether somebody is asked or not', async () => {
    for (const confirmed of [false, true]) {
      const world = await makeWorld()
      await world.errors.fill(20, (id) => world.failure(id, Number(id.slice(1)) % 2 ? {} : { Even: 'yes' }))

      const report = await replayed(world, { confirmed, options: { all: false, criteria: { header: ['Even'] } } })

      assert.equal(report.published, 10)
      const left = await world.errors.drain()
      assert.deepEqual(
        left.map(({ body, deliveries }) => [body, deliveries]),
        bodies(20)
          .filter((_, index) => index % 2 === 0)
          .map((id) => [id, 1]),
      )
    }
  })

  it('finds the messages again when what was held had to be given back before the answer', async () => {
    const world = await filled(5)
    const prepared = await prepareReplay(world.transport, optionsFor(world, { limit: 3 }), { confirmed: false, window: 50 })

    await prepared.release()
    const given = await world.errors.depth()
    const report = await prepared.run(replayRun())

    assert.equal(given, 5)
    assert.deepEqual(resultsOf(report), ['published', 'published', 'published'])
    assert.deepEqual(await bodiesIn(world.sales), ['m1', 'm2', 'm3'])
    assert.deepEqual(await bodiesIn(world.errors), ['m4', 'm5'])
  })

  it('E-26 takes the oldest, or the newest, and leaves the rest in its order', async () => {
    for (const confirmed of [false, true]) {
      const world = await filled(10)

      await replayed(world, { confirmed, options: { limit: 2 } })
      await replayed(world, { confirmed, options: { limit: 2, newest: true } })

      assert.deepEqual(await bodiesIn(world.sales), ['m1', 'm2', 'm10', 'm9'])
      assert.deepEqual(await bodiesIn(world.errors), bodies(10).slice(2, 8))
    }
  })

  it('streams all of a queue that is larger than what may be held', async () => {
    const world = await filled(2000)

    const report = await replayed(world, { options: { maxHold: 100 }, run: { everyItem: false } })

    assert.deepEqual([report.selected, report.published, report.leftInQueue, report.items.length], [2000, 2000, 0, 0])
    assert.deepEqual(await bodiesIn(world.sales), bodies(2000))
  })

  it('sends entries that no endpoint made to a named queue, even if nothing tells them apart', async () => {
    for (const confirmed of [false, true]) {
      const world = await makeWorld()
      await world.errors.put([
        { body: 'first', headers: {} },
        { body: 'second', headers: {} },
      ])
      const options = { all: false, criteria: { kind: ['poison'] }, to: world.sales.name }

      const report = await replayed(world, { confirmed, options })

      assert.deepEqual([report.selected, report.published, report.duplicates], [2, 2, 0])
      const copies = await world.sales.drain()
      assert.deepEqual(
        copies.map(({ body }) => body),
        ['first', 'second'],
      )
      assert.ok(copies.every(({ properties }) => String(properties['messageId']).endsWith('.1')))
    }
  })

  it('stops after ten failures in a row, and gives back the rest in order', async () => {
    const world = await makeWorld()
    await world.errors.fill(100, (id) => world.failure(id, { 'NServiceBus.FailedQ': 'Sails' }))

    const report = await replayed(world, { confirmed: true, run: { window: 1 } })

    assert.equal(report.stopped, true)
    assert.equal(report.failed, 11)
    assert.deepEqual(await bodiesIn(world.errors), bodies(100))
  })

  it('goes on beside what cannot be sent, says so when it had to stop, and loses nothing', async () => {
    for (const maxHold of [200, 100_000]) {
      const world = await makeWorld()
      const goesTo = (id: string): string => (Number(id.slice(1)) % 2 ? 'Sails' : world.sales.name)
      await world.errors.fill(2500, (id) => world.failure(id, { 'NServiceBus.FailedQ': goesTo(id) }))

      const report = await replayed(world, { confirmed: true, options: { maxHold } })

      assert.equal(report.stopped, maxHold === 200)
      assert.equal(report.leftInQueue, 2500 - report.published)
      if (!report.stopped) assert.deepEqual([report.failed, report.published], [1250, 1250])
      const all = [...(await bodiesIn(world.sales)), ...(await bodiesIn(world.errors))]
      assert.deepEqual(all.toSorted(), bodies(2500).toSorted())
    }
  })

  it('gives everything back when it is interrupted', async () => {
    const world = await filled(300)
    const interruption = new AbortController()
    const progress = ({ done }: { readonly done: number }): void => {
      if (done === 20) interruption.abort()
    }

    const report = await replayed(world, { confirmed: true, options: { signal: interruption.signal }, run: { progress, window: 5 } })

    const sent = await bodiesIn(world.sales)
    assert.equal(sent.length, report.published)
    assert.deepEqual([...sent, ...(await bodiesIn(world.errors))], bodies(300))
  })
})

describe('replay --wait on a broker', () => {
  /** Plays the endpoint: acknowledges, fails again, or says nothing. */
  async function play({ errors, sales, transport, failure }: World): Promise<void> {
    await transport.receive(
      {
        queue: sales.name,
        errorQueue: errors.name,
        concurrency: 1,
        transactionMode: 'receiveOnly',
        onCriticalError: () => {},
        onSettled: () => undefined,
        onPoison: () => undefined,
        onDispatchFailed: () => Promise.resolve({ kind: 'putBack' }),
      },
      (message) => {
        const unique = { 'ServiceControl.Retry.UniqueMessageId': message.headers['ServiceControl.Retry.UniqueMessageId'] ?? '' }
        const acknowledgement = {
          id: `ack-${message.id}`,
          headers: { ...unique, 'ServiceControl.Retry.Successful': '2026-11-22 10:00:00:000000 Z', 'NServiceBus.ControlMessage': 'True' },
          body: new Uint8Array(),
          to: { address: message.headers['ServiceControl.Retry.AcknowledgementQueue'] ?? 'nowhere' },
        }
        const again = {
          id: message.id,
          headers: failure(message.id, { ...unique, 'NServiceBus.TimeOfFailure': '2026-11-22 10:00:00:000000 Z' }),
          body: message.body,
          to: { address: errors.name },
        }
        const outgoing = { m1: [acknowledgement], m2: [again] }[message.id] ?? []
        return Promise.resolve({ kind: 'consume', outgoing })
      },
    )
  }

  it('E-30 tells what succeeded, what failed again and what did not answer', async () => {
    const world = await filled(3)
    await play(world)

    const report = await replayed(world, { run: { waitMs: 1500 } })

    assert.deepEqual(resultsOf(report), ['succeeded', 'failedAgain', 'noAnswer'])
    assert.equal(report.items[1]?.exception, 'System.Exception: no stock')
  })

  it('E-30 finds what ended while the connection was lost: in the error queue, and among the acknowledgements', async () => {
    const world = await filled(3)
    const { hosts } = host.settings
    const proxy = await startTcpProxy(hosts[0].port)
    onTestFinished(() => proxy.close())
    const disturbed = rabbitTransport({
      settings: parseConnection(host.url.replace(`:${hosts[0].port}/`, `:${proxy.port}/`)).settings,
      management: host.management,
      recoveryDelaysMs: [50],
      warn: () => undefined,
    })
    onTestFinished(() => disturbed.close())
    const acknowledgements = ErrorQueue.open(host, acknowledgementQueue)
    const deaf = async (): Promise<void> => {
      proxy.become('stall')
      proxy.reset()
      // It tries again: that nobody watches is known, and those who answer are not seen.
      await until('it tries again', () => proxy.open > 0)
      const acknowledged = (await acknowledgements.depth()) + 1
      await play(world)
      await until('all have ended', async () => (await world.errors.depth()) === 1 && (await acknowledgements.depth()) === acknowledged)
      proxy.become('pass')
      proxy.reset()
    }
    let interruption: Promise<void> | undefined
    const onProgress: ReplayRun['progress'] = ({ doing }) => {
      if (doing === 'waiting') interruption ??= deaf()
    }

    const report = await replayed(
      { ...world, transport: disturbed },
      {
        run: { waitMs: 5000, progress: onProgress },
      },
    )

    await interruption
    assert.deepEqual(resultsOf(report), ['succeeded', 'failedAgain', 'noAnswer'])
  })

  it('E-30 leaves an acknowledgement queue behind that keeps itself small, with its exchange', async () => {
    const world = await filled(1)
    await play(world)
    await replayed(world, { run: { waitMs: 5000 } })

    const queue = await host.api<{ arguments: unknown; durable: boolean }>('GET', `queues/${host.name}/${acknowledgementQueue}`)
    const exchange = await host.api<{ type: string; durable: boolean }>('GET', `exchanges/${host.name}/${acknowledgementQueue}`)

    assert.deepEqual(declaredArguments(queue.arguments), { 'x-message-ttl': 86_400_000, 'x-max-length': 100_000 })
    assert.deepEqual([queue.durable, exchange.type, exchange.durable], [true, 'fanout', true])
  })
})

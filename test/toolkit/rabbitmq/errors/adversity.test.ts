import assert from 'node:assert/strict'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { ReplayOptions } from '../../../../src/toolkit/errors/replay/plan.ts'
import { prepareReplay } from '../../../../src/toolkit/errors/replay/prepare-replay.ts'
import { beginReplayJournal } from '../../../../src/toolkit/errors/replay/replay-record.ts'
import type { ReplayReport, ReplayRun } from '../../../../src/toolkit/errors/replay/replay.ts'
import { parseConnection } from '../../../../src/transport/rabbitmq/connection-settings.ts'
import { type RabbitOptions, rabbitTransport } from '../../../../src/transport/rabbitmq/transport.ts'
import type { Transport } from '../../../../src/transport/transport.ts'
import { failureHeaders } from '../../../cli/nsb.ts'
import { startBroker } from '../../../support/broker.ts'
import { ErrorQueue } from '../../../support/error-queue.ts'
import { resumeKilled, timesOf } from '../../../support/killed-replay.ts'
import { replayOptions, replayRun } from '../../../support/replay-options.ts'
import { mountDisk, remount, unmount, whyNoDisk } from '../../../support/small-disk.ts'
import { tempFolder } from '../../../support/temp-folder.ts'
import { type VirtualHost, makeVirtualHost } from '../../../support/virtual-host.ts'

let host: VirtualHost
beforeAll(async () => {
  host = await makeVirtualHost()
})
afterAll(() => host.remove())

let worlds = 0

interface World {
  readonly url: string
  readonly errors: ErrorQueue
  readonly sales: ErrorQueue
  readonly stateFolder: string
}

async function filled(count: number, at: Pick<VirtualHost, 'url'> = host): Promise<World> {
  const number = ++worlds
  const errors = await ErrorQueue.make(at as VirtualHost, `error-${number}`, { kind: 'quorum' })
  const sales = await ErrorQueue.make(at as VirtualHost, `Sales-${number}`, { kind: 'quorum' })
  await errors.fill(count, (id) => failureHeaders(id, { 'NServiceBus.FailedQ': sales.name }))
  return { url: at.url, errors, sales, stateFolder: tempFolder() }
}

function open({ url }: Pick<World, 'url'>, more: Pick<RabbitOptions, 'timeoutMs'> = {}): Transport {
  const transport = rabbitTransport({ settings: parseConnection(url).settings, warn: () => undefined, ...more })
  onTestFinished(() => transport.close())
  return transport
}

const optionsFor = ({ errors }: World, more: Partial<ReplayOptions> = {}): ReplayOptions => replayOptions({ queue: errors.name, ...more })

const window = 20

/** Replays everything with a journal. @param progress told after each message */
async function replayed(world: World, progress: ReplayRun['progress'], more: Partial<ReplayOptions> = {}): Promise<ReplayReport> {
  const options = optionsFor(world, more)
  const prepared = await prepareReplay(open(world), options, { confirmed: true, window })
  onTestFinished(() => prepared.release())
  const run = replayRun({ window, everyItem: false, progress })
  const place = { stateFolder: world.stateFolder, where: 'here', profile: 'default' }
  return prepared.run({ ...run, journal: beginReplayJournal(place, run.operation, options, run, prepared.plan) })
}

const bodies = (count: number): string[] => Array.from({ length: count }, (_, index) => `m${index + 1}`).toSorted()
const bodiesIn = async (...queues: readonly ErrorQueue[]): Promise<string[]> =>
  (await Promise.all(queues.map((queue) => queue.drain()))).flat().map(({ body }) => body)

describe('a replay while something happens', () => {
  it('keeps a second operator away, and is in nobody else’s way afterwards', async () => {
    const world = await filled(10)
    const first = await prepareReplay(open(world), optionsFor(world), { confirmed: true, window })

    const impatient = open(world, { timeoutMs: 2000 })
    await assert.rejects(prepareReplay(impatient, optionsFor(world), { confirmed: true, window }), { code: 'NSB_QUEUE_LOCKED' })
    await first.release()
    const report = await replayed(world, () => undefined)

    assert.deepEqual([report.published, report.leftInQueue], [10, 0])
  })

  it('E-15 does not refuse next to a consumer that is gone a moment later, as one is whose connection has just died', async () => {
    const world = await filled(10)
    const endConsumer = await world.errors.consume()

    const [prepared] = await Promise.all([prepareReplay(open(world), optionsFor(world), { confirmed: true, window }), endConsumer()])
    const report = await prepared.run(replayRun({ window }))
    await prepared.release()

    assert.deepEqual([report.published, report.leftInQueue], [10, 0])
  })

  it('E-15 refuses next to a consumer, and then shares what there is with it', async () => {
    const world = await filled(100)
    const endConsumer = await world.errors.consume()

    await assert.rejects(
      replayed(world, () => undefined),
      { code: 'NSB_QUEUE_HAS_CONSUMER' },
    )
    const report = await replayed(world, () => undefined, { overrule: ['NSB_QUEUE_HAS_CONSUMER'] })
    await endConsumer()

    assert.equal(report.published, 99)
    await expect.poll(() => world.errors.depth()).toBe(1)
    assert.deepEqual((await bodiesIn(world.errors, world.sales)).toSorted(), bodies(100))
  })

  it('E-14 leaves what comes meanwhile, and counts it', async () => {
    const world = await filled(300)
    let adding: Promise<void> | undefined
    const report = await replayed(world, ({ done }) => {
      if (done === 1)
        adding = world.errors.put([{ body: 'later', headers: failureHeaders('later', { 'NServiceBus.FailedQ': world.sales.name }) }])
    })
    await adding

    assert.equal(report.published, 300)
    assert.deepEqual((await bodiesIn(world.sales)).toSorted(), bodies(300))
    assert.deepEqual(await bodiesIn(world.errors), ['later'])
  })

  it('E-23 stops when the target is deleted in the middle, and everything that was not sent is where it was', async () => {
    const world = await filled(400)
    let deleting: Promise<unknown> | undefined
    const report = await replayed(world, ({ done }) => {
      if (done === 20) deleting = host.api('DELETE', `queues/${host.name}/${world.sales.name}`)
    })
    await deleting

    assert.equal(report.stopped, true)
    assert.ok(
      report.items.every(({ error }) => error?.code === 'NSB_QUEUE_NOT_FOUND'),
      JSON.stringify(report.items[0]),
    )
    // RabbitMQ may end the connection over the deletion: then nobody knows whether what was on its way had arrived before.
    assert.equal(report.leftInQueue, 400 - report.published)
    assert.deepEqual(await bodiesIn(world.errors), Array.from({ length: 400 }, (_, index) => `m${index + 1}`).slice(report.published))
  })
})

describe.skipIf(whyNoDisk())('a replay whose journal cannot be written any more', () => {
  it('E-37 stops, says how many messages may be in both places, and is resumed once there is room', { timeout: 60_000 }, async () => {
    const world = await filled(400)
    mountDisk(world.stateFolder, 8)

    const report = await replayed(world, () => undefined)

    assert.equal((report.problem as { code?: string } | undefined)?.code, 'NSB_JOURNAL_UNWRITABLE')
    assert.deepEqual([report.isOver, report.stopped, report.failed], [false, true, report.sentUnnoted])
    assert.equal(await world.errors.depth(), 400 - report.published)
    assert.equal(await world.sales.depth(), report.published + report.sentUnnoted)

    await remount(world.stateFolder, 'size=1024k')
    const resumed = await resumeKilled(open(world), { queue: world.errors.name, stateFolder: world.stateFolder })

    const times = timesOf(await bodiesIn(world.sales))
    const twice = [...times.values()].filter((sent) => sent === 2).length
    assert.deepEqual([...times.keys()].toSorted(), bodies(400))
    assert.ok(report.sentUnnoted <= twice && twice <= resumed.mayArriveTwice, `${twice} twice, ${resumed.mayArriveTwice} announced`)
    assert.equal(resumed.isOver, true)
    // Its folder is removed before disks are unmounted.
    unmount(world.stateFolder)
  })
})

describe('a replay whose broker is restarted in the middle', () => {
  it('E-24 says that it can be resumed, and then sends no more twice than it announces', { timeout: 120_000 }, async () => {
    const broker = await startBroker()
    onTestFinished(() => broker.remove())
    const world = await filled(2000, { url: `amqp://guest:guest@127.0.0.1:${broker.port}` })
    // A quorum queue of RabbitMQ 3.10 whose broker is killed within seconds of its creation may never answer again.
    await new Promise((resolve) => setTimeout(resolve, 8000))
    let restarting: Promise<void> | undefined

    const report = await replayed(world, ({ done }) => {
      if (done === 200) restarting = broker.stop().then(() => broker.start())
    })
    await restarting
    const transport = open(world)
    await expect.poll(() => transport.inspect(world.errors.name).then((facts) => facts?.consumers, String), { timeout: 30_000 }).toBe(0)
    const total = async (): Promise<number> => (await world.errors.depth()) + (await world.sales.depth())
    await expect.poll(total, { timeout: 30_000 }).toBeGreaterThanOrEqual(2000)
    const resumed = await resumeKilled(transport, { queue: world.errors.name, stateFolder: world.stateFolder })

    assert.equal(report.isOver, false)
    assert.ok(report.failed > 0 || report.problem !== undefined)
    assert.equal(resumed.isOver, true)
    const times = timesOf(await bodiesIn(world.sales))
    const twice = [...times.values()].filter((sent) => sent === 2).length
    assert.deepEqual([...times.keys()].toSorted(), bodies(2000))
    assert.ok(twice <= resumed.mayArriveTwice && resumed.mayArriveTwice <= window, `${twice} twice, ${resumed.mayArriveTwice} announced`)
    assert.equal(await world.errors.depth(), 0)
  })
})

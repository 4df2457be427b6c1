import assert from 'node:assert/strict'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { parseConnection } from '../../../../src/transport/rabbitmq/connection-settings.ts'
import { rabbitTransport } from '../../../../src/transport/rabbitmq/transport.ts'
import type { Transport } from '../../../../src/transport/transport.ts'
import { failureHeaders } from '../../../cli/nsb.ts'
import { ErrorQueue } from '../../../support/error-queue.ts'
import { Journal } from '../../../../src/toolkit/errors/journal/journal.ts'
import { newOperationId } from '../../../../src/toolkit/errors/operation-id.ts'
import { adoptLeftover } from '../../../../src/toolkit/errors/replay/resume-staged.ts'
import { stagingQueue } from '../../../../src/toolkit/errors/replay/staging.ts'
import { type Step, replayUntilKilled, resumeKilled, timesOf } from '../../../support/killed-replay.ts'
import { replayOptions } from '../../../support/replay-options.ts'
import { tempFolder } from '../../../support/temp-folder.ts'
import { type VirtualHost, makeVirtualHost } from '../../../support/virtual-host.ts'

const count = 40
const everyId = Array.from({ length: count }, (_, index) => `m${index + 1}`).toSorted()

let host: VirtualHost
let transport: Transport
beforeAll(async () => {
  host = await makeVirtualHost()
  transport = rabbitTransport({ settings: parseConnection(host.url).settings, management: host.management, warn: () => undefined })
})
afterAll(async () => {
  await transport.close()
  await host.remove()
})

let worlds = 0

/** A replay that was killed, and the queues it was about. */
async function killed(step: Step, at: number, window: number, kind: 'quorum' | 'classic' = 'quorum') {
  const name = String(++worlds)
  const errors = await ErrorQueue.make(host, `error-${name}`, { kind })
  const sales = await ErrorQueue.make(host, `Sales-${name}`, { kind })
  await errors.fill(count, (id) => failureHeaders(id, { 'NServiceBus.FailedQ': sales.name, 'NServiceBus.ProcessingEndpoint': sales.name }))
  const replay = { place: host.url, queue: errors.name, stateFolder: tempFolder(), window, step, at }
  expect(await replayUntilKilled(replay)).toBe('SIGKILL')
  // The broker has noticed.
  await expect.poll(async () => (await errors.depth()) + (await sales.depth())).toBeGreaterThanOrEqual(count)
  await expect.poll(async () => (await transport.inspect(errors.name))?.consumers).toBe(0)
  return { errors, sales, replay }
}

/** The next copies that are safe are not noted: as if the process had been killed. */
function crashOnce(): void {
  vi.spyOn(Journal.prototype, 'safe').mockImplementationOnce(() => {
    throw new Error('killed')
  })
}

describe('a replay that is killed, and then resumed', () => {
  it.each<[Step, number]>([
    ['planned', 1],
    ['planned', 20],
    ['selected', 1],
    ['selected', 20],
    ['safe', 20],
    ['removed', 20],
  ])('E-24 sends every message exactly once when it was killed at "%s" of message %i', { timeout: 60_000 }, async (step, at) => {
    const { errors, replay, sales } = await killed(step, at, 1)

    const report = await resumeKilled(transport, replay)

    assert.deepEqual((await sales.drain()).map(({ body }) => body).toSorted(), everyId)
    assert.equal(await errors.depth(), 0)
    assert.deepEqual([report.isOver, report.failed], [true, 0])
  })

  it.each<[Step, number, 'quorum' | 'classic']>([
    ['publishing', 15, 'quorum'],
    ['confirmed', 1, 'quorum'],
    ['confirmed', 3, 'classic'],
    ['safe', 2, 'quorum'],
    ['removed', 20, 'quorum'],
  ])(
    'E-24 sends no message more than twice, and no more than it says: at "%s" %i of a window of 10, %s',
    { timeout: 60_000 },
    async (step, at, kind) => {
      const { errors, replay, sales } = await killed(step, at, 10, kind)

      const report = await resumeKilled(transport, replay)

      const times = timesOf((await sales.drain()).map(({ body }) => body))
      const twice = [...times.values()].filter((sent) => sent === 2).length
      assert.deepEqual([...times.keys()].toSorted(), everyId)
      assert.ok([...times.values()].every((sent) => sent <= 2))
      assert.ok(report.mayArriveTwice <= replay.window)
      assert.ok(twice <= report.mayArriveTwice, `${twice} were sent twice, ${report.mayArriveTwice} were announced`)
      assert.equal(await errors.depth(), 0)
    },
  )

  it.each<[Step, number]>([
    ['safe', 3],
    ['confirmed', 2],
  ])(
    'E-24 is not sent any further when it is taken back: what has arrived goes, the rest stays, at "%s"',
    { timeout: 60_000 },
    async (step, at) => {
      const { errors, replay, sales } = await killed(step, at, 10)

      const report = await resumeKilled(transport, replay, true)

      const [left, sent] = [await errors.drain(), await sales.drain()]
      assert.deepEqual([report.sentAgain, report.sentFirst, report.undone], [0, 0, true])
      assert.ok(sent.length >= report.removed)
      const everywhere = [...left, ...sent].map(({ body }) => body)
      assert.equal(new Set(everywhere).size, count)
      assert.ok(
        everywhere.length - count <= report.mayArriveTwice,
        `${everywhere.length - count} twice, ${report.mayArriveTwice} announced`,
      )
    },
  )

  it('E-24 counts the duplicates of every crash when going on with it crashes too', { timeout: 60_000 }, async () => {
    const { errors, replay, sales } = await killed('confirmed', 1, 10)
    crashOnce()
    const crashed = await resumeKilled(transport, replay)

    const report = await resumeKilled(transport, replay)

    const sent = (await sales.drain()).map(({ body }) => body)
    assert.deepEqual([crashed.isOver, report.isOver, await errors.depth()], [false, true, 0])
    assert.deepEqual([...new Set(sent)].toSorted(), everyId)
    const beyond = sent.length - count
    assert.ok(beyond > 1 && beyond <= report.mayArriveTwice, `${beyond} more than there were, ${report.mayArriveTwice} announced`)
    assert.ok(crashed.mayArriveTwice <= 10 && report.mayArriveTwice <= 20)
  })

  it('E-24 counts the duplicates of every crash while a staged replay is taken back', { timeout: 60_000 }, async () => {
    const [name, operation, stateFolder] = [`error-${++worlds}`, newOperationId(Date.now()), tempFolder()]
    const errors = await ErrorQueue.make(host, name, { kind: 'quorum' })
    const staging = await ErrorQueue.make(host, stagingQueue(operation), { kind: 'quorum' })
    await staging.fill(120)
    const leftover = { operation, queue: staging.name, depth: 120 }
    await adoptLeftover({ stateFolder, where: 'here', profile: 'default' }, leftover, replayOptions({ queue: name }))
    const announced: number[] = []
    for (let crash = 0; crash < 2; crash++) {
      crashOnce()
      announced.push((await resumeKilled(transport, { queue: name, stateFolder }, true)).mayArriveTwice)
    }

    const report = await resumeKilled(transport, { queue: name, stateFolder }, true)

    const back = (await errors.drain()).map(({ body }) => body)
    assert.equal(new Set(back).size, 120)
    assert.deepEqual([report.isOver, await transport.inspect(staging.name)], [true, undefined])
    const beyond = back.length - 120
    assert.ok(beyond > 1 && beyond <= report.mayArriveTwice, `${beyond} more than there were, ${report.mayArriveTwice} announced`)
    assert.ok(announced[0] === 0 && (announced[1] as number) <= 50 && report.mayArriveTwice <= 100)
    assert.match(report.note ?? '', new RegExp(`up to ${report.mayArriveTwice} may have been sent, or be in the error queue twice`))
  })

  it('E-24 what a crash has put into the staging queue twice is in the error queue once when it is taken back', {
    timeout: 60_000,
  }, async () => {
    const [name, operation, stateFolder] = [`error-${++worlds}`, newOperationId(Date.now()), tempFolder()]
    const errors = await ErrorQueue.make(host, name, { kind: 'quorum' })
    const staging = await ErrorQueue.make(host, stagingQueue(operation), { kind: 'quorum' })
    await staging.fill(3)
    await staging.fill(2)
    const leftover = { operation, queue: staging.name, depth: 5 }
    await adoptLeftover({ stateFolder, where: 'here', profile: 'default' }, leftover, replayOptions({ queue: name }))

    const report = await resumeKilled(transport, { queue: name, stateFolder }, true)

    assert.deepEqual(
      (await errors.drain()).map(({ body }) => body),
      ['m1', 'm2', 'm3'],
    )
    assert.deepEqual([report.isOver, report.movedBack, report.note], [true, 3, 'moved back 3, removed 2 second copies of the same.'])
  })

  it('leaves alone what has no time of failure, and says how many those are', { timeout: 60_000 }, async () => {
    const name = String(++worlds)
    const errors = await ErrorQueue.make(host, `error-${name}`, { kind: 'quorum' })
    const sales = await ErrorQueue.make(host, `Sales-${name}`, { kind: 'quorum' })
    await errors.fill(5, (id) => failureHeaders(id, { 'NServiceBus.FailedQ': sales.name, 'NServiceBus.TimeOfFailure': 'yesterday' }))
    const replay = { place: host.url, queue: errors.name, stateFolder: tempFolder(), window: 10, step: 'confirmed', at: 1 } as const
    expect(await replayUntilKilled(replay)).toBe('SIGKILL')
    await expect.poll(async () => (await transport.inspect(errors.name))?.consumers).toBe(0)

    const report = await resumeKilled(transport, replay)

    assert.deepEqual([report.uncertain, report.sentAgain, report.leftInQueue, report.mayArriveTwice], [5, 0, 5, 0])
    assert.equal(await sales.depth(), 5)
  })

  it('leaves alone what came later, and what was not selected', { timeout: 60_000 }, async () => {
    const { errors, replay, sales } = await killed('confirmed', 1, 10)
    const later = { 'NServiceBus.FailedQ': sales.name, 'NServiceBus.TimeOfFailure': '2126-01-01 00:00:00:000000 Z' }
    await errors.put([{ body: 'later', headers: failureHeaders('later', later) }])

    const report = await resumeKilled(transport, replay)

    assert.deepEqual(
      (await errors.drain()).map(({ body }) => body),
      ['later'],
    )
    assert.equal(report.leftInQueue, 1)
  })
})

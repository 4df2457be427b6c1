import assert from 'node:assert/strict'
import { appendFileSync, renameSync, truncateSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Journal, type OperationHead, journalPath, operationsFolder, thisProcess } from '../../../src/toolkit/errors/journal/journal.ts'
import { openOperations, removeOldJournals } from '../../../src/toolkit/errors/journal/operations.ts'
import { newOperationId } from '../../../src/toolkit/errors/operation-id.ts'
import { findOperation } from '../../../src/toolkit/errors/resume.ts'
import { learningTransport } from '../../../src/transport/learning/transport.ts'
import { failureHeaders, messagesIn, putMessage } from '../../cli/nsb.ts'
import { type KilledReplay, type Step, replayUntilKilled, resumeKilled } from '../../support/killed-replay.ts'
import { journalPaths } from '../../support/journals.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const count = 40
const everyId = Array.from({ length: count }, (_, index) => `m${index}`).toSorted()

/** A storage folder with failures, of which some were replayed when it was killed. */
async function killed(step: Step, at: number, window: number) {
  const storage = tempFolder()
  for (const id of everyId) putMessage(storage, 'error', id, failureHeaders(id, { 'NServiceBus.FailedQ': 'Sales' }), id)
  putMessage(storage, 'Sales', 'there', { 'NServiceBus.MessageId': 'there' }, 'there')
  const replay: KilledReplay = { place: storage, queue: 'error', stateFolder: tempFolder(), window, step, at }
  expect(await replayUntilKilled(replay)).toBe('SIGKILL')
  const transport = learningTransport({ storage })
  onTestFinished(() => transport.close())
  return { replay, storage, transport }
}

const bodiesIn = (storage: string, queue: string): string[] =>
  messagesIn(storage, queue)
    .map(({ body }) => body)
    .filter((body) => body !== 'there')
    .toSorted()

describe('a replay in folders that is killed, and then resumed', () => {
  it.each<[Step, number]>([
    ['planned', 1],
    ['selected', 3],
    ['publishing', 25],
    ['confirmed', 2],
    ['safe', 2],
    ['removed', 20],
  ])('E-24 sends every message exactly once, and announces none twice: at "%s" %i', async (step, at) => {
    const { replay, storage, transport } = await killed(step, at, 10)

    const report = await resumeKilled(transport, replay)

    assert.deepEqual(bodiesIn(storage, 'Sales'), everyId)
    assert.deepEqual(bodiesIn(storage, 'error'), [])
    assert.deepEqual([report.isOver, report.failed, report.mayArriveTwice], [true, 0, 0])
    assert.deepEqual(await openOperations(replay.stateFolder), [])
  })

  it('sends nothing any more when it is taken back', async () => {
    const { replay, storage, transport } = await killed('selected', 3, 10)
    const before = bodiesIn(storage, 'Sales')

    const report = await resumeKilled(transport, replay, true)

    assert.deepEqual([report.sentAgain, report.sentFirst], [0, 0])
    assert.deepEqual([...bodiesIn(storage, 'Sales'), ...bodiesIn(storage, 'error')].toSorted(), everyId)
    assert.ok(bodiesIn(storage, 'Sales').length >= before.length)
  })

  it('is not over because the error queue is missing: it can be resumed when it is there, or taken back', async () => {
    const { replay, storage, transport } = await killed('confirmed', 2, 10)
    renameSync(join(storage, 'error'), join(storage, 'elsewhere'))

    await assert.rejects(resumeKilled(transport, replay), { code: 'NSB_QUEUE_NOT_FOUND' })

    assert.equal((await openOperations(replay.stateFolder)).length, 1)
    renameSync(join(storage, 'elsewhere'), join(storage, 'error'))
    await resumeKilled(transport, replay)
    assert.deepEqual(bodiesIn(storage, 'Sales'), everyId)
  })

  it('reads a journal up to a line that was cut', async () => {
    const { replay, storage, transport } = await killed('confirmed', 2, 10)
    const [path] = journalPaths(replay.stateFolder) as [string]
    truncateSync(path, statSync(path).size - 4)

    await resumeKilled(transport, replay)

    assert.deepEqual(bodiesIn(storage, 'Sales'), everyId)
  })

  it('refuses a journal that does not say what was asked for, and does nothing', async () => {
    const { replay, storage, transport } = await killed('confirmed', 1, 10)
    const [path] = journalPaths(replay.stateFolder) as [string]
    const operation = newOperationId(Date.now())
    const before = [bodiesIn(storage, 'error'), bodiesIn(storage, 'Sales')]
    const hostile = [
      { ...headOf(operation), options: { criteria: { type: 7 }, redirects: {}, now: 1, window: 1 } },
      { ...headOf(operation), options: { __proto__: null, window: -1 } },
      { ...headOf(operation), command: 'constructor' },
    ]
    for (const head of hostile) {
      writeFileSync(path, 'no journal')
      writeFileSync(
        journalPath(replay.stateFolder, operation),
        `${JSON.stringify(head)}\n{"selected":[null,7,{"a":[]}]}\n{"safe":[[1,1e15],-1,"x"]}\n\0\0`,
      )

      await assert.rejects(resumeKilled(transport, replay), { code: 'NSB_BAD_JOURNAL' })
    }
    assert.deepEqual([bodiesIn(storage, 'error'), bodiesIn(storage, 'Sales')], before)
  })
})

const headOf = (operation = newOperationId(Date.now()), more: Partial<OperationHead> = {}): OperationHead => ({
  schema: 'nsb.operation/1',
  operation,
  command: 'replay',
  where: 'here',
  profile: 'default',
  queue: 'error',
  startedAt: '2026-11-21T00:00:00.000Z',
  // Of a process that is no more.
  owner: { host: thisProcess().host, pid: 2 ** 22 + 1 },
  options: {},
  ...more,
})

describe('which operation is resumed', () => {
  const asked = { id: undefined, where: 'here', queue: undefined, overrule: [] }
  const begin = (folder: string, more: Partial<OperationHead> = {}): string => {
    const head = headOf(undefined, more)
    Journal.begin(folder, head).close()
    return head.operation
  }

  it('is the only open one, or the one whose id begins as it was typed', async () => {
    const folder = tempFolder()
    const first = begin(folder)
    assert.equal((await findOperation(folder, asked)).head.operation, first)

    const second = begin(folder, { queue: 'other' })

    await assert.rejects(findOperation(folder, asked), { code: 'NSB_WHICH_OPERATION' })
    assert.equal((await findOperation(folder, { ...asked, id: second.toLowerCase().slice(0, 24) })).head.operation, second)
    assert.equal((await findOperation(folder, { ...asked, queue: 'other' })).head.operation, second)
    await assert.rejects(findOperation(folder, { ...asked, id: '0' }), { code: 'NSB_WHICH_OPERATION' })
  })

  it('is none that is over, that runs, that is elsewhere, or that does not exist', async () => {
    const folder = tempFolder()
    const over = headOf()
    Journal.begin(folder, over).end({ published: 1 })
    const running = begin(folder, { owner: { host: thisProcess().host, pid: process.ppid } })
    const elsewhere = begin(folder, { where: 'rabbitmq amqp://other/' })

    await assert.rejects(findOperation(folder, { ...asked, id: over.operation }), { code: 'NSB_OPERATION_OVER' })
    await assert.rejects(findOperation(folder, { ...asked, id: running }), { code: 'NSB_OPERATION_RUNNING' })
    await assert.rejects(findOperation(folder, { ...asked, id: elsewhere }), { code: 'NSB_OPERATION_ELSEWHERE' })
    await assert.rejects(findOperation(folder, { ...asked, id: running, queue: 'other' }), { code: 'NSB_OPERATION_ELSEWHERE' })
    await assert.rejects(findOperation(folder, { ...asked, id: 'ZZZZ' }), { code: 'NSB_OPERATION_NOT_FOUND' })
    await assert.rejects(findOperation(folder, { ...asked, id: '../../etc/passwd' }), { code: 'NSB_OPERATION_NOT_FOUND' })
    await assert.rejects(findOperation(tempFolder(), asked), { code: 'NSB_OPERATION_NOT_FOUND' })
    const overrule = ['NSB_OPERATION_RUNNING']
    assert.equal((await findOperation(folder, { ...asked, id: running, overrule })).head.operation, running)
  })

  it('is found beside files that are no journals', async () => {
    const folder = tempFolder()
    const operation = begin(folder)
    for (const content of ['', '\n', '{}', 'x'.repeat(100_000), `${JSON.stringify(headOf())}\n`])
      writeFileSync(join(operationsFolder(folder), `${newOperationId(Date.now())}.ndjson`), content)
    writeFileSync(join(operationsFolder(folder), 'notes.txt'), 'hello')

    assert.equal((await findOperation(folder, asked)).head.operation, operation)
  })
})

describe('the journal of an operation that is over', () => {
  it('is removed 30 days later; one that can be resumed stays', async () => {
    const folder = tempFolder()
    const [over, open] = [headOf(), headOf()]
    Journal.begin(folder, over).end({ published: 1 })
    const journal = Journal.begin(folder, open)
    journal.select(Array.from({ length: 5000 }, (_, index) => `a key that is long enough ${index}`))
    journal.close()
    const days = (count: number): number => Date.now() + count * 24 * 3_600_000

    await removeOldJournals(folder, days(29))
    assert.equal(journalPaths(folder).length, 2)
    await removeOldJournals(folder, days(31))

    assert.deepEqual(journalPaths(folder), [journalPath(folder, open.operation)])
    appendFileSync(journalPath(folder, open.operation), '{"end":{}}\n')
    assert.deepEqual(await openOperations(folder), [])
  })
})

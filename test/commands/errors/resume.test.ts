import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Journal, type OperationHead } from '../../../src/toolkit/errors/journal/journal.ts'
import { newOperationId } from '../../../src/toolkit/errors/operation-id.ts'
import { failureHeaders, messagesIn, nsb, projectWith, putMessage } from '../../cli/nsb.ts'
import { startNsb } from '../../support/running-nsb.ts'

const count = 1000

const ids = (storage: string, queue: string): string[] =>
  existsSync(join(storage, queue)) ? messagesIn(storage, queue).map(({ headers }) => String(headers['NServiceBus.MessageId'])) : []

/** A project with failures, and a state folder of its own. */
function project(): { readonly folder: string; readonly storage: string; readonly env: Record<string, string> } {
  const { folder, storage } = projectWith()
  for (let index = 0; index < count; index++)
    putMessage(storage, 'error', `m${index}`, failureHeaders(`m${index}`, { 'NServiceBus.FailedQ': 'Shop.Server' }))
  return { folder, storage, env: { NSB_STATE_DIR: join(folder, 'state') } }
}

/** A replay of everything, ended by a signal when some messages were sent. @returns its exit code and its operation */
async function interrupted({ env, folder, storage }: ReturnType<typeof project>, signal: NodeJS.Signals) {
  const replay = startNsb(['errors', 'replay', '--all', '--yes', '--window', '10'], folder, env)
  await expect.poll(() => readdirSync(join(storage, 'Shop.Server')).length, { timeout: 20_000, interval: 1 }).toBeGreaterThan(20)
  replay.kill(signal)
  const code = await replay.ended
  const [name] = readdirSync(join(env['NSB_STATE_DIR'] as string, 'operations'))
  return { code, stderr: replay.stderr, operation: String(name).slice(0, 26) }
}

describe('errors resume', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGKILL', null],
  ] as const)('E-24 goes on with a replay that %s ended, and everything is sent once', { timeout: 90_000 }, async (signal, code) => {
    const world = project()
    const { env, folder, storage } = world
    const ended = await interrupted(world, signal)
    assert.equal(ended.code, code, ended.stderr)
    if (code !== null) assert.match(ended.stderr, new RegExp(`Next: nsb errors resume ${ended.operation}`))
    assert.ok(ids(storage, 'error').length > 0, 'it was over already')

    const refused = await nsb(['errors', 'resume', '--json'], { cwd: folder, env })
    const resumed = await nsb(['errors', 'resume', ended.operation.slice(0, 20).toLowerCase(), '--yes', '--json'], { cwd: folder, env })
    const again = await nsb(['errors', 'resume', ended.operation, '--yes', '--json'], { cwd: folder, env })

    assert.equal(refused.code, 6)
    assert.equal(resumed.code, 0, resumed.stderr)
    const { items, newerArrivals, removed, sentAgain, sentFirst, ...document } = resumed.json()
    assert.deepEqual(document, {
      schema: 'nsb.errors.resume/1',
      profile: 'default',
      operation: ended.operation,
      command: 'replay',
      queue: 'error',
      mayArriveTwice: 0,
      failed: 0,
      leftInQueue: 0,
    })
    assert.deepEqual([items, newerArrivals, removed], [[], 0, 0])
    assert.ok(Number(sentAgain) + Number(sentFirst) > 0)
    const sent = ids(storage, 'Shop.Server')
    assert.equal(new Set(sent).size, count)
    assert.equal(sent.length, count)
    assert.equal(again.code, 2)
    assert.equal((again.json()['error'] as { code: string }).code, 'NSB_OPERATION_OVER')
  })

  it('sends nothing of another group that came meanwhile and whose id begins like the one that was meant', async () => {
    const { folder, storage } = projectWith()
    const run = (...words: string[]) => nsb(['errors', ...words], { cwd: folder, env: { NSB_STATE_DIR: join(folder, 'state') } })
    // Both have a group id that begins with c4bb.
    const fail = (id: string, endpoint: string, target: string): void =>
      putMessage(storage, 'error', id, failureHeaders(id, { 'NServiceBus.ProcessingEndpoint': endpoint, 'NServiceBus.FailedQ': target }))
    fail('m1', 'Shop.362', 'Gone')
    fail('m2', 'Shop.362', 'Shop.Server')
    const stopped = await run('replay', '--group', 'c4bb', '--batch', '1', '--yes')
    expect(stopped.stderr).toMatch(/Next: nsb errors resume/)
    fail('m3', 'Shop.525', 'Shop.Server')
    mkdirSync(join(storage, 'Gone'))

    const resumed = await run('resume', '--yes')

    assert.equal(resumed.code, 0, resumed.stderr)
    assert.deepEqual(
      ['Gone', 'Shop.Server', 'error'].map((queue) => ids(storage, queue)),
      [['m1'], ['m2'], ['m3']],
    )
  })

  it('lists what can be resumed, and a new replay of the same queue says so', { timeout: 90_000 }, async () => {
    const world = project()
    const { env, folder, storage } = world
    const { operation } = await interrupted(world, 'SIGKILL')

    const listed = await nsb(['errors', 'resume', '--list', '--json'], { cwd: folder, env })
    const replayed = await nsb(['errors', 'replay', '--all', '--yes', '--json', '-p', 'default'], { cwd: folder, env })

    const [item] = listed.json()['items'] as Record<string, unknown>[]
    assert.deepEqual(
      [item?.['operation'], item?.['command'], item?.['queue'], item?.['where'], item?.['running']],
      [operation, 'replay', 'error', `learning ${storage}`, false],
    )
    assert.equal(replayed.code, 0, replayed.stderr)
    assert.match(
      replayed.stderr,
      new RegExp(`replay ${operation} of 'error', begun .*, is not finished: nsb errors resume ${operation} --profile default$`, 'm'),
    )
    assert.equal(new Set(ids(storage, 'Shop.Server')).size, count)
    assert.equal(ids(storage, 'Shop.Server').length, count)
  })

  it('E-24 says what may be there twice before it does anything, whoever is killed after that', async () => {
    const { folder, storage } = projectWith()
    const state = join(folder, 'state')
    const head: OperationHead = {
      schema: 'nsb.operation/1',
      operation: newOperationId(Date.now()),
      command: 'import',
      where: `learning ${storage}`,
      profile: 'default',
      queue: 'error',
      startedAt: new Date().toISOString(),
      owner: { host: 'elsewhere', pid: 1 },
      options: { replay: false, redirects: {}, verifyHash: true, allowDuplicates: true, window: 7 },
    }
    const journal = Journal.begin(state, head)
    journal.select(['1', '2', '3', '4', '5', '6', '7'])
    journal.safe([1, 2])
    journal.close()

    const ended = await nsb(['errors', 'resume', '--undo', '--yes', '--json'], { cwd: folder, env: { NSB_STATE_DIR: state } })

    assert.equal(ended.code, 0, ended.stderr)
    assert.match(ended.stderr, /up to 5 messages may be there twice: what became of them could not be noted any more/)
    assert.deepEqual([ended.json()['mayArriveTwice'], ended.json()['undone']], [5, true])
  })

  it('says that there is nothing to resume, with exit code 4', async () => {
    const { folder } = projectWith()

    const ended = await nsb(['errors', 'resume', '--yes'], { cwd: folder, env: { NSB_STATE_DIR: join(folder, 'state') } })
    const listed = await nsb(['errors', 'resume', '--list'], { cwd: folder, env: { NSB_STATE_DIR: join(folder, 'state') } })

    assert.equal(ended.code, 4)
    assert.match(ended.stderr, /NSB_OPERATION_NOT_FOUND/)
    assert.deepEqual([listed.code, listed.stdout, listed.stderr], [0, '', 'nothing can be resumed\n'])
  })

  it('E-24 names an operation whose journal is damaged, and what may follow from that', async () => {
    const { folder } = projectWith('12-error-queue')
    const [state, operation] = [join(folder, 'state'), newOperationId(Date.now())]
    mkdirSync(join(state, 'operations'), { recursive: true })
    writeFileSync(join(state, 'operations', `${operation}.ndjson`), '')

    const listed = await nsb(['errors', 'resume', '--list'], { cwd: folder, env: { NSB_STATE_DIR: state } })
    const groups = await nsb(['errors', 'groups'], { cwd: folder, env: { NSB_STATE_DIR: state } })

    assert.match(listed.stdout, new RegExp(`^${operation} .*damaged journal .*${operation}\\.ndjson$`, 'm'))
    assert.match(groups.stderr, new RegExp(`the journal of operation ${operation} cannot be read: .* may be sent twice`))
  })
})

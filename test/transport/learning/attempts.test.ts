import { strict as assert } from 'node:assert'
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import type { Transport, Verdict } from '../../../src/transport/transport.ts'
import { movableClock } from '../../contract/bind.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import {
  consume,
  depthIs,
  ended,
  filesIn,
  message,
  openLearning,
  ownFilesIn,
  putBack,
  receive,
  startScript,
  textOf,
  until,
} from './support.ts'

/** Receives until `times` deliveries were made, all of them put back; what their attempts were. */
async function putBackTimes(transport: Transport, times: number, verdict: Verdict = putBack): Promise<readonly number[]> {
  const attempts: number[] = []
  let enough = (): void => {}
  const seen = await receive(transport, 'sales', async (incoming) => {
    if (attempts.length >= times) {
      enough()
      return { kind: 'putBack', attempted: false }
    }
    attempts.push(incoming.attempt)
    return verdict
  })
  await new Promise<void>((resolve) => (enough = resolve))
  await seen.stop()
  return attempts
}

/** The attempt of the next delivery, which is consumed. */
async function nextAttempt(transport: Transport): Promise<number> {
  const seen = await receive(transport, 'sales')
  await until('it is delivered', () => seen.deliveries.length > 0)
  await depthIs(transport, 'sales', 0)
  await seen.stop()
  return seen.deliveries[0]?.attempt ?? 0
}

/** Lets a process take the message and kills it while it decides. */
async function killWhileDeciding(storage: string): Promise<void> {
  const child = startScript('receive', storage, 'sales', 'deciding')
  await until('it is in work', () => child.lines().includes('deciding'))
  child.kill('SIGKILL')
  await ended(child)
}

const countsIn = (storage: string): readonly string[] => ownFilesIn(storage).filter((name) => name.startsWith('.nsb/attempts/'))

describe('attempts of a message', () => {
  it('go on after a restart of the endpoint', async () => {
    const storage = tempFolder()
    const first = openLearning(storage)
    await first.dispatch([message('order', 'sales')])
    const before = await putBackTimes(first, 3)
    await first.close()

    const after = await nextAttempt(openLearning(storage))

    assert.deepEqual([before, after], [[1, 2, 3], 4])
  })

  it('go on in the process that takes the message next', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    await transport.dispatch([message('order', 'sales')])
    const other = startScript('put-back', storage, 'sales', '2')
    await until('the other process has put it back twice', () => other.lines().includes('enough'))
    await ended(other)

    assert.equal(await nextAttempt(transport), 3)
  })

  it('count one that ended with the death of its process', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    await transport.dispatch([message('order', 'sales')])
    await killWhileDeciding(storage)

    assert.equal(await nextAttempt(transport), 2)
  })

  it('do not count an operator that was killed with the message in hand', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    await transport.createQueues(['sales'])
    await transport.dispatch([message('failed', 'error')])
    await ended(startScript('move', storage, 'claimed'))

    const seen = await receive(transport, 'error')
    await until('it is delivered', () => seen.deliveries.length === 1)

    assert.equal(seen.deliveries[0]?.attempt, 1)
  })

  it('do not count a delivery that nobody tried to handle', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    await transport.dispatch([message('order', 'sales')])

    assert.deepEqual(await putBackTimes(transport, 3, { kind: 'putBack', attempted: false }), [1, 1, 1])
    assert.deepEqual(countsIn(storage), [])
  })

  it('are forgotten when it is consumed, and never kept of one that succeeds at once', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    await transport.dispatch([message('order', 'sales')])
    await nextAttempt(transport)
    const ofSuccess = countsIn(storage)
    await transport.dispatch([message('order', 'sales')])
    await putBackTimes(transport, 2)
    const ofFailure = countsIn(storage)
    await nextAttempt(transport)

    assert.deepEqual([ofSuccess.length, ofFailure.length, countsIn(storage).length], [0, 1, 0])
  })

  it('L-15 are kept outside the queue, where .NET does not look', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    await transport.dispatch([message('order', 'sales', { nativeId: 'order' })])
    await putBackTimes(transport, 2)

    assert.deepEqual(filesIn(storage), ['sales/.bodies/order.body.txt', 'sales/order.metadata.txt'])
    assert.deepEqual(countsIn(storage), ['.nsb/attempts/sales/order.metadata.txt'])
    assert.equal(readFileSync(join(storage, '.nsb/attempts/sales/order.metadata.txt'), 'utf8'), 'ff')
  })

  it('are removed with messages that somebody else consumed, and kept with those that wait', async () => {
    const storage = tempFolder()
    const folder = join(storage, '.nsb/attempts/sales')
    mkdirSync(folder, { recursive: true })
    for (const name of ['gone', 'waits']) writeFileSync(join(folder, `${name}.metadata.txt`), 'ff')
    const { clock, elapse } = movableClock()
    const transport = openLearning(storage, { clock })
    await transport.dispatch([message('order', 'sales', { nativeId: 'waits', deliverAt: new Date(4e12) })])

    await (await receive(transport, 'sales')).stop()
    const soon = readdirSync(folder)
    elapse(2 * 3_600_000)
    await (await receive(transport, 'sales')).stop()

    assert.deepEqual([soon, readdirSync(folder)], [['gone.metadata.txt', 'waits.metadata.txt'], ['waits.metadata.txt']])
  })

  const garbage: readonly (readonly [string, (path: string) => void, number])[] = [
    ['text', (path) => writeFileSync(path, '{"no":1}'), 9],
    ['very much text', (path) => writeFileSync(path, 'k'.repeat(5_000_000)), 5_000_001],
    ['a folder', (path) => mkdirSync(path), 1],
    ['nothing', (path) => writeFileSync(path, ''), 1],
  ]
  it.each(garbage)('survive a count that is %s', async (_, write, expected) => {
    const storage = tempFolder()
    mkdirSync(join(storage, '.nsb/attempts/sales'), { recursive: true })
    write(join(storage, '.nsb/attempts/sales/order.metadata.txt'))
    const transport = openLearning(storage)
    await transport.dispatch([message('order', 'sales', { nativeId: 'order' })])

    assert.equal(await nextAttempt(transport), expected)
  })

  it('are counted in memory where no count can be written', async () => {
    const storage = tempFolder()
    mkdirSync(join(storage, '.nsb'))
    writeFileSync(join(storage, '.nsb/attempts'), 'in the way')
    const transport = openLearning(storage)
    await transport.dispatch([message('order', 'sales')])

    assert.deepEqual(await putBackTimes(transport, 3), [1, 2, 3])
  })
})

describe('a message that ends its process every time', () => {
  it('goes to the error queue after six times, whole and with the reason, and the next one is handled', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    await transport.dispatch([message('killer', 'sales')])
    for (let kill = 0; kill < 6; kill++) await killWhileDeciding(storage)
    await transport.dispatch([message('next', 'sales')])

    const seen = await receive(transport, 'sales')
    await until('the next one is handled', () => seen.deliveries.length === 1)
    await seen.stop()
    const inError = await receive(transport, 'error', async () => consume())
    await until('the killer is in the error queue', () => inError.deliveries.length === 1)

    assert.deepEqual(seen.deliveries.map(textOf), ['next'])
    const [killer] = inError.deliveries
    assert.equal(killer && textOf(killer), 'killer')
    assert.equal(killer?.headers['NServiceBus.FailedQ'], 'sales')
    assert.equal(
      killer?.headers['NServiceBus.ExceptionInfo.Message'],
      'The message was not handled again: its process died 6 times while it had the message in hand.',
    )
    assert.deepEqual(countsIn(storage), [])
  })
})

describe('a second receiver on one queue', () => {
  it('of another process is named once, in words', async () => {
    const storage = tempFolder()
    const child = startScript('receive', storage, 'sales')
    await until('it receives', () => child.lines().includes('receiving'))
    const warnings: string[] = []
    const transport = openLearning(storage, { warn: (warning) => warnings.push(warning) })

    await receive(transport, 'sales')
    await receive(transport, 'billing')

    assert.equal(warnings.length, 1)
    assert.match(
      warnings[0] ?? '',
      new RegExp(`^Queue 'sales' is received from already, by process ${child.pid} on .+\\. The messages are shared`),
    )
  })

  it('is not mentioned when the other one has stopped or died, or only sends', async () => {
    const storage = tempFolder()
    const killed = startScript('receive', storage, 'sales')
    await until('it receives', () => killed.lines().includes('receiving'))
    killed.kill('SIGKILL')
    await ended(killed)
    const stopped = startScript('receive', storage, 'sales')
    await until('it receives', () => stopped.lines().includes('receiving'))
    stopped.kill('SIGTERM')
    await ended(stopped)
    const other = startScript('receive', storage, 'billing')
    await until('it receives', () => other.lines().includes('receiving'))
    const warnings: string[] = []

    await receive(openLearning(storage, { warn: (warning) => warnings.push(warning) }), 'sales')

    assert.deepEqual(warnings, [])
    assert.ok(existsSync(join(storage, '.nsb/owners')))
  })
})

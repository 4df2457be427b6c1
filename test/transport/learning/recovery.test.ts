import { strict as assert } from 'node:assert'
import { mkdirSync, readFileSync, readdirSync, renameSync, utimesSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { movableClock } from '../../contract/bind.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import {
  contents,
  depthIs,
  ended,
  filesIn,
  look,
  message,
  openLearning,
  ownFilesIn,
  receive,
  startScript,
  textOf,
  until,
} from './support.ts'

const minute = 60_000

/** Puts a message into a transaction folder, as its owner would have left it. */
async function leaveInWork(storage: string, step: '.pending' | '.committed', id: string): Promise<void> {
  const sender = openLearning(storage)
  await sender.dispatch([message('order', 'sales', { nativeId: 'order' })])
  await sender.close()
  const folder = join(storage, 'sales', step, id)
  mkdirSync(folder, { recursive: true })
  renameSync(join(storage, 'sales/order.metadata.txt'), join(folder, 'order.metadata.txt'))
}

function writeMarker(storage: string, prefix: string, marker: object): void {
  mkdirSync(join(storage, '.nsb/owners'), { recursive: true })
  writeFileSync(join(storage, '.nsb/owners', prefix), JSON.stringify(marker))
}

const startOf = (pid: number | 'self'): string =>
  readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /s, '')
    .split(' ')[19] as string
const transactionId = 'abcdef01-0000-4000-8000-000000000000'

describe('L-10 kill -9', () => {
  it.each(['claimed', 'deciding', 'staging', 'staged'])(
    'before the commit (%s): the message is processed once more, and nothing was sent',
    async (fault) => {
      const storage = tempFolder()
      const transport = openLearning(storage)
      await transport.dispatch([message('order', 'sales')])
      const child = startScript('receive', storage, 'sales', fault)
      if (fault === 'deciding') {
        await until('it is in work', () => child.lines().includes('deciding'))
        child.kill('SIGKILL')
      }
      assert.equal(await ended(child), 'SIGKILL')
      assert.equal((await transport.inspect('sales'))?.depth, 1, 'what was in its hands waits again, and counts')

      const seen = await receive(transport, 'sales')
      await until('the message arrives', () => seen.deliveries.length === 1)
      await seen.stop()

      assert.deepEqual(seen.deliveries.map(textOf), ['order'])
      assert.deepEqual(filesIn(storage), [])
    },
  )

  it('after the commit: all that was sent arrives, once, and the message is not processed again', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    await transport.dispatch([message('order', 'sales')])
    assert.equal(await ended(startScript('receive', storage, 'sales', 'committed')), 'SIGKILL')
    assert.equal(await transport.inspect('handled').then((facts) => facts?.depth ?? 0), 0)

    const seen = await receive(transport, 'sales')
    await depthIs(transport, 'handled', 1)
    await seen.stop()

    assert.deepEqual(await contents(transport, 'handled'), ['order'])
    assert.equal(readdirSync(join(storage, 'handled/.delayed')).length, 1)
    assert.deepEqual(seen.deliveries, [])
    assert.deepEqual(filesIn(join(storage, 'sales')), [])
  })

  it.each(['completing', 'bodyLeft'])('while the message is removed (%s): not a file of it stays behind', async (fault) => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    await transport.dispatch([message('order', 'sales'), message('waits', 'sales', { deliverAt: new Date(4e12) })])
    const waiting = filesIn(join(storage, 'sales')).filter((name) => name.includes('.delayed'))
    assert.equal(await ended(startScript('receive', storage, 'sales', fault)), 'SIGKILL')

    const seen = await receive(transport, 'sales')
    await seen.stop()

    assert.deepEqual(seen.deliveries, [])
    const left = filesIn(join(storage, 'sales'))
    assert.equal(left.length, 2)
    assert.ok(left.includes(waiting[0] ?? ''))
    assert.deepEqual(readdirSync(join(storage, 'sales/.committed')), [])
  })

  it('in the middle of a batch with a chosen id that is taken: the body of the other message stays', async () => {
    const storage = tempFolder()
    await leaveInWork(storage, '.pending', transactionId)
    writeMarker(storage, 'abcdef01', { pid: 2 ** 30, host: hostname() })
    const transport = openLearning(storage)
    await transport.dispatch([message('other', 'billing', { nativeId: 'chosen' })])
    writeFileSync(
      join(storage, 'sales/.pending', transactionId, 'targets.json'),
      JSON.stringify([{ nativeId: 'chosen', queue: 'billing', chosen: true }]),
    )

    assert.deepEqual(await contents(transport, 'sales'), ['order'])
    assert.deepEqual(await contents(transport, 'billing'), ['other'])
  })

  it('leaves a marker, which goes with the recovery', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    await transport.dispatch([message('order', 'sales')])
    await transport.close()
    await ended(startScript('receive', storage, 'sales', 'claimed'))
    assert.equal(ownFilesIn(storage).length, 1)

    const receiver = openLearning(storage)
    const seen = await receive(receiver, 'sales')
    await until('the message arrives', () => seen.deliveries.length === 1)
    await receiver.close()

    assert.deepEqual(ownFilesIn(storage), [])
  })
})

describe('E-41 an operator that was killed', () => {
  it.each([
    ['claimed', 'error'],
    ['staged', 'error'],
    ['committed', 'error'],
    ['completing', 'sales'],
    ['beforeRemove', 'sales'],
    ['bodyLeft', 'sales'],
  ])('at %s: the next command finds each message exactly once, in %s', async (fault, place) => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    await transport.createQueues(['sales'])
    await transport.dispatch([message('failed', 'error')])
    assert.equal(await ended(startScript('move', storage, fault)), 'SIGKILL')

    const inError = (await look(transport, 'error')).flat().map(textOf)

    assert.deepEqual([inError, await contents(transport, 'sales')], place === 'error' ? [['failed'], []] : [[], ['failed']])
    assert.equal(filesIn(storage).length, 2)
  })
})

describe('a transaction folder that was found', () => {
  const found = ['.pending', '.committed'] as const

  it.each(found)('in %s of a living process is left alone', async (step) => {
    const storage = tempFolder()
    await leaveInWork(storage, step, transactionId)
    writeMarker(storage, 'abcdef01', { pid: process.pid, host: hostname(), processStart: startOf('self') })
    const transport = openLearning(storage)

    const seen = await receive(transport, 'sales')
    await look(transport, 'sales')
    await seen.stop()

    assert.deepEqual(filesIn(storage), ['sales/.bodies/order.body.txt', `sales/${step}/${transactionId}/order.metadata.txt`].toSorted())
  })

  it('of a process whose number was given to another one is recovered', async () => {
    const storage = tempFolder()
    await leaveInWork(storage, '.pending', transactionId)
    writeMarker(storage, 'abcdef01', { pid: process.pid, host: hostname(), processStart: '1' })

    assert.deepEqual(await contents(openLearning(storage), 'sales'), ['order'])
  })

  it('of our own process that nobody works on any more is recovered', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    await receive(transport, 'other')
    const [prefix = ''] = readdirSync(join(storage, '.nsb/owners'))
    await leaveInWork(storage, '.pending', prefix + transactionId.slice(8))

    assert.deepEqual(await contents(transport, 'sales'), ['order'])
  })

  it('of another host is recovered when its marker has not been touched for 15 minutes', async () => {
    const storage = tempFolder()
    await leaveInWork(storage, '.pending', transactionId)
    writeMarker(storage, 'abcdef01', { pid: 1, host: 'another-host' })
    const { clock, elapse } = movableClock()
    const transport = openLearning(storage, { clock })

    elapse(14 * minute)
    assert.deepEqual(await contents(transport, 'sales'), [])
    elapse(2 * minute)
    assert.deepEqual(await contents(transport, 'sales'), ['order'])
  })

  it.each(found)('in %s of a stranger, such as .NET, goes back after 15 minutes, never sooner', async (step) => {
    const storage = tempFolder()
    await leaveInWork(storage, step, transactionId)
    writeFileSync(join(storage, 'sales', step, transactionId, 'x.metadata.out'), '{}')
    const { clock, elapse } = movableClock()
    const transport = openLearning(storage, { clock })

    elapse(14 * minute)
    assert.deepEqual(await contents(transport, 'sales'), [])
    elapse(2 * minute)
    assert.deepEqual(await contents(transport, 'sales'), ['order'])
    assert.deepEqual(filesIn(storage), ['sales/.bodies/order.body.txt', 'sales/order.metadata.txt'])
  })

  it('whose list of targets was lost with the machine goes back, since nobody knows what it had sent', async () => {
    const storage = tempFolder()
    await leaveInWork(storage, '.committed', transactionId)
    writeMarker(storage, 'abcdef01', { pid: 2 ** 30, host: hostname() })
    const folder = join(storage, 'sales/.committed', transactionId)
    writeFileSync(join(folder, 'x.metadata.out'), '{}')
    writeFileSync(join(folder, 'targets.json'), '')

    assert.deepEqual(await contents(openLearning(storage), 'sales'), ['order'])
  })

  it('keeps the time of its message', async () => {
    const storage = tempFolder()
    await leaveInWork(storage, '.pending', transactionId)
    writeMarker(storage, 'abcdef01', { pid: 2 ** 30, host: hostname() })
    utimesSync(join(storage, 'sales/.pending', transactionId, 'order.metadata.txt'), 1_700_000_000, 1_700_000_000)

    const [held] = (await look(openLearning(storage), 'sales')).flat()

    assert.equal(held?.enqueuedAt, 1_700_000_000_000)
  })

  it('with targets that point out of the storage writes nothing there', async () => {
    const folder = tempFolder()
    const storage = join(folder, 'storage')
    await leaveInWork(storage, '.committed', transactionId)
    writeMarker(storage, 'abcdef01', { pid: 2 ** 30, host: hostname() })
    const path = join(storage, 'sales/.committed', transactionId)
    writeFileSync(join(path, 'x.metadata.out'), '{}')
    writeFileSync(
      join(path, 'targets.json'),
      JSON.stringify([{ nativeId: 'x', queue: '../../outside' }, { nativeId: '../x', queue: 'sales' }, 7]),
    )

    const transport = openLearning(storage)
    await look(transport, 'sales')
    await transport.close()

    assert.deepEqual(filesIn(folder), [])
  })
})

import { strict as assert } from 'node:assert'
import { linkSync, readdirSync, rmSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import type { HeldMessage, Holding } from '../../../src/transport/transport.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import {
  contents,
  depthIs,
  filesIn,
  hasCode,
  holdOptions,
  look,
  message,
  openLearning,
  ownFilesIn,
  receive,
  textOf,
  until,
} from './support.ts'

async function allOf(holding: Holding): Promise<readonly HeldMessage[]> {
  const all: HeldMessage[] = []
  for await (const page of holding.pages()) all.push(...page)
  return all
}

describe('looking at a folder', () => {
  it('leaves no trace: no file is added, moved or removed', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    const sender = openLearning(storage)
    await sender.dispatch([message('a', 'error'), message('b', 'error')])
    await sender.close()
    const before = filesIn(storage)
    const during: (readonly string[])[] = []

    const held = await transport.hold('error', holdOptions({ purpose: 'look' }))
    for await (const page of held.pages()) if (page.length > 0) during.push([...filesIn(storage), ...ownFilesIn(storage)])
    await held.giveBack()

    assert.deepEqual([...during, filesIn(storage)], [before, before])
  })

  it('shows the file time, and orders by it', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    await transport.dispatch([message('sent first', 'error', { nativeId: 'a' }), message('sent second', 'error', { nativeId: 'b' })])
    utimesSync(join(storage, 'error/b.metadata.txt'), 1_700_000_000, 1_700_000_000)

    const held = (await look(transport, 'error')).flat()

    assert.deepEqual(held.map(textOf), ['sent second', 'sent first'])
    assert.equal(held[0]?.enqueuedAt, 1_700_000_000_000)
  })

  it('passes by what somebody takes meanwhile', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    for (const name of ['a', 'b', 'c']) await transport.dispatch([message(name, 'error', { nativeId: name })])
    const held = await transport.hold('error', holdOptions({ purpose: 'look' }))
    rmSync(join(storage, 'error/b.metadata.txt'))
    rmSync(join(storage, 'error/.bodies/b.body.txt'))

    assert.deepEqual((await allOf(held)).map(textOf), ['a', 'c'])
  })
})

describe('E-13 a look at very many files', () => {
  it('ends soon after the signal, which it lets in between', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    const files = 5000
    await transport.dispatch([message('0', 'error', { nativeId: '0' })])
    for (let number = 1; number < files; number++)
      for (const [folder, ending] of [
        ['error/.bodies', 'body.txt'],
        ['error', 'metadata.txt'],
      ] as const)
        linkSync(join(storage, folder, `0.${ending}`), join(storage, folder, `${number}.${ending}`))
    const interrupted = new AbortController()
    const held = await transport.hold('error', holdOptions({ purpose: 'look', max: files, signal: interrupted.signal }))
    setImmediate(() => interrupted.abort())

    const seen = await allOf(held)

    assert.ok(seen.length > 0 && seen.length < files, `${seen.length} of ${files} were read`)
    assert.deepEqual(await held.giveBack(), { returned: seen.length, rescued: [], newerArrivals: 0 })
  })
})

describe('E-40 moving a message', () => {
  it('gives it a new native id, so that no count of attempts is inherited', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    await transport.createQueues(['sales'])
    await transport.dispatch([message('failed', 'error', { nativeId: 'old' })])
    const held = await transport.hold('error', holdOptions())
    const [failed] = await allOf(held)
    assert.ok(failed)

    await held.consume(failed, [message('failed', '', { to: { exactQueue: 'sales' } })])
    await held.giveBack()

    const [moved] = (await look(transport, 'sales')).flat()
    assert.ok(moved && moved.nativeId !== 'old')
    assert.equal(filesIn(storage).length, 2)
  })

  it('that somebody else has taken is refused, and nothing is sent', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    await transport.createQueues(['sales'])
    await transport.dispatch([message('failed', 'error')])
    const held = await transport.hold('error', holdOptions())
    const [failed] = await allOf(held)
    assert.ok(failed)
    const other = await receive(openLearning(storage), 'error')
    await until('the other has it', () => other.deliveries.length === 1)
    await other.stop()

    await assert.rejects(held.consume(failed, [message('failed', 'sales')]), hasCode('NSB_MESSAGE_TAKEN'))
    await held.giveBack()

    assert.deepEqual(filesIn(storage), [])
  })

  it('in a race with a receiver loses nothing and moves nothing twice', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    await transport.createQueues(['sales'])
    for (let number = 0; number < 100; number++) await transport.dispatch([message(`message ${String(number).padStart(3, '0')}`, 'error')])
    const held = await transport.hold('error', holdOptions())
    const all = await allOf(held)
    const racing = await receive(openLearning(storage), 'error')

    const results: boolean[] = []
    for (const each of all.toReversed()) {
      await new Promise(setImmediate)
      results.push(
        await held.consume(each, [message(textOf(each), 'sales')]).then(
          () => true,
          (error: unknown) => hasCode('NSB_MESSAGE_TAKEN')(error) && false,
        ),
      )
    }
    await held.giveBack()
    await depthIs(transport, 'error', 0)
    await racing.stop()

    const moved = await contents(transport, 'sales')
    assert.equal(moved.length, results.filter(Boolean).length)
    assert.deepEqual([...moved, ...racing.deliveries.map(textOf)].toSorted(), all.map(textOf))
  })

  it('journals a group when all of its copies are there, and before anything of it is gone', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    await transport.createQueues(['sales'])
    for (const name of ['a', 'b', 'c']) await transport.dispatch([message(name, 'error')])
    const journal: { readonly group: readonly string[]; readonly visible: number; readonly files: number }[] = []
    const held = await transport.hold(
      'error',
      holdOptions({
        beforeRemove: async (group) => {
          const visible = (await transport.inspect('sales'))?.depth ?? 0
          journal.push({
            group: group.map(textOf),
            visible,
            files: filesIn(join(storage, 'error/.committed')).filter((file) => file.endsWith('.txt')).length,
          })
        },
      }),
    )

    await Promise.all((await allOf(held)).map((each) => held.consume(each, [message(textOf(each), 'sales')])))
    await held.giveBack()

    assert.deepEqual(journal, [{ group: ['a', 'b', 'c'], visible: 3, files: 3 }])
    assert.deepEqual(await contents(transport, 'sales'), ['a', 'b', 'c'])
  })

  it('takes the copies of a group back that cannot be journalled; one that its receiver has taken meanwhile is done', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    await transport.createQueues(['sales'])
    for (const name of ['a', 'b', 'c']) await transport.dispatch([message(name, 'error')])
    const full = new Error('the journal is full')
    const held = await transport.hold(
      'error',
      holdOptions({
        beforeRemove: () => {
          const [first = ''] = readdirSync(join(storage, 'sales')).filter((name) => name.endsWith('.metadata.txt'))
          rmSync(join(storage, 'sales', first))
          throw full
        },
      }),
    )

    const ends = await Promise.allSettled((await allOf(held)).map((each) => held.consume(each, [message(textOf(each), 'sales')])))
    await held.giveBack()

    assert.deepEqual(
      ends.map((end) => (end.status === 'fulfilled' ? 'done' : end.reason)),
      ['done', full, full],
    )
    assert.deepEqual(await contents(transport, 'sales'), [])
    assert.deepEqual(await contents(transport, 'error'), ['b', 'c'])
    assert.equal(filesIn(join(storage, 'sales')).length, 1)
  })
})

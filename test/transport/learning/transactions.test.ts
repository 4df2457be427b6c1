import { strict as assert } from 'node:assert'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { type Clock, systemClock } from '../../../src/transport/clock.ts'
import type { EventType, TransactionMode } from '../../../src/transport/transport.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import {
  consume,
  contents,
  depthIs,
  ended,
  filesIn,
  hasCode,
  message,
  openLearning,
  putBack,
  receive,
  startScript,
  textOf,
  toAddress,
  until,
} from './support.ts'

/** A promise, and what fulfils it. */
function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open: () => open() }
}

describe('L-9 a handler that fails after two sends', () => {
  it('leaves no outgoing message, and one in the error queue', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    const seen = await receive(transport, 'sales', async (incoming) =>
      incoming.attempt < 3 ? putBack : consume(message('failed', 'error')),
    )

    await transport.dispatch([message('order', 'sales')])
    await depthIs(transport, 'error', 1)
    await seen.stop()

    assert.deepEqual(await contents(transport, 'error'), ['failed'])
    assert.deepEqual(
      filesIn(storage).filter((file) => !file.startsWith('error/')),
      [],
    )
  })

  it('leaves neither messages nor bodies when the second of them cannot be staged', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    await transport.dispatch([message('in the way', 'billing', { nativeId: 'taken' })])
    await transport.dispatch([message('order', 'sales')])

    const seen = await receive(transport, 'sales', async (incoming) =>
      incoming.attempt === 1 ? consume(message('half', 'billing'), message('other half', 'billing', { nativeId: 'taken' })) : consume(),
    )
    await until('it is delivered twice', () => seen.deliveries.length === 2)
    await seen.stop()

    assert.deepEqual(filesIn(storage), ['billing/.bodies/taken.body.txt', 'billing/taken.metadata.txt'])
    assert.deepEqual(await contents(transport, 'billing'), ['in the way'])
  })
})

describe('while a message is in work', () => {
  it('its metadata is in .pending, and what it sends is nowhere to be seen', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    const { opened, open } = gate()
    await transport.dispatch([message('order', 'sales', { nativeId: 'order' })])
    const seen = await receive(transport, 'sales', async () => {
      await opened
      return consume(message('invoice', 'billing'))
    })
    await until('it is in work', () => seen.deliveries.length === 1)

    const files = filesIn(storage)
    open()
    await depthIs(transport, 'billing', 1)

    assert.equal(files.length, 2)
    assert.equal(files[0], 'sales/.bodies/order.body.txt')
    assert.match(files[1] ?? '', /^sales\/\.pending\/[0-9a-f-]{36}\/order\.metadata\.txt$/)
  })

  it('messages of one process have transaction ids with the prefix that its marker file carries', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    const { opened, open } = gate()
    await transport.dispatch([message('a', 'sales'), message('b', 'sales')])
    const seen = await receive(
      transport,
      'sales',
      async () => {
        await opened
        return consume()
      },
      { concurrency: 2 },
    )
    await until('both are in work', () => seen.deliveries.length === 2)

    const owners = readdirSync(join(storage, '.nsb/owners'))
    const prefixes = readdirSync(join(storage, 'sales/.pending')).map((id) => id.slice(0, 8))
    open()

    assert.equal(owners.length, 1)
    assert.deepEqual(prefixes, [owners[0], owners[0]])
  })
})

describe.each(['receiveOnly', 'sendsAtomicWithReceive'] as const)(
  'L-12 when a .NET endpoint starts and takes our message back (%s)',
  (transactionMode: TransactionMode) => {
    it('the loss is reported, and the receiver goes on', async () => {
      const storage = tempFolder()
      const transport = openLearning(storage)
      const { opened, open } = gate()
      await transport.dispatch([message('stolen', 'sales', { nativeId: 'stolen' })])
      const seen = await receive(
        transport,
        'sales',
        async (incoming) => {
          if (seen.deliveries.length === 1) await opened
          return consume(message(`handled ${textOf(incoming)} ${seen.deliveries.length}`, 'billing'))
        },
        { transactionMode },
      )
      await until('it is in work', () => seen.deliveries.length === 1)

      // What .NET does at its start: back to the root, and the folder away.
      const pending = join(storage, 'sales/.pending')
      const [id = ''] = readdirSync(pending)
      renameSync(join(pending, id, 'stolen.metadata.txt'), join(storage, 'sales/stolen.metadata.txt'))
      rmSync(join(pending, id), { recursive: true })
      open()
      await until('it is delivered again', () => seen.deliveries.length === 2)
      await until('the second delivery is through', async () => (await contents(transport, 'billing')).includes('handled stolen 2'))
      await seen.stop()

      assert.equal(seen.errors.length, 1)
      hasCode('NSB_OWNERSHIP_LOST')(seen.errors[0])
      assert.deepEqual(
        await contents(transport, 'billing'),
        transactionMode === 'receiveOnly' ? ['handled stolen 1', 'handled stolen 2'] : ['handled stolen 2'],
      )
      assert.deepEqual(filesIn(join(storage, 'sales')), [])
    })

    it('also when that happens to a message that is to be put back', async () => {
      const storage = tempFolder()
      const transport = openLearning(storage)
      const { opened, open } = gate()
      await transport.dispatch([message('stolen', 'sales')])
      const seen = await receive(
        transport,
        'sales',
        async (incoming) => {
          if (textOf(incoming) !== 'stolen') return consume()
          await opened
          return putBack
        },
        { transactionMode },
      )
      await until('it is in work', () => seen.deliveries.length === 1)

      rmSync(join(storage, 'sales/.pending'), { recursive: true })
      open()
      await transport.dispatch([message('next', 'sales')])
      await until('the next message arrives', () => seen.deliveries.length === 2)

      hasCode('NSB_OWNERSHIP_LOST')(seen.errors[0])
    })
  },
)

describe('when folders vanish', () => {
  it('the receiver makes its queue folder again', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    const seen = await receive(transport, 'sales')

    rmSync(join(storage, 'sales'), { recursive: true })
    await until('the folder is there again', () => existsSync(join(storage, 'sales/.committed')))
    await transport.dispatch([message('order', 'sales')])
    await until('the message arrives', () => seen.deliveries.length === 1)
    await depthIs(transport, 'sales', 0)

    assert.deepEqual(seen.errors, [])
  })

  it('the storage folder is made again with its subscriptions, and that is told', async () => {
    const storage = join(tempFolder(), 'storage')
    const transport = openLearning(storage)
    const event: EventType = { fullName: 'Shop.OrderPlaced', kind: 'class', base: undefined, interfaces: [] }
    await transport.subscribe({ endpoint: 'Sales', queue: 'sales' }, event)
    const seen = await receive(transport, 'sales')

    renameSync(storage, `${storage}-gone`)
    await until('it is told', () => seen.errors.length > 0)
    await transport.dispatch([{ id: 'm', headers: {}, body: new Uint8Array(0), to: { event } }])
    await until('the event arrives', () => seen.deliveries.length === 1)

    assert.equal(seen.errors.length, 1)
    hasCode('NSB_STORAGE_REMOVED')(seen.errors[0])
  })

  it('the target of a message is made again at the commit', async () => {
    const storage = tempFolder()
    const due = new Date(4e12)
    const transport = openLearning(storage, {
      at: (place) => {
        if (place !== 'staged') return
        rmSync(join(storage, 'sales/.committed'), { recursive: true })
        rmSync(join(storage, 'billing/.delayed'), { recursive: true, force: true })
      },
    })
    await transport.dispatch([message('order', 'sales')])

    const seen = await receive(transport, 'sales', async () =>
      consume(message('later', 'billing', { deliverAt: due }), message('now', 'billing')),
    )
    await depthIs(transport, 'billing', 1)
    await seen.stop()

    assert.equal(readdirSync(join(storage, 'billing/.delayed')).length, 1)
    assert.deepEqual(seen.errors, [])
  })
})

describe('when the file system refuses', () => {
  it('the message stays, the error is reported, and the pump does not spin', async () => {
    const storage = tempFolder()
    const waits: number[] = []
    const clock: Clock = { now: () => systemClock.now(), after: (ms, then) => (waits.push(ms), systemClock.after(ms, then)) }
    const transport = openLearning(storage, { clock })
    await transport.dispatch([message('order', 'sales')])
    // A file where the queue's folder would be.
    writeFileSync(join(storage, 'billing'), '')

    const seen = await receive(transport, 'sales', async () => consume(toAddress('billing')), {
      onDispatchFailed: async () => consume(toAddress('billing')),
    })
    const choresOnly = waits.filter((ms) => ms === 1000).length
    await until('the failure is reported', () => seen.errors.length > 0)
    assert.equal(waits.filter((ms) => ms === 1000).length, choresOnly + 1)
    await until('it is delivered again', () => seen.deliveries.length > 1)
    await seen.stop()

    assert.deepEqual(await contents(transport, 'sales'), ['order'])
  })
})

describe('other entries of a queue folder', () => {
  it('that are folders are passed by', async () => {
    const storage = tempFolder()
    mkdirSync(join(storage, 'sales/archive'), { recursive: true })
    const transport = openLearning(storage)
    await transport.dispatch([message('order', 'sales')])

    const seen = await receive(transport, 'sales')
    await until('the message arrives', () => seen.deliveries.length === 1)

    assert.deepEqual(seen.errors, [])
    assert.ok(existsSync(join(storage, 'sales/archive')))
  })
})

describe('L-11 two receivers in two processes', () => {
  it('handle 1000 messages exactly once each', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    await transport.createQueues(['handled'])
    const children = [startScript('receive', storage, 'sales'), startScript('receive', storage, 'sales')]
    await until('both receive', () => children.every((child) => child.lines().includes('receiving')))

    for (let number = 0; number < 1000; number++) await transport.dispatch([message(`message ${String(number).padStart(4, '0')}`, 'sales')])
    await until('all are handled', async () => ((await transport.inspect('handled'))?.depth ?? 0) >= 1000)
    for (const child of children) child.kill('SIGTERM')
    const codes = await Promise.all(children.map(ended))

    assert.deepEqual(codes, [0, 0])
    const handled = await contents(transport, 'handled')
    assert.equal(handled.length, 1000)
    assert.equal(new Set(handled).size, 1000)
    assert.deepEqual(filesIn(join(storage, 'sales')), [])
  })
})

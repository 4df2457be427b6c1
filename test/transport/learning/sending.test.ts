import { strict as assert } from 'node:assert'
import { mkdirSync, readFileSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { writeMetadata } from '../../../src/transport/learning/metadata.ts'
import type { OutgoingMessage } from '../../../src/transport/transport.ts'
import { movableClock } from '../../contract/bind.ts'
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
  ownFilesIn,
  putBack,
  receive,
  startScript,
  textOf,
  toAddress,
  until,
} from './support.ts'

describe('L-2 1000 messages written while another process reads', () => {
  it('are never seen half-written, nor without their body', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    await transport.createQueues(['sales'])
    const reader = startScript('read-along', storage, 'sales', '1000')
    await until('the reader is ready', () => reader.lines().includes('ready'))

    for (let number = 0; number < 1000; number++) await transport.dispatch([message(`message ${number}`, 'sales')])

    assert.equal(await ended(reader), 0)
    assert.equal(reader.lines().at(-1), 'read 1000, broken 0')
  })
})

describe('L-6 a delayed message', () => {
  it.each([
    ['2026-11-21T00:21:15.000Z', '20261121002115'],
    ['2026-11-21T00:21:15.001Z', '20261121002116'],
    ['2026-11-21T00:21:15.999Z', '20261121002116'],
    ['2026-12-31T23:59:59.500Z', '20270101000000'],
  ])('due at %s lands in folder %s, with its body where it belongs', async (due, folder) => {
    const storage = tempFolder()

    await openLearning(storage).dispatch([message('later', 'sales', { deliverAt: new Date(due), nativeId: 'later' })])

    assert.deepEqual(filesIn(storage), ['sales/.bodies/later.body.txt', `sales/.delayed/${folder}/later.metadata.txt`])
  })

  it('is not delivered before its time, whoever looks, and then at once', async () => {
    const storage = tempFolder()
    const { clock, elapse } = movableClock()
    const transport = openLearning(storage, { clock })
    await transport.dispatch([message('in an hour', 'sales', { deliverAt: new Date(clock.now() + 3_600_000) }), message('now', 'sales')])
    const seen = await receive(transport, 'sales')
    await until('the other message arrives', () => seen.deliveries.length === 1)

    elapse(3_590_000)
    await transport.dispatch([message('marker', 'sales', { deliverAt: new Date(clock.now()) })])
    await until('the marker arrives', () => seen.deliveries.length === 2)
    elapse(11_000)
    await until('the message arrives', () => seen.deliveries.length === 3)

    assert.deepEqual(seen.deliveries.map(textOf), ['now', 'marker', 'in an hour'])
  })

  it('leaves an empty folder, which goes ten seconds later; folders whose name is no time are ignored', async () => {
    const storage = tempFolder()
    const { clock, elapse } = movableClock()
    const transport = openLearning(storage, { clock })
    for (const garbage of ['garbage', '20269999999999', '2026112100211'])
      mkdirSync(join(storage, 'sales/.delayed', garbage), { recursive: true })
    await transport.dispatch([message('later', 'sales', { deliverAt: new Date(clock.now()) })])
    const seen = await receive(transport, 'sales')
    await until('the message arrives', () => seen.deliveries.length === 1)
    const folders = (): readonly string[] => readdirSync(join(storage, 'sales/.delayed'))
    assert.equal(folders().length, 4)

    elapse(11_000)
    await until('the folder is gone', () => folders().length === 3)

    assert.deepEqual(folders().toSorted(), ['2026112100211', '20269999999999', 'garbage'])
    assert.deepEqual(seen.errors, [])
  })

  it('cannot expire as well', async () => {
    const storage = tempFolder()

    await assert.rejects(
      openLearning(storage).dispatch([message('x', 'sales', { deliverAt: new Date(), expiresAfterMs: 1000 })]),
      hasCode('NSB_DELAYED_AND_EXPIRING'),
    )

    assert.deepEqual(filesIn(storage), [])
  })
})

describe('L-7 a message with a time to be received', () => {
  it('carries it in the header of the transport, which no handler sees', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    await transport.dispatch([message('quote', 'sales', { expiresAfterMs: 600_000, nativeId: 'quote', headers: { A: '1' } })])
    const written = readFileSync(join(storage, 'sales/quote.metadata.txt'), 'utf8')
    assert.match(written, /"NServiceBus\.Transport\.Learning\.TimeToBeReceived": "00:10:00"\r\n\}$/)

    const seen = await receive(transport, 'sales')
    await until('the message arrives', () => seen.deliveries.length === 1)

    assert.deepEqual({ ...seen.deliveries[0]?.headers }, { 'NServiceBus.MessageId': 'quote', A: '1' })
  })

  it('is dropped with its body when it has expired', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    await transport.dispatch([message('old', 'sales', { expiresAfterMs: 60_000, nativeId: 'old' })])
    const twoMinutesAgo = Date.now() / 1000 - 120
    utimesSync(join(storage, 'sales/old.metadata.txt'), twoMinutesAgo, twoMinutesAgo)
    await transport.dispatch([message('fresh', 'sales', { expiresAfterMs: 60_000 })])

    const seen = await receive(transport, 'sales')
    await until('the other message arrives', () => seen.deliveries.length === 1)
    await seen.stop()

    assert.deepEqual(seen.deliveries.map(textOf), ['fresh'])
    assert.deepEqual(filesIn(storage), [])
  })

  it('keeps its clock when it is put back', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    await transport.dispatch([message('quote', 'sales', { expiresAfterMs: 3_600_000, nativeId: 'quote' })])
    const path = join(storage, 'sales/quote.metadata.txt')
    const tenMinutesAgo = Math.floor(Date.now() / 1000) - 600
    utimesSync(path, tenMinutesAgo, tenMinutesAgo)

    const seen = await receive(transport, 'sales', async (_, signal) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      return putBack
    })
    await until('the message arrives', () => seen.deliveries.length === 1)
    await seen.stop({ graceMs: 0 })

    assert.equal(statSync(path).mtimeMs, tenMinutesAgo * 1000)
  })
})

describe('a batch that fails half-way', () => {
  it('leaves nothing behind, and no metadata without its body', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    await transport.createQueues(['sales', 'billing'])
    rmSync(join(storage, 'billing', '.delayed'), { recursive: true, force: true })
    writeFileSync(join(storage, 'billing', '.delayed'), 'not a folder')

    await assert.rejects(transport.dispatch([toAddress('sales'), { ...toAddress('billing'), deliverAt: new Date(Date.now() + 60_000) }]))

    assert.deepEqual(
      filesIn(storage).filter((path) => !path.startsWith('.nsb')),
      ['billing/.delayed'],
    )
  })
})

describe('L-8 the size limit', () => {
  const bodyFor = (total: number): Buffer => Buffer.alloc(total - writeMetadata({ A: 'é' }, undefined).length, 'x')
  const sized = (total: number): OutgoingMessage => ({ id: 'm', headers: { A: 'é' }, body: bodyFor(total), to: { address: 'sales' } })

  it('lets 65536 bytes pass', async () => {
    const transport = openLearning(tempFolder())

    await transport.dispatch([sized(65_536)])

    await depthIs(transport, 'sales', 1)
  })

  it('refuses 65537, names both sizes, and leaves nothing of the whole batch on disk', async () => {
    const storage = tempFolder()

    await assert.rejects(openLearning(storage).dispatch([toAddress('sales'), sized(65_537)]), (error) => {
      hasCode('NSB_MESSAGE_TOO_LARGE')(error)
      assert.match(String(error), /21 bytes of headers and 65516 bytes of body/)
      return true
    })

    assert.deepEqual(filesIn(storage), [])
  })

  it('can be lifted', async () => {
    const transport = openLearning(tempFolder(), { restrictPayloadSize: false })

    await transport.dispatch([sized(200_000)])

    await depthIs(transport, 'sales', 1)
  })

  it.each(['NServiceBus.FailedQ', 'NServiceBus.ProcessingEnded', 'NServiceBus.Retries', 'ServiceControl.Retry.UniqueMessageId'])(
    'does not hold for the copies of what was processed, which %s tells: refused, they would leave the message to fail for ever',
    async (header) => {
      const transport = openLearning(tempFolder())
      const large = sized(65_537)

      await transport.dispatch([{ ...large, headers: { ...large.headers, [header]: 'x' } }])

      await depthIs(transport, 'sales', 1)
    },
  )

  it('is checked before the commit when a handler sends, and the message can still be moved elsewhere', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    await transport.dispatch([message('order', 'sales')])

    const seen = await receive(transport, 'sales', async () => consume(toAddress('billing'), sized(65_537)), {
      onDispatchFailed: async (incoming) => consume(message(`failed ${textOf(incoming)}`, 'error')),
    })
    await depthIs(transport, 'error', 1)
    await seen.stop()

    assert.deepEqual(await contents(transport, 'error'), ['failed order'])
    assert.equal(await transport.inspect('billing'), undefined)
    assert.deepEqual(seen.errors, [])
  })
})

describe('L-13 an address', () => {
  const bad = ['../x', '/x', 'a/b', 'a\\b', '..\\x', 'C:\\x', '.', '..', '', '.events', '.nsb', 'a\0b', 'x'.repeat(300)]

  it.each(bad)(`'%s' is refused on send, and nothing is written`, async (address) => {
    const folder = tempFolder()
    const storage = join(folder, 'storage')
    const transport = openLearning(storage)

    await assert.rejects(transport.dispatch([toAddress('sales'), toAddress(address)]), hasCode('NSB_BAD_ADDRESS'))
    await assert.rejects(transport.dispatch([{ ...toAddress(''), to: { exactQueue: address } }]), hasCode('NSB_BAD_ADDRESS'))

    assert.deepEqual(filesIn(folder), [])
  })

  it.each(bad)(`'%s' is refused as an answer to a message, which is not lost`, async (address) => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    await transport.dispatch([message('request', 'sales')])
    const refused: unknown[] = []

    const seen = await receive(transport, 'sales', async () => consume(toAddress(address)), {
      onDispatchFailed: async (_, error) => {
        refused.push(error)
        return consume(message('request', 'error'))
      },
    })
    await depthIs(transport, 'error', 1)
    await seen.stop()

    hasCode('NSB_BAD_ADDRESS')(refused[0])
  })

  it.each(bad)(`'%s' is refused for receiving, creating, inspecting and subscribing`, async (address) => {
    const transport = openLearning(tempFolder())

    await assert.rejects(receive(transport, address), hasCode('NSB_BAD_ADDRESS'))
    await assert.rejects(transport.createQueues([address]), hasCode('NSB_BAD_ADDRESS'))
    await assert.rejects(transport.purge(address), hasCode('NSB_BAD_ADDRESS'))
    await assert.rejects(transport.inspect(address), hasCode('NSB_BAD_ADDRESS'))
    await assert.rejects(
      transport.subscribe({ endpoint: 'x', queue: address }, { fullName: 'X', kind: 'class', base: undefined, interfaces: [] }),
      hasCode('NSB_BAD_ADDRESS'),
    )
  })
})

describe('a queue that is named exactly', () => {
  it('must exist; the error names similar ones', async () => {
    const transport = openLearning(tempFolder())
    await transport.createQueues(['Shop.Sales', 'Shop.Billing'])

    await assert.rejects(transport.dispatch([{ ...toAddress(''), to: { exactQueue: 'shop.sale' } }]), (error) => {
      hasCode('NSB_QUEUE_NOT_FOUND')(error)
      assert.match(JSON.stringify(error), /'Shop\.Sales'/)
      return true
    })
  })
})

describe('a chosen native id', () => {
  it('of a message that exists is refused, and that message stays', async () => {
    const transport = openLearning(tempFolder())
    await transport.dispatch([message('first', 'sales', { nativeId: 'same' })])

    await assert.rejects(transport.dispatch([message('second', 'sales', { nativeId: 'same' })]))

    assert.deepEqual(await contents(transport, 'sales'), ['first'])
  })

  it('cannot leave the folder', async () => {
    await assert.rejects(openLearning(tempFolder()).dispatch([message('x', 'sales', { nativeId: '../x' })]), hasCode('NSB_BAD_NAME'))
  })
})

describe('L-15 what nsb creates', () => {
  it('is a valid entry wherever .NET looks, and nothing else remains', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    const event = { fullName: 'Shop.OrderPlaced', kind: 'class', base: undefined, interfaces: [] } as const
    await transport.subscribe({ endpoint: 'billing', queue: 'billing' }, event)
    const seen = await receive(transport, 'sales', async (incoming) => {
      for (const file of filesIn(storage)) assert.match(file, expected)
      return incoming.attempt === 1
        ? putBack
        : consume(message('event', '', { to: { event } }), message('later', 'billing', { deliverAt: new Date(4e12) }))
    })
    const guid = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'
    const expected = new RegExp(
      `^(\\.events/Shop\\.OrderPlaced/billing\\.subscription|(sales|billing)/(${guid}\\.metadata\\.txt|\\.bodies/${guid}\\.body\\.txt|\\.delayed/\\d{14}/${guid}\\.metadata\\.txt|\\.pending/${guid}/${guid}\\.metadata\\.txt))$`,
    )

    for (let number = 0; number < 5; number++) await transport.dispatch([message(`order ${number}`, 'sales')])
    await depthIs(transport, 'billing', 5)
    await until('all are handled', () => seen.deliveries.length === 10)
    await seen.stop()
    await transport.close()

    assert.deepEqual(seen.errors, [])
    for (const file of filesIn(storage)) assert.match(file, expected)
    assert.deepEqual(filesIn(join(storage, 'sales')), [])
    assert.deepEqual(ownFilesIn(storage), [])
  })

  it('has ids that sort in the order of sending, so that a batch is handled in the order of its calls', async () => {
    const transport = openLearning(tempFolder())
    const texts = Array.from({ length: 50 }, (_, index) => `message ${index}`)
    await transport.dispatch(texts.map((text) => message(text, 'sales')))

    const seen = await receive(transport, 'sales')
    await until('all messages arrive', () => seen.deliveries.length === 50)

    assert.deepEqual(seen.deliveries.map(textOf), texts)
  })

  it('shows a queue that has never had a receiver', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    await transport.dispatch([message('misspelled', 'slaes')])
    assert.equal((await transport.inspect('slaes'))?.consumers, 0)

    await receive(transport, 'sales')

    assert.equal((await transport.inspect('sales'))?.consumers, 'unknown')
    writeFileSync(join(storage, '.gitignore'), '*')
    assert.deepEqual(
      (await transport.queues()).map((facts) => facts.queue),
      ['sales', 'slaes'],
    )
  })
})

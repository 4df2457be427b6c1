import { strict as assert } from 'node:assert'
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, it } from 'vitest'
import type { EventType } from '../../../src/transport/transport.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { contents, filesIn, hasCode, message, openLearning } from './support.ts'

const recordings = fileURLToPath(new URL('../../fixtures/wire/learning', import.meta.url))
const systemObject: EventType = { fullName: 'System.Object', kind: 'class', base: undefined, interfaces: [] }
const marker = (fullName: string): EventType => ({ fullName, kind: 'interface', base: undefined, interfaces: [] })
const iOrderEvent: EventType = {
  ...marker('Shop.Messages.IOrderEvent'),
  interfaces: [marker('NServiceBus.IEvent'), marker('NServiceBus.IMessage')],
}
const orderPlaced: EventType = {
  fullName: 'Shop.Messages.OrderPlaced',
  kind: 'class',
  base: systemObject,
  interfaces: [iOrderEvent, ...iOrderEvent.interfaces],
}
const priority: EventType = { ...orderPlaced, fullName: 'Shop.Messages.PriorityOrderPlaced', base: orderPlaced }
const published = (event: EventType) => message('published', '', { to: { event } })

function subscribeByHand(storage: string, event: string, file: string, content: string): void {
  mkdirSync(join(storage, '.events', event), { recursive: true })
  writeFileSync(join(storage, '.events', event, file), content)
}

describe('L-4 publishing a derived event', () => {
  it('reaches subscribers of base class, interface and System.Object once each, also who subscribed at several levels', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    for (const [queue, events] of [
      ['own', [priority]],
      ['base', [orderPlaced]],
      ['interface', [iOrderEvent]],
      ['object', [systemObject]],
      ['several', [priority, orderPlaced, iOrderEvent, systemObject]],
    ] as const)
      for (const event of events) await transport.subscribe({ endpoint: queue, queue }, event)

    await transport.dispatch([published(priority)])

    for (const queue of ['own', 'base', 'interface', 'object', 'several'])
      assert.deepEqual(await contents(transport, queue), ['published'], queue)
  })

  it('reaches nobody through the marker interfaces', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    for (const name of ['NServiceBus.IEvent', 'NServiceBus.IMessage', 'NServiceBus.ICommand'])
      subscribeByHand(storage, name, 'x.subscription', 'catch-all')

    await transport.dispatch([published(orderPlaced)])

    assert.equal(await transport.inspect('catch-all'), undefined)
  })

  it('reaches the recorded subscriber', async () => {
    const storage = tempFolder()
    subscribeByHand(
      storage,
      orderPlaced.fullName,
      'Shop.Billing.subscription',
      readFileSync(
        join(recordings, '01-endpoints-started-and-subscribed/storage/.events/Shop.Messages.OrderPlaced/Shop.Billing.subscription'),
        'utf8',
      ),
    )
    const transport = openLearning(storage)

    await transport.dispatch([published(priority)])

    assert.deepEqual(await contents(transport, 'Shop.Billing'), ['published'])
  })

  it('takes every file of an event folder for a subscriber, whatever its name', async () => {
    const storage = tempFolder()
    subscribeByHand(storage, orderPlaced.fullName, 'note.txt', 'billing')
    const transport = openLearning(storage)

    await transport.dispatch([published(orderPlaced)])

    assert.deepEqual(await contents(transport, 'billing'), ['published'])
  })
})

describe('L-5 a subscription file', () => {
  it('equals the recorded one byte for byte, and nothing else is in the event folder', async () => {
    const storage = tempFolder()

    await openLearning(storage).subscribe({ endpoint: 'Shop.Billing', queue: 'Shop.Billing' }, orderPlaced)

    const path = '.events/Shop.Messages.OrderPlaced/Shop.Billing.subscription'
    assert.deepEqual(filesIn(storage), [path])
    assert.deepEqual(readFileSync(join(storage, path)), readFileSync(join(recordings, '01-endpoints-started-and-subscribed/storage', path)))
  })

  it('is deleted by unsubscribing', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    const subscriber = { endpoint: 'Shop.Billing', queue: 'Shop.Billing' }
    await transport.subscribe(subscriber, orderPlaced)

    await transport.unsubscribe(subscriber, orderPlaced)

    assert.deepEqual(readdirSync(join(storage, '.events', orderPlaced.fullName)), [])
  })

  it('that is empty is waited for', async () => {
    const storage = tempFolder()
    subscribeByHand(storage, orderPlaced.fullName, 'Shop.Billing.subscription', '')
    const transport = openLearning(storage)

    const publishing = transport.dispatch([published(orderPlaced)])
    subscribeByHand(storage, orderPlaced.fullName, 'Shop.Billing.subscription', 'Shop.Billing')
    await publishing

    assert.deepEqual(await contents(transport, 'Shop.Billing'), ['published'])
  })

  it('that stays empty is skipped with a warning, and others get their copy', async () => {
    const storage = tempFolder()
    subscribeByHand(storage, orderPlaced.fullName, 'a.subscription', '')
    subscribeByHand(storage, orderPlaced.fullName, 'b.subscription', 'billing')
    const warnings: string[] = []
    const transport = openLearning(storage, { warn: (warning) => warnings.push(warning) })

    await transport.dispatch([published(orderPlaced)])

    assert.equal(warnings.length, 1)
    assert.match(warnings[0] ?? '', /a\.subscription' is empty/)
    assert.deepEqual(await contents(transport, 'billing'), ['published'])
  })

  it.each(['../outside', '/etc', 'a/b', '.nsb'])('L-13 that names %s is refused', async (address) => {
    const storage = tempFolder()
    subscribeByHand(storage, orderPlaced.fullName, 'a.subscription', address)

    await assert.rejects(openLearning(storage).dispatch([published(orderPlaced)]), hasCode('NSB_BAD_ADDRESS'))
  })

  it.each(['../outside', 'a/b', '.', '..', ''])(`L-13 is not made for an event or endpoint called '%s'`, async (name) => {
    const transport = openLearning(tempFolder())

    await assert.rejects(transport.subscribe({ endpoint: 'x', queue: 'x' }, marker(name)), hasCode('NSB_BAD_NAME'))
    await assert.rejects(transport.subscribe({ endpoint: name, queue: 'x' }, orderPlaced), hasCode('NSB_BAD_NAME'))
  })

  it('is made for nested and generic type names', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    const names = ['Shop.Outer+Inner', 'Shop.Envelope`1[[Shop.OrderPlaced, Shop, Version=1.0.0.0]]']

    for (const name of names) await transport.subscribe({ endpoint: 'x', queue: 'x' }, marker(name))

    assert.deepEqual(readdirSync(join(storage, '.events')).toSorted(), names.toSorted())
  })
})

import assert from 'node:assert/strict'
import { describe, expect, it, onTestFinished } from 'vitest'
import { failureHeaders } from '../../cli/nsb.ts'
import { brokerShop } from '../../support/broker-shop.ts'
import { ErrorQueue } from '../../support/error-queue.ts'
import { type Terminal, hasTerminal, key, startInTerminal } from '../../support/terminal.ts'
import { makeVirtualHost } from '../../support/virtual-host.ts'

describe.skipIf(!hasTerminal)('errors --interactive on RabbitMQ (needs script)', () => {
  it('holds nothing while it asks, and looks once for groups and samples', { timeout: 90_000 }, async () => {
    const host = await makeVirtualHost()
    onTestFinished(() => host.remove())
    const errors = await ErrorQueue.make(host, 'error', { kind: 'quorum', deliveryLimit: 20 })
    const sales = await ErrorQueue.make(host, 'Sales', { kind: 'quorum' })
    await errors.put(
      ['m1', 'm2', 'm3'].map((id) => ({
        body: `{"OrderId":"${id}"}`,
        headers: failureHeaders(id),
        properties: { messageId: id, contentType: 'application/json' },
      })),
    )
    const { folder, state } = brokerShop(host)
    const terminal = startInTerminal(['errors', '-i'], folder, { NSB_STATE_DIR: state })

    await terminal.shows('3 messages in 1 group')
    await terminal.shows('Which group?')
    assert.equal(await errors.depth(), 3)
    terminal.type(key.enter)
    await terminal.shows('back to the groups')
    terminal.type(key.enter)
    await terminal.shows('Which one?')
    terminal.type(key.enter)
    await terminal.shows('exception   ')
    await terminal.shows('{ "OrderId": "m')
    await terminal.shows('Which one?')
    assert.equal(await errors.depth(), 3)
    terminal.type(`${key.down.repeat(3)}${key.enter}`)
    await terminal.shows('back to the groups')
    terminal.type(`${key.down.repeat(3)}${key.enter}`)
    await terminal.shows('Replay 3 messages')
    assert.equal(await errors.depth(), 3)
    terminal.type(key.interrupt)

    expect(await terminal.ended, terminal.screen).toBe(130)
    const lying = await errors.drain()
    expect(lying.map(({ body, deliveries }) => [body, deliveries])).toEqual([
      ['{"OrderId":"m1"}', 1],
      ['{"OrderId":"m2"}', 1],
      ['{"OrderId":"m3"}', 1],
    ])
    assert.equal(await sales.depth(), 0)
  })
})

describe.skipIf(!hasTerminal)('errors replay --all on RabbitMQ (needs script)', () => {
  it('E-32 asks with the counts per target as they were seen last, and says where nobody has looked', { timeout: 90_000 }, async () => {
    const host = await makeVirtualHost()
    onTestFinished(() => host.remove())
    const errors = await ErrorQueue.make(host, 'error', { kind: 'quorum', deliveryLimit: 20 })
    await ErrorQueue.make(host, 'Sales', { kind: 'quorum' })
    await errors.put(
      ['Sales', 'Sales', 'Gone'].map((queue, index) => ({
        body: '{}',
        headers: failureHeaders(`m${index}`, { 'NServiceBus.FailedQ': queue }),
        properties: { messageId: `m${index}` },
      })),
    )
    const shop = brokerShop(host)
    const ask = (): Terminal => startInTerminal(['errors', 'replay', '--all'], shop.folder, { NSB_STATE_DIR: shop.state })

    const unseen = ask()
    await unseen.shows('where they go was not looked at: --dry-run does')
    await unseen.shows("Replay the 3 messages of 'error' to where each of them failed?")
    unseen.type(key.enter)
    expect(await unseen.ended).toBe(6)
    await shop.run('errors', 'list')
    const seen = ask()
    await seen.shows("as 'error' was ")
    await seen.shows('Sales  2  (queue exists, 0 consumers)')
    await seen.shows('Gone  1  (')
    await seen.shows("Replay the 3 messages of 'error' to where each of them failed?")
    seen.type(key.enter)

    expect(await seen.ended).toBe(6)
    expect(await errors.depth()).toBe(3)
  })
})

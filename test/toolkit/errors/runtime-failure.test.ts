import assert from 'node:assert/strict'
import { describe, it } from 'vitest'
import { groupOf } from '../../../src/toolkit/errors/select/group.ts'
import { testEndpoint } from '../../../src/testing/index.ts'
import { CancelOrder, PlaceOrder } from '../../support/shop.ts'

function failing(): never {
  throw new Error('no stock')
}

class PlaceOrderHandler {
  static readonly handles = PlaceOrder
  handle(): Promise<void> {
    return failing()
  }
}

class CancelOrderHandler {
  static readonly handles = CancelOrder
  handle(): Promise<void> {
    throw new Error('too late')
  }
}

describe('a failure of our own runtime', () => {
  it('E-6 has a frame in its group title, and another handler makes another group', async () => {
    const endpoint = await testEndpoint({
      handlers: [PlaceOrderHandler, CancelOrderHandler],
      recoverability: { immediateRetries: 0, delayedRetries: 0 },
    })
    const types = (name: string): Record<string, string> => ({
      'NServiceBus.EnclosedMessageTypes': `Shop.Messages.${name}`,
      'NServiceBus.ContentType': 'application/json',
    })

    await endpoint.receiveRaw({
      headers: types('PlaceOrder'),
      body: '{"OrderId":"1","Customer":"c","Total":1,"PlacedAt":"2026-01-01","Lines":[]}',
    })
    await endpoint.receiveRaw({ headers: types('CancelOrder'), body: '{"OrderId":"1","Reason":"r"}' })

    const groups = endpoint.world.errorQueue.map((failed) => groupOf(failed.headers, 'exception'))
    assert.equal(groups.length, 2)
    assert.match(groups[0]?.title ?? '', /^Node\.Error: \S*failing\(\)$/)
    assert.match(groups[1]?.title ?? '', /CancelOrderHandler\.handle\(\)$/)
    assert.notEqual(groups[0]?.id, groups[1]?.id)
    await endpoint.world.stop()
  })
})

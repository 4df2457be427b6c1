import { strict as assert } from 'node:assert'
import { describe, it } from 'vitest'
import { nearest } from '../../src/message/nearest.ts'

describe('names that are like a queue that does not exist', () => {
  const queues = ['Shop.Sales', 'Shop.Billing', 'error', 'audit', 'Shop.Sales-1']

  it.each([
    ['shop.sales', ['Shop.Sales', 'Shop.Sales-1']],
    ['Shop.Slaes', ['Shop.Sales']],
    ['errors', ['error']],
    ['Billing', ['Shop.Billing']],
    ['inventory', []],
  ])('%s: %j', (name, expected) => {
    assert.deepEqual(nearest(name, queues).slice(0, Math.max(1, expected.length)), expected)
  })
})

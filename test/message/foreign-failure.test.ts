import assert from 'node:assert/strict'
import { describe, it } from 'vitest'
import { readFailure, uniqueIdOf } from '../../src/message/failure.ts'
import { type BesideHeaders, stackTraceOf } from '../../src/message/foreign-failure.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

const fault = {
  'MT-Reason': 'fault',
  'MT-Fault-ExceptionType': 'System.InvalidOperationException',
  'MT-Fault-Message': 'no stock',
  'MT-Fault-StackTrace': '   at Shop.OrderConsumer.Consume(ConsumeContext`1 context) in /src/a.cs:line 9',
  'MT-Fault-Timestamp': '2026-11-20T16:30:00.1234567Z',
  'MT-Fault-ConsumerType': 'Shop.OrderConsumer',
  'MT-Fault-InputAddress': 'rabbitmq://localhost/shop/submit-order?durable=true',
  'MT-Host-MachineName': 'web-1',
}
const envelope = {
  messageId: '5b2d0000-5d5d-0015-6a1a-08dd02ed1d34',
  conversationId: '5b2d0000-5d5d-0015-6a1a-000000000001',
  sourceAddress: 'rabbitmq://localhost/web_bus',
  messageType: ['urn:message:Shop.Contracts:SubmitOrder', 'urn:message:Shop.Contracts:IOrder'],
  message: { orderId: 1 },
  sentTime: '2026-11-20T16:29:00Z',
}

describe('a fault of MassTransit', () => {
  it('E-42 has id and type from its envelope, queue, time and exception from its headers', () => {
    const failed = readFailure(fault, 'native', false, { body: bytes(`\ufeff${JSON.stringify(envelope)}`) })

    assert.deepEqual(
      { ...failed, uniqueId: undefined, contentMark: undefined },
      {
        contentMark: undefined,
        uniqueId: undefined,
        messageId: '5b2d0000-5d5d-0015-6a1a-08dd02ed1d34',
        kind: 'masstransit',
        type: 'Shop.Contracts.SubmitOrder',
        endpoint: 'submit-order',
        queue: 'submit-order',
        host: 'web-1',
        failedAt: Date.parse('2026-11-20T16:30:00.123Z') + 0.456,
        sentAt: Date.parse('2026-11-20T16:29:00Z'),
        sender: 'web_bus',
        exceptionType: 'System.InvalidOperationException',
        exceptionMessage: 'no stock',
        handler: 'Shop.OrderConsumer',
        conversationId: '5b2d0000-5d5d-0015-6a1a-000000000001',
        relatedTo: undefined,
        replayed: 0,
      },
    )
    assert.equal(stackTraceOf(fault), fault['MT-Fault-StackTrace'])
  })

  it.each(['MessageId', 'MT-MessageId', 'MT-Message-Id'])('E-42 has them from headers such as %s when the body is raw JSON', (name) => {
    const headers = { ...fault, [name]: 'raw-7', 'MT-MessageType': 'urn:message:Shop:SubmitOrder;urn:message:Shop:IOrder' }
    const failed = readFailure(headers, 'native', false, { body: bytes('{"messageId":"not this","orderId":1}') })

    assert.deepEqual([failed.messageId, failed.type], ['raw-7', 'Shop.SubmitOrder'])
  })

  it('E-36 is known by the id in its envelope, whatever native id its copy has', () => {
    const [one, other] = ['native', 'file-7'].map((nativeId) =>
      readFailure(fault, nativeId, false, { body: bytes(JSON.stringify(envelope)) }),
    )

    assert.equal(one?.uniqueId, other?.uniqueId)
    assert.equal(one?.uniqueId, uniqueIdOf({}, envelope.messageId, 'submit-order'))
  })

  it.each([
    ['queue:billing', undefined, 'billing'],
    ['loopback://localhost/charge-interval', undefined, 'charge-interval'],
    ['', 'submit-order_error', 'submit-order'],
    ['', 'submit-order_skipped', 'submit-order'],
    ['', 'error', undefined],
  ])('goes back to the end of %s, else to the queue of %s: %s', (address, queue, expected) => {
    const headers = { ...fault, 'MT-Fault-InputAddress': address }

    assert.equal(readFailure(headers, 'native', false, queue === undefined ? {} : { queue }).queue, expected)
  })

  it('is read with whatever is in its body', () => {
    for (const body of ['', 'no json', '[]', 'null', '{"messageType":7,"messageId":{}}', '['.repeat(100_000)])
      assert.equal(readFailure(fault, 'native', false, { body: bytes(body) }).messageId, 'native')
  })

  it('may be one that no consumer was there for', () => {
    const failed = readFailure({ 'MT-Reason': 'dead-letter' }, 'native', false, { queue: 'submit-order_skipped' })

    assert.deepEqual([failed.kind, failed.queue, failed.exceptionMessage], ['masstransit', 'submit-order', 'dead-letter'])
  })
})

const death = (queue: string, reason: string, seconds: number): object => ({
  count: 1,
  reason,
  queue,
  exchange: '',
  'routing-keys': [queue],
  time: { '!': 'timestamp', value: seconds },
})
const dead = (deaths: unknown, more: Readonly<Record<string, unknown>> = {}): BesideHeaders => ({
  native: { headers: { 'x-death': deaths, ...more } },
})

describe('a message that a broker dead-lettered', () => {
  it('E-42 has its queue, time and reason from x-death', () => {
    const failed = readFailure({}, 'm1', false, dead([death('orders', 'rejected', 1_795_000_000)]))

    assert.deepEqual(
      [failed.kind, failed.messageId, failed.queue, failed.endpoint, failed.failedAt, failed.exceptionMessage],
      ['dlx', 'm1', 'orders', 'orders', 1_795_000_000_000, 'rejected'],
    )
  })

  it('goes back to where it died first, also in a cycle of queues', () => {
    const cycle = [death('orders', 'rejected', 3), death('orders.retry', 'expired', 2)]

    assert.equal(readFailure({}, 'm1', false, dead(cycle, { 'x-first-death-queue': 'orders' })).queue, 'orders')
    assert.equal(readFailure({}, 'm1', false, dead(cycle, { 'x-first-death-queue': 'overwritten' })).queue, 'orders.retry')
    assert.equal(readFailure({}, 'm1', false, dead(cycle)).queue, 'orders.retry')
    assert.equal(readFailure({}, 'm1', false, { native: { headers: { 'x-first-death-queue': 'orders' } } }).queue, 'orders')
  })

  it('E-39 is the same where headers are texts', () => {
    const failed = readFailure({ 'x-death': JSON.stringify([death('orders', 'rejected', 1_795_000_000)]) }, 'm1')

    assert.deepEqual([failed.kind, failed.queue, failed.failedAt], ['dlx', 'orders', 1_795_000_000_000])
    assert.equal(readFailure({ 'x-death': 'count=1', 'x-first-death-queue': 'orders' }, 'm1').queue, 'orders')
  })

  it('is a failure when an endpoint says so, and poison when it was only delayed', () => {
    assert.equal(readFailure({ 'NServiceBus.FailedQ': 'Sales' }, 'm1', false, dead([death('orders', 'rejected', 1)])).kind, 'failure')
    assert.equal(readFailure({}, 'm1', false, dead([death('nsb.v2.delay-level-03', 'expired', 1)])).kind, 'poison')
  })

  it('is read with whatever is in its table', () => {
    for (const deaths of [[], 'x', 7, [null, 7, 'x'], [{ queue: 7, time: { value: 'x' } }], [{ time: { value: 1e300 } }]])
      assert.doesNotThrow(() => readFailure({}, 'm1', false, dead(deaths, { 'x-first-death-queue': 'orders' })))
  })
})

describe('an entry without any id', () => {
  it('is known by its body', () => {
    const [a, b] = ['a', 'b'].map((body) => readFailure({}, '', false, { body: bytes(body) }))

    assert.equal(a?.kind, 'poison')
    assert.notEqual(a?.uniqueId, b?.uniqueId)
    assert.equal(a?.uniqueId, readFailure({}, '', false, { body: bytes('a') }).uniqueId)
  })
})

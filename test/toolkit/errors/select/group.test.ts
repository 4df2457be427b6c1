import assert from 'node:assert/strict'
import { describe, it } from 'vitest'
import { readFailure } from '../../../../src/message/failure.ts'
import { type Classifier, groupId, groupOf, groupIds, headersToGroup, mergedGroups } from '../../../../src/toolkit/errors/select/group.ts'

describe('a group id', () => {
  it.each<[Classifier, string, string]>([
    ['type', 'Sales.Messages.PlaceOrder', '7a6ce96c-2018-c8e2-b291-f75bb77f5cec'],
    ['endpoint', 'Sales', '81b75e7b-6a8d-33d6-ad23-16eba385110b'],
    [
      'exception',
      'System.Exception: Sales.PlaceOrderHandler.Handle(PlaceOrder message, IMessageHandlerContext context)',
      '9cda40c7-ce84-7a09-531a-ed872fa8da91',
    ],
  ])('E-1 by %s of %s is %s', (by, title, id) => assert.equal(groupId(by, title), id))

  it('E-8 by type is computed from the raw title', () => {
    const headers = { 'NServiceBus.EnclosedMessageTypes': 'A.B;C.D' }

    assert.deepEqual(groupOf(headers, 'type'), { title: 'A.B;C.D', id: groupId('type', 'A.B;C.D') })
  })
})

describe('a failure', () => {
  const headers = {
    'NServiceBus.EnclosedMessageTypes': 'Sales.Messages.PlaceOrder, Sales',
    'NServiceBus.FailedQ': 'Sales@web-1',
    'NServiceBus.Metric.InstanceId': 'instance-7',
    'NServiceBus.ExceptionInfo.ExceptionType': 'System.Exception',
  }

  it.each<[Classifier, string]>([
    ['exception', 'System.Exception: No stacktrace'],
    ['type', 'Sales.Messages.PlaceOrder'],
    ['queue', 'Sales@web-1'],
    ['instance', 'instance-7'],
    ['endpoint', 'Sales'],
  ])('is grouped by %s under %s', (by, title) => assert.equal(groupOf(headers, by)?.title, title))

  it('is in a group of every classifier that has a title for it', () => {
    assert.deepEqual(groupIds({ 'NServiceBus.EnclosedMessageTypes': 'Sales.Messages.PlaceOrder' }), [
      groupId('type', 'Sales.Messages.PlaceOrder'),
    ])
    assert.equal(groupIds(headers).length, 5)
  })

  it('is in no group where the title is missing', () => {
    assert.equal(groupOf({}, 'type'), undefined)
    assert.equal(groupOf({}, 'endpoint'), undefined)
    assert.equal(groupOf({}, 'exception'), undefined)
  })
})

describe('what another system wrote of a failure', () => {
  const groupsOf = (headers: Record<string, string>, beside = {}): (string | undefined)[] => {
    const own = headersToGroup(readFailure(headers, 'native', false, beside), headers)
    return (['exception', 'type', 'queue', 'endpoint'] as const).map((by) => groupOf(own, by)?.title)
  }

  it('is grouped as if an endpoint had written it', () => {
    const fault = {
      'MT-Reason': 'fault',
      'MT-Fault-ExceptionType': 'System.Exception',
      'MT-Fault-Message': 'no stock',
      'MT-Fault-StackTrace': '   at Shop.OrderConsumer.Consume(ConsumeContext context) in /src/a.cs:line 9',
      'MT-Fault-InputAddress': 'rabbitmq://localhost/submit-order',
      'MT-MessageType': 'urn:message:Shop:SubmitOrder',
      'MT-MessageId': 'm1',
    }

    assert.deepEqual(groupsOf(fault), [
      'System.Exception: Shop.OrderConsumer.Consume(ConsumeContext context)',
      'Shop.SubmitOrder',
      'submit-order',
      'submit-order',
    ])
  })

  it('is in no group by exception when a broker dead-lettered it', () => {
    assert.deepEqual(groupsOf({ 'x-first-death-queue': 'orders' }), [undefined, undefined, 'orders', 'orders'])
    assert.deepEqual(groupsOf({ 'MT-Reason': 'fault' }), [undefined, undefined, undefined, undefined])
  })
})

describe('groups of two queues', () => {
  it('are counted together, largest first', () => {
    const group = { title: 't', first: 5, last: 9, endpoints: ['A'], types: ['T'] }

    const merged = mergedGroups([
      { ...group, id: 'a', count: 1 },
      { ...group, id: 'b', count: 2, first: 3, last: undefined, endpoints: ['B'] },
      { ...group, id: 'b', count: 3 },
    ])

    assert.deepEqual(
      merged.map(({ id, count, first, last, endpoints }) => ({ id, count, first, last, endpoints })),
      [
        { id: 'b', count: 5, first: 3, last: 9, endpoints: ['B', 'A'] },
        { id: 'a', count: 1, first: 5, last: 9, endpoints: ['A'] },
      ],
    )
  })
})

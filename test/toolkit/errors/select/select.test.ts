import assert from 'node:assert/strict'
import fc from 'fast-check'
import { describe, it } from 'vitest'
import { readFailure } from '../../../../src/message/failure.ts'
import { deterministicGuid } from '../../../../src/message/ids.ts'
import { operatorHeaders } from '../../../../src/message/native-headers.ts'
import { groupId } from '../../../../src/toolkit/errors/select/group.ts'
import { couldMean, idMatcher, resolveIds } from '../../../../src/toolkit/errors/select/resolve-ids.ts'
import { type Criteria, hasCriteria, needsNative, selector } from '../../../../src/toolkit/errors/select/select.ts'

const now = Date.UTC(2026, 10, 21, 12)
const headers: Record<string, string> = {
  'NServiceBus.MessageId': '6f9619ff-8b86-d011-b42d-00c04fc964ff',
  'NServiceBus.EnclosedMessageTypes': 'Shop.Messages.PlaceOrder, Shop.Messages',
  'NServiceBus.ProcessingEndpoint': 'Shop.Sales',
  'NServiceBus.FailedQ': 'Shop.Sales',
  '$.diagnostics.hostdisplayname': 'web-1',
  'NServiceBus.OriginatingEndpoint': 'Shop.Web',
  'NServiceBus.OriginatingMachine': 'web-2',
  'NServiceBus.TimeOfFailure': '2026-11-21 10:00:00:000000 Z',
  'NServiceBus.ConversationId': 'F7C4D92F-df5a-431d-ade0-b5090005d294',
  'NServiceBus.ExceptionInfo.ExceptionType': 'System.TimeoutException',
  'NServiceBus.ExceptionInfo.Message': 'No answer within 5 s',
  Tenant: 'blue',
}

const matches = (criteria: Criteria, of = headers): boolean => selector(criteria, now)(readFailure(of, 'native'), { headers: of })

describe('one criterion', () => {
  it.each<[Criteria, boolean]>([
    [{}, true],
    [{ type: ['PlaceOrder'] }, true],
    [{ type: ['Shop.Messages.PlaceOrder'] }, true],
    [{ type: ['Shop.*'] }, true],
    [{ type: ['*Order'] }, true],
    [{ type: ['placeorder'] }, false],
    [{ type: ['Messages.PlaceOrder'] }, false],
    [{ type: ['CancelOrder', 'PlaceOrder'] }, true],
    [{ exception: ['TimeoutException'] }, true],
    [{ exception: ['System.*'] }, true],
    [{ exception: ['Timeout'] }, false],
    [{ message: ['answer within'] }, true],
    [{ message: ['/ANSWER \\w+/i'] }, true],
    [{ message: ['/answer$/'] }, false],
    [{ endpoint: ['Shop.Sales'] }, true],
    [{ endpoint: ['Shop'] }, false],
    [{ endpoint: ['*.Sales'] }, true],
    [{ failedQueue: ['Shop.S*s'] }, true],
    [{ host: ['web-*'] }, true],
    [{ sender: ['Shop.Web'] }, true],
    [{ since: '3h' }, true],
    [{ since: '1h' }, false],
    [{ since: '2h' }, true],
    [{ until: '2h' }, false],
    [{ until: '2026-11-21T10:00:00.001Z' }, true],
    [{ since: '2026-11-21T10:00:00Z', until: '2026-11-21T10:00:01Z' }, true],
    [{ header: ['Tenant'] }, true],
    [{ header: ['Tenant=blue'] }, true],
    [{ header: ['Tenant=red'] }, false],
    [{ header: ['!Tenant=red'] }, true],
    [{ header: ['Tenant~^bl'] }, true],
    [{ header: ['!Missing'] }, true],
    [{ header: ['constructor'] }, false],
    [{ message: ['/no ANSWER/gi'] }, true],
    [{ message: ['/WITHIN/'] }, false],
    [{ since: '2026-11-21T10:00:00.000Z' }, true],
    [{ until: '2026-11-21T10:00:00.000Z' }, false],
    [{ since: 'today' }, true],
    [{ header: ['Tenant', 'Missing'] }, false],
    [{ conversation: ['f7c4'] }, true],
    [{ conversation: ['f7c'] }, false],
    [{ kind: ['failure'] }, true],
    [{ kind: ['poison', 'ack'] }, false],
    [{ notReplayed: true }, true],
  ])('%j: %s', (criteria, expected) => assert.equal(matches(criteria), expected))
})

describe('several criteria', () => {
  it('all have to hold', () => {
    assert.equal(matches({ type: ['PlaceOrder'], endpoint: ['Shop.Sales'] }), true)
    assert.equal(matches({ type: ['PlaceOrder'], endpoint: ['Other'] }), false)
  })

  it('E-9 without --kind an acknowledgement is not meant', () => {
    assert.equal(matches({}, { 'ServiceControl.Retry.Successful': 'x' }), false)
    assert.equal(matches({ kind: ['ack'] }, { 'ServiceControl.Retry.Successful': 'x' }), true)
  })

  it('excludes with --not-replayed what REPLAYED counts, whoever replayed or edited it', () => {
    for (const mark of [
      { 'Nsb.Replay.Count': '1' },
      { 'ServiceControl.EditOf': 'c118' },
      { 'ServiceControl.Retry.UniqueMessageId': 'c118' },
    ]) {
      const marked = { ...headers, ...mark }
      assert.deepEqual([matches({ notReplayed: true }, marked), readFailure(marked, 'native').replayed], [false, 1])
    }
  })
})

describe('headers that no handler sees', () => {
  const died = [{ count: 2, reason: 'rejected', queue: 'orders', exchange: '', 'routing-keys': ['orders'] }]
  const native = { messageId: 'd1', headers: { 'x-death': died, 'x-first-death-reason': 'rejected', 'x-delivery-count': 3, Tenant: 7 } }
  const message = { headers: { Tenant: '7' }, native }
  const failed = readFailure(message.headers, 'd1', false, message)
  const isFound = (...header: string[]): boolean => selector({ kind: ['dlx'], header }, now)(failed, message)

  it('E-42 are those of a dead letter for whoever operates the queue, as text, and what a queue counts is not', () => {
    assert.equal(isFound('x-first-death-reason=rejected', 'x-death~queue=orders,.*routing-keys=orders', '!x-last-death-queue'), true)
    assert.equal(isFound('x-first-death-reason=expired'), false)
    assert.equal(isFound('x-delivery-count'), false)
    assert.deepEqual(operatorHeaders(message), {
      Tenant: '7',
      'x-death': 'count=2,reason=rejected,queue=orders,exchange=,routing-keys=orders',
      'x-first-death-reason': 'rejected',
    })
  })

  it('are read only where one of them is named', () => {
    assert.deepEqual(
      [{}, { header: ['Tenant=7', 'x-tenant'] }, { header: ['!x-death'] }].map((criteria) => needsNative(criteria)),
      [false, false, true],
    )
  })
})

describe('the beginning of a group id', () => {
  // Both have a group id that begins with c4bb.
  const of = (endpoint: string, more = {}): Record<string, string> => ({ ...headers, 'NServiceBus.ProcessingEndpoint': endpoint, ...more })
  const [one, other] = [of('Shop.362'), of('Shop.525')]
  const judge = (criteria: Criteria, meant?: Map<string, string>): ((of: Record<string, string>) => boolean) => {
    const judged = selector(criteria, now, meant)
    return (each) => judged(readFailure(each, 'native'), { headers: each })
  }

  it('that means two groups is refused with both, at the first message of the second', () => {
    const isMeant = judge({ group: ['C4BB'] })

    assert.deepEqual([isMeant(one), isMeant(headers), isMeant(one)], [true, false, true])
    assert.throws(() => isMeant(other), {
      code: 'NSB_AMBIGUOUS_ID',
      details: { id: 'c4bb', candidates: [groupId('endpoint', 'Shop.362'), groupId('endpoint', 'Shop.525')] },
    })
  })

  it('means one where another criterion leaves the second one out, or more of the id is given', () => {
    const narrowed = judge({ group: ['c4bb'], header: ['!Tenant=red'] })
    const whole = judge({ group: [groupId('endpoint', 'Shop.362')] })

    assert.deepEqual([narrowed(one), narrowed(of('Shop.525', { Tenant: 'red' }))], [true, false])
    assert.deepEqual([whole(one), whole(other)], [true, false])
  })

  it('is known by the whole id once a message of the group was met', () => {
    const meant = new Map<string, string>()
    const isMeant = judge({ group: ['c4bb', 'ffff'] }, meant)

    assert.deepEqual([isMeant(headers), [...meant]], [false, []])
    assert.deepEqual([isMeant(one), [...meant]], [true, [['c4bb', groupId('endpoint', 'Shop.362')]]])
  })
})

describe('a criterion that cannot be understood', () => {
  it.each<[Criteria]>([
    [{ since: 'yesterday' }],
    [{ since: '1d', until: '2d' }],
    [{ since: '2026-11-21', until: '2026-11-21' }],
    [{ message: ['/(/'] }],
    [{ header: ['=x'] }],
    [{ group: ['9c'] }],
    [{ kind: ['lost'] }],
  ])('%j is refused', (criteria) => assert.throws(() => selector(criteria, now), { code: 'NSB_BAD_CRITERION' }))

  it('is none when nothing is given', () => {
    assert.equal(hasCriteria({ ids: [], notReplayed: false }), false)
    assert.equal(hasCriteria({ kind: ['failure'] }), true)
  })
})

describe('an id', () => {
  const entries = [
    { uniqueId: 'c1186253-233e-a23e-6a2b-a3154fbfa7bc', messageId: 'm1' },
    { uniqueId: 'c1186253-9999-a23e-6a2b-a3154fbfa7bc', messageId: 'm2' },
    { uniqueId: 'acc35ddb-8551-43b8-82bc-eb4f2077f70c', messageId: 'm2' },
  ]
  const resolved = (id: string): string[] => [...resolveIds([id], entries)]

  it('may be the beginning of a unique id, in any case, or a whole message id', () => {
    assert.deepEqual(resolved('ACC3'), ['acc35ddb-8551-43b8-82bc-eb4f2077f70c'])
    assert.deepEqual(resolved('c1186253-2'), ['c1186253-233e-a23e-6a2b-a3154fbfa7bc'])
    assert.deepEqual(resolved('m1'), ['c1186253-233e-a23e-6a2b-a3154fbfa7bc'])
  })

  it('that means several messages is refused with the candidates', () => {
    assert.throws(() => resolved('c118'), {
      code: 'NSB_AMBIGUOUS_ID',
      details: { id: 'c118', candidates: [entries[0]?.uniqueId, entries[1]?.uniqueId] },
    })
    assert.throws(() => resolved('m2'), { code: 'NSB_AMBIGUOUS_ID' })
  })

  it('of those that mean nothing all are named, and nothing else is done', () => {
    assert.throws(() => resolveIds(['m1', 'gone1', 'acc3', 'gone2'], entries), {
      code: 'NSB_MESSAGE_NOT_FOUND',
      message: /^Of the 4 ids 2 are of no message in the error queue, so nothing was done: 'gone1', 'gone2'\.$/,
      details: { ids: ['gone1', 'gone2'] },
    })
    assert.throws(() => resolved('gone'), { code: 'NSB_MESSAGE_NOT_FOUND', details: { id: 'gone' } })
  })

  it('is found among as many others as there are messages', () => {
    const many = Array.from({ length: 50_000 }, (_, index) => ({ uniqueId: deterministicGuid(String(index)), messageId: `m${index}` }))
    const ids = many.map(({ messageId, uniqueId }, index) => (index % 2 === 0 ? uniqueId.slice(0, 30).toUpperCase() : messageId))

    assert.equal(many.filter(idMatcher(ids)).length, many.length)
    assert.deepEqual(resolveIds(ids, many), new Set(many.map(({ uniqueId }) => uniqueId)))
  })

  it('alone means the same as beside others', () => {
    for (const id of ['c118', 'C118', 'c11', 'm1', 'm', '', entries[2]?.uniqueId ?? ''])
      for (const entry of entries) assert.equal(idMatcher([id, 'ffff-none'])(entry), couldMean(id, entry), `${id} ${entry.uniqueId}`)
    assert.ok(entries.every(idMatcher([])))
  })

  it('means what it means alone, whichever others begin like it', () => {
    const ids = fc.string({ unit: fc.constantFrom('a', 'B', '1'), maxLength: 8 })

    fc.assert(
      fc.property(fc.array(ids, { minLength: 1 }), ids, ids, (some, uniqueId, messageId) => {
        const entry = { uniqueId, messageId }
        assert.equal(
          idMatcher(some)(entry),
          some.some((id) => couldMean(id, entry)),
        )
      }),
    )
  })

  it('that means none is not found, or too short', () => {
    assert.throws(() => resolved('ffff'), { code: 'NSB_MESSAGE_NOT_FOUND' })
    assert.throws(() => resolved('c11'), { code: 'NSB_BAD_ID' })
  })
})

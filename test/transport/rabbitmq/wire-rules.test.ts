import type { MessageProperties } from 'amqplib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { EventType } from '../../../src/message/event-type.ts'
import { DeliveryAttempts } from '../../../src/transport/rabbitmq/attempts.ts'
import { delayBindingKey, delayRoute, delaySeconds, isInfrastructure } from '../../../src/transport/rabbitmq/delay.ts'
import { fitted } from '../../../src/transport/rabbitmq/fit.ts'
import { headersOf } from '../../../src/transport/rabbitmq/native-headers.ts'
import { NativeProperties, propertiesOf } from '../../../src/transport/rabbitmq/outgoing.ts'
import { writePropertyList } from '../../../src/message/property-list.ts'
import { listOf } from '../../../src/transport/rabbitmq/properties-writer.ts'
import { rawProperties } from '../../../src/transport/rabbitmq/raw.ts'
import { allInterfaces, exchangeOf } from '../../../src/transport/rabbitmq/topology/conventional.ts'
import { routingKeyOf } from '../../../src/transport/rabbitmq/topology/direct.ts'
import type { OutgoingMessage } from '../../../src/transport/transport.ts'
import { numRuns } from '../../property/runs.ts'

const type = (fullName: string, kind: 'class' | 'interface' = 'class', base?: EventType, interfaces: EventType[] = []): EventType => ({
  fullName,
  kind,
  base,
  interfaces,
})

describe('a delay', () => {
  it.each([
    [0, '00', '0'],
    [1, '00', '1'],
    [2, '01', '10'],
    [5, '02', '101'],
    [10, '03', '1010'],
    [60, '05', '111100'],
    [300, '08', '100101100'],
    [3600, '11', '111000010000'],
    [86_400, '16', '10101000110000000'],
    [604_800, '19', '10010011101010000000'],
    [268_435_455, '27', '1'.repeat(28)],
  ])('RMQ-5 of %d s begins at level %s with the digits %s', (seconds, level, digits) => {
    const { exchange, routingKey } = delayRoute(seconds, 'Sales')

    expect(exchange).toBe(`nsb.v2.delay-level-${level}`)
    expect(routingKey).toBe(`${digits.padStart(28, '0').split('').join('.')}.Sales`)
    expect(routingKey).toHaveLength(56 + 'Sales'.length)
    expect(routingKey.slice(56)).toBe('Sales')
  })

  it('is a whole number of seconds, never less than asked for, and never negative', () => {
    expect([400, 1000, 1500, 5000, 0, -5000].map((ms) => delaySeconds(1e12 + ms, 1e12))).toEqual([1, 1, 2, 5, 0, 0])
  })

  it('of more than 2^28 - 1 s is refused', () => {
    expect(delaySeconds(268_435_455_000, 0)).toBe(268_435_455)
    expect(() => delaySeconds(268_435_456_000, 0)).toThrow(expect.objectContaining({ code: 'NSB_DELAY_TOO_LONG' }))
  })

  it('has a destination of at most 199 bytes: a routing key has no room for more', () => {
    expect(delayRoute(1, 'a'.repeat(199)).routingKey).toHaveLength(255)
    expect(() => delayRoute(1, 'a'.repeat(200))).toThrow(expect.objectContaining({ code: 'NSB_ROUTING_KEY_TOO_LONG' }))
    expect(delayBindingKey('Sales')).toBe('#.Sales')
  })

  it('has queues of its own, old and new, that are no application’s', () => {
    const own = [
      'nsb.v2.delay-level-00',
      'nsb.delay-level-27',
      'nsb.v2.delay-delivery',
      'nsb.delay-delivery',
      'nsb.v2.verify-stream-flag-enabled',
    ]
    expect(own.every(isInfrastructure)).toBe(true)
    expect(['Sales', 'nsb.v2.delay-level-0', 'nsb.reply.me'].some(isInfrastructure)).toBe(false)
  })
})

describe('an exchange of the conventional topology', () => {
  it.each([
    ['Sales.Events.OrderPlaced', 'Sales.Events:OrderPlaced'],
    ['OrderPlaced', ':OrderPlaced'],
    ['Sales.Outer+Inner', 'Sales:Inner'],
    ['Sales.Changed`1', 'Sales:Changed`1'],
    ['Sales.Changed`1[[Sales.Order, Sales, Version=1.0.0.0]]', 'Sales:Changed`1'],
    ['System.Object', 'System:Object'],
    ['System.IEquatable`1[[Sales.OrderPlaced, Sales]]', 'System:IEquatable`1'],
  ])('of %s is %s', (fullName, exchange) => {
    expect(exchangeOf(type(fullName))).toBe(exchange)
  })

  it('is bound to from all interfaces of a class, inherited ones too, once each', () => {
    const root = type('Sales.IRoot', 'interface')
    const named = type('Sales.INamed', 'interface', undefined, [root])
    const base = type('Sales.Base', 'class', undefined, [named])
    expect(allInterfaces(type('Sales.Event', 'class', base, [named, root])).map(({ fullName }) => fullName)).toEqual([
      'Sales.INamed',
      'Sales.IRoot',
    ])
  })
})

describe('a routing key of the direct topology', () => {
  const object = type('System.Object')
  const marker = type('NServiceBus.IEvent', 'interface')
  const auditable = type('Sales.IAuditable', 'interface', undefined, [marker])
  const disposable = type('System.IDisposable', 'interface')
  const orderEvent = type('Sales.OrderEvent', 'class', object, [marker])

  it.each([
    ['a class', type('Sales.OrderPlaced', 'class', object, [marker]), 'Sales-OrderPlaced'],
    ['a derived class', type('Sales.OrderPlaced', 'class', orderEvent, [marker]), 'Sales-OrderEvent.Sales-OrderPlaced'],
    [
      'a derived class with an interface',
      type('Sales.OrderPlaced', 'class', orderEvent, [disposable, auditable, type('Sales.IOther', 'interface'), marker]),
      'Sales-OrderEvent.Sales-IAuditable.Sales-OrderPlaced',
    ],
    ['a nested class', type('Sales.Outer+Inner', 'class', object), 'Sales-Outer+Inner'],
  ])('of %s', (_, event, key) => {
    expect(routingKeyOf(event)).toBe(key)
  })
})

describe('a received header', () => {
  const read = (headers: Record<string, unknown>, properties: Partial<MessageProperties> = {}) =>
    headersOf({ ...properties, headers } as MessageProperties)

  it.each([
    ['a text', 'é ✓', 'é ✓'],
    ['bytes', Buffer.from('é'), 'é'],
    ['a table', { a: 'b', c: { d: 1 } }, 'a=b,c=d=1'],
    ['an array', ['a', 1, [true, null]], 'a;1;True;'],
    ['a timestamp', { '!': 'timestamp', value: 1_795_220_054 }, '2026-11-21 00:14:14:000000 Z'],
    ['a timestamp of no calendar', { '!': 'timestamp', value: 2 ** 64 }, '18446744073709552000'],
    ['nothing', null, ''],
    ['true', true, 'True'],
    ['false', false, 'False'],
    ['an integer', -5, '-5'],
    ['a large number', 1e21, '1000000000000000000000'],
    ['a fraction', 1.5, '1.5'],
    ['no number', Number.NaN, 'NaN'],
    ['infinity', -Infinity, '-Infinity'],
    ['a decimal', { '!': 'decimal', value: { digits: 12_345, places: 2 } }, '123.45'],
    ['a small decimal', { '!': 'decimal', value: { digits: 5, places: 3 } }, '0.005'],
    [
      'a table that looks like a decimal',
      { '!': 'decimal', value: { digits: 1, places: 2e9 } },
      '!=decimal,value=digits=1,places=2000000000',
    ],
  ])('that is %s is this text', (_, value, text) => {
    expect(read({ Custom: value })).toEqual({ Custom: text })
  })

  it('RMQ-10 of a broker or a client library is not seen', () => {
    const names = [
      'NServiceBus.Transport.RabbitMQ.DelayInSeconds',
      'NServiceBus.Transport.RabbitMQ.ConfirmationId',
      'x-death',
      'x-first-death-exchange',
      'x-first-death-queue',
      'x-first-death-reason',
      'x-dotnet-pub-seq-no',
      'x-delivery-count',
      'x-acquired-count',
    ]
    expect(read(Object.fromEntries(names.map((name) => [name, 'x'])))).toEqual({})
  })

  it('gives way to the property that says the same', () => {
    const headers = {
      'NServiceBus.ReplyToAddress': 'old',
      'NServiceBus.CorrelationId': 'old',
      'NServiceBus.ContentType': 'old',
      'NServiceBus.EnclosedMessageTypes': 'kept',
    }
    expect(read(headers, { replyTo: 'r', correlationId: 'c', contentType: 't', type: 'left out', deliveryMode: 1 })).toEqual({
      'NServiceBus.ReplyToAddress': 'r',
      'NServiceBus.CorrelationId': 'c',
      'NServiceBus.ContentType': 't',
      'NServiceBus.EnclosedMessageTypes': 'kept',
      'NServiceBus.Transport.RabbitMQ.UseNonPersistentDelivery': 'True',
    })
    expect(read({}, { type: 'Shop.A' })).toEqual({ 'NServiceBus.EnclosedMessageTypes': 'Shop.A' })
  })

  it('of very old senders names the reply queue', () => {
    expect(read({ 'NServiceBus.RabbitMQ.CallbackQueue': 'mine' }, { replyTo: 'shared' })).toMatchObject({
      'NServiceBus.ReplyToAddress': 'mine',
    })
  })

  it('with a name that means something to JavaScript is a header like others', () => {
    const given = JSON.parse('{"__proto__":"a","constructor":"b","toString":"c"}') as Record<string, unknown>
    const headers = read(given)
    expect(Object.entries(headers)).toEqual([
      ['__proto__', 'a'],
      ['constructor', 'b'],
      ['toString', 'c'],
    ])
    // What amqplib makes of a table of that name is inherited, and none of them is a header.
    expect(read(Object.create({ inherited: 'x' }) as Record<string, unknown>)).toEqual({})
  })
})

describe('the properties of a message', () => {
  const message = (headers: Record<string, string>, more: Partial<OutgoingMessage> = {}): OutgoingMessage => ({
    id: 'm1',
    headers,
    body: new Uint8Array(0),
    to: { address: 'Sales' },
    ...more,
  })
  const present = (properties: object) => Object.fromEntries(Object.entries(properties).filter(([, value]) => value !== undefined))

  it('repeat headers, and are otherwise absent', () => {
    expect(present(propertiesOf(message({}), undefined))).toEqual({
      messageId: 'm1',
      contentType: 'application/octet-stream',
      deliveryMode: 2,
      headers: {},
    })
    const headers = {
      'NServiceBus.CorrelationId': 'c',
      'NServiceBus.ReplyToAddress': 'r',
      'NServiceBus.ContentType': 'application/json',
      'NServiceBus.EnclosedMessageTypes': 'Shop.A, Shop, Version=1;Shop.B, Shop',
    }
    expect(present(propertiesOf(message(headers), undefined))).toEqual({
      messageId: 'm1',
      correlationId: 'c',
      replyTo: 'r',
      contentType: 'application/json',
      type: 'Shop.A',
      deliveryMode: 2,
      headers,
    })
  })

  it.each([
    ['Shop.A', 'Shop.A'],
    ['Shop.A;Shop.B', 'Shop.A'],
    ['Shop.A, Shop;Shop.B', 'Shop.A'],
    [`${'T'.repeat(255)};Shop.B`, 'T'.repeat(255)],
    ['T'.repeat(256), undefined],
    ['é'.repeat(128), undefined],
  ])('have the first type and no more than fits: %s', (types, expected) => {
    expect(propertiesOf(message({ 'NServiceBus.EnclosedMessageTypes': types }), undefined).type).toBe(expected)
  })

  it.each(['CorrelationId', 'ReplyToAddress', 'ContentType'])('leave out a %s of more than 255 bytes, which the header keeps', (name) => {
    const headers = { [`NServiceBus.${name}`]: 'x'.repeat(256) }
    const properties = propertiesOf(message(headers), undefined)
    expect(Object.values(present(properties)).filter((value) => typeof value === 'string' && value.length > 255)).toEqual([])
    expect(properties.headers).toEqual(headers)
    expect(present(propertiesOf(message({ [`NServiceBus.${name}`]: 'x'.repeat(255) }), undefined))).toMatchObject({
      [{ CorrelationId: 'correlationId', ReplyToAddress: 'replyTo', ContentType: 'contentType' }[name] ?? '']: 'x'.repeat(255),
    })
  })

  it('have a message id that fits and is the same each time', () => {
    const long = (id: string): string | undefined => propertiesOf(message({}, { id }), undefined).messageId
    expect(long('x'.repeat(255))).toBe('x'.repeat(255))
    expect(long('x'.repeat(256))).toMatch(/^[\da-f]{64}$/)
    expect(long('x'.repeat(256))).toBe(long('x'.repeat(256)))
    expect(long('x'.repeat(256))).not.toBe(long('x'.repeat(257)))
  })

  it('have a whole number of ms until they expire, rounded up', () => {
    expect([1500.0001, 600_000, 0.2].map((expiresAfterMs) => propertiesOf(message({}, { expiresAfterMs }), undefined).expiration)).toEqual([
      '1501',
      '600000',
      '1',
    ])
  })

  it('say that a message need not be kept, and the header that said so is gone', () => {
    const marked = message({ a: 'b', 'NServiceBus.Transport.RabbitMQ.UseNonPersistentDelivery': 'True' })
    expect(propertiesOf(marked, undefined)).toMatchObject({ deliveryMode: 1, headers: { a: 'b' } })
    expect(Object.keys(propertiesOf(marked, undefined).headers)).toEqual(['a'])
    expect(headersOf({ deliveryMode: 1, headers: { a: 'b' } } as unknown as MessageProperties)).toEqual(marked.headers)
  })

  it('have the delay as a 32-bit integer', () => {
    expect(propertiesOf(message({ a: 'b' }), 5).headers).toEqual({
      a: 'b',
      'NServiceBus.Transport.RabbitMQ.DelayInSeconds': { '!': 'int32', value: 5 },
    })
  })

  it('of a message that is moved, and that amqplib has read, keep the width of integers as far as it is known', () => {
    const headers = {
      'NServiceBus.Transport.RabbitMQ.DelayInSeconds': 5,
      'x-death': [{ count: 1, time: { '!': 'timestamp', value: 9 } }],
      large: 2 ** 40,
      beyond: -1e19,
      text: 't',
      'x-delivery-count': 3,
    }
    expect(rawProperties({ properties: { headers } } as never).headers).toEqual({
      'NServiceBus.Transport.RabbitMQ.DelayInSeconds': { '!': 'int32', value: 5 },
      'x-death': [{ count: { '!': 'int64', value: 1 }, time: { '!': 'timestamp', value: 9 } }],
      large: { '!': 'int64', value: 2 ** 40 },
      beyond: { '!': 'double', value: -1e19 },
      text: 't',
    })
  })
})

describe('RMQ-12 the number of an attempt', () => {
  const delivered = (redelivered: boolean, headers: Record<string, unknown> = {}, messageId = 'm1', content = Buffer.from('body')) =>
    ({ fields: { redelivered }, properties: { messageId, headers }, content }) as never
  const attempts = (queueCounts = true) => new DeliveryAttempts({ queueCounts, prefetch: 3 })
  /** The numbers of deliveries that fail one after the other. */
  const numbersOf = (counting: DeliveryAttempts, deliveries: readonly never[]): readonly number[] =>
    deliveries.map((message) => {
      const attempt = counting.of(message)
      counting.failed(message, attempt)
      return attempt.number
    })
  const redelivered = (times: number, headers: Record<string, unknown>): readonly never[] => [
    delivered(false, headers),
    ...Array.from({ length: times }, () => delivered(true, headers)),
  ]

  it('is 1 for what is delivered first, and what a quorum queue has counted after that', () => {
    expect(attempts().of(delivered(false)).number).toBe(1)
    // A message that was fetched has a count of 0, and one that was consumed none.
    expect(attempts().of(delivered(false, { 'x-delivery-count': 0 })).number).toBe(1)
    expect(attempts().of(delivered(true, { 'x-delivery-count': 1 })).number).toBe(2)
    expect(attempts().of(delivered(true, { 'x-delivery-count': 7 })).number).toBe(8)
  })

  it('is what this process has counted where the queue does not count', () => {
    expect(attempts(false).of(delivered(true)).number).toBe(1)
    expect(numbersOf(attempts(false), redelivered(2, {}))).toEqual([1, 2, 3])
  })

  it.each([0, 3, 1000, -5, 1.5, 2 ** 60, '7'])(
    'grows with every failure, although the message has brought a count of %s with it',
    (count) => {
      for (const queueCounts of [true, false])
        expect(numbersOf(attempts(queueCounts), redelivered(3, { 'x-delivery-count': count }))).toEqual([1, 2, 3, 4])
    },
  )

  it('grows with every failure, although two messages with one id have brought different counts', () => {
    const few = delivered(true, { 'x-delivery-count': 3 })
    const many = delivered(true, { 'x-delivery-count': 7 })

    const numbers = numbersOf(attempts(), [few, many, few, many, few, many])

    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
    expect(new Set(numbers).size).toBe(numbers.length)
  })

  it('is of one round of delayed retries, and of one body: producers use ids again', () => {
    const counting = attempts(false)
    numbersOf(counting, redelivered(4, {}))

    expect(counting.of(delivered(true)).number).toBe(6)
    expect(counting.of(delivered(true, { 'NServiceBus.Retries': '2' })).number).toBe(1)
    expect(counting.of(delivered(true, {}, 'm1', Buffer.from('other'))).number).toBe(1)
  })

  it('is known of the thousand messages that failed last, and of twice as many as may be delivered at once', () => {
    for (const [prefetch, known] of [
      [3, 1000],
      [3000, 6000],
    ] as const) {
      const counting = new DeliveryAttempts({ queueCounts: false, prefetch })
      for (let id = 0; id <= known; id++) numbersOf(counting, [delivered(false, {}, String(id))])
      expect(['0', '1', String(known)].map((id) => counting.of(delivered(true, {}, id)).number)).toEqual([1, 2, 2])
    }
  })
})

describe('headers that no broker takes', () => {
  const fit = (headers: Record<string, unknown>) => fitted(new NativeProperties(headers), 65_536)

  it('lose the ends of stack traces first, then those of the largest', () => {
    const small = { 'NServiceBus.FailedQ': 'Sales', 'NServiceBus.ExceptionInfo.Message': 'no stock', Custom: 'c'.repeat(40_000) }
    const { lost, properties } = fit({ ...small, 'NServiceBus.ExceptionInfo.StackTrace': 's'.repeat(40_000) })

    expect(properties.headers).toMatchObject(small)
    expect(properties.headers['NServiceBus.ExceptionInfo.StackTrace']).toMatch(/^s{20000,}… cut by nsb$/)
    expect(lost).toEqual([expect.stringMatching(/^\d+ bytes of 'NServiceBus\.ExceptionInfo\.StackTrace'$/)])
    const large = fit({ ...small, Custom: 'c'.repeat(70_000) })
    expect(large.properties.headers).toMatchObject({
      'NServiceBus.FailedQ': 'Sales',
      Custom: expect.stringMatching(/^c{50000,}… cut by nsb$/),
    })
  })

  it('always fit afterwards, and properties too', () => {
    const room = 65_536
    const leaf = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 400 }).map((text) => text.repeat(50)),
      fc.double(),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      fc.constantFrom(
        { '!': 'timestamp', value: 2 ** 64 },
        { '!': 'int32', value: 'x' },
        { '!': 'nonsense' },
        { '!': 'decimal', value: 1 },
      ),
    )
    const value = fc.oneof(
      { weight: 3, arbitrary: leaf },
      fc.array(leaf, { maxLength: 3 }),
      fc.dictionary(fc.string(), leaf, { maxKeys: 3 }),
    )
    const name = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.constantFrom('NServiceBus.ExceptionInfo.StackTrace', 'NServiceBus.FailedQ', '__proto__'),
    )
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value), { maxLength: 60 }), fc.string({ minLength: 200, maxLength: 300 }), (entries, text) => {
        const properties = Object.assign(new NativeProperties(Object.fromEntries(entries)), {
          correlationId: text,
          messageId: text,
          type: text,
        })
        const { properties: written } = fitted(properties, room)
        expect(writePropertyList(listOf(written)).length).toBeLessThanOrEqual(room)
        for (const each of [written.correlationId, written.messageId, written.type]) expect(Buffer.byteLength(each ?? '')).toBeLessThan(256)
      }),
      { numRuns: Math.min(numRuns, 5000) },
    )
  })
})

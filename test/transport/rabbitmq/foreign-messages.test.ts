import { beforeAll, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { type MessageHandlerContext, type RunningEndpoint, command, defineEndpoint, handler } from '../../../src/index.ts'
import { type System, system } from '../../interop/rabbitmq/endpoints.ts'
import { type WireMessage, fieldTable, headerFrame, longString, until } from '../../interop/rabbitmq/wire.ts'
import { inBrokerOrder } from '../../support/broker-version.ts'
import { largestBody } from '../../support/broker.ts'

// What other senders and other clients may put into a queue: every message ends handled or in the error queue, and the endpoint goes on.

class Work extends command('Shop.Work', z.object({ Text: z.string().optional() })) {}

interface Handled {
  readonly text: string | undefined
  readonly context: MessageHandlerContext
}

let shop: System
let endpoint: RunningEndpoint
let failed: readonly WireMessage[]
const handled = new Map<string, Handled>()
const poison: string[] = []
const huge = Object.assign(new Error('m'.repeat(100_000)), {
  stack: `Error: huge\n${'    at deep (somewhere.js:1:1)\n'.repeat(50_000)}`,
  [`key ${'k'.repeat(300)}`]: 'v',
})

beforeAll(async () => {
  shop = await system()
  endpoint = await shop.start(
    defineEndpoint('Shop.Worker', {
      handlers: [
        handler(Work, ({ Text }, context) => {
          handled.set(context.messageId, { text: Text, context })
          if (context.headers['fail'] === 'huge') throw huge
          if ('fail' in context.headers) throw new Error('as asked for')
        }),
      ],
      concurrency: 4,
      recoverability: { immediateRetries: 0, delayedRetries: 0 },
    }),
    { onPoison: ({ reason }) => void poison.push(reason) },
  )
  failed = await shop.wire.spy(['error', ''])
})

const work = (messageId: string, more: object = {}): object => ({ messageId, type: 'Shop.Work', contentType: 'application/json', ...more })

function publish(properties: object, headers: Record<string, unknown> = {}, body: Buffer = Buffer.from('{"Text":"t"}')): void {
  shop.wire.channel.publish('Shop.Worker', '', body, { ...properties, headers })
}

/** A header table that no client of ours could write. */
function publishRaw(messageId: string | undefined, fields: Parameters<typeof fieldTable>[0], body = Buffer.from('{"Text":"t"}')): void {
  shop.wire.publishFrames('Shop.Worker', '', headerFrame(fieldTable(fields), messageId), body)
}

const text = (value: string | Buffer) => ['S', longString(value)] as const
const types = ['NServiceBus.EnclosedMessageTypes', ...text('Shop.Work')] as const

const handling = (id: string): Promise<Handled> => vi.waitUntil(() => handled.get(id), { timeout: 20_000, interval: 5 })
const failing = (id: string): Promise<WireMessage> => until(failed, ({ properties }) => properties['messageId'] === id)

/** That the next message is handled as if nothing had been. */
async function goesOn(): Promise<void> {
  const id = `next-${handled.size}`
  publish(work(id))
  await handling(id)
  expect(endpoint.inHand).toBeLessThan(5)
}

it('a message without headers is handled by its type, and without a type moved to the error queue', async () => {
  shop.wire.channel.publish('Shop.Worker', '', Buffer.from('{}'), { messageId: 'bare', type: 'Shop.Work' })
  shop.wire.channel.publish('Shop.Worker', '', Buffer.from('{}'), { messageId: 'nothing' })

  await handling('bare')
  expect((await failing('nothing')).headers).toMatchObject({ 'NServiceBus.FailedQ': 'Shop.Worker' })
  await goesOn()
})

const typed = {
  byte: { '!': 'int8', value: -1 },
  octet: { '!': 'uint8', value: 255 },
  short: { '!': 'int16', value: -300 },
  word: { '!': 'uint16', value: 65_535 },
  int: { '!': 'int32', value: 5 },
  uint: { '!': 'uint32', value: 4_000_000_000 },
  long: { '!': 'int64', value: 2 ** 40 },
  ticks: { '!': 'int64', value: 638_993_376_541_234_567n },
  float: { '!': 'float', value: 0.5 },
  double: { '!': 'double', value: 1.25 },
  decimal: { '!': 'decimal', value: { digits: 314, places: 2 } },
  time: { '!': 'timestamp', value: 1_795_220_054 },
  yes: true,
  nothing: null,
  bytes: Buffer.from('b'),
  table: { a: 'x', b: 1 },
  list: ['a', 1, { c: true }],
}

it('headers of every AMQP type are texts for the handler, and for the error queue', async () => {
  publish(work('typed'), typed)
  publish(work('typed-failing'), { ...typed, fail: true })

  const expected = {
    byte: '-1',
    octet: '255',
    short: '-300',
    word: '65535',
    int: '5',
    uint: '4000000000',
    long: '1099511627776',
    ticks: '638993376541234567',
    float: '0.5',
    double: '1.25',
    decimal: '3.14',
    time: '2026-11-21 00:14:14:000000 Z',
    yes: 'True',
    nothing: '',
    bytes: 'b',
    table: 'a=x,b=1',
    list: 'a;1;c=True',
  }
  expect((await handling('typed')).context.headers).toMatchObject(expected)
  expect((await failing('typed-failing')).headers).toMatchObject(expected)
  await goesOn()
})

it('RMQ-11 a message without a message id is moved as it is, with headers of every type', async () => {
  const { nothing, ...some } = typed
  shop.wire.channel.publish('Shop.Worker', '', Buffer.from([0, 1, 255]), {
    appId: 'foreign',
    priority: 3,
    timestamp: 77,
    headers: { ...some, nothing },
  })

  const moved = await until(failed, ({ properties }) => properties['appId'] === 'foreign')
  expect(moved.properties).toEqual({ appId: 'foreign', priority: 3, timestamp: 77 })
  expect(Object.keys(moved.headers)).toEqual(inBrokerOrder(Object.keys({ ...some, nothing })))
  expect(moved.headers).toMatchObject({
    int: 5,
    decimal: typed.decimal,
    time: typed.time,
    table: { a: 'x', b: 1 },
    list: ['a', 1, { c: true }],
  })
  expect(moved.headerWireTypes).toMatchObject({
    int: 'I',
    long: 'l',
    ticks: 'l',
    decimal: 'D',
    time: 'T',
    yes: 't',
    nothing: 'V',
    bytes: 'x',
    table: 'F',
    list: 'A',
  })
  await expect.poll(() => poison).toContain('it has no message-id')
  await goesOn()
})

it('a message id of blanks is none', async () => {
  publish({ messageId: '  ', appId: 'blank' })

  const moved = await until(failed, ({ properties }) => properties['appId'] === 'blank')
  expect(moved.headers).toEqual({})
  await goesOn()
})

it.each([
  ['more than amqplib has room for', 65_000],
  ['just as much as leaves room for the failure', 110_000],
])('a header table of %s is handled, and reaches the error queue whole', async (_, bytes) => {
  publishRaw(`large-${bytes}`, [types, ['Custom', ...text('c'.repeat(bytes))]])
  publishRaw(`large-failing-${bytes}`, [types, ['Custom', ...text('c'.repeat(bytes))], ['fail', ...text('1')]])

  expect((await handling(`large-${bytes}`)).context.headers['Custom']).toHaveLength(bytes)
  const moved = await failing(`large-failing-${bytes}`)
  expect(moved.headers).toMatchObject({ 'NServiceBus.FailedQ': 'Shop.Worker', Custom: 'c'.repeat(bytes) })
  await goesOn()
})

it('a header table of nearly all that a broker takes is handled, and reaches the error queue with what fits', async () => {
  const bytes = 129_000
  publishRaw('largest', [types, ['Custom', ...text('c'.repeat(bytes))], ['fail', ...text('1')]])

  const moved = await failing('largest')
  expect(moved.headers).toMatchObject({ 'NServiceBus.FailedQ': 'Shop.Worker', 'NServiceBus.EnclosedMessageTypes': 'Shop.Work', fail: '1' })
  expect(moved.headers['Custom']).toMatch(/^c{115000,}… cut by nsb$/)
  expect(moved.bodyText).toBe('{"Text":"t"}')
  expect(shop.warnings.join('\n')).toMatch(/A message for 'error' has headers beyond what the broker takes.*bytes of 'Custom'/)
  await goesOn()
})

it('a table as large as a broker takes, and without a message id, reaches the error queue whole', async () => {
  publishRaw(undefined, [
    ['Kind', ...text('poison')],
    ['Custom', ...text('c'.repeat(130_500))],
  ])

  const moved = await until(failed, ({ headers }) => headers['Kind'] === 'poison')
  expect(moved.headers['Custom']).toBe('c'.repeat(130_500))
  expect(Object.keys(moved.headers)).toEqual(inBrokerOrder(['Kind', 'Custom']))
  await goesOn()
})

it('fields that no client writes reach the error queue as they were', async () => {
  const number = Buffer.alloc(8)
  number.writeDoubleBE(-1e19)
  publishRaw(undefined, [
    ['Kind', ...text('odd')],
    [Buffer.alloc(250, 0x80), ...text(Buffer.alloc(10, 0x80))],
    ['Time', 'T', Buffer.alloc(8, 0xff)],
    ['Number', 'd', number],
    ['Notation', 'F', fieldTable([['!', ...text('nonsense')]])],
    [
      'Decimal',
      'F',
      fieldTable([
        ['!', ...text('decimal')],
        ['value', 'F', fieldTable([['digits', 'd', number]])],
      ]),
    ],
  ])
  const moved = await until(failed, ({ headers }) => headers['Kind'] === 'odd')

  expect(moved.bodyText).toBe('{"Text":"t"}')
  expect(moved.headers).toMatchObject({
    Time: { '!': 'timestamp', value: 2 ** 64 },
    Number: -1e19,
    Notation: { '!': 'nonsense' },
    Decimal: { '!': 'decimal', value: { digits: -1e19 } },
  })
  await goesOn()
})

it.each([
  ['tables in tables', 1500, 'F'],
  ['tables so deep that they exhaust the stack of the client', 5000, 'F'],
  ['lists so deep', 6000, 'A'],
] as const)('%s are handled, and reach the error queue', async (_, levels, tag) => {
  let nested = fieldTable([])
  for (let depth = 0; depth < levels; depth++)
    nested = tag === 'F' ? fieldTable([['a', tag, nested]]) : longString(Buffer.concat([Buffer.from(tag), nested]))
  const kind = `nested-${tag}-${levels}`
  publishRaw(kind, [types, ['Nested', tag, nested], ['After', ...text('a')]])
  publishRaw(`${kind}-failing`, [types, ['Nested', tag, nested], ['fail', ...text('1')]])
  publishRaw(undefined, [
    ['Kind', ...text(kind)],
    ['Nested', tag, nested],
  ])

  const shown = tag === 'F' ? /^(a=){64}…$/ : /^…$/
  expect((await handling(kind)).context.headers).toMatchObject({ Nested: expect.stringMatching(shown), After: 'a' })
  expect((await failing(`${kind}-failing`)).headers['Nested']).toMatch(shown)
  expect((await until(failed, ({ headers }) => headers['Kind'] === kind)).bodyText).toBe('{"Text":"t"}')
  expect(shop.warnings.filter((warning) => warning.includes('interrupted'))).toEqual([])
  await goesOn()
})

it('an exception with an enormous stack trace and odd data reaches the error queue', async () => {
  publish(work('huge'), { fail: 'huge', Custom: 'c'.repeat(40_000) })

  const { headers } = await failing('huge')
  expect(headers).toMatchObject({ 'NServiceBus.FailedQ': 'Shop.Worker', Custom: 'c'.repeat(40_000) })
  expect(headers['NServiceBus.ExceptionInfo.Message']).toMatch(/^m+/)
  await goesOn()
})

it('long ids, addresses and types of a foreign message fail no copy of it', async () => {
  const long = 'x'.repeat(300)
  publish(
    { messageId: 'long', type: 'T'.repeat(255) },
    {
      'NServiceBus.MessageId': long,
      'NServiceBus.CorrelationId': long,
      'NServiceBus.ReplyToAddress': long,
      'NServiceBus.EnclosedMessageTypes': 'N'.repeat(300),
      'NServiceBus.ContentType': long,
    },
  )

  const { headers, properties } = await until(failed, (each) => each.headers['NServiceBus.MessageId'] === long)
  expect(headers).toMatchObject({
    'NServiceBus.CorrelationId': long,
    'NServiceBus.ReplyToAddress': long,
    'NServiceBus.EnclosedMessageTypes': 'N'.repeat(300),
  })
  expect(properties['messageId']).toMatch(/^[\da-f]{64}$/)
  await goesOn()
})

it('control characters and names that mean something to JavaScript are texts like others', async () => {
  const names = { 'a\u0000b\n': '\u0001\u007f\r\n', constructor: 'c', toString: 't', hasOwnProperty: 'h', '': 'empty' }
  publish(work('id\u0000\u0007\n'), names)
  publishRaw('proto', [types, ['__proto__', ...text('p')], ['__proto__', 'F', fieldTable([['fail', ...text('1')]])]])
  publish(work('id\u0000\u0007\n-failing'), { ...names, fail: '1' })

  expect((await handling('id\u0000\u0007\n')).context.headers).toMatchObject(names)
  expect(Object.entries((await handling('proto')).context.headers).filter(([name]) => name === 'fail')).toEqual([])
  expect((await failing('id\u0000\u0007\n-failing')).headers).toMatchObject(names)
  expect(({} as Record<string, unknown>)['fail']).toBeUndefined()
  await goesOn()
})

it('bodies of 0 bytes and of as many as the broker takes arrive whole, at the handler and in the error queue', async () => {
  const large = 'x'.repeat(largestBody - Buffer.byteLength(JSON.stringify({ Text: '' })))
  publish(work('empty', { contentType: undefined }), {}, Buffer.alloc(0))
  publish(work('large'), {}, Buffer.from(JSON.stringify({ Text: large })))
  publish(work('large-failing'), { fail: '1' }, Buffer.from(JSON.stringify({ Text: large })))
  await endpoint.sendLocal(new Work({ Text: large }), { messageId: 'large-own' })

  expect((await handling('large')).text === large).toBe(true)
  expect((await handling('large-own')).text === large).toBe(true)
  const moved = await failing('large-failing')
  expect(moved.bodyText === JSON.stringify({ Text: large })).toBe(true)
  // An empty body is nothing to deserialize, and nobody's message: it counts as done, as in .NET.
  await goesOn()
  expect([...handled.keys(), ...failed.map(({ properties }) => properties['messageId'])]).not.toContain('empty')
})

it('a message of our own that the broker finds too large is refused with its size, and what was sent beside it arrives', async () => {
  const sending = [
    endpoint.sendLocal(new Work({ Text: 'small' }), { messageId: 'before' }),
    endpoint.sendLocal(new Work({ Text: 'x'.repeat(largestBody) })),
    endpoint.sendLocal(new Work({ Text: 'small' }), { messageId: 'after' }),
  ]

  await expect(sending[1]).rejects.toMatchObject({
    code: 'NSB_MESSAGE_TOO_LARGE',
    message: `The body of a message for 'Shop.Worker' is ${largestBody + 11} bytes, and the broker takes no more than ${largestBody}.`,
  })
  await Promise.all([sending[0], sending[2]])
  await handling('before')
  await handling('after')
  await goesOn()
})

it('a message of our own with headers that are too large is refused with their names', async () => {
  const sending = endpoint.sendLocal(new Work({}), { headers: { Custom: 'c'.repeat(131_000), Other: 'o'.repeat(100) } })

  await expect(sending).rejects.toMatchObject({ code: 'NSB_HEADERS_TOO_LARGE', message: expect.stringMatching(/'Custom' \(131000\), 'N?/) })
  await expect(endpoint.sendLocal(new Work({}), { headers: { ['n'.repeat(256)]: 'x' } })).rejects.toMatchObject({
    code: 'NSB_HEADERS_TOO_LARGE',
  })
  await goesOn()
})

import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type MessageHandlerContext, command, defineEndpoint, handler, message, route } from '../../src/index.ts'
import { type TestEndpoint, testWorld } from '../../src/testing/index.ts'

const OrderStatus = { Unknown: 0, Placed: 1, Shipped: 2, Cancelled: 7 } as const
class Ask extends command('Shop.Ask', z.object({ Text: z.string() })) {}
class Answer extends message('Shop.Answer', z.object({ Text: z.string() })) {}
class Other extends message('Shop.Other', z.object({})) {}

const ask = new Ask({ Text: 'what' })
const noRetries = { immediateRetries: 0, delayedRetries: 0 }

async function asking(answer: (context: MessageHandlerContext) => Promise<void>, client: Parameters<typeof defineEndpoint>[1] = {}) {
  const world = testWorld()
  await world.start(defineEndpoint('Server', { handlers: [handler(Ask, (_, context) => answer(context))], recoverability: noRetries }))
  const web = await world.start(
    defineEndpoint('Web', {
      instance: 'a1',
      routes: [route(Ask, 'Server')],
      messages: [Answer, Other],
      recoverability: noRetries,
      ...client,
    }),
  )
  return { web, world }
}

/** Replies by hand, as bytes on the wire. */
async function replying(web: TestEndpoint, headers: Record<string, string>, body = '') {
  const request = web.world.dispatched.find((sent) => sent.type === 'Shop.Ask')
  const id = `r-${Math.random()}`
  await web.world.transport().dispatch([
    {
      id,
      headers: {
        'NServiceBus.MessageId': id,
        'NServiceBus.CorrelationId': request?.id ?? '',
        'NServiceBus.MessageIntent': 'Reply',
        ...headers,
      },
      body: new TextEncoder().encode(body),
      to: { address: 'Web-a1' },
    },
  ])
  await web.world.settle()
  return web.outcome(id)
}

const silent = async (): Promise<void> => undefined
const code = (value: string): Record<string, string> => ({
  'NServiceBus.ControlMessage': 'True',
  'NServiceBus.ReturnMessage.ErrorCode': value,
})
const objectOf = (name: string): Record<string, string> => ({
  'NServiceBus.ContentType': 'application/json',
  'NServiceBus.EnclosedMessageTypes': name,
})
/** A rejection as a value, so that a request may wait while the test goes on. */
const outcomeOf = (request: Promise<unknown>): Promise<unknown> => request.catch((error: unknown) => error)

describe('a request', () => {
  it('CB-3 CB-8 is answered with any Int32', async () => {
    for (const value of [0, 1, -1, 2_147_483_647, -2_147_483_648]) {
      const { web } = await asking((context) => context.reply(value))
      expect(await web.request(ask, 'int')).toBe(value)
    }
  })

  it('CB-9 is answered with every member of an enum, and its number goes on the wire', async () => {
    for (const value of Object.values(OrderStatus)) {
      const { web, world } = await asking((context) => context.replyEnum(OrderStatus, value))

      expect(await web.request(ask, OrderStatus)).toBe(value)
      expect(world.dispatched.find((sent) => sent.to === 'Web-a1')?.headers['NServiceBus.ReturnMessage.ErrorCode']).toBe(String(value))
    }
  })

  it('CB-10 CB-11 CB-30 is answered with an object of its type, and needs no handler for it', async () => {
    const { web, world } = await asking((context) => context.reply(new Answer({ Text: 'that' })))

    const answer = await web.request(ask, Answer)

    expect(answer).toBeInstanceOf(Answer)
    expect(answer.Text).toBe('that')
    await world.settle()
    expect(world.errorQueue).toEqual([])
  })

  it('CB-10 cannot be answered with something that is no message', async () => {
    const { web, world } = await asking((context) => context.reply({ Text: 'that' } as never))

    const answer = outcomeOf(web.request(ask, Answer, { timeoutMs: 1000 }))
    await world.advance('1s')

    expect(await answer).toMatchObject({ code: 'NSB_CALLBACK_TIMEOUT' })
    expect(world.errorQueue).toHaveLength(1)
  })

  it('CB-19 is answered by a control message with exactly the headers of the protocol', async () => {
    const { web, world } = await asking((context) => context.reply(42))
    await web.request(ask, 'int')

    const reply = world.dispatched.find((sent) => sent.to === 'Web-a1')
    expect(reply?.body).toHaveLength(0)
    expect(Object.keys(reply?.headers ?? {}).filter((name) => name !== 'nsb.Version')).toEqual([
      'NServiceBus.MessageId',
      'NServiceBus.MessageIntent',
      'NServiceBus.RelatedTo',
      'NServiceBus.ConversationId',
      'NServiceBus.CorrelationId',
      'NServiceBus.ReturnMessage.ErrorCode',
      'NServiceBus.ControlMessage',
      'NServiceBus.ReplyToAddress',
      'NServiceBus.OriginatingMachine',
      'NServiceBus.OriginatingEndpoint',
      '$.diagnostics.originating.hostid',
      'NServiceBus.Version',
      'NServiceBus.TimeSent',
    ])
  })

  it('CB-21 has its message id as correlation id, and refuses another one', async () => {
    const { web, world } = await asking((context) => context.reply(1))
    await web.request(ask, 'int', { messageId: 'mine' })

    expect(world.dispatched[0]?.headers).toMatchObject({
      'NServiceBus.MessageId': 'mine',
      'NServiceBus.CorrelationId': 'mine',
      'NServiceBus.ReplyToAddress': 'Web-a1',
    })
    await expect(web.request(ask, 'int', { headers: { 'NServiceBus.CorrelationId': 'other' } })).rejects.toMatchObject({
      code: 'NSB_CORRELATION_FIXED',
    })
  })

  it('CB-25 is completed by a reply that is back before the send has returned', async () => {
    const { web } = await asking((context) => context.reply(7))

    expect(await Promise.all(Array.from({ length: 50 }, () => web.request(ask, 'int')))).toEqual(Array.from({ length: 50 }, () => 7))
  })

  it('CB-4 CB-23 takes the first of several replies; later numbers vanish, later objects go to the error queue', async () => {
    const { web, world } = await asking(async (context) => {
      await context.reply(new Answer({ Text: 'first' }))
      await context.reply(new Answer({ Text: 'second' }))
      await context.reply(3)
    })

    expect((await web.request(ask, Answer)).Text).toBe('first')
    await world.settle()
    expect(
      world.errorQueue.map((failed) => [failed.headers['NServiceBus.FailedQ'], failed.headers['NServiceBus.ExceptionInfo.Message']]),
    ).toEqual([['Web-a1', 'No handlers could be found for message type: Shop.Answer']])
  })

  it('CB-24 is completed, and a handler for the type of the reply runs as well', async () => {
    const seen: string[] = []
    const { web, world } = await asking((context) => context.reply(new Answer({ Text: 'that' })), {
      handlers: [handler(Answer, (answer) => void seen.push(answer.Text))],
    })

    await web.request(ask, Answer)
    await world.settle()

    expect(seen).toEqual(['that'])
  })

  it('times out with the id, the destination and the reply queue', async () => {
    const { web, world } = await asking(silent)

    const waiting = outcomeOf(web.request(ask, 'int', { timeoutMs: 5000, messageId: 'm1' }))
    await world.advance('5s')

    expect(await waiting).toMatchObject({
      code: 'NSB_CALLBACK_TIMEOUT',
      message: expect.stringMatching(/'m1' from 'Server' within 5000 ms; replies were expected in 'Web-a1'/),
    })
  })

  it('CB-15 can be cancelled; a late number is dropped, a late object is treated as configured', async () => {
    for (const late of ['error-queue', 'discard'] as const) {
      const { web, world } = await asking(silent, { callbacks: { lateObjectReplies: late } })
      const controller = new AbortController()
      const waiting = outcomeOf(web.request(ask, Answer, { signal: controller.signal }))
      await world.settle()

      controller.abort()

      expect(await waiting).toMatchObject({ code: 'NSB_CALLBACK_CANCELLED', message: expect.stringContaining('A task was canceled') })
      expect((await replying(web, code('1'))).status).toBe('ok')
      expect((await replying(web, objectOf('Shop.Answer'), '{"Text":"late"}')).status).toBe(late === 'discard' ? 'ok' : 'failed')
    }
  })

  it('is not sent when it is cancelled before', async () => {
    const { web, world } = await asking(silent)

    await expect(web.request(ask, 'int', { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'NSB_CALLBACK_CANCELLED' })
    expect(world.dispatched).toEqual([])
  })

  it('is rejected when the endpoint stops, and CB-6 a reply that comes after a restart completes nothing and does no harm', async () => {
    const { web, world } = await asking(silent)
    const waiting = outcomeOf(web.request(ask, 'int'))
    await world.settle()
    await web.stop()
    expect(await waiting).toMatchObject({ code: 'NSB_CALLBACK_CANCELLED' })

    const restarted = await world.start(defineEndpoint('Web', { instance: 'a1', messages: [Answer], recoverability: noRetries }))

    expect((await replying(restarted, code('1'))).status).toBe('ok')
    expect(restarted.pendingRequests).toBe(0)
  })

  it('CB-5 leaves nothing behind, however it ends', async () => {
    const { web, world } = await asking((context) => context.reply(1))
    for (let round = 0; round < 100; round++) await Promise.all(Array.from({ length: 100 }, () => web.request(ask, 'int')))
    const cancelled = outcomeOf(web.request(ask, 'int', { signal: AbortSignal.abort() }))
    const unroutable = outcomeOf(web.request(new Answer({ Text: '' }), 'int'))
    const timed = asking(silent)
    const late = outcomeOf((await timed).web.request(ask, 'int', { timeoutMs: 1 }))
    await (await timed).world.advance(1)

    await Promise.all([cancelled, unroutable, late])

    expect([web.pendingRequests, (await timed).web.pendingRequests]).toEqual([0, 0])
    await world.stop()
  })
})

describe('a reply on the wire', () => {
  const cases: readonly {
    readonly name: string
    readonly headers: Record<string, string>
    readonly body?: string
    readonly expected?: 'int' | 'short' | 'long' | typeof OrderStatus | typeof Answer
    readonly result: unknown
  }[] = [
    {
      name: 'CB-20 with the intent Send completes nothing',
      headers: { ...code('5'), 'NServiceBus.MessageIntent': 'Send' },
      result: { code: 'NSB_CALLBACK_TIMEOUT' },
    },
    {
      name: 'CB-20 of a version before 5.0 needs no intent',
      headers: { ...code('5'), 'NServiceBus.MessageIntent': 'Send', 'NServiceBus.Version': '4.7.0' },
      result: 5,
    },
    { name: 'with the intent in another case completes it', headers: { ...code('5'), 'NServiceBus.MessageIntent': 'reply' }, result: 5 },
    { name: 'CB-26 with the minus sign of some cultures is read', headers: code('\u22125'), result: -5 },
    {
      name: 'CB-28 without the number rejects',
      headers: { 'NServiceBus.ControlMessage': 'True' },
      result: { code: 'NSB_CALLBACK_BAD_RETURN_CODE' },
    },
    {
      name: 'with a text for a number rejects with the words of .NET',
      headers: code('abc'),
      result: { message: `The input string 'abc' was not in a correct format.` },
    },
    {
      name: 'with a number too large rejects with the words of .NET',
      headers: code('2147483648'),
      result: { message: 'Value was either too large or too small for an Int32.' },
    },
    {
      name: 'with a short too large rejects',
      headers: code('32768'),
      expected: 'short',
      result: { message: 'Value was either too large or too small for an Int16.' },
    },
    { name: 'with a long keeps every digit', headers: code('9007199254740993'), expected: 'long', result: 9_007_199_254_740_993n },
    { name: 'with the name of an enum member is read', headers: code('Shipped'), expected: OrderStatus, result: 2 },
    {
      name: 'with an unknown enum name rejects',
      headers: code('Nope'),
      expected: OrderStatus,
      result: { message: `Requested value 'Nope' was not found.` },
    },
    {
      name: 'with an unknown enum number rejects',
      headers: code('4242'),
      expected: OrderStatus,
      result: { message: `Requested value '4242' was not found.` },
    },
    {
      name: 'CB-22 that is a number where an object is expected rejects',
      headers: code('5'),
      expected: Answer,
      result: {
        code: 'NSB_CALLBACK_TYPE_MISMATCH',
        message: `The return code can only be an enum or an integer. (Parameter 'destinationType')`,
      },
    },
    {
      name: 'CB-22 that is an object of another type rejects',
      headers: objectOf('Shop.Other'),
      body: '{}',
      expected: Answer,
      result: { message: `Unable to cast object of type 'Shop.Other' to type 'Shop.Answer'.` },
    },
    {
      name: 'CB-22 that is an object where a number is expected rejects',
      headers: objectOf('Shop.Other'),
      body: '{}',
      result: { message: `Unable to cast object of type 'Shop.Other' to type 'System.Int32'.` },
    },
  ]
  for (const { body, expected = 'int', headers, name, result } of cases)
    it(name, async () => {
      const { web, world } = await asking(silent)
      const waiting = outcomeOf(web.request(ask, expected as 'int', { timeoutMs: 1000 }))
      await world.settle()

      const received = await replying(web, headers, body)
      await world.advance('1s')

      const outcome = await waiting
      if (typeof result === 'object') expect(outcome).toMatchObject(result as object)
      else expect(outcome).toBe(result)
      expect(received.status).toBe('ok')
    })

  it('fails its own processing too where parity with .NET is asked for', async () => {
    const { web, world } = await asking(silent, { callbacks: { onMismatch: 'fail' } })
    const waiting = outcomeOf(web.request(ask, 'int'))
    await world.settle()

    expect((await replying(web, code('abc'))).status).toBe('failed')
    expect(await waiting).toMatchObject({ code: 'NSB_CALLBACK_BAD_RETURN_CODE' })
  })
})

describe('the requester', () => {
  it('CB-1 cannot be send-only: the request fails at once', async () => {
    const world = testWorld()
    const web = await world.start(defineEndpoint('Web', { sendOnly: true, routes: [route(Ask, 'Server')] }))

    await expect(web.request(ask, 'int')).rejects.toMatchObject({ code: 'NSB_SEND_ONLY' })
    expect(world.dispatched).toEqual([])
  })

  it('CB-7 needs an instance id, and the error names the setting', async () => {
    const world = testWorld()
    const web = await world.start(defineEndpoint('Web', { routes: [route(Ask, 'Server')] }))

    await expect(web.request(ask, 'int')).rejects.toMatchObject({
      code: 'NSB_NO_INSTANCE',
      suggestions: [expect.stringContaining('instance:'), expect.any(String)],
    })
  })

  it('CB-2 CB-16 handles what arrives in its queues like any endpoint, replies to plain sends included', async () => {
    const seen: string[] = []
    const { web, world } = await asking((context) => context.reply(new Answer({ Text: 'that' })), {
      handlers: [handler(Answer, (answer, context) => void seen.push(answer.Text, context.headers['NServiceBus.MessageIntent'] ?? ''))],
    })

    await web.send(ask)
    await world.settle()

    expect(seen).toEqual(['that', 'Reply'])
  })

  it('CB-12 cannot request inside a handler, however deep', async () => {
    const world = testWorld()
    let web: TestEndpoint | undefined
    const errors: unknown[] = []
    const deep = async (): Promise<void> => {
      await new Promise((resolve) => setImmediate(resolve))
      await web?.request(ask, 'int').catch((error: unknown) => errors.push(error))
    }
    web = await world.start(defineEndpoint('Web', { instance: 'a1', routes: [route(Ask, 'Server')], handlers: [handler(Ask, deep)] }))

    await web.receive(ask)

    expect(errors).toMatchObject([{ code: 'NSB_REQUEST_IN_HANDLER' }])
  })
})

describe('an instance queue', () => {
  class Sum extends command('Shop.Sum', z.object({ Number: z.number() })) {}
  const adding = handler(Sum, async ({ Number: number }, context) => {
    // Replies come back in another order than the requests went out.
    for (let turn = 0; turn < number % 7; turn += 1) await new Promise((resolve) => setImmediate(resolve))
    await context.reply(number * 2)
  })

  it('CB-13 takes the replies to 100 requests at once, each to its own', async () => {
    const world = testWorld()
    await world.start(defineEndpoint('Server', { handlers: [adding], concurrency: 16 }))
    const web = await world.start(defineEndpoint('Web', { instance: 'a1', routes: [route(Sum, 'Server')] }))
    const numbers = Array.from({ length: 100 }, (_, index) => index)

    const answers = await Promise.all(numbers.map((number) => web.request(new Sum({ Number: number }), 'int')))

    expect(answers).toEqual(numbers.map((number) => number * 2))
    expect(web.pendingRequests).toBe(0)
  })

  it('CB-14 gets the replies to its own instance only', async () => {
    const world = testWorld()
    await world.start(defineEndpoint('Server', { handlers: [adding] }))
    const start = (instance: string) => world.start(defineEndpoint('Web', { instance, routes: [route(Sum, 'Server')] }))
    const [one, other] = [await start('a1'), await start('b2')]

    const answers = await Promise.all([
      one.request(new Sum({ Number: 1 }), 'int', { messageId: 'r1' }),
      other.request(new Sum({ Number: 2 }), 'int', { messageId: 'r2' }),
    ])
    await world.settle()

    const replies = world.dispatched.filter(({ headers }) => headers['NServiceBus.MessageIntent'] === 'Reply')
    expect(answers).toEqual([2, 4])
    expect(Object.fromEntries(replies.map(({ headers, to }) => [headers['NServiceBus.CorrelationId'], to]))).toEqual({
      r1: 'Web-a1',
      r2: 'Web-b2',
    })
    expect(replies.map(({ id }) => one.outcome(id).attempts + other.outcome(id).attempts)).toEqual([1, 1])
  })
})

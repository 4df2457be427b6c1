import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type MessageHandlerContext, type SendOptions, command, defineEndpoint, event, handler, message, route } from '../../src/index.ts'
import { testEndpoint } from '../../src/testing/index.ts'

class Start extends command('Shop.Start', z.object({})) {}
class Work extends command('Shop.Billing.Work', z.object({ Id: z.string() })) {}
class Expiring extends command('Shop.Expiring', z.object({}), { timeToBeReceived: '00:01:00' }) {}
class Happened extends event('Shop.Happened', z.object({})) {}
class Answer extends message('Shop.Answer', z.object({})) {}

const noRetries = { immediateRetries: 0, delayedRetries: 0 }
const now = Date.UTC(2026, 0, 2, 3, 4, 5, 6)

async function run(act: (context: MessageHandlerContext) => Promise<void>, headers: Record<string, string> = {}) {
  const endpoint = await testEndpoint(
    defineEndpoint('Sales', {
      handlers: [handler(Start, (_, context) => act(context))],
      routes: [route(Work, 'Billing')],
      recoverability: noRetries,
      host: { machine: 'web-1', id: 'f'.repeat(32) },
    }),
    { now },
  )
  return endpoint.receive(new Start({}), {
    'NServiceBus.MessageId': 'm1',
    'NServiceBus.ConversationId': 'c1',
    'NServiceBus.CorrelationId': 'k1',
    ...headers,
  })
}
const send = (options: SendOptions = {}) => run((context) => context.send(new Work({ Id: '7' }), options))

describe('a message sent by a handler', () => {
  it('has every header of a .NET endpoint, in its order', async () => {
    const { dispatched } = await send()

    expect(Object.entries(dispatched[0]?.headers ?? {}).filter(([name]) => name !== 'nsb.Version')).toEqual([
      ['NServiceBus.MessageId', dispatched[0]?.id],
      ['NServiceBus.OpenTelemetry.StartNewTrace', 'False'],
      ['NServiceBus.MessageIntent', 'Send'],
      ['NServiceBus.RelatedTo', 'm1'],
      ['NServiceBus.ConversationId', 'c1'],
      ['NServiceBus.CorrelationId', 'k1'],
      ['NServiceBus.ReplyToAddress', 'Sales'],
      ['NServiceBus.OriginatingMachine', 'web-1'],
      ['NServiceBus.OriginatingEndpoint', 'Sales'],
      ['$.diagnostics.originating.hostid', 'f'.repeat(32)],
      ['NServiceBus.ContentType', 'application/json'],
      ['NServiceBus.EnclosedMessageTypes', 'Shop.Billing.Work'],
      ['NServiceBus.Version', '10.2.8'],
      ['NServiceBus.TimeSent', '2026-01-02 03:04:05:006000 Z'],
    ])
    expect(dispatched[0]).toMatchObject({ to: 'Billing', data: { Id: '7' } })
  })

  it('correlates by the id of the handled message when that has no correlation id', async () => {
    const { dispatched } = await run((context) => context.send(new Work({ Id: '7' })), { 'NServiceBus.CorrelationId': '' })

    expect(dispatched[0]?.headers['NServiceBus.CorrelationId']).toBe('m1')
  })

  it('can start a conversation of its own, and names the one it came from', async () => {
    const { dispatched } = await send({ startNewConversation: 'c2' })

    expect(dispatched[0]?.headers).toMatchObject({ 'NServiceBus.ConversationId': 'c2', 'NServiceBus.PreviousConversationId': 'c1' })
  })

  it('cannot take another conversation id', async () => {
    const { error } = await send({ headers: { 'NServiceBus.ConversationId': 'c1' } })

    expect(error).toMatchObject({
      code: 'NSB_CONVERSATION_FIXED',
      message: expect.stringContaining(`cannot override the incoming header value ('c1')`),
    })
  })

  it('keeps custom headers, and a correlation id cannot be one', async () => {
    const { dispatched } = await send({ headers: { Tenant: 'a', 'NServiceBus.CorrelationId': 'mine' } })

    expect(dispatched[0]?.headers).toMatchObject({ Tenant: 'a', 'NServiceBus.CorrelationId': 'k1' })
  })

  it('takes the id it is given', async () => {
    const { dispatched } = await send({ messageId: 'order-0001' })

    expect(dispatched[0]).toMatchObject({ id: 'order-0001', headers: { 'NServiceBus.MessageId': 'order-0001' } })
  })

  it('is due when the delay is over', async () => {
    const { dispatched } = await send({ delayDeliveryWith: '10s' })

    expect(dispatched[0]?.headers['NServiceBus.DeliverAt']).toBe('2026-01-02 03:04:15:006000 Z')
    expect(dispatched[0]?.deliverAt?.getTime()).toBe(now + 10_000)
  })

  const refused: readonly [string, SendOptions, string][] = [
    ['two routing options', { destination: 'A', routeToThisEndpoint: true }, 'NSB_CONFLICTING_OPTIONS'],
    ['two delays', { delayDeliveryWith: 1, doNotDeliverBefore: new Date() }, 'NSB_CONFLICTING_OPTIONS'],
    ['two reply addresses', { routeReplyTo: 'A', routeReplyToAnyInstance: true }, 'NSB_CONFLICTING_OPTIONS'],
    ['a negative delay', { delayDeliveryWith: -1 }, 'NSB_BAD_DELAY'],
    ['a delay beyond all calendars', { delayDeliveryWith: '99999999d' }, 'NSB_BAD_DELAY'],
    ['an invalid date', { doNotDeliverBefore: new Date(Number.NaN) }, 'NSB_BAD_DELAY'],
    ['this instance, without one', { routeToThisInstance: true }, 'NSB_NO_INSTANCE'],
    ['a blank id', { messageId: ' ' }, 'NSB_BLANK_MESSAGE_ID'],
    ['a conversation with a blank id', { startNewConversation: ' ' }, 'NSB_BLANK_CONVERSATION_ID'],
  ]
  for (const [name, options, code] of refused)
    it(`is refused with ${name}`, async () => {
      expect((await send(options)).error).toMatchObject({ code })
    })

  it('is refused without a route, with the words of .NET', async () => {
    const { error } = await run((context) => context.send(new Start({})))

    expect(error).toMatchObject({ code: 'NSB_NO_ROUTE', message: 'No destination specified for message: Shop.Start' })
  })

  it('is refused with a delay when it expires', async () => {
    const { error } = await run((context) => context.send(new Expiring({}), { destination: 'A', delayDeliveryWith: 5 }))

    expect(error).toMatchObject({ code: 'NSB_DELAYED_AND_EXPIRING' })
  })

  it('is refused when it is no message instance', async () => {
    const { error } = await run((context) => context.send({ Id: '7' } as never))

    expect(error).toMatchObject({ code: 'NSB_NOT_A_MESSAGE' })
  })
})

describe('best practices', () => {
  const cases: readonly [string, (context: MessageHandlerContext) => Promise<void>, string][] = [
    [
      'sending an event',
      (context) => context.send(new Happened({}) as never, { destination: 'A' }),
      'Events can have multiple recipients, so they should be published.',
    ],
    [
      'publishing a command',
      (context) => context.publish(new Work({ Id: '7' }) as never),
      'Pub/sub is not supported for commands, so they should be be sent to their logical owner instead.',
    ],
    [
      'replying with a command',
      (context) => context.reply(new Work({ Id: '7' }) as never, { destination: 'A' }),
      'Reply is not supported for commands or events.',
    ],
  ]
  for (const [name, act, text] of cases)
    it(`refuse ${name}`, async () => {
      expect((await run(act)).error).toMatchObject({ code: 'NSB_BEST_PRACTICE', message: expect.stringContaining(text) })
    })

  it('can be switched off for one operation', async () => {
    const outcome = await run((context) => context.send(new Happened({}) as never, { destination: 'A', doNotEnforceBestPractices: true }))

    expect(outcome.dispatched).toMatchObject([{ to: 'A' }])
  })
})

it('a published event has the intent and lets receivers start a trace', async () => {
  const { dispatched } = await run((context) => context.publish(new Happened({})))

  expect(dispatched).toMatchObject([
    { to: 'event:Shop.Happened', headers: { 'NServiceBus.MessageIntent': 'Publish', 'NServiceBus.OpenTelemetry.StartNewTrace': 'True' } },
  ])
})

it('a reply carries the saga that asked, and no trace header', async () => {
  const { dispatched } = await run((context) => context.reply(new Answer({})), {
    'NServiceBus.ReplyToAddress': 'Web',
    'NServiceBus.OriginatingSagaId': 's1',
    'NServiceBus.OriginatingSagaType': 'Saga, Asm',
  })

  expect(dispatched[0]?.headers).toMatchObject({ 'NServiceBus.SagaId': 's1', 'NServiceBus.SagaType': 'Saga, Asm' })
  expect(dispatched[0]?.headers).not.toHaveProperty(['NServiceBus.OpenTelemetry.StartNewTrace'])
})

it('a forwarded message is the same one', async () => {
  const { dispatched } = await run((context) => context.forwardCurrentMessageTo('Archive'))

  expect(dispatched).toMatchObject([{ to: 'Archive', id: 'm1', headers: { 'NServiceBus.ConversationId': 'c1' } }])
})

describe('routing', () => {
  const to = async (routes: ReturnType<typeof route>[]) => {
    const endpoint = await testEndpoint(
      defineEndpoint('Sales', {
        handlers: [handler(Start, (_, context) => context.send(new Work({ Id: '7' })))],
        routes,
        recoverability: noRetries,
      }),
    )
    return (await endpoint.receive(new Start({}))).dispatched[0]?.to
  }

  it('prefers a type to a namespace, a namespace to a pattern, and a longer pattern to a shorter one', async () => {
    const pattern = [route('Shop.*', 'ByShortPattern'), route('Shop.Billing.*', 'ByPattern')]
    const namespace = [...pattern, route('shop.billing', 'ByNamespace')]

    expect(await to(pattern)).toBe('ByPattern')
    expect(await to(namespace)).toBe('ByNamespace')
    expect(await to([...namespace, route(Work, 'ByType')])).toBe('ByType')
  })

  it('refuses two owners of one type', async () => {
    await expect(to([route(Work, 'A'), route(Work, 'B')])).rejects.toMatchObject({ code: 'NSB_DUPLICATE_ROUTE' })
  })

  it('refuses a destination with a machine name', () => {
    expect(() => route(Work, 'Billing@web-1')).toThrow(expect.objectContaining({ code: 'NSB_BAD_ROUTE' }))
  })
})

describe('static headers', () => {
  it('are on everything the endpoint sends, and win over headers of the operation', async () => {
    const endpoint = await testEndpoint({
      staticHeaders: { Tenant: 'a' },
      handlers: [
        handler(Start, async (_, context) => {
          await context.send(new Work({ Id: '7' }), { destination: 'A', headers: { Tenant: 'b', Other: 'c' } })
          await context.publish(new Happened({}))
          await context.reply(7)
        }),
      ],
    })

    const { dispatched } = await endpoint.receive(new Start({}), { 'NServiceBus.ReplyToAddress': 'Web' })

    expect(dispatched.map(({ headers }) => headers['Tenant'])).toEqual(['a', 'a', 'a'])
    expect(dispatched[0]?.headers['Other']).toBe('c')
  })

  it('are not on audit copies, and cannot have a blank name', async () => {
    const endpoint = await testEndpoint({
      staticHeaders: { Tenant: 'a' },
      auditQueue: 'audit',
      handlers: [handler(Start, () => undefined)],
    })

    expect((await endpoint.receive(new Start({}))).audit?.headers['Tenant']).toBeUndefined()
    expect(() => defineEndpoint('Sales', { staticHeaders: { ' ': 'a' } })).toThrow(expect.objectContaining({ code: 'NSB_BAD_ENDPOINT' }))
  })
})

import { beforeAll, describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import {
  type EndpointEvent,
  type RecoverabilityPolicy,
  type RecoverabilitySettings,
  command,
  defineEndpoint,
  handler,
} from '../../../src/index.ts'
import { formatTimeSpan, formatTimestamp } from '../../../src/message/wire-formats.ts'
import {
  CancelOrder,
  CancelOrderAck,
  FailingOrder,
  FlakyOrder,
  GetOrder,
  GetOrderCount,
  GetOrderStatus,
  NobodyHandlesThis,
  OrderDetails,
  OrderPlaced,
  OrderStatus,
  PackOrder,
  PlaceOrder,
  PrepareOrder,
  ReminderDue,
  sampleOrderId,
  shopHost,
} from '../../support/shop.ts'
import { type System, system } from './endpoints.ts'
import { type Recorded, type WireMessage, delayExchanges, expectSame, recording, until, written } from './wire.ts'

// Recorded messages are put into the queues of our endpoints; what they send because of them is compared with what NServiceBus sent.

class RejectedOrder extends command('Shop.Messages.RejectedOrder', z.object({ OrderId: z.string() }), { assembly: 'Shop.Messages' }) {}

class OrderRejectedException extends Error {
  override name = 'Shop.Handlers.OrderRejectedException'
  readonly source = 'Peer'
}

/** An exception as the recorded handler throws it. */
function recordedFailure(): Error {
  const timeout = Object.assign(new Error('The warehouse did not answer within 00:00:05.'), { name: 'System.TimeoutException' })
  const io = Object.assign(new Error('Reading the stock level failed.', { cause: timeout }), { name: 'System.IO.IOException' })
  return Object.assign(new Error(`Order ${sampleOrderId} cannot be placed: "stock" unknown — é ✓`, { cause: io }), {
    name: 'System.InvalidOperationException',
    helpLink: 'https://shop.example/errors/42',
    source: 'Peer',
    Sku: 'BOOK-1',
    Quantity: 3,
  })
}

/** What each message is allowed, by the beginning of its id: the recorded receivers differ. */
const retries = new Map<string, Partial<RecoverabilitySettings>>()
const byMessage: RecoverabilityPolicy = ({ messageId }, byDefault) =>
  byDefault({
    immediateRetries: 5,
    delayedRetries: 3,
    delayIncreaseMs: 1000,
    unrecoverable: [OrderRejectedException],
    ...retries.get(messageId),
  })

let shop: System
/** Everything that is published, as the queues of all endpoints get it. */
let seen: readonly WireMessage[]
let delayed: readonly WireMessage[]
const events: EndpointEvent[] = []
let nativeHeaders: unknown
const remindedAt = new Map<string, number>()

beforeAll(async () => {
  shop = await system()
  const server = await shop.start(
    defineEndpoint('Shop.Server', {
      host: shopHost,
      auditQueue: 'audit',
      concurrency: 50,
      recoverability: byMessage,
      messages: [NobodyHandlesThis],
      handlers: [
        handler(GetOrderStatus, (_, context) => context.replyEnum(OrderStatus, OrderStatus.Cancelled)),
        handler(GetOrderCount, (_, context) => context.reply(42)),
        handler(GetOrder, ({ OrderId }, context) => context.reply(new OrderDetails({ OrderId, Status: 2, Total: '19.90' }))),
        handler(CancelOrder, ({ OrderId }, context) => context.reply(new CancelOrderAck({ OrderId, Accepted: true }))),
        handler(PlaceOrder, async ({ OrderId, Total }, context) => {
          if (context.messageId === 'native-1') nativeHeaders = context.headers
          await context.publish(new OrderPlaced({ OrderId, Total: Total ?? 0, Status: 1 }))
        }),
        handler(PrepareOrder, ({ OrderId }, context) => context.sendLocal(new PackOrder({ OrderId }))),
        handler(PackOrder, () => undefined),
        handler(ReminderDue, (_, context) => void remindedAt.set(context.messageId, performance.now())),
        handler(FlakyOrder, () => undefined),
        handler(
          FailingOrder,
          () => {
            throw recordedFailure()
          },
          { name: 'Shop.Handlers.FailingOrderHandler' },
        ),
        handler(
          RejectedOrder,
          () => {
            throw new OrderRejectedException('The order was rejected.')
          },
          { name: 'Shop.Handlers.RejectedOrderHandler' },
        ),
      ],
    }),
    { observe: (event) => void events.push(event) },
  )
  await (await shop.start(defineEndpoint('Shop.Billing', { handlers: [handler(OrderPlaced, () => undefined)] }))).stop()
  await shop.start(
    defineEndpoint('Shop.Client', {
      instance: '1',
      host: shopHost,
      messages: [OrderDetails],
      recoverability: { immediateRetries: 0, delayedRetries: 0 },
    }),
  )
  await shop.transport('Shop.Acknowledged').createQueues(['retry-ack'])
  const queues = ['Shop.Server', 'Shop.Client', 'Shop.Client-1', 'Shop.Billing', 'audit', 'error', 'retry-ack']
  seen = await shop.wire.spy(...queues.map((queue) => [queue, ''] as const))
  delayed = await shop.wire.spy(...delayExchanges)
  expect(server.name).toBe('Shop.Server')
})

const related = (id: unknown) => (message: WireMessage) => message.headers['NServiceBus.RelatedTo'] === id
const movedTo = (exchange: string, id: unknown) => (message: WireMessage) =>
  message.exchange === exchange && message.properties['messageId'] === id

function without(headers: Readonly<Record<string, unknown>>, ...names: readonly (string | RegExp)[]): Record<string, unknown> {
  const left = ([name]: [string, unknown]): boolean => !names.some((each) => (typeof each === 'string' ? name === each : each.test(name)))
  return Object.fromEntries(Object.entries(headers).filter(left))
}

const ofFailing = [
  /^(x-|NServiceBus\.(ExceptionInfo\.|Processing|FailedQ|TimeOfFailure|Retries|DeliverAt))/,
  '$.diagnostics.hostid',
  '$.diagnostics.hostdisplayname',
]

/** A recorded message of the error queue as it was before anything went wrong. */
function original(failed: Recorded): Recorded & { readonly properties: Record<string, unknown> } {
  const headers = failed.headers ?? {}
  // A message without origin was written by hand, and stamped when it failed.
  const byHand = headers['$.diagnostics.originating.hostid'] === undefined ? ['NServiceBus.TimeSent', 'NServiceBus.Version'] : []
  return { ...failed, headerWireTypes: {}, headers: without(headers, ...ofFailing, ...byHand), properties: { ...failed.properties } }
}

/** The recorded words for a decision of ours. */
function decisions(id: string): readonly unknown[] {
  const names = { retryNow: 'ImmediateRetry', retryLater: 'DelayedRetry', moveToError: 'MoveToError', discard: 'Discard' }
  return events
    .filter(({ message }) => message.id === id)
    .flatMap(({ message, outcome }) => {
      if (outcome.kind !== 'failed') return []
      const { action, error } = outcome
      return [
        {
          immediateProcessingFailures: message.attempt,
          delayedDeliveriesPerformed: Number(message.headers['NServiceBus.Retries'] ?? 0),
          action: names[action.kind],
          delay: action.kind === 'retryLater' ? formatTimeSpan(action.delayMs) : null,
          message: (error as Error).message,
        },
      ]
    })
}

interface Decided {
  readonly exception: string
}

/** What the exception is called is told by the error queue. */
async function expectDecisions(id: string, recorded: readonly Decided[]): Promise<void> {
  const words = recorded.map((decided) => without({ ...decided }, 'exception'))
  // A message is at the error queue before its settling is told.
  await vi.waitFor(() => expect(decisions(id)).toEqual(words), { interval: 10, timeout: 20_000 })
}

describe('an answer equals the recorded one', () => {
  for (const [request, response] of [
    ['callback-enum-request', 'callback-enum-response'],
    ['callback-int-request', 'callback-int-response'],
    ['callback-object-request', 'callback-object-response'],
    ['reply-request', 'reply-response'],
  ] as const)
    it(`CB-18 CB-19 in ${response}`, async () => {
      const recorded = recording(request)

      shop.wire.publish('Shop.Server', '', recorded)

      expectSame(await until(seen, related(recorded.properties['messageId'])), recording(response))
    })

  it('and so does the audit copy, in audit-callback-request', async () => {
    const copy = recording('audit-callback-request')
    shop.wire.publish('Shop.Server', '', original(copy))

    expectSame(await until(seen, movedTo('audit', copy.properties['messageId'])), copy)
  })

  it('to a command: the event in publish-from-handler and the copy in audit-command', async () => {
    const copy = recording('audit-command')
    shop.wire.publish('Shop.Server', '', original(copy))

    const id = copy.properties['messageId']
    expectSame(await until(seen, movedTo('audit', id)), copy)
    expectSame(await until(seen, related(id)), recording('publish-from-handler'))
  })

  it('in sendlocal-from-handler, headers in the recorded order', async () => {
    const golden = recording('sendlocal-from-handler')
    const id = golden.headers['NServiceBus.RelatedTo']
    shop.wire.publish('Shop.Server', '', {
      properties: { messageId: id, type: 'Shop.Messages.PrepareOrder', contentType: 'application/json' },
      headers: { 'NServiceBus.ConversationId': golden.headers['NServiceBus.ConversationId'] },
      bodyText: golden.bodyText,
    })

    const ours = await until(seen, related(id))
    expectSame(ours, golden)
    expect(written(ours)).toEqual(written(golden))
  })

  it('to a message of a foreign sender, in rabbitmq-native-minimal-message', async () => {
    const { trace } = recording<{ readonly trace: readonly { event: string; destination?: string; headers: Record<string, string> }[] }>(
      '../dispatch/rabbitmq-native-minimal-message',
    )
    const traced = (event: string, destination?: string): { readonly headers: Record<string, string> } =>
      trace.find((each) => each.event === event && each.destination === destination) as (typeof trace)[number]
    shop.wire.publish('Shop.Server', '', {
      properties: { messageId: 'native-1', type: 'Shop.Messages.PlaceOrder' },
      bodyText: JSON.stringify({ OrderId: sampleOrderId, Customer: 'native', Total: 1, PlacedAt: '', Lines: [] }),
    })

    const audited = await until(seen, movedTo('audit', 'native-1'))
    expect(nativeHeaders).toEqual(traced('handling').headers)
    expectSame({ headers: audited.headers }, traced('dispatched', 'audit'))
    const published = await until(seen, related('native-1'))
    expectSame({ headers: published.headers }, traced('dispatched', 'event:Shop.Messages.OrderPlaced'))
  })
})

describe('a failing or delayed message', () => {
  interface Failed extends WireMessage {
    readonly recoverability: readonly Decided[]
  }
  // Two platforms do not say alike what is wrong with a body.
  const inner = ['NServiceBus.ExceptionInfo.InnerExceptionType', 'NServiceBus.ExceptionInfo.Source']

  for (const name of ['error-unrecoverable', 'error-deserialization', 'error-unknown-type', 'error-no-type', 'error-wrong-content-type'])
    it(`goes to the error queue at once and as recorded in ${name}`, async () => {
      const golden = recording<Failed>(name)
      const id = golden.properties['messageId'] as string
      shop.wire.publish('Shop.Server', '', { ...original(golden), ...(name === 'error-no-type' && { headers: withoutType(golden) }) })

      const ours = await until(seen, movedTo('error', id))

      expectSame(ours, golden, inner)
      await expectDecisions(id, golden.recoverability)
    })

  it.concurrent('RMQ-12 takes the recorded way over the delays, and arrives as recorded: error-retries-exhausted, delayed-retry-hops', async () => {
    const golden = recording<Failed>('error-retries-exhausted')
    const { deliveredBackToEndpoint, hops } = recording<{ readonly hops: WireMessage[]; readonly deliveredBackToEndpoint: WireMessage[] }>(
      'delayed-retry-hops',
    )
    const id = golden.properties['messageId'] as string
    shop.wire.publish('Shop.Server', '', original(golden))

    const ours = await until(seen, movedTo('error', id))

    expectSame(ours, golden)
    await expectDecisions(id, golden.recoverability)
    const isOurs = ({ properties }: WireMessage): boolean => properties['messageId'] === id
    const passed = delayed.filter(isOurs)
    expect(passed).toHaveLength(hops.length)
    for (const [index, hop] of hops.entries()) expectSame(passed[index] as WireMessage, hop)
    const back = seen.filter((message) => isOurs(message) && message.exchange.startsWith('nsb.v2.'))
    expect(back).toHaveLength(deliveredBackToEndpoint.length)
    for (const [index, delivered] of deliveredBackToEndpoint.entries()) expectSame(back[index] as WireMessage, delivered)
  })

  it.concurrent('RMQ-6 that NServiceBus has delayed arrives when it is due, and not before', async () => {
    const [sent] = recording<{ readonly hops: readonly WireMessage[] }>('deferred-delay-400ms').hops
    const { exchange, properties, routingKey } = sent as WireMessage
    const sentAt = performance.now()
    shop.wire.publish(exchange, routingKey, { ...sent, bodyText: JSON.stringify({ OrderId: sampleOrderId }) })

    const at = await vi.waitUntil(() => remindedAt.get(properties['messageId'] as string), { timeout: 20_000, interval: 5 })

    expect(at - sentAt).toBeGreaterThanOrEqual(999)
  })

  it.concurrent('without a handler is retried like any other: error-no-handler', async () => {
    const golden = recording<Failed>('error-no-handler')
    const id = golden.properties['messageId'] as string
    shop.wire.publish('Shop.Server', '', original(golden))

    const ours = await until(seen, movedTo('error', id))

    expectSame(ours, golden, inner)
    await expectDecisions(id, golden.recoverability)
  })

  for (const name of ['replay-asis-fails-again', 'replay-servicecontrol-fails-again'])
    it.concurrent(`that was sent back has all its retries again: ${name}`, async () => {
      interface Replayed {
        readonly errorMessageBefore?: WireMessage
        readonly errorMessageAfter: WireMessage
        readonly sentHeaders?: Record<string, string>
        readonly recoverabilityAfterReplay: readonly Decided[]
        readonly acknowledgements: unknown
      }
      const id = `11111111-2222-4333-8444-${name.length}5555555555`
      const golden = renamed(recording<Replayed & WireMessage>(name), id)
      retries.set(id, { immediateRetries: 1, delayedRetries: 2 })
      const after = golden.errorMessageAfter
      const sent = { ...(golden.sentHeaders ?? without(golden.errorMessageBefore?.headers ?? {}, /^x-/)) }
      // Retries of another day would be used up.
      if ('NServiceBus.Retries.Timestamp' in sent) sent['NServiceBus.Retries.Timestamp'] = formatTimestamp(Date.now())

      shop.wire.publish('Shop.Server', '', { ...after, headers: sent, headerWireTypes: {} })

      expectSame(await until(seen, movedTo('error', id)), after)
      await expectDecisions(id, golden.recoverabilityAfterReplay)
      expect(golden.acknowledgements).toEqual([])
    })

  it('whose retries are used up has none left: replay-with-retries-header', async () => {
    const id = '11111111-2222-4333-8444-565555555555'
    const golden = renamed(
      recording<{ errorMessageAfter: WireMessage; recoverability: Decided[] } & WireMessage>('replay-with-retries-header'),
      id,
    )
    retries.set(id, { immediateRetries: 0, delayedRetries: 3 })
    const { headers, ...rest } = golden.errorMessageAfter
    const sent = without(headers, /^(x-|NServiceBus\.(ExceptionInfo\.|FailedQ|TimeOfFailure))/)
    shop.wire.publish('Shop.Server', '', { ...rest, headers: { ...sent, 'NServiceBus.Retries': '3' } })

    expectSame(await until(seen, movedTo('error', id)), golden.errorMessageAfter)
    await expectDecisions(id, golden.recoverability)
  })

  it('whose retries are of another day has none left: replay-with-old-retries-timestamp', async () => {
    interface Old {
      readonly sentHeaders: Record<string, string>
      readonly errorMessageAfter: Record<string, string>
      readonly recoverability: Decided[]
    }
    const golden = recording<Old>('replay-with-old-retries-timestamp')
    retries.set('old-1', { immediateRetries: 0, delayedRetries: 2 })
    shop.wire.publish('Shop.Server', '', {
      properties: { messageId: 'old-1', type: 'Shop.Messages.FailingOrder' },
      headers: golden.sentHeaders,
      bodyText: JSON.stringify({ OrderId: sampleOrderId, Note: null }),
    })

    const { headers } = await until(seen, movedTo('error', 'old-1'))
    expectSame({ headers }, { headers: golden.errorMessageAfter })
    await expectDecisions('old-1', golden.recoverability)
  })

  it('CB-23 that is a reply nobody waits for: error-late-callback-object-reply', async () => {
    const golden = recording('error-late-callback-object-reply')
    shop.wire.publish('Shop.Client-1', '', original(golden))

    expectSame(await until(seen, movedTo('error', 'late-object')), golden, inner)
  })

  it('RMQ-11 without a message id goes to the error queue as it is, without a word: error-no-message-id', async () => {
    const golden = recording('error-no-message-id')
    const isIt = ({ exchange, headers }: WireMessage): boolean => exchange === 'error' && headers['NServiceBus.MessageId'] === 'raw-0004'
    shop.wire.publish('Shop.Server', '', { ...original(golden), headerWireTypes: golden.headerWireTypes })

    expectSame(await until(seen, isIt), golden)
  })
})

describe('a message that was sent back', () => {
  interface Replay {
    readonly sentHeaders: Record<string, string>
    readonly errorMessageBefore: WireMessage
    readonly errorMessageAfter: WireMessage
    readonly auditMessage: WireMessage
    readonly acknowledgement: WireMessage
    readonly auditHeaders: Record<string, string>
    readonly audit: readonly WireMessage[]
  }

  it('carries its failure into the audit copy: replay-asis-succeeds', async () => {
    const { auditMessage, errorMessageBefore } = recording<Replay>('replay-asis-succeeds')
    shop.wire.publish('Shop.Server', '', { ...errorMessageBefore, headers: without(errorMessageBefore.headers, /^x-/) })

    const copy = await until(seen, movedTo('audit', auditMessage.properties['messageId']))
    expectSame(copy, auditMessage)
  })

  it('RC-13 is acknowledged to who sent it: replay-servicecontrol-succeeds', async () => {
    const { acknowledgement, auditMessage, sentHeaders } = recording<Replay>('replay-servicecontrol-succeeds')
    shop.wire.publish('Shop.Server', '', { ...auditMessage, headers: sentHeaders, headerWireTypes: {} })

    const ours = await until(seen, ({ exchange }) => exchange === 'retry-ack')
    expectSame(ours, acknowledgement)
    expect(written(ours)).toEqual(written(acknowledgement))
    expectSame(await until(seen, movedTo('audit', auditMessage.properties['messageId'])), auditMessage)
  })

  it('is not acknowledged without its unique id: replay-ack-queue-without-unique-id', async () => {
    const { auditHeaders } = recording<Replay>('replay-ack-queue-without-unique-id')
    const id = auditHeaders['NServiceBus.MessageId'] as string
    const before = seen.filter(({ exchange }) => exchange === 'retry-ack').length
    shop.wire.publish('Shop.Server', '', {
      properties: { messageId: id, contentType: 'application/json' },
      headers: without(auditHeaders, ...ofFailing),
      bodyText: JSON.stringify({ OrderId: sampleOrderId, FailTimes: 1 }),
    })

    const copy = await until(seen, movedTo('audit', id))
    expectSame({ headers: copy.headers }, { headers: auditHeaders })
    expect(seen.filter(({ exchange }) => exchange === 'retry-ack')).toHaveLength(before)
  })

  it('fails when the queue to acknowledge to is missing: replay-ack-queue-missing', async () => {
    const { audit, errorMessageAfter } = recording<Replay>('replay-ack-queue-missing')
    const id = errorMessageAfter.properties['messageId'] as string
    retries.set(id, { immediateRetries: 0, delayedRetries: 0 })
    shop.wire.publish('Shop.Server', '', original(errorMessageAfter))

    // What the exception is called is a matter of the client library.
    const words = ['ExceptionType', 'Message', 'Source', 'InnerExceptionType', 'Data.code'].map(
      (name) => `NServiceBus.ExceptionInfo.${name}`,
    )
    const ours = await until(seen, movedTo('error', id))
    expectSame(ours, errorMessageAfter, words)
    expect(ours.headers['NServiceBus.ExceptionInfo.Message']).toContain(`'no-such-queue'`)
    // .NET has sent the copy by then; ours says nothing of what did not succeed.
    expect(audit).toHaveLength(1)
    expect(seen.filter(movedTo('audit', id))).toEqual([])
  })
})

function withoutType({ headers }: WireMessage): Record<string, unknown> {
  return without(headers, ...ofFailing, 'NServiceBus.EnclosedMessageTypes', 'NServiceBus.TimeSent', 'NServiceBus.Version')
}

/** Another message of the same kind: two recordings are of one message. */
function renamed<T>(golden: T, id: string): T {
  return JSON.parse(JSON.stringify(golden).replaceAll('0cf52f65-b19b-4652-bc45-b50900047538', id)) as T
}

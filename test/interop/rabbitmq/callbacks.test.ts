import { randomUUID } from 'node:crypto'
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { type EndpointEvent, type MessageHandlerContext, type RunningEndpoint, defineEndpoint, handler, route } from '../../../src/index.ts'
import { GetOrder, GetOrderCount, GetOrderStatus, OrderDetails, OrderStatus, PackOrder, sampleOrderId } from '../../support/shop.ts'
import { type System, system } from './endpoints.ts'
import { type WireMessage, recording, until } from './wire.ts'

// Requests and replies over a real broker; the replies of .NET are written by hand, as a recorded requester was given them.

const order = { OrderId: sampleOrderId }
const noRetries = { immediateRetries: 0, delayedRetries: 0 }
const details = new OrderDetails({ ...order, Status: 2, Total: '1.5' })

let shop: System
let client: RunningEndpoint
/** The parity of a .NET requester where ours does better. */
let strict: RunningEndpoint
/** It has a handler for replies, too. */
let both: RunningEndpoint
let requests: readonly WireMessage[]
let failed: readonly WireMessage[]
const settled: EndpointEvent[] = []
const handledDetails: string[] = []
let answer: (context: MessageHandlerContext) => Promise<void> = async () => undefined

beforeAll(async () => {
  shop = await system()
  const toServer = [route('Shop.Messages', 'Shop.Server')]
  const options = { routes: toServer, messages: [OrderDetails, PackOrder], recoverability: noRetries }
  const respond = (_: object, context: MessageHandlerContext): Promise<void> => answer(context)
  await shop.start(
    defineEndpoint('Shop.Server', {
      handlers: [handler(GetOrderCount, respond), handler(GetOrderStatus, respond), handler(GetOrder, respond)],
      recoverability: noRetries,
    }),
  )
  const observe = (event: EndpointEvent): void => void settled.push(event)
  client = await shop.start(defineEndpoint('Shop.Client', { instance: '1', ...options }), { observe })
  strict = await shop.start(
    defineEndpoint('Shop.Strict', { instance: '1', ...options, callbacks: { onMismatch: 'fail', unknownEnumNumbers: 'pass' } }),
    { observe },
  )
  const alsoHandled = [handler(OrderDetails, ({ OrderId }) => void handledDetails.push(OrderId))]
  both = await shop.start(defineEndpoint('Shop.Both', { instance: '1', ...options, handlers: alsoHandled }))
  requests = await shop.wire.spy(['Shop.Server', ''])
  failed = await shop.wire.spy(['error', ''])
})

beforeEach(() => {
  answer = async () => undefined
})

type Kind = 'int' | 'enum' | 'object'

/** Sends a request; the returned promise never rejects. */
function ask(endpoint: RunningEndpoint, kind: Kind, messageId: string, signal?: AbortSignal): Promise<unknown> {
  const options = { messageId, timeoutMs: 20_000, ...(signal && { signal }) }
  const outcome: Promise<unknown> =
    kind === 'int'
      ? endpoint.request(new GetOrderCount({ Customer: 'anybody' }), 'int', options)
      : kind === 'enum'
        ? endpoint.request(new GetOrderStatus(order), OrderStatus, options)
        : endpoint.request(new GetOrder(order), OrderDetails, options)
  return outcome.catch((error: unknown) => error)
}

interface Reply {
  readonly correlationId?: string
  readonly contentType?: string
  readonly type?: string
  readonly headers: Record<string, string>
  readonly body?: string
}

/** Publishes a reply as a foreign responder would, and waits until it was dealt with. */
async function reply(queue: string, { body, headers, ...properties }: Reply): Promise<EndpointEvent> {
  const messageId = randomUUID()
  shop.wire.publish(queue, '', { properties: { messageId, ...properties }, headers, ...(body !== undefined && { bodyText: body }) })
  return vi.waitUntil(() => settled.find(({ message }) => message.id === messageId), { timeout: 20_000, interval: 5 })
}

/** The outcome of a request that is answered by hand. */
async function answered(endpoint: RunningEndpoint, kind: Kind, made: (id: string) => Reply): Promise<unknown> {
  const id = randomUUID()
  const giveUp = new AbortController()
  const outcome = ask(endpoint, kind, id, giveUp.signal)
  await until(requests, ({ properties }) => properties['messageId'] === id)
  const pending = endpoint.pendingRequests
  await reply(`${endpoint.name}-1`, made(id))
  if (endpoint.pendingRequests === pending) giveUp.abort()
  return outcome
}

const control = (code: string, id: string): Reply => ({
  correlationId: id,
  headers: { 'NServiceBus.ControlMessage': 'True', 'NServiceBus.ReturnMessage.ErrorCode': code, 'NServiceBus.MessageIntent': 'Reply' },
})

describe('callback-hand-made-replies', () => {
  interface HandMade {
    readonly kind: Kind
    readonly label: string
    readonly sent: Reply
    readonly callback: 'none within 4 s' | { readonly event: string; readonly result?: unknown; readonly message?: string }
    readonly errorQueue: number
  }
  const { lateIntReply, results } = recording<{ results: HandMade[]; lateIntReply: { errorQueue: number } }>('callback-hand-made-replies')
  const names: Readonly<Record<string, number>> = OrderStatus

  for (const { callback, errorQueue, kind, label, sent } of results)
    it(`CB-17 CB-20 ${kind}: ${label}`, async () => {
      const before = failed.length

      const outcome = await answered(strict, kind, (id) => {
        const headers = { ...sent.headers, ...('NServiceBus.CorrelationId' in sent.headers && { 'NServiceBus.CorrelationId': id }) }
        return { ...sent, headers, ...(sent.correlationId !== undefined && { correlationId: id }) }
      })

      if (callback === 'none within 4 s') expect(outcome).toMatchObject({ code: 'NSB_CALLBACK_CANCELLED' })
      else if (callback.event === 'callbackFailed') expect(outcome).toMatchObject({ message: callback.message })
      // Names in another case leave default values in .NET; ours are read.
      else if (kind === 'object') expect(outcome).toMatchObject({ OrderId: sampleOrderId, Status: OrderStatus.Shipped })
      else expect(outcome).toBe(typeof callback.result === 'string' ? names[callback.result] : callback.result)
      await expect.poll(() => failed.length - before).toBe(errorQueue)
    })

  it('CB-23 a number that nobody waits for vanishes', async () => {
    const before = failed.length

    expect((await reply('Shop.Client-1', control('5', 'nobody-waits'))).outcome.kind).toBe('handled')

    expect(failed.length - before).toBe(lateIntReply.errorQueue)
  })
})

describe('a request over RabbitMQ', () => {
  it('CB-17 CB-18 is answered with a number, an enum and an object by an endpoint of ours', async () => {
    answer = (context) => context.reply(-42)
    expect(await ask(client, 'int', randomUUID())).toBe(-42)
    answer = (context) => context.replyEnum(OrderStatus, OrderStatus.Cancelled)
    expect(await ask(client, 'enum', randomUUID())).toBe(OrderStatus.Cancelled)
    answer = (context) => context.reply(details)
    expect(await ask(client, 'object', randomUUID())).toMatchObject({ ...order, Status: 2 })
  })

  it('CB-14 CB-25 is completed by its own reply, of a hundred at once from two instances', async () => {
    answer = (context) => context.reply(Number(context.messageId.slice(2)))
    const asking = (endpoint: RunningEndpoint, from: number): Promise<unknown[]> =>
      Promise.all(Array.from({ length: 50 }, (_, index) => ask(endpoint, 'int', `n-${from + index}`)))

    const outcomes = await Promise.all([asking(client, 0), asking(strict, 50)])

    expect(outcomes.flat()).toEqual(Array.from({ length: 100 }, (_, index) => index))
  })

  it('CB-19 CB-20 needs the intent Reply, but for replies of versions before 5.0', async () => {
    const intent = (id: string, version?: string): Reply => ({
      ...control('5', id),
      headers: { ...control('5', id).headers, 'NServiceBus.MessageIntent': 'Send', ...(version && { 'NServiceBus.Version': version }) },
    })
    expect(await answered(client, 'int', (id) => intent(id))).toMatchObject({ code: 'NSB_CALLBACK_CANCELLED' })
    expect(await answered(client, 'int', (id) => intent(id, '4.7.0'))).toBe(5)
  })

  it('CB-22 is rejected by a number for an object, and by an object for something else', async () => {
    const object = (id: string, type: string): Reply => ({
      correlationId: id,
      contentType: 'application/json',
      headers: { 'NServiceBus.EnclosedMessageTypes': type, 'NServiceBus.MessageIntent': 'Reply' },
      body: JSON.stringify(order),
    })
    expect(await answered(client, 'object', (id) => control('5', id))).toMatchObject({
      code: 'NSB_CALLBACK_TYPE_MISMATCH',
      message: `The return code can only be an enum or an integer. (Parameter 'destinationType')`,
    })
    expect(await answered(client, 'object', (id) => object(id, 'Shop.Messages.PackOrder'))).toMatchObject({
      message: `Unable to cast object of type 'Shop.Messages.PackOrder' to type 'Shop.Messages.OrderDetails'.`,
    })
    expect(await answered(client, 'int', (id) => object(id, 'Shop.Messages.PackOrder'))).toMatchObject({
      message: `Unable to cast object of type 'Shop.Messages.PackOrder' to type 'System.Int32'.`,
    })
  })

  it('CB-23 takes the first reply; a second number vanishes, and a second object goes to the error queue', async () => {
    const before = failed.length
    answer = async (context) => {
      await context.reply(details)
      await context.reply(details)
      await context.reply(3)
    }

    expect(await ask(client, 'object', randomUUID())).toMatchObject(order)

    await expect.poll(() => failed.length - before).toBe(1)
    expect(failed.at(-1)?.headers).toMatchObject({
      'NServiceBus.FailedQ': 'Shop.Client-1',
      'NServiceBus.ExceptionInfo.Message': 'No handlers could be found for message type: Shop.Messages.OrderDetails',
    })
  })

  it('CB-24 is completed, and a handler for the type of the reply runs as well', async () => {
    answer = (context) => context.reply(details)

    expect(await ask(both, 'object', randomUUID())).toMatchObject(order)

    await expect.poll(() => handledDetails).toEqual([sampleOrderId])
  })

  it('CB-26 is answered with the minus sign of some cultures', async () => {
    expect(await answered(client, 'int', (id) => control('\u22125', id))).toBe(-5)
  })

  it('CB-27 whose reply queue is missing ends in the error queue of who answers', async () => {
    const before = failed.length
    answer = (context) => context.reply(1)
    const id = randomUUID()

    shop.wire.publish('Shop.Server', '', {
      properties: { messageId: id, replyTo: 'Shop.Gone-1', type: 'Shop.Messages.GetOrderCount' },
      bodyText: '{"Customer":"gone"}',
    })

    await expect.poll(() => failed.length - before).toBe(1)
    expect(failed.at(-1)).toMatchObject({
      properties: { messageId: id },
      headers: { 'NServiceBus.FailedQ': 'Shop.Server', 'NServiceBus.ExceptionInfo.Message': expect.stringContaining(`'Shop.Gone-1'`) },
    })
  })

  it('CB-28 is rejected by a control message without a number', async () => {
    const { headers, ...rest } = control('', '')
    const { 'NServiceBus.ReturnMessage.ErrorCode': _code, ...without } = headers

    expect(await answered(client, 'int', (id) => ({ ...rest, correlationId: id, headers: without }))).toMatchObject({
      code: 'NSB_CALLBACK_BAD_RETURN_CODE',
    })
  })
})

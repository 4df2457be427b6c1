import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type IHandleMessages, type MessageHandlerContext, command, event, handler, message } from '../../src/index.ts'
import { testContext, testEndpoint, testSession } from '../../src/testing/index.ts'

class SubmitOrder extends command('Shop.SubmitOrder', z.object({ OrderId: z.string() })) {}
class ShipOrder extends command('Shop.ShipOrder', z.object({ OrderId: z.string(), Lines: z.array(z.string()) })) {}
class OrderEvent extends event('Shop.OrderEvent', z.object({ OrderId: z.string() })) {}
class OrderPlaced extends event('Shop.OrderPlaced', z.object({ OrderId: z.string() }), { implements: [OrderEvent] }) {}
class OrderAccepted extends message('Shop.OrderAccepted', z.object({ OrderId: z.string() })) {}

const order = new SubmitOrder({ OrderId: '1' })

describe('the test context', () => {
  it('T-1 is taken by a handler like the real one, and T-2 sends nothing anywhere', async () => {
    class SubmitOrderHandler implements IHandleMessages<SubmitOrder> {
      static readonly handles = SubmitOrder
      async handle(received: SubmitOrder, context: MessageHandlerContext): Promise<void> {
        await context.publish(new OrderPlaced({ OrderId: received.OrderId }))
        await context.reply(7)
        await context.forwardCurrentMessageTo('Archive')
      }
    }
    const context = testContext()

    await new SubmitOrderHandler().handle(order, context)

    expect(context.published.of(OrderPlaced)).toEqual([new OrderPlaced({ OrderId: '1' })])
    expect([context.returnCodes, context.forwarded, context.sent.length]).toEqual([[7], ['Archive'], 0])
  })

  it('T-3 shows a saga timeout among the timeouts and among the sends', async () => {
    const context = testContext()

    await context.sendLocal(order, { delayDeliveryWith: '1m', headers: { 'NServiceBus.IsSagaTimeoutMessage': 'True' } })
    await context.sendLocal(order)

    expect([context.sent.length, context.timeouts.length]).toEqual([2, 1])
  })

  it('T-4 finds derived messages by their base type', async () => {
    const context = testContext()

    await context.publish(new OrderPlaced({ OrderId: '1' }))

    expect(context.published.of(OrderEvent)).toHaveLength(1)
    expect(() => context.published.none(OrderEvent)).toThrow(/there is one/)
    expect(() => context.published.single(OrderAccepted)).toThrow(
      /exactly one message of type 'Shop.OrderAccepted', but there are 0 among Shop.OrderPlaced/,
    )
  })

  it('T-5 gives the options of an operation back', async () => {
    const context = testContext()

    await context.send(new ShipOrder({ OrderId: '1', Lines: [] }), { delayDeliveryWith: '00:10:00', destination: 'Shipping' })

    expect(context.sent.first(ShipOrder)?.options).toEqual({ delayDeliveryWith: '00:10:00', destination: 'Shipping' })
  })

  it('T-6 has a random message id, a reply address and no headers', () => {
    const [one, other] = [testContext(), testContext()]

    expect(one.messageId).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
    expect(one.messageId).not.toBe(other.messageId)
    expect([one.replyToAddress, one.headers]).toEqual(['reply address', {}])
  })

  it('T-9 names the place of an operation that was not awaited', async () => {
    const context = testContext()
    const forgetful = handler(SubmitOrder, (_, given) => void given.send(new ShipOrder({ OrderId: '1', Lines: [] }), { destination: 'A' }))

    await forgetful.fn(order as never, context)

    expect(() => context.verify()).toThrow(
      expect.objectContaining({
        code: 'NSB_OPERATION_NOT_AWAITED',
        message: expect.stringMatching(/context\.send\(\.\.\.\) at .*test-context\.test\.ts/),
      }),
    )
  })

  it('keeps the message as it was at the call', async () => {
    const context = testContext()
    const ship = new ShipOrder({ OrderId: '1', Lines: ['a'] })

    await context.send(ship, { destination: 'A' })
    ship.Lines.push('b')
    ship.OrderId = '2'

    expect(context.sent.of(ShipOrder)).toEqual([new ShipOrder({ OrderId: '1', Lines: ['a'] })])
  })

  it('refuses what the runtime would refuse: breaches of best practice and undeclared messages', async () => {
    const context = testContext()

    await expect(context.send(new OrderPlaced({ OrderId: '1' }) as never)).rejects.toMatchObject({ code: 'NSB_BEST_PRACTICE' })
    await expect(context.send({ OrderId: '1' } as never)).rejects.toMatchObject({ code: 'NSB_NOT_A_MESSAGE' })
  })
})

describe('the test session', () => {
  it('records, and answers requests as it was told', async () => {
    const session = testSession()
    session.onRequest(SubmitOrder, (request) => new OrderAccepted({ OrderId: request.OrderId }))

    const answer = await session.request(order, OrderAccepted)
    await session.subscribe(OrderPlaced)

    expect(answer).toEqual(new OrderAccepted({ OrderId: '1' }))
    expect([session.sent.length, session.subscriptions]).toEqual([1, ['Shop.OrderPlaced']])
    await expect(session.request(order, OrderAccepted, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'NSB_CALLBACK_CANCELLED',
    })
  })
})

describe('the endpoint in memory', () => {
  it('T-7 lets delayed retries happen without waiting', async () => {
    let failures = 7
    const endpoint = await testEndpoint({
      handlers: [
        handler(SubmitOrder, () => {
          failures -= 1
          if (failures >= 0) throw new Error('not yet')
        }),
      ],
    })

    const first = await endpoint.receive(order, { 'NServiceBus.MessageId': 'm1' })
    await endpoint.world.advance('10s')

    expect([first.status, endpoint.outcome('m1').status, endpoint.outcome('m1').attempts]).toEqual(['retried', 'ok', 8])
  })

  it('T-8 does not run later handlers after an abort', async () => {
    const aborting = handler(SubmitOrder, (_, context) => context.doNotContinueDispatchingCurrentMessageToHandlers(), { name: 'Aborting' })
    const context = testContext()
    await aborting.fn(order as never, context)
    const endpoint = await testEndpoint({ handlers: [aborting, handler(SubmitOrder, () => undefined, { name: 'Later' })] })

    expect(context.aborted).toBe(true)
    expect((await endpoint.receive(order)).handlersRun).toEqual(['Aborting'])
  })

  const failure = (body: object, headers: object = {}): string =>
    JSON.stringify({
      schema: 'nsb.message/1',
      uniqueId: 'u1',
      messageId: 'm1',
      kind: 'failure',
      queue: 'error',
      headers: {
        'NServiceBus.MessageId': 'm1',
        'NServiceBus.EnclosedMessageTypes': 'Shop.SubmitOrder, Shop',
        'NServiceBus.FailedQ': 'Sales',
        'NServiceBus.ExceptionInfo.Message': 'no stock',
        'NServiceBus.ExceptionInfo.Data.code': '7',
        'NServiceBus.Retries.Timestamp': '2020-01-01 00:00:00:000000 Z',
        ...headers,
      },
      body,
    })

  it('T-10 takes a captured failure as it was before it failed', async () => {
    const seen: unknown[] = []
    const endpoint = await testEndpoint({
      handlers: [
        handler(SubmitOrder, ({ OrderId }, context) => {
          seen.push([OrderId, context.messageId, context.headers])
          throw new Error('still no stock')
        }),
      ],
    })

    const outcome = await endpoint.receiveCaptured(
      failure({ encoding: 'base64', data: Buffer.from('{"OrderId":"é"}').toString('base64') }, { 'x-typed': { '!': 'long', v: 5 } }),
    )

    // As after the first failure ever: a stale retry would have gone to the error queue.
    expect(outcome).toMatchObject({ status: 'retried', attempts: 6 })
    expect(seen[0]).toEqual([
      'é',
      'm1',
      {
        'NServiceBus.MessageId': 'm1',
        'NServiceBus.EnclosedMessageTypes': 'Shop.SubmitOrder, Shop',
        'NServiceBus.ContentType': 'application/json',
        'x-typed': '5',
      },
    ])
    expect(
      (await endpoint.receiveCaptured(failure({ encoding: 'utf8', data: '{"OrderId":"2"}' }, { 'NServiceBus.MessageId': 'm2' }))).attempts,
    ).toBe(6)
  })

  it('T-10 T-11 refuses what is no captured message, with a plain error', async () => {
    const endpoint = await testEndpoint({})

    for (const [line, why] of [
      ['{', 'it is no JSON'],
      ['[]', 'it is no JSON object'],
      ['{"schema":"nsb.error/1"}', 'its schema is "nsb.error/1"'],
      ['{"schema":"nsb.message/1"}', 'it has no headers'],
      [failure({}), 'it has no body with data'],
      [failure({ encoding: 'hex', data: '00' }), 'the encoding of its body is "hex"'],
    ] as const)
      await expect(endpoint.receiveCaptured(line)).rejects.toThrow(`This is no captured message: ${why}.`)
  })

  it('takes exact bytes', async () => {
    const endpoint = await testEndpoint({ handlers: [handler(SubmitOrder, () => undefined)] })

    const outcome = await endpoint.receiveRaw({
      headers: { 'NServiceBus.EnclosedMessageTypes': 'Shop.SubmitOrder, Other' },
      body: '\uFEFF{"OrderId":"1"}',
    })

    expect(outcome.status).toBe('ok')
  })
})

it('T-11 needs no test runner: nothing of it imports one, and what it finds are plain errors', () => {
  const folder = join(import.meta.dirname, '../../src/testing')
  const imports = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .flatMap((name) => [...readFileSync(join(folder, name), 'utf8').matchAll(/\bfrom '([^'.][^']*)'/g)].map((match) => match[1] as string))

  expect(imports.filter((name) => /vitest|jest|mocha|node:test/.test(name))).toEqual([])
  expect(() => testContext().sent.single(SubmitOrder)).toThrow(Error)
})

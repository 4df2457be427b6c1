import { describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import {
  type IHandleMessages,
  type MessageHandlerContext,
  MessageInterface,
  command,
  defineEndpoint,
  event,
  handler,
  message,
  route,
} from '../../src/index.ts'
import { testContext, testEndpoint, testWorld } from '../../src/testing/index.ts'

class PlaceOrder extends command('Shop.PlaceOrder', z.object({ OrderId: z.string() })) {}
class Pack extends command('Shop.Pack', z.object({ OrderId: z.string() })) {}
class OrderAccepted extends message('Shop.OrderAccepted', z.object({ OrderId: z.string() })) {}
class IOrderEvent extends MessageInterface<{ OrderId: string }>('Shop.IOrderEvent') {}
class OrderPlaced extends event('Shop.OrderPlaced', z.object({ OrderId: z.string() }), { implements: [IOrderEvent] }) {}

const order = new PlaceOrder({ OrderId: '7' })
const noRetries = { immediateRetries: 0, delayedRetries: 0 }

describe('a handler', () => {
  it('H-1 H-2 gets the typed message and a context', async () => {
    const seen: unknown[] = []
    class PlaceOrderHandler implements IHandleMessages<PlaceOrder> {
      static readonly handles = PlaceOrder
      handle(received: PlaceOrder, context: MessageHandlerContext): void {
        seen.push(received instanceof PlaceOrder, received.OrderId, context.messageId, context.headers['Tenant'])
      }
    }
    const endpoint = await testEndpoint({ handlers: [PlaceOrderHandler] })

    const outcome = await endpoint.receive(order, { 'NServiceBus.MessageId': 'm1', Tenant: 'a' })

    expect(outcome).toMatchObject({ status: 'ok', attempts: 1, handlersRun: ['PlaceOrderHandler'] })
    expect(seen).toEqual([true, '7', 'm1', 'a'])
  })

  it('H-3 is done only when its promise has settled', async () => {
    const steps: string[] = []
    let finish = (): void => undefined
    const endpoint = await testEndpoint({
      handlers: [
        handler(PlaceOrder, async () => {
          steps.push('started')
          await new Promise<void>((resolve) => {
            finish = resolve
          })
          steps.push('finished')
        }),
      ],
    })

    const receiving = endpoint.receive(order).then((outcome) => steps.push(outcome.status))
    await expect.poll(() => steps).toEqual(['started'])
    finish()
    await receiving

    expect(steps).toEqual(['started', 'finished', 'ok'])
  })

  it('H-4 that forgets to await an operation fails with an error that names the operation', async () => {
    class Forgetful {
      static readonly handles = PlaceOrder
      handle(_: PlaceOrder, context: MessageHandlerContext): void {
        void context.send(new Pack({ OrderId: '7' }), { destination: 'Stock' })
      }
    }
    const endpoint = await testEndpoint({ handlers: [Forgetful], recoverability: noRetries })

    const outcome = await endpoint.receive(order)

    expect(outcome.status).toBe('failed')
    expect(outcome.error).toMatchObject({
      code: 'NSB_OPERATION_NOT_AWAITED',
      message: expect.stringMatching(/context\.send\(\.\.\.\) at Forgetful\.handle \(.*handlers\.test\.ts:\d+:\d+\)/),
    })
  })

  it('H-4 T-9 is told the place of whatever operation it forgot, except in production, where finding it costs too much', async () => {
    const operations: readonly ((context: MessageHandlerContext) => unknown)[] = [
      (context) => context.sendLocal(new Pack({ OrderId: '7' })),
      (context) => context.publish(new OrderPlaced({ OrderId: '7' })),
      (context) => context.reply(7),
      (context) => context.replyEnum({ Open: 1 } as const, 1),
      (context) => context.forwardCurrentMessageTo('Archive'),
    ]
    const messages: string[] = []
    for (const operation of operations) {
      const endpoint = await testEndpoint({
        handlers: [handler(PlaceOrder, (_, context) => void operation(context))],
        recoverability: noRetries,
      })
      messages.push(((await endpoint.receive(order)).error as Error).message)
    }
    vi.stubEnv('NODE_ENV', 'production')
    const production = await testEndpoint({
      handlers: [handler(PlaceOrder, (_, context) => void context.reply(7))],
      recoverability: noRetries,
    })
    const inProduction = (await production.receive(order)).error as Error
    vi.unstubAllEnvs()

    for (const text of messages) expect(text).toMatch(/\) at .*handlers\.test\.ts:\d+:\d+/)
    expect(inProduction.message).toContain('did not await context.reply(...): had it failed')
  })

  it('H-4 that returns something else than a promise is fine, and one that fails later through its context is told so', async () => {
    let late: Promise<unknown> = Promise.resolve()
    const endpoint = await testEndpoint({
      handlers: [
        handler(PlaceOrder, (_, context) => {
          late = new Promise((resolve) => setImmediate(resolve))
            .then(() => context.send(new Pack({ OrderId: '7' }), { destination: 'Stock' }))
            .catch((error: unknown) => error)
        }),
      ],
    })

    const outcome = await endpoint.receive(order)

    expect(outcome.status).toBe('ok')
    expect(await late).toMatchObject({ code: 'NSB_CONTEXT_CLOSED' })
    expect(endpoint.world.dispatched).toEqual([])
  })

  it('H-5 replies to the address of the requester', async () => {
    const endpoint = await testEndpoint({
      handlers: [handler(PlaceOrder, (received, context) => context.reply(new OrderAccepted({ OrderId: received.OrderId })))],
    })

    const outcome = await endpoint.receive(order, {
      'NServiceBus.ReplyToAddress': 'Web',
      'NServiceBus.MessageId': 'm1',
      'NServiceBus.ConversationId': 'c1',
    })

    expect(outcome.dispatched).toMatchObject([
      {
        to: 'Web',
        type: 'Shop.OrderAccepted',
        data: { OrderId: '7' },
        headers: {
          'NServiceBus.MessageIntent': 'Reply',
          'NServiceBus.RelatedTo': 'm1',
          'NServiceBus.CorrelationId': 'm1',
          'NServiceBus.ConversationId': 'c1',
        },
      },
    ])
  })

  it('fails with a reason when there is no address to reply to', async () => {
    const endpoint = await testEndpoint({
      handlers: [handler(PlaceOrder, (received, context) => context.reply(new OrderAccepted({ OrderId: received.OrderId })))],
      recoverability: noRetries,
    })

    const outcome = await endpoint.receive(order)

    expect(outcome.error).toMatchObject({
      code: 'NSB_NO_REPLY_ADDRESS',
      message: expect.stringContaining('No `ReplyToAddress` found on the Shop.PlaceOrder'),
    })
  })

  it('H-6 publishes, and every subscribed endpoint gets its own copy', async () => {
    const world = testWorld()
    const seen: string[] = []
    const sales = await world.start(
      defineEndpoint('Sales', { handlers: [handler(PlaceOrder, (_, context) => context.publish(new OrderPlaced({ OrderId: '7' })))] }),
    )
    await world.start(
      defineEndpoint('Billing', {
        handlers: [handler(OrderPlaced, (_, context) => void seen.push(`Billing ${context.messageId.length}`))],
      }),
    )
    await world.start(
      defineEndpoint('Shipping', { handlers: [handler(IOrderEvent, (received) => void seen.push(`Shipping ${received.OrderId}`))] }),
    )

    await sales.receive(order)

    expect(seen.sort()).toEqual(['Billing 36', 'Shipping 7'])
  })

  it('H-7 takes part with its data access: what the unit of work throws on commit fails the message', async () => {
    const log: string[] = []
    let broken = true
    const endpoint = await testEndpoint({
      handlers: [handler(PlaceOrder, () => void log.push('handled'))],
      recoverability: { immediateRetries: 1 },
      unitOfWork: async (_, next) => {
        log.push('begin')
        await next()
        if (broken) {
          broken = false
          throw new Error('commit failed')
        }
        log.push('commit')
      },
    })

    const outcome = await endpoint.receive(order)

    expect(outcome).toMatchObject({ status: 'ok', attempts: 2 })
    expect(log).toEqual(['begin', 'handled', 'begin', 'handled', 'commit'])
  })
})

describe('when several handlers take one message', () => {
  it('U-2 runs them one after another, in the order they are listed', async () => {
    const log: string[] = []
    const slow = (name: string) =>
      handler(
        PlaceOrder,
        async () => {
          log.push(`${name} starts`)
          await new Promise((resolve) => setImmediate(resolve))
          log.push(`${name} ends`)
        },
        { name },
      )
    const endpoint = await testEndpoint({ handlers: [slow('B'), slow('A'), slow('C')] })

    const outcome = await endpoint.receive(order)

    expect(outcome.handlersRun).toEqual(['B', 'A', 'C'])
    expect(log).toEqual(['B starts', 'B ends', 'A starts', 'A ends', 'C starts', 'C ends'])
  })

  it('runs those of `first` before all others, each once', async () => {
    const [a, b, c] = ['A', 'B', 'C'].map((name) => handler(PlaceOrder, () => undefined, { name })) as [
      ReturnType<typeof handler>,
      ReturnType<typeof handler>,
      ReturnType<typeof handler>,
    ]
    const endpoint = await testEndpoint({ handlers: [a, b, c], first: [c] })

    expect((await endpoint.receive(order)).handlersRun).toEqual(['C', 'A', 'B'])
  })

  it('U-1 U-3 U-4 U-6 treats them as one unit of work: all run again, and nothing leaves of a failed attempt', async () => {
    let failures = 2
    const endpoint = await testEndpoint({
      handlers: [
        handler(PlaceOrder, (_, context) => context.send(new Pack({ OrderId: '7' }), { destination: 'Stock' }), { name: 'First' }),
        handler(
          PlaceOrder,
          () => {
            failures -= 1
            if (failures >= 0) throw new Error('second fails')
          },
          { name: 'Second' },
        ),
        handler(PlaceOrder, () => undefined, { name: 'Third' }),
      ],
    })

    const outcome = await endpoint.receive(order)

    expect(outcome).toMatchObject({
      status: 'ok',
      attempts: 3,
      handlersRun: ['First', 'Second', 'First', 'Second', 'First', 'Second', 'Third'],
    })
    expect(outcome.dispatched).toHaveLength(1)
  })

  it('U-5 consumes the message exactly once when all succeed', async () => {
    const endpoint = await testEndpoint({
      handlers: [handler(PlaceOrder, () => undefined, { name: 'A' }), handler(PlaceOrder, () => undefined, { name: 'B' })],
    })

    const outcome = await endpoint.receive(order)
    await endpoint.world.advance('1h')

    expect(outcome).toMatchObject({ status: 'ok', attempts: 1 })
    expect((await endpoint.world.transport().inspect('Test'))?.depth).toBe(0)
  })

  it('U-7 moves the message to the error queue once, whichever handler failed', async () => {
    for (const failing of [0, 1]) {
      const handlers = [0, 1].map((index) =>
        handler(
          PlaceOrder,
          () => {
            if (index === failing) throw new Error(`handler ${index} fails`)
          },
          { name: `H${index}` },
        ),
      )
      const endpoint = await testEndpoint({ handlers, recoverability: noRetries })

      await endpoint.receive(order)

      expect(endpoint.world.errorQueue.map((failed) => failed.headers['NServiceBus.ExceptionInfo.Data.Handler type'])).toEqual([
        `H${failing}`,
      ])
    }
  })

  it('calls a class that handles a type and its parent twice, on two instances', async () => {
    const instances = new Set<unknown>()
    class Both {
      static readonly handles = [OrderPlaced, IOrderEvent] as const
      handle(_message: { OrderId: string }): void {
        instances.add(this)
      }
    }
    const endpoint = await testEndpoint({ handlers: [Both] })

    const outcome = await endpoint.receive(new OrderPlaced({ OrderId: '7' }))

    expect(outcome.handlersRun).toEqual(['Both', 'Both'])
    expect(instances.size).toBe(2)
  })

  it('skips the rest when one says so, and the message still counts as handled', async () => {
    const endpoint = await testEndpoint({
      handlers: [
        handler(
          PlaceOrder,
          async (_, context) => {
            await context.send(new Pack({ OrderId: '7' }), { destination: 'Stock' })
            context.doNotContinueDispatchingCurrentMessageToHandlers()
          },
          { name: 'A' },
        ),
        handler(PlaceOrder, () => undefined, { name: 'B' }),
      ],
    })

    expect(await endpoint.receive(order)).toMatchObject({ status: 'ok', handlersRun: ['A'], dispatched: [{ to: 'Stock' }] })
  })
})

it('U-8 processes different messages independently, and at the same time', async () => {
  let running = 0
  let most = 0
  let release = (): void => undefined
  const gate = new Promise<void>((resolve) => {
    release = resolve
  })
  const meet = async (): Promise<void> => {
    running += 1
    most = Math.max(most, running)
    if (running === 2) release()
    await gate
    running -= 1
  }
  const endpoint = await testEndpoint({ handlers: [handler(PlaceOrder, meet), handler(Pack, meet)], concurrency: 2 })

  const outcomes = await Promise.all([endpoint.receive(order), endpoint.receive(new Pack({ OrderId: '8' }))])

  expect(outcomes.map((outcome) => outcome.status)).toEqual(['ok', 'ok'])
  expect(most).toBe(2)
})

it('U-9 gives each endpoint its own copy of an event, and the failure of one does not touch the other', async () => {
  const world = testWorld()
  const done: string[] = []
  const publisher = await world.start(
    defineEndpoint('Sales', { handlers: [handler(PlaceOrder, (_, context) => context.publish(new OrderPlaced({ OrderId: '7' })))] }),
  )
  await world.start(
    defineEndpoint('Billing', {
      handlers: [handler(OrderPlaced, () => Promise.reject(new Error('bank closed')))],
      recoverability: noRetries,
    }),
  )
  await world.start(defineEndpoint('Shipping', { handlers: [handler(OrderPlaced, () => void done.push('shipped'))] }))

  await publisher.receive(order)

  expect(done).toEqual(['shipped'])
  expect(world.errorQueue.map((failed) => failed.headers['NServiceBus.FailedQ'])).toEqual(['Billing'])
})

describe('sub-tasks that must not fail together', () => {
  class ToStock extends command('Shop.ToStock', z.object({})) {}
  class ToBank extends command('Shop.ToBank', z.object({})) {}
  const failing = { immediateRetries: 2, delayedRetries: 0 }
  const twoTasks = (done: string[]) => [
    handler(ToStock, () => void done.push('stock')),
    handler(ToBank, () => {
      done.push('bank')
      throw new Error('bank closed')
    }),
  ]
  const onlyTheBankWasRetried = ['bank', 'bank', 'bank', 'stock']

  it('U-10 are split at the destination: one local message for each', async () => {
    const done: string[] = []
    const split = handler(PlaceOrder, async (_, context) => {
      await context.sendLocal(new ToStock({}))
      await context.sendLocal(new ToBank({}))
    })
    const endpoint = await testEndpoint({ handlers: [split, ...twoTasks(done)], recoverability: failing })

    const outcome = await endpoint.receive(order)

    expect([outcome.status, outcome.attempts]).toEqual(['ok', 1])
    expect(done.toSorted()).toEqual(onlyTheBankWasRetried)
    expect(endpoint.world.errorQueue.map(({ type }) => type)).toEqual(['Shop.ToBank'])
  })

  it('U-11 are split at the source: one message type for each handler', async () => {
    const world = testWorld()
    const done: string[] = []
    const routes = [route(ToStock, 'Work'), route(ToBank, 'Work')]
    await world.start(defineEndpoint('Work', { handlers: twoTasks(done), recoverability: failing }))
    const sender = await world.start(defineEndpoint('Web', { routes }))

    await sender.send(new ToStock({}))
    await sender.send(new ToBank({}))
    await world.settle()

    expect(done.toSorted()).toEqual(onlyTheBankWasRetried)
    expect(world.errorQueue.map(({ type }) => type)).toEqual(['Shop.ToBank'])
  })

  it('U-12 are sent to several endpoints, each with a retry policy of its own', async () => {
    const world = testWorld()
    const attempts: string[] = []
    for (const [name, immediateRetries] of [
      ['Patient', 3],
      ['Hasty', 0],
    ] as const)
      await world.start(
        defineEndpoint(name, {
          handlers: [
            handler(Pack, () => {
              attempts.push(name)
              throw new Error('broken')
            }),
          ],
          recoverability: { immediateRetries, delayedRetries: 0 },
        }),
      )
    const sender = await world.start(defineEndpoint('Web'))

    for (const destination of ['Patient', 'Hasty']) await sender.send(new Pack({ OrderId: '7' }), { destination })
    await world.settle()

    expect(attempts.toSorted()).toEqual(['Hasty', 'Patient', 'Patient', 'Patient', 'Patient'])
    expect(new Set(world.errorQueue.map(({ headers }) => headers['NServiceBus.FailedQ']))).toEqual(new Set(['Hasty', 'Patient']))
  })
})

it('U-13 can be tested alone, with a recording context', async () => {
  const context = testContext()

  await handler(PlaceOrder, (received, given) => given.reply(new OrderAccepted({ OrderId: received.OrderId }))).fn(order as never, context)

  expect(context.replied.of(OrderAccepted)).toEqual([new OrderAccepted({ OrderId: '7' })])
})

describe('a definition that cannot work is refused at the start', () => {
  const start = (handlers: unknown[]) => testEndpoint(defineEndpoint('Test', { handlers: handlers as never }))

  it('a class without `handles`', async () => {
    class NoHandles {
      handle(): void {}
    }
    await expect(start([NoHandles])).rejects.toMatchObject({ code: 'NSB_NOT_A_HANDLER', message: expect.stringContaining(`'NoHandles'`) })
  })

  it.each<[string, object, string]>([
    ['an option that does not exist', { auditQeue: 'audit' }, `Did you mean 'auditQueue'?`],
    [
      'a setting of the retries that does not exist',
      { recoverability: { immediate: 0 } },
      `Did you mean 'recoverability.immediateRetries'?`,
    ],
    ['a blank error queue', { errorQueue: ' ' }, `Leave it out, or name it: errorQueue: 'error'`],
    ['a blank instance', { instance: '' }, `Leave it out, or name it: instance: 'a1'`],
    ['a reading of the type header that does not exist', { enclosedTypes: 'all' }, `enclosedTypes: 'strict' or 'merge'`],
  ])('%s', (_name, options, suggestion) => {
    expect(() => defineEndpoint('Test', options)).toThrow(expect.objectContaining({ code: 'NSB_BAD_ENDPOINT', suggestions: [suggestion] }))
  })

  it('two types of one name', async () => {
    class Twin extends command('Shop.PlaceOrder', z.object({})) {}
    await expect(start([handler(PlaceOrder, () => undefined), handler(Twin, () => undefined)])).rejects.toMatchObject({
      code: 'NSB_DUPLICATE_TYPE',
    })
  })
})

import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type Hooks, type MessageHandlerContext, command, defineEndpoint, event, handler } from '../../src/index.ts'
import { testEndpoint } from '../../src/testing/index.ts'

class Work extends command('Shop.Work', z.object({})) {}
class Happened extends event('Shop.Happened', z.object({})) {}

const work = new Work({})
const publishing = async (context: MessageHandlerContext): Promise<void> => context.publish(new Happened({}))

function hooked(hooks: Hooks | readonly Hooks[], act = publishing) {
  return testEndpoint(
    defineEndpoint('Sales', {
      handlers: [handler(Work, (_, context) => act(context), { name: 'First' }), handler(Work, () => undefined, { name: 'Second' })],
      auditQueue: 'audit',
      recoverability: { immediateRetries: 1, delayedRetries: 0 },
      hooks,
    }),
  )
}

describe('hooks', () => {
  it('wrap a delivery, each handler and each outgoing message, the first outermost', async () => {
    const order: string[] = []
    const named = (name: string): Hooks => ({
      async onReceive({ attempt, messageId }, next) {
        order.push(`${name} receives ${messageId} ${attempt}`)
        await next()
        order.push(`${name} has received`)
      },
      async onHandle({ handler: handlerName, messageType }, next) {
        order.push(`${name} ${handlerName} of ${messageType}`)
        await next()
      },
      async onSend({ headers, incomingHeaders, intent, messageType }, next) {
        order.push(`${name} ${intent} ${messageType} while ${incomingHeaders?.['NServiceBus.MessageId']}`)
        await next()
        expect(headers['NServiceBus.MessageIntent']).toBe('Publish')
      },
    })
    const endpoint = await hooked([named('outer'), named('inner')])

    const outcome = await endpoint.receive(work, { 'NServiceBus.MessageId': 'm1' })

    expect(outcome.status).toBe('ok')
    expect(order).toEqual([
      'outer receives m1 1',
      'inner receives m1 1',
      'outer First of Shop.Work',
      'inner First of Shop.Work',
      'outer Publish Shop.Happened while m1',
      'inner Publish Shop.Happened while m1',
      'outer Second of Shop.Work',
      'inner Second of Shop.Work',
      'inner has received',
      'outer has received',
    ])
  })

  for (const name of ['onReceive', 'onHandle', 'onSend'] as const)
    it(`fail the message, with its retries, when ${name} throws, and nothing leaves`, async () => {
      const throwing: Hooks = {
        [name]: async (_: unknown, next: () => Promise<void>) => {
          await next()
          throw new Error('refused')
        },
      }
      const endpoint = await hooked(throwing)

      const outcome = await endpoint.receive(work)

      expect(outcome).toMatchObject({ status: 'failed', attempts: 2, error: { message: 'refused' } })
      expect(outcome.dispatched.map(({ to }) => to)).toEqual(['error'])
    })

  it('see what a handler throws, and can turn it into something else', async () => {
    const endpoint = await hooked(
      {
        async onHandle(_, next) {
          try {
            await next()
          } catch (error) {
            throw new Error('translated', { cause: error })
          }
        },
      },
      async () => {
        throw new Error('no stock')
      },
    )

    expect((await endpoint.receive(work)).error).toMatchObject({ message: 'translated', cause: { message: 'no stock' } })
  })

  it('consume the message unread, skip a handler or drop a message when they do not call next', async () => {
    const nothing = async (): Promise<void> => undefined
    const received = await (await hooked({ onReceive: nothing })).receive(work)
    const handled = await (await hooked({ onHandle: nothing })).receive(work)
    const sent = await (await hooked({ onSend: nothing })).receive(work)

    expect([received.status, received.handlersRun, received.audit]).toEqual(['ok', [], undefined])
    expect(received.dispatched).toEqual([])
    expect([handled.status, handled.dispatched.length]).toEqual(['ok', 0])
    expect([sent.status, sent.handlersRun, sent.dispatched.length]).toEqual(['ok', ['First', 'Second'], 0])
  })

  it('may put headers on what is sent, and share things with handlers', async () => {
    const shared: unknown[] = []
    const endpoint = await hooked(
      {
        async onReceive({ extensions }, next) {
          extensions.set('user', 'ann')
          await next()
        },
        async onSend({ headers }, next) {
          headers['User'] = 'ann'
          await next()
        },
      },
      async (context) => {
        shared.push(context.extensions.get('user'))
        await publishing(context)
      },
    )

    const { dispatched } = await endpoint.receive(work)

    expect([shared, dispatched[0]?.headers['User']]).toEqual([['ann'], 'ann'])
  })

  it('that forget to await next fail the message instead of settling it while its handlers run', async () => {
    const endpoint = await hooked({ onReceive: async (_, next) => void next() }, async (context) => {
      await new Promise((resolve) => setImmediate(resolve))
      await publishing(context).catch(() => undefined)
    })

    expect(await endpoint.receive(work)).toMatchObject({
      status: 'failed',
      error: {
        code: 'NSB_OPERATION_NOT_AWAITED',
        message: 'The hook onReceive did not await next(): it ended while what it wraps was still running.',
      },
    })
  })

  it('around sends also work for what is sent outside a handler, and a request that is not let go is cancelled', async () => {
    const seen: unknown[] = []
    const endpoint = await testEndpoint(
      defineEndpoint('Web', {
        instance: 'a1',
        hooks: {
          async onSend({ incomingHeaders, message }, next) {
            seen.push([message, incomingHeaders])
            if (seen.length === 1) await next()
          },
        },
      }),
    )

    await endpoint.send(work, { destination: 'A' })
    await expect(endpoint.request(work, 'int', { destination: 'A' })).rejects.toMatchObject({ code: 'NSB_CALLBACK_CANCELLED' })

    expect(seen).toEqual([
      [work, undefined],
      [work, undefined],
    ])
    expect([endpoint.world.dispatched.length, endpoint.pendingRequests]).toEqual([1, 0])
  })
})

import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type EndpointOptions, type MessageHandlerContext, type Mutator, command, event, handler, message, route } from '../../src/index.ts'
import { testEndpoint } from '../../src/testing/index.ts'

class Work extends command('Shop.Work', z.object({ Text: z.string() })) {}
class NewWork extends command('Shop.NewWork', z.object({ Text: z.string() })) {}
class Happened extends event('Shop.Happened', z.object({ Text: z.string() })) {}
class Answer extends message('Shop.Answer', z.object({ Text: z.string() })) {}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text)
const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
const work = new Work({ Text: 'a' })
const noRetries = { immediateRetries: 0, delayedRetries: 0 }

/** An endpoint that keeps what its handlers get. */
async function mutating(
  mutators: readonly Mutator[],
  act: (context: MessageHandlerContext) => Promise<void> = async () => undefined,
  more: EndpointOptions = {},
) {
  const got: { readonly message: object; readonly headers: Readonly<Record<string, string>> }[] = []
  const keep = async (received: object, context: MessageHandlerContext): Promise<void> => {
    got.push({ message: received, headers: context.headers })
    await act(context)
  }
  const endpoint = await testEndpoint({
    handlers: [handler(Work, keep), handler(NewWork, keep)],
    routes: [route(Work, 'Old'), route(NewWork, 'New')],
    auditQueue: 'audit',
    recoverability: noRetries,
    mutators,
    ...more,
  })
  return { endpoint, got }
}

describe('a mutator of incoming messages', () => {
  it('changes headers and bytes before the type is looked for', async () => {
    const { endpoint, got } = await mutating([
      {
        async incomingTransportMessage(incoming) {
          incoming.headers['NServiceBus.EnclosedMessageTypes'] = 'Shop.Work'
          incoming.body = encode(decode(incoming.body).toUpperCase().replace('TEXT', 'Text'))
          await Promise.resolve()
        },
      },
    ])

    const outcome = await endpoint.receiveRaw({ headers: { 'NServiceBus.EnclosedMessageTypes': 'Cloud.Event' }, body: '{"text":"a"}' })

    expect(outcome.status).toBe('ok')
    expect(got[0]?.message).toEqual(new Work({ Text: 'A' }))
  })

  it('changes the instance, or puts one of another type in its place', async () => {
    const { endpoint, got } = await mutating([
      {
        incomingMessage(incoming) {
          ;(incoming.instance as Work).Text += 'b'
          incoming.headers['Seen'] = 'yes'
        },
      },
      {
        incomingMessage(incoming) {
          incoming.instance = new NewWork({ Text: (incoming.instance as Work).Text })
        },
      },
    ])

    await endpoint.receive(work)

    expect(got.map((each) => each.message)).toEqual([new NewWork({ Text: 'ab' })])
    expect(got[0]?.headers['Seen']).toBe('yes')
  })

  it('runs in the order of the list, transport messages first, and sees control messages as bytes only', async () => {
    const order: string[] = []
    const named = (name: string): Mutator => ({
      incomingTransportMessage: () => void order.push(`${name} bytes`),
      incomingMessage: () => void order.push(`${name} instance`),
    })
    const { endpoint } = await mutating([named('1'), named('2')])

    await endpoint.receive(work)
    await endpoint.receiveRaw({ headers: { 'NServiceBus.ControlMessage': 'True' }, body: '' })

    expect(order).toEqual(['1 bytes', '2 bytes', '1 instance', '2 instance', '1 bytes', '2 bytes'])
  })

  for (const name of ['incomingTransportMessage', 'incomingMessage'] as const)
    it(`fails the message, with its retries, when its ${name} throws`, async () => {
      const thrown = new Error('no key')
      const throwing: Mutator = {
        [name]: () => {
          throw thrown
        },
      }
      const { endpoint } = await mutating([throwing], undefined, { recoverability: { immediateRetries: 2, delayedRetries: 0 } })

      expect(await endpoint.receive(work)).toMatchObject({ status: 'failed', attempts: 3, handlersRun: [], error: thrown })
    })

  it('RC-14 is seen in the headers of the audit copy, which has the body as it came', async () => {
    const { endpoint } = await mutating([
      {
        incomingTransportMessage(incoming) {
          incoming.headers['Mutated'] = 'yes'
          incoming.body = encode('{"Text":"changed"}')
        },
      },
    ])

    const { audit } = await endpoint.receive(work)

    expect(audit?.headers['Mutated']).toBe('yes')
    expect(audit?.data).toEqual({ Text: 'a' })
  })

  it('RC-14 is not seen in the error copy nor in a delayed retry', async () => {
    const { endpoint } = await mutating(
      [
        {
          incomingTransportMessage(incoming) {
            incoming.headers['Mutated'] = 'yes'
            incoming.body = encode('{"Text":"changed"}')
          },
        },
      ],
      async () => {
        throw new Error('no stock')
      },
      { recoverability: { immediateRetries: 0, delayedRetries: 1 } },
    )

    await endpoint.receive(work)
    await endpoint.world.advance('10s')

    const copies = endpoint.world.dispatched
    expect(copies.map(({ to }) => to)).toEqual(['Test', 'error'])
    for (const copy of copies) {
      expect(copy.headers['Mutated']).toBeUndefined()
      expect(copy.data).toEqual({ Text: 'a' })
    }
  })
})

describe('a mutator of outgoing messages', () => {
  it('changes the instance before it is written, and the bytes after that', async () => {
    const { endpoint } = await mutating(
      [
        {
          outgoingMessage(outgoing) {
            ;(outgoing.instance as Happened).Text += 'b'
            outgoing.headers['Tenant'] = String(outgoing.incomingHeaders?.['Tenant'])
          },
          async outgoingTransportMessage(outgoing) {
            await Promise.resolve()
            outgoing.body = encode(decode(outgoing.body).replace('ab', 'abc'))
            outgoing.headers['Signed'] = String(outgoing.body.length)
          },
        },
      ],
      (context) => context.publish(new Happened({ Text: 'a' })),
    )

    const { dispatched } = await endpoint.receive(work, { Tenant: 't1' })

    expect(dispatched[0]).toMatchObject({ data: { Text: 'abc' }, headers: { Tenant: 't1', Signed: '14' } })
  })

  it('puts another type in its place: the name is that of the new one, the route that of the old', async () => {
    const { endpoint } = await mutating([{ outgoingMessage: (outgoing) => void (outgoing.instance = new NewWork({ Text: 'new' })) }])

    await endpoint.send(work)

    expect(endpoint.world.dispatched[0]).toMatchObject({ to: 'Old', type: 'Shop.NewWork', data: { Text: 'new' } })
  })

  it('sees int replies as headers only', async () => {
    const seen: string[] = []
    const { endpoint } = await mutating(
      [
        {
          outgoingMessage: () => void seen.push('instance'),
          outgoingTransportMessage: (outgoing) => void seen.push(`${outgoing.body.length} bytes`),
        },
      ],
      (context) => context.reply(7),
    )

    await endpoint.receive(work, { 'NServiceBus.ReplyToAddress': 'Web' })

    expect(seen).toEqual(['0 bytes'])
  })

  for (const name of ['outgoingMessage', 'outgoingTransportMessage'] as const)
    it(`throws to the caller when its ${name} throws, and nothing is sent`, async () => {
      const throwing: Mutator = {
        [name]: () => {
          throw new Error('no key')
        },
      }
      const caught: unknown[] = []
      const { endpoint } = await mutating([throwing], (context) =>
        context.reply(new Answer({ Text: 'a' })).catch((error: unknown) => void caught.push(error)),
      )

      await expect(endpoint.send(work)).rejects.toThrow('no key')
      const outcome = await endpoint.receive(work, { 'NServiceBus.ReplyToAddress': 'Web' })

      expect(caught).toEqual([expect.objectContaining({ message: 'no key' })])
      expect([outcome.status, outcome.dispatched.length]).toEqual(['ok', 0])
    })

  it('that takes its time keeps the batch of its message waiting, and an operation nobody waits for is reported', async () => {
    const slow: Mutator = { outgoingMessage: () => new Promise((resolve) => setImmediate(resolve)) }
    const careful = await mutating([slow], (context) => context.publish(new Happened({ Text: 'a' })))
    const careless = await mutating([slow], async (context) => void context.publish(new Happened({ Text: 'a' })).catch(() => undefined))

    expect((await careful.endpoint.receive(work)).dispatched).toHaveLength(1)
    expect(await careless.endpoint.receive(work)).toMatchObject({ status: 'failed', error: { code: 'NSB_OPERATION_NOT_AWAITED' } })
  })
})

import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import {
  type EndpointOptions,
  type MessageHandlerContext,
  type SendOptions,
  command,
  defineEndpoint,
  event,
  handler,
  message,
} from '../../src/index.ts'
import { testEndpoint } from '../../src/testing/index.ts'

class Start extends command('Shop.Start', z.object({})) {}
class Work extends command('Shop.Work', z.object({})) {}
class Happened extends event('Shop.Happened', z.object({})) {}
class Answer extends message('Shop.Answer', z.object({})) {}

const trace = {
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  tracestate: 'vendor=1',
  baggage: 'tenant=a',
}
const startNewTrace = 'NServiceBus.OpenTelemetry.StartNewTrace'

async function traced(
  act: (context: MessageHandlerContext) => Promise<void>,
  headers: Record<string, string>,
  options: EndpointOptions = {},
) {
  const endpoint = await testEndpoint(defineEndpoint('Sales', { handlers: [handler(Start, (_, context) => act(context))], ...options }))
  const { dispatched } = await endpoint.receive(new Start({}), { 'NServiceBus.ReplyToAddress': 'Web', ...headers })
  return dispatched.map((sent) => sent.headers)
}
const send =
  (options: SendOptions = {}) =>
  (context: MessageHandlerContext) =>
    context.send(new Work({}), { destination: 'A', ...options })
const everything = async (context: MessageHandlerContext): Promise<void> => {
  await send()(context)
  await context.publish(new Happened({}))
  await context.reply(new Answer({}))
  await context.reply(7)
}

describe('the trace headers of a handled message', () => {
  it('are passed on to everything it sends, publishes and replies', async () => {
    const all = await traced(everything, trace)

    expect(all).toHaveLength(4)
    for (const headers of all) expect(headers).toMatchObject(trace)
    expect(all.map((headers) => headers[startNewTrace])).toEqual(['False', 'True', undefined, undefined])
  })

  it('are not made up when there are none', async () => {
    const [headers] = await traced(send(), {})

    expect(Object.keys(headers ?? {}).filter((name) => name in trace)).toEqual([])
  })

  it('give way to those the caller sets', async () => {
    const own = '00-11111111111111111111111111111111-2222222222222222-01'

    const [headers] = await traced(send({ headers: { traceparent: own } }), trace)

    expect(headers?.['traceparent']).toBe(own)
  })

  it('make the receiver of a delayed message start a trace of its own', async () => {
    const [delayed] = await traced(send({ delayDeliveryWith: '1m' }), trace)
    const [untraced] = await traced(send({ delayDeliveryWith: '1m' }), {})

    expect([delayed?.[startNewTrace], untraced?.[startNewTrace]]).toEqual(['True', 'False'])
  })
})

describe('an endpoint that traces', () => {
  const partsOf = (headers: Record<string, string> | undefined): readonly string[] => headers?.['traceparent']?.split('-') ?? []

  it('continues the trace of its sender with a span of its own', async () => {
    const all = await traced(everything, trace, { tracing: true })

    for (const headers of all) {
      const [version, traceId, span, flags] = partsOf(headers)
      expect([version, traceId, flags]).toEqual(['00', '0af7651916cd43dd8448eb211c80319c', '01'])
      expect(span).toMatch(/^(?!b7ad6b7169203331)[0-9a-f]{16}$/)
      expect(headers).toMatchObject({ tracestate: 'vendor=1', baggage: 'tenant=a' })
    }
    expect(new Set(all.map((headers) => headers['traceparent'])).size).toBe(1)
  })

  const fresh: readonly { readonly name: string; readonly headers: Record<string, string> }[] = [
    { name: 'has none', headers: {} },
    { name: 'asks for it', headers: { ...trace, [startNewTrace]: 'True' } },
    { name: 'sent one that is malformed', headers: { ...trace, traceparent: '00-xyz' } },
    { name: 'sent the forbidden all-zero one', headers: { traceparent: `00-${'0'.repeat(32)}-b7ad6b7169203331-01` } },
  ]
  for (const { headers, name } of fresh)
    it(`starts a new one when its sender ${name}`, async () => {
      const [sent] = await traced(send(), headers, { tracing: true })

      expect(sent?.['traceparent']).toMatch(/^00-(?!0af7651916cd43dd8448eb211c80319c)[0-9a-f]{32}-[0-9a-f]{16}-01$/)
      expect(sent?.['tracestate']).toBeUndefined()
      expect(sent?.['baggage']).toBe(headers['baggage'])
    })

  it('starts one for each message sent outside a handler', async () => {
    const endpoint = await testEndpoint({ tracing: true })

    await endpoint.send(new Work({}), { destination: 'A' })
    await endpoint.send(new Work({}), { destination: 'A' })

    expect(new Set(endpoint.world.dispatched.map(({ headers }) => headers['traceparent'])).size).toBe(2)
  })
})

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Options } from 'amqplib'
import { ErrorQueue, type Lying } from '../../support/error-queue.ts'
import { type VirtualHost, makeVirtualHost } from '../../support/virtual-host.ts'
import { holdOptions, openRabbit } from './faults-support.ts'

let host: VirtualHost
beforeAll(async () => {
  host = await makeVirtualHost()
})
afterAll(() => host.remove())

/** What comes out of a queue to which a message was moved unchanged. */
async function moved(headers: Readonly<Record<string, unknown>>, properties: Options.Publish): Promise<readonly Lying[]> {
  const from = await ErrorQueue.make(host, `from${++queues}`, { kind: 'quorum' })
  const to = await ErrorQueue.make(host, `to${queues}`, { kind: 'classic' })
  await from.put([{ body: 'a body', headers, properties }])
  const transport = openRabbit(host.url)
  const holding = await transport.hold(from.name, holdOptions())
  for await (const page of holding.pages())
    for (const each of page) {
      const { body, headers: shown, id, native } = each
      await holding.consume(each, [{ id, headers: shown, body, native, to: { exactQueue: to.name }, unchanged: true }])
    }
  await holding.giveBack()
  await transport.close()
  return to.drain()
}
let queues = 0

describe('a message that is moved unchanged', () => {
  it('E-36 keeps every property and the type of every header', async () => {
    const headers = {
      'NServiceBus.FailedQ': 'Sales',
      text: 'Grün',
      empty: '',
      whole: 7,
      long: { '!': 'int64', value: 2 ** 40 },
      fraction: 1.5,
      yes: true,
      nothing: null,
      bytes: Buffer.from([0, 1, 255]),
      at: { '!': 'timestamp', value: 1_700_000_000 },
      list: ['a', 1, { b: 'c' }],
      'x-first-death-queue': 'Sales',
      'x-death': [{ count: { '!': 'int64', value: 1 }, queue: 'Sales', 'routing-keys': ['Sales'] }],
    }
    const { persistent, ...properties } = {
      persistent: false,
      messageId: 'native-1',
      correlationId: 'of the property',
      replyTo: 'Web',
      type: 'Shop.PlaceOrder',
      contentType: 'application/json',
      contentEncoding: 'gzip',
      priority: 3,
      appId: 'shop',
      timestamp: 1_700_000_000,
    }

    const [message] = await moved(headers, { persistent, ...properties })

    expect(message?.body).toBe('a body')
    expect(message?.headers).toEqual({
      ...headers,
      long: 2 ** 40,
      at: { '!': 'timestamp', value: 1_700_000_000 },
      'x-death': [{ count: 1, queue: 'Sales', 'routing-keys': ['Sales'] }],
    })
    expect(message?.properties).toMatchObject({ ...properties, deliveryMode: 1 })
  })

  it('keeps a header that a property of another value hides', async () => {
    const [message] = await moved({ 'NServiceBus.CorrelationId': 'of the header' }, { correlationId: 'of the property' })

    expect(message?.headers).toEqual({ 'NServiceBus.CorrelationId': 'of the header' })
    expect(message?.properties).toMatchObject({ correlationId: 'of the property' })
  })

  it('does not expire where it was moved to', async () => {
    const [message] = await moved({}, { expiration: '600000' })

    expect(message?.properties).toMatchObject({ expiration: undefined })
  })
})

import { isDeepStrictEqual } from 'node:util'
import amqplib from 'amqplib'
import { expect, it, onTestFinished } from 'vitest'
import { brokerShop } from '../../support/broker-shop.ts'
import { ErrorQueue } from '../../support/error-queue.ts'
import { makeVirtualHost } from '../../support/virtual-host.ts'
import type { FoundMessage, KnownMessage } from '../messages.ts'
import { killOperations, operationKills, operationSeed } from '../operations.ts'

const typed = {
  'Campaign.Long': { '!': 'int64', value: 2 ** 40 },
  'Campaign.Flag': true,
  'Campaign.When': { '!': 'timestamp', value: 1_795_253_416 },
  'Campaign.Table': { list: [1, 'two', { '!': 'double', value: 2.5 }] },
}
/** As a client of a broker reads them. */
const typedThen = {
  'Campaign.Long': 2 ** 40,
  'Campaign.Flag': true,
  'Campaign.When': { '!': 'timestamp', value: 1_795_253_416 },
  'Campaign.Table': { list: [1, 'two', 2.5] },
}
const properties = { priority: 3, appId: 'campaign', type: 'PlaceOrder', correlationId: 'c1', deliveryMode: 2, timestamp: 1_795_253_000 }
const ofQueue = /^x-/

it(`E-24 on a broker each of ${operationKills} writing commands that are killed at some moment and resumed loses nothing and says what may be there twice`, {
  timeout: 3_600_000,
}, async () => {
  console.log(`seed ${operationSeed}`)
  const host = await makeVirtualHost()
  onTestFinished(() => host.remove())
  const { folder, state } = brokerShop(host)
  await ErrorQueue.make(host, 'error', { kind: 'quorum' })
  await ErrorQueue.make(host, 'Sales', { kind: 'quorum' })
  const connection = await amqplib.connect(host.url)
  onTestFinished(() => connection.close())
  const channel = await connection.createConfirmChannel()
  const taken = async (queue: string): Promise<readonly FoundMessage[]> => {
    const found: FoundMessage[] = []
    for (;;) {
      const message = await channel.get(queue, { noAck: true })
      if (message === false) return found
      const { headers = {}, ...others } = message.properties
      const kept = Object.fromEntries(Object.entries(headers).filter(([name]) => !ofQueue.test(name)))
      const said = Object.entries(others).filter(([, value]) => value !== undefined)
      found.push({ body: message.content, headers: kept, properties: Object.fromEntries(said) })
    }
  }

  const account = await killOperations(
    {
      folder,
      state,
      env: { CI: '1' },
      largeBytes: 300_000,
      mergesCopies: true,
      async fill(messages) {
        for (const { body, headers, id } of messages)
          channel.publish('', 'error', body, {
            ...properties,
            messageId: id,
            contentType: typeIn(headers),
            headers: { ...headers, ...typed },
          })
        await channel.waitForConfirms()
      },
      drain: async () => ({ error: await taken('error'), target: await taken('Sales') }),
      isAsItWas: (found, { body, headers, id }) =>
        found.body.equals(body) &&
        isDeepStrictEqual(found.headers, { ...headers, ...typedThen }) &&
        isDeepStrictEqual(found.properties, { ...properties, messageId: id, contentType: typeIn(headers) }),
      isTyped: (copy) =>
        Object.entries(typedThen).every(([name, value]) => isDeepStrictEqual(copy.headers[name], value)) &&
        Object.entries(properties).every(([name, value]) => copy.properties[name] === value),
      async leftovers() {
        const queues = await host.api<readonly { readonly name: string }[]>('GET', `queues/${host.name}?columns=name`)
        const left = queues.map(({ name }) => name).filter((name) => /^nsb\.(staging|lock)\./.test(name))
        for (const name of left) await channel.deleteQueue(name)
        return left
      },
    },
    operationKills,
    operationSeed,
  )

  console.log(JSON.stringify(account))
  expect(account.wrong).toEqual([])
  expect(account.kills).toBe(operationKills)
})

const typeIn = (headers: KnownMessage['headers']): string => headers['NServiceBus.ContentType'] as string

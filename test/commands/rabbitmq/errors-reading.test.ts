import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import amqplib from 'amqplib'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Ended, failureHeaders, messagesIn, nsb, projectWith, putMessage, temporaryFolder } from '../../cli/nsb.ts'
import { type BrokerShop, brokerShop } from '../../support/broker-shop.ts'
import { ErrorQueue } from '../../support/error-queue.ts'
import { type VirtualHost, makeVirtualHost } from '../../support/virtual-host.ts'

interface World {
  readonly host: VirtualHost
  readonly shop: BrokerShop
  readonly queue: (name: string) => Promise<ErrorQueue>
}

async function makeWorld(kind: 'classic' | 'quorum' = 'quorum'): Promise<World> {
  const host = await makeVirtualHost()
  onTestFinished(() => host.remove())
  return { host, shop: brokerShop(host), queue: (name) => ErrorQueue.make(host, name, { kind }) }
}

const itemsOf = (ended: Ended): readonly Record<string, unknown>[] => (ended.json() as { items: Record<string, unknown>[] }).items

/** Lets the broker dead-letter a message from `orders` to `error`, as a consumer that rejects it does. */
async function deadLetter(host: VirtualHost, messageId: string | undefined): Promise<void> {
  const connection = await amqplib.connect(host.url)
  const channel = await connection.createConfirmChannel()
  await channel.assertQueue('orders', { durable: true, deadLetterExchange: '', deadLetterRoutingKey: 'error' })
  channel.sendToQueue('orders', Buffer.from('{"OrderId":1}'), {
    contentType: 'application/json',
    type: 'Shop.SubmitOrder',
    ...(messageId && { messageId }),
  })
  await channel.waitForConfirms()
  const message = await channel.get('orders')
  if (message === false) throw new Error('orders is empty')
  channel.reject(message, false)
  await channel.checkQueue('orders')
  await connection.close()
}

const fault = {
  'MT-Reason': 'fault',
  'MT-Fault-ExceptionType': 'System.Exception',
  'MT-Fault-Message': 'no stock',
  'MT-Fault-StackTrace': '   at Shop.OrderConsumer.Consume(ConsumeContext context) in /src/a.cs:line 9',
  'MT-Fault-Timestamp': '2026-11-20T16:30:00Z',
  'MT-Fault-InputAddress': 'rabbitmq://localhost/submit-order',
  'MT-Fault-RetryCount': 3,
  Tenant: 'blue',
}
const envelope = '{"messageId":"5b2d0000-aaaa","messageType":["urn:message:Shop.Contracts:SubmitOrder"],"message":{"OrderId":1}}'

describe('what other systems left in an error queue of a broker', () => {
  it('E-42 a dead letter is listed with target and time, remembered, and replayed without what the broker added', {
    timeout: 60_000,
  }, async () => {
    const { host, queue, shop } = await makeWorld()
    const errors = await queue('error')
    await deadLetter(host, 'dead-1')
    await deadLetter(host, undefined)
    await expect.poll(() => errors.depth()).toBe(2)

    const listed = await shop.run('errors', 'list', '--kind', 'dlx', '--json')
    // The queue is the same one, however its broker was named.
    const cached = await shop.run('errors', 'list', '--kind', 'dlx', '--json', '--cached', '--connection', host.url)
    const groups = await shop.run('errors')
    const byQueue = await shop.run('errors', 'groups', '--kind', 'dlx', '--by', 'queue', '--json')
    const rejected = await shop.run('errors', 'list', '--kind', 'dlx', '--header', 'x-first-death-reason=rejected', '--count')
    const shown = await shop.run('errors', 'show', 'dead-1', '--headers')
    const replayed = await shop.run('errors', 'replay', '--kind', 'dlx', '--yes', '--json')

    expect(
      itemsOf(listed).map(({ endpoint, exceptionMessage, kind, queue: target, type }) => [kind, target, endpoint, exceptionMessage, type]),
    ).toEqual([
      ['dlx', 'orders', 'orders', 'rejected', 'Shop.SubmitOrder'],
      ['dlx', 'orders', 'orders', 'rejected', 'Shop.SubmitOrder'],
    ])
    expect(itemsOf(listed).every(({ failedAt }) => Date.now() - Date.parse(String(failedAt)) < 60_000)).toBe(true)
    expect(new Set(itemsOf(listed).map(({ uniqueId }) => uniqueId)).size).toBe(2)
    expect(cached.stderr).toMatch(/--refresh reads it again/)
    expect(itemsOf(cached)).toEqual(itemsOf(listed))
    expect(groups.stdout).toMatch(/\(2 dead-lettered messages: nsb errors list --kind dlx\)/)
    expect(itemsOf(byQueue)).toMatchObject([{ title: 'orders', count: 2 }])
    expect(rejected.stdout).toBe('2\n')
    expect(shown.stdout).toMatch(/^failed {6}.* in orders .*queue orders$/m)
    expect(shown.stdout).toMatch(
      /^x-death: .*queue=orders,.*routing-keys=orders.*\nx-first-death-exchange:.*\nx-first-death-queue: orders$/m,
    )
    expect([replayed.code, replayed.json()['published']], replayed.stderr).toEqual([0, 2])
    const copies = await ErrorQueue.open(host, 'orders').drain()
    expect(copies.map(({ body }) => body)).toEqual(['{"OrderId":1}', '{"OrderId":1}'])
    expect(copies.flatMap(({ headers }) => Object.keys(headers).filter((name) => name.startsWith('x-')))).toEqual([])
  })

  it('E-42 faults of MassTransit, in an envelope and as raw JSON, go back to their queue under their own id', {
    timeout: 60_000,
  }, async () => {
    const { queue, shop } = await makeWorld('classic')
    const target = await queue('submit-order')
    const errors = await queue('submit-order_error')
    await errors.put([
      { body: envelope, headers: fault, properties: { messageId: '5b2d0000-aaaa', contentType: 'application/vnd.masstransit+json' } },
      {
        body: '{"OrderId":2}',
        headers: { ...fault, MessageId: 'raw-2', MessageType: 'urn:message:Shop.Contracts:SubmitOrder' },
        properties: { messageId: 'raw-2', contentType: 'application/json' },
      },
    ])
    const at = ['--error-queue', 'submit-order_error', '--kind', 'masstransit']

    const listed = await shop.run('errors', 'list', ...at, '--json')
    const cached = await shop.run('errors', 'list', ...at, '--json', '--cached')
    const grouped = await shop.run('errors', 'groups', ...at, '--json')
    const group = String(itemsOf(grouped)[0]?.['id'])
    const replayed = await shop.run('errors', 'replay', ...at, '--group', group, '--yes', '--json')

    for (const each of [listed, cached])
      expect(itemsOf(each).map(({ failedAt, messageId, queue: to, type }) => [messageId, type, to, failedAt])).toEqual([
        ['5b2d0000-aaaa', 'Shop.Contracts.SubmitOrder', 'submit-order', '2026-11-20T16:30:00.000Z'],
        ['raw-2', 'Shop.Contracts.SubmitOrder', 'submit-order', '2026-11-20T16:30:00.000Z'],
      ])
    expect(itemsOf(grouped)).toMatchObject([{ title: 'System.Exception: Shop.OrderConsumer.Consume(ConsumeContext context)', count: 2 }])
    expect([replayed.code, replayed.json()['published']], replayed.stderr).toEqual([0, 2])
    const copies = await target.drain()
    expect(copies.map(({ body, properties }) => [body, properties['messageId'], properties['contentType']])).toEqual([
      [envelope, '5b2d0000-aaaa', 'application/vnd.masstransit+json'],
      ['{"OrderId":2}', 'raw-2', 'application/json'],
    ])
    for (const { headers } of copies) {
      expect(Object.keys(headers).filter((name) => name.startsWith('MT-'))).toEqual([])
      expect(headers['Tenant']).toBe('blue')
    }
  })

  it('poison is replayed with --to only, and each has an id of its own', async () => {
    const { queue, shop } = await makeWorld('classic')
    const errors = await queue('error')
    const target = await queue('Sales')
    await errors.put([
      { body: 'one', headers: {} },
      { body: 'two', headers: {} },
    ])

    const listed = itemsOf(await shop.run('errors', 'list', '--kind', 'poison', '--json'))
    const nowhere = await shop.run('errors', 'replay', '--kind', 'poison', '--yes', '--json')
    const one = await shop.run('errors', 'replay', String(listed[0]?.['uniqueId']), '--to', 'Sales', '--yes', '--json')

    expect(new Set(listed.map(({ uniqueId }) => uniqueId)).size).toBe(2)
    expect([nowhere.code, one.code, one.json()['published']]).toEqual([3, 0, 1])
    expect([await target.depth(), await errors.depth()]).toEqual([1, 1])
  })
})

describe('a path into bodies on a broker', () => {
  it('reads the queue where a snapshot cannot answer, and selects what is replayed', { timeout: 60_000 }, async () => {
    const { queue, shop } = await makeWorld('classic')
    const errors = await queue('error')
    const sales = await queue('Sales')
    await errors.put(
      [1, 2, 12].map((quantity) => ({
        body: `{"Lines":[{"Quantity":${quantity}.0}]}`,
        headers: failureHeaders(`m${quantity}`),
        properties: { messageId: `m${quantity}` },
      })),
    )
    const path = ['--body', '$.Lines[?@.Quantity > 1]']
    await shop.run('errors', 'list')

    const listed = await shop.run('errors', 'list', ...path, '--cached', '--json')
    const replayed = await shop.run('errors', 'replay', ...path, '--yes', '--json')

    expect(listed.stderr).not.toMatch(/--refresh reads it again/)
    expect(
      itemsOf(listed)
        .map(({ messageId }) => messageId)
        .toSorted((a, b) => String(a).localeCompare(String(b))),
    ).toEqual(['m12', 'm2'])
    expect(replayed.json()['published']).toBe(2)
    expect([await sales.depth(), await errors.depth()]).toEqual([2, 1])
  })
})

describe('the same message on both transports', () => {
  it('E-39 E-44 is listed, grouped and shown the same', { timeout: 120_000 }, async () => {
    const { queue, shop } = await makeWorld('classic')
    const errors = await queue('error')
    const { storage } = projectWith('12-error-queue', '15-after-second-handler-failed')
    const folder = temporaryFolder()
    mkdirSync(join(folder, '.learningtransport', 'Shop.Server', '.bodies'), { recursive: true })
    const evil = failureHeaders('evil', {
      'NServiceBus.TimeOfFailure': '2026-11-21 00:00:01:000000 Z',
      'NServiceBus.ExceptionInfo.Message': 'x\u001b]0;owned\u0007\u202Etxt\nnext',
    })
    const messages = [...messagesIn(storage, 'error'), { file: 'evil', headers: evil, body: '<Order><Id>1</Id></Order>' }]
    for (const { body, file, headers } of messages) {
      putMessage(join(folder, '.learningtransport'), 'error', file.replace('.metadata.txt', ''), headers, body)
      await errors.put([
        {
          body,
          headers,
          properties: { messageId: headers['NServiceBus.MessageId'] ?? '', contentType: headers['NServiceBus.ContentType'] ?? '' },
        },
      ])
    }

    for (const words of [
      ['list'],
      ['list', '-o', 'wide', '--sort', 'type'],
      ['list', '-o', 'csv', '--sort', 'id'],
      ['groups', '-o', 'csv', '--refresh'],
      ['groups', '--by', 'endpoint', '--refresh'],
      ['show', 'acc3', '--refresh'],
      ['show', '5169', '--refresh', '--stack'],
      ['show', 'evil', '--refresh'],
      ['show', 'acc3', '--body'],
      ['show', 'acc3', '--json'],
      ['list', '--group', 'ffff'],
    ]) {
      const onFolder = await nsb(['errors', ...words], { cwd: folder })
      const onBroker = await shop.run('errors', ...words)

      // Folders are read from their end, by the time of the file.
      const said = ({ code, stdout }: Ended): string =>
        `${words.join(' ')}: ${code}\n${stdout
          .replace(/("asOf": )"[^"]+"/, '$1"then"')
          .split('\n')
          // The last line of an object is another one where a broker sorts headers.
          .map((line) => line.replace(/,$/, ''))
          .toSorted((a, b) => a.localeCompare(b))
          .join('\n')}`
      assert.equal(said(onBroker), said(onFolder), onBroker.stderr)
    }
  })
})

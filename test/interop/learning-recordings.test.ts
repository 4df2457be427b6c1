import { copyFileSync, mkdirSync, readFileSync, readdirSync, renameSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  type EndpointDefinition,
  type EndpointOptions,
  type MessageSession,
  defineEndpoint,
  handler,
  route,
  startEndpoint,
} from '../../src/index.ts'
import { silentLogger } from '../../src/runtime/logger.ts'
import { learningTransport } from '../../src/transport/learning/transport.ts'
import { emptyStorage, storedMessages } from '../support/folders.ts'
import {
  CancelOrder,
  CancelOrderAck,
  CountAttempt,
  ExpiringQuote,
  FailingOrder,
  FlakyOrder,
  GetOrder,
  GetOrderCount,
  GetOrderStatus,
  IOrderCancelled,
  OrderDetails,
  OrderPlaced,
  OrderStatus,
  PlaceOrder,
  PrintLabel,
  PriorityOrderPlaced,
  ReminderDue,
  ShipOrder,
  sampleOrderId,
  shopHost,
} from '../support/shop.ts'

// Folders written by NServiceBus 10.2.8, compared with what we write. Left out: ids, times, host, versions (spec: rulings).

const recordings = join(import.meta.dirname, '../fixtures/wire/learning')
const storageOf = (recording: string): string => join(recordings, recording, 'storage')

/** The metadata text with everything that differs from run to run blanked; order and layout stay. */
function comparable(metadata: string): string {
  return metadata
    .replace(/,?\r\n {2}"nsb\.Version": "[^"]*"/, '')
    .replaceAll(
      /("NServiceBus\.(?:MessageId|ConversationId|CorrelationId|RelatedTo|TimeSent|DeliverAt|ProcessingStarted|ProcessingEnded|Retries\.Timestamp|TimeOfFailure)": )"[^"]*"/g,
      '$1"…"',
    )
}

async function started(definition: EndpointDefinition, storage: string) {
  const endpoint = await startEndpoint(definition, { transport: learningTransport({ storage }), logger: silentLogger })
  return { endpoint, stop: () => endpoint.stop() }
}

const order = { OrderId: sampleOrderId }
const line = { Sku: 'BOOK-1', Quantity: 2, UnitPrice: '61.70' }

describe('what a client writes equals the recorded files', () => {
  const placed = { ...order, Total: '123.40', Status: OrderStatus.Placed }
  const cases: readonly {
    readonly recording: string
    readonly queue: string
    readonly below?: string
    act(session: MessageSession): Promise<unknown>
  }[] = [
    {
      recording: '02-pending-command',
      queue: 'Shop.Server',
      act: (session) =>
        session.send(
          new PlaceOrder({ ...order, Customer: 'Zoë & Sons <Ltd>', Total: '123.40', PlacedAt: '2026-03-01T09:30:15.25Z', Lines: [line] }),
        ),
    },
    { recording: '03-published-class-event', queue: 'Shop.Billing', act: (session) => session.publish(new OrderPlaced(placed)) },
    {
      recording: '04-published-derived-event',
      queue: 'Shop.Billing',
      act: (session) => session.publish(new PriorityOrderPlaced({ Priority: 9, ...placed })),
    },
    {
      recording: '05-published-interface-event',
      queue: 'Shop.Billing',
      act: (session) => session.publish(new IOrderCancelled({ Reason: 'Customer changed their mind', ...order })),
    },
    { recording: '06-pending-with-time-to-be-received', queue: 'Shop.Server', act: (session) => session.send(new ExpiringQuote(order)) },
    {
      recording: '07-deferred',
      queue: 'Shop.Server',
      below: '.delayed',
      act: (session) => session.send(new ReminderDue(order), { delayDeliveryWith: '1h' }),
    },
    {
      recording: '08-command-to-unknown-endpoint',
      queue: 'Shop.NeverStarted',
      act: (session) =>
        session.send(
          new PlaceOrder({ ...order, Customer: 'Zoë & Sons <Ltd>', Total: '123.40', PlacedAt: '2026-03-01T09:30:15.25Z', Lines: [line] }),
          { destination: 'Shop.NeverStarted' },
        ),
    },
  ]
  for (const { below, queue, recording, ...client } of cases)
    it(`L-1 L-4 in ${recording}`, async () => {
      const storage = emptyStorage()
      const billing = await started(
        defineEndpoint('Shop.Billing', { handlers: [handler(OrderPlaced, () => undefined), handler(IOrderCancelled, () => undefined)] }),
        storage,
      )
      await billing.stop()
      const { endpoint, stop } = await started(
        defineEndpoint('Shop.Client', { instance: '1', host: shopHost, routes: [route('Shop.Messages', 'Shop.Server')] }),
        storage,
      )

      await client.act(endpoint)

      await stop()
      const ours = stored(storage, queue, below)
      const theirs = stored(storageOf(recording), queue, below)
      expect(ours).toHaveLength(1)
      expect(comparable(ours[0]?.metadata ?? '')).toBe(comparable(theirs[0]?.metadata ?? ''))
      expect(ours[0]?.body.toString()).toBe(theirs[0]?.body.toString())
    })

  it('L-1 CB-21 in 09-callback-requests-pending', async () => {
    const storage = emptyStorage()
    const { endpoint, stop } = await started(
      defineEndpoint('Shop.Client', { instance: '1', host: shopHost, routes: [route('Shop.Messages', 'Shop.Server')] }),
      storage,
    )

    const requests = [
      endpoint.request(new GetOrderStatus(order), OrderStatus),
      endpoint.request(new GetOrderCount({ Customer: 'Zoë & Sons <Ltd>' }), 'int'),
      endpoint.request(new GetOrder(order), OrderDetails),
    ].map((request) => request.catch(() => undefined))
    await endpoint.send(new CancelOrder({ ...order, Reason: null }))
    await stop()
    await Promise.all(requests)

    expect(fingerprints(stored(storage, 'Shop.Server'))).toEqual(
      fingerprints(stored(storageOf('09-callback-requests-pending'), 'Shop.Server')),
    )
  })
})

const server = (options: EndpointOptions = {}): EndpointDefinition =>
  defineEndpoint('Shop.Server', {
    host: shopHost,
    recoverability: { immediateRetries: 1, delayedRetries: 1, delayIncreaseMs: 1000 },
    routes: [route(CountAttempt, 'Shop.Server')],
    ...options,
  } as EndpointOptions<[]>)

const failing = (error: () => Error) =>
  handler(
    FailingOrder,
    () => {
      throw error()
    },
    { name: 'Shop.Handlers.FailingOrderHandler' },
  )

/** An exception as the recorded handler throws it. */
function recordedFailure(): Error {
  const timeout = Object.assign(new Error('The warehouse did not answer within 00:00:05.'), { name: 'System.TimeoutException' })
  const io = Object.assign(new Error('Reading the stock level failed.', { cause: timeout }), { name: 'System.IO.IOException' })
  return Object.assign(new Error(`Order ${sampleOrderId} cannot be placed: "stock" unknown — é ✓`, { cause: io }), {
    name: 'System.InvalidOperationException',
    helpLink: 'https://shop.example/errors/42',
    source: 'Peer',
  })
}

describe('what a server does with recorded requests equals the recorded answers', () => {
  it('CB-17 CB-18 CB-19 L-1 in 10-callback-responses-and-audit', async () => {
    const storage = emptyStorage()
    deliver('09-callback-requests-pending', 'Shop.Server', storage)
    const definition = server({
      auditQueue: 'audit',
      handlers: [
        handler(GetOrderStatus, (_, context) => context.replyEnum(OrderStatus, OrderStatus.Cancelled)),
        handler(GetOrderCount, (_, context) => context.reply(42)),
        handler(GetOrder, (message, context) => context.reply(new OrderDetails({ OrderId: message.OrderId, Status: 2, Total: '19.90' }))),
        handler(CancelOrder, (message, context) => context.reply(new CancelOrderAck({ OrderId: message.OrderId, Accepted: true }))),
      ] as never,
    })
    const { stop } = await started(definition, storage)
    await expect.poll(() => stored(storage, 'audit').length).toBe(4)
    await stop()

    for (const queue of ['Shop.Client', 'Shop.Client-1', 'audit'])
      expect(fingerprints(stored(storage, queue)), queue).toEqual(fingerprints(stored(storageOf('10-callback-responses-and-audit'), queue)))
  })

  it('RC-7 RC-15 L-1 in 11-delayed-retry-waiting and 12-error-queue', async () => {
    const storage = emptyStorage()
    const recorded = stored(storageOf('11-delayed-retry-waiting'), 'Shop.Server', '.delayed')[0]
    const original = without(recorded?.headers ?? {}, ['NServiceBus.Retries', 'NServiceBus.Retries.Timestamp', 'NServiceBus.DeliverAt'])
    write(storage, 'Shop.Server', '890b5fde-a75e-45d0-9d64-8ff7035b38ff', original, recorded?.body ?? Buffer.alloc(0))
    const { stop } = await started(server({ handlers: [failing(recordedFailure)] as never }), storage)

    await expect.poll(() => stored(storage, 'Shop.Server', '.delayed').length).toBe(1)
    const waiting = stored(storage, 'Shop.Server', '.delayed')[0]
    await expect.poll(() => stored(storage, 'error').length).toBe(1)
    await stop()

    expect(comparable(waiting?.metadata ?? '')).toBe(comparable(recorded?.metadata ?? ''))
    const ours = stored(storage, 'error')[0]
    const theirs = stored(storageOf('12-error-queue'), 'error')[0]
    expect(failureFields(ours?.headers)).toEqual(failureFields(theirs?.headers))
    expect(ours?.body).toEqual(theirs?.body)
    expect(ours?.headers['NServiceBus.ExceptionInfo.StackTrace']?.split('\n').slice(0, 3)).toEqual(
      theirs?.headers['NServiceBus.ExceptionInfo.StackTrace']?.split('\n').slice(0, 3),
    )
  })

  it('RC-3 in 13-error-queue-deserialization', async () => {
    const storage = emptyStorage()
    const theirs = stored(storageOf('13-error-queue-deserialization'), 'error')[0]
    const headers = {
      'NServiceBus.MessageId': 'raw-0001',
      'NServiceBus.ContentType': 'application/json',
      'NServiceBus.EnclosedMessageTypes': 'Shop.Messages.PlaceOrder',
    }
    write(storage, 'Shop.Server', '11111111-2222-4333-8444-555555555555', headers, Buffer.from('{"OrderId": not json'))
    const { stop } = await started(server({ handlers: [handler(PlaceOrder, () => undefined)] as never }), storage)
    await expect.poll(() => stored(storage, 'error').length).toBe(1)
    await stop()

    const ours = stored(storage, 'error')[0]
    const texts = ['NServiceBus.ExceptionInfo.InnerExceptionType', 'NServiceBus.ExceptionInfo.Source']
    expect(without(failureFields(ours?.headers), texts)).toEqual(without(failureFields(theirs?.headers), texts))
    expect(ours?.body).toEqual(theirs?.body)
  })

  it('L-9 in 14-message-in-process and 15-after-second-handler-failed', async () => {
    const storage = emptyStorage()
    const theirs = stored(storageOf('15-after-second-handler-failed'), 'error')[0]
    const names = Object.keys(theirs?.headers ?? {})
    const original = Object.fromEntries(
      names.slice(0, names.indexOf('NServiceBus.TimeSent') + 1).map((name) => [name, theirs?.headers[name] ?? '']),
    )
    write(storage, 'Shop.Server', '124d56ec-6303-463b-a5a1-85627b4f973b', original, theirs?.body ?? Buffer.alloc(0))
    let inProcess: readonly string[] = []
    let counted = 0
    const definition = server({
      recoverability: { immediateRetries: 0, delayedRetries: 0 },
      handlers: [
        handler(ShipOrder, async (message, context) => {
          await context.sendLocal(new PrintLabel({ OrderId: message.OrderId, Attempt: 1 }))
          await context.publish(new OrderPlaced({ OrderId: message.OrderId, Total: 1, Status: 1 }))
          await context.send(new CountAttempt({ OrderId: message.OrderId, Attempt: 1 }), { requireImmediateDispatch: true })
        }),
        handler(
          ShipOrder,
          () => {
            inProcess = tree(storage).filter((path) => path.startsWith('Shop.Server/.pending/') && path.endsWith('.txt'))
            throw Object.assign(new Error('Second handler failure 1 of 9'), { name: 'System.InvalidOperationException', source: 'Peer' })
          },
          { name: 'Shop.Handlers.ShipOrderSecondHandler' },
        ),
        handler(CountAttempt, () => void (counted += 1)),
      ] as never,
    })
    const { stop } = await started(definition, storage)
    await expect.poll(() => [stored(storage, 'error').length, counted]).toEqual([1, 1])
    await stop()

    expect(inProcess).toEqual([
      expect.stringMatching(/^Shop\.Server\/\.pending\/[^/]+\/124d56ec-6303-463b-a5a1-85627b4f973b\.metadata\.txt$/),
    ])
    expect(failureFields(stored(storage, 'error')[0]?.headers)).toEqual(failureFields(theirs?.headers))
    expect(
      tree(storage).filter((path) => /^Shop\.Server\/[^.]/.test(path) || path.includes('.pending/') || path.includes('.committed/')),
    ).toEqual([])
  })

  it('RC-13 in 17-replay-servicecontrol-succeeds', async () => {
    const storage = emptyStorage()
    const golden = JSON.parse(readFileSync(join(recordings, '17-replay-servicecontrol-succeeds.json'), 'utf8')) as {
      sentHeaders: Record<string, string>
      acknowledgement: { metadata: string; bodyBytes: number }
      auditMetadata: string
      trace: { body?: string }[]
    }
    write(
      storage,
      'Shop.Server',
      '10313ae1-08d6-4a2e-a102-f37eb99da2b4',
      golden.sentHeaders,
      Buffer.from(golden.trace.find(({ body }) => body !== undefined)?.body ?? ''),
    )
    const { stop } = await started(server({ auditQueue: 'audit', handlers: [handler(FlakyOrder, () => undefined)] as never }), storage)
    await expect.poll(() => [stored(storage, 'retry-ack').length, stored(storage, 'audit').length]).toEqual([1, 1])
    await stop()

    const blankTimes = (metadata: string): string => comparable(metadata).replace(/("ServiceControl\.Retry\.Successful": )"[^"]*"/, '$1"…"')
    expect(blankTimes(stored(storage, 'retry-ack')[0]?.metadata ?? '')).toBe(blankTimes(golden.acknowledgement.metadata))
    expect(stored(storage, 'retry-ack')[0]?.body).toHaveLength(golden.acknowledgement.bodyBytes)
    expect(comparable(stored(storage, 'audit')[0]?.metadata ?? '')).toBe(comparable(golden.auditMetadata))
  })

  it('L-14 handles a file of any name, and moves one without a body to the error queue, where .NET gets stuck (18-hand-made-files)', async () => {
    const storage = emptyStorage()
    const ids: string[] = []
    write(
      storage,
      'Shop.Server',
      'hello',
      { 'NServiceBus.EnclosedMessageTypes': 'Shop.Messages.ReminderDue' },
      Buffer.from(JSON.stringify(order)),
    )
    writeFileSync(join(storage, 'Shop.Server', 'nobody.metadata.txt'), '{}')
    const { stop } = await started(
      server({ handlers: [handler(ReminderDue, (_, context) => void ids.push(context.messageId))] as never }),
      storage,
    )
    await expect.poll(() => [ids, stored(storage, 'error').length]).toEqual([['hello'], 1])
    await stop()

    expect(stored(storage, 'error')[0]?.headers['NServiceBus.FailedQ']).toBe('Shop.Server')
  })
})

/** The stored messages of a queue; `.delayed` means those of every due second. */
function stored(storage: string, queue: string, below = ''): ReturnType<typeof storedMessages> {
  if (below !== '.delayed') return storedMessages(storage, queue, below)
  return names(join(storage, queue, below)).flatMap((second) => storedMessages(storage, queue, join(below, second)))
}

function fingerprints(messages: ReturnType<typeof storedMessages>): string[] {
  return messages.map(({ body, metadata }) => `${comparable(metadata)}\n${body.toString()}`).sort()
}

/** Everything the error queue is told, as far as two platforms can tell the same. */
function failureFields(headers: Readonly<Record<string, string>> = {}): Record<string, string> {
  const times = /(TimeSent|TimeOfFailure|Timestamp|DeliverAt|start time|failure time|Transport message ID)$/
  return Object.fromEntries(
    Object.entries(
      without(headers, [
        'nsb.Version',
        'NServiceBus.ExceptionInfo.StackTrace',
        'NServiceBus.ExceptionInfo.Data.node.stack',
        ...extraData(headers),
      ]),
    )
      .map(([name, value]): [string, string] => [name, times.test(name) ? '…' : value])
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  )
}

// What the recorded handler put into Exception.Data, and what our errors carry as properties.
function extraData(headers: Readonly<Record<string, string>>): string[] {
  const standard = [
    'Message type',
    'Handler type',
    'Handler start time',
    'Handler failure time',
    'Handler canceled',
    'Message ID',
    'Transport message ID',
    'Pipeline canceled',
  ]
  const prefix = 'NServiceBus.ExceptionInfo.Data.'
  return Object.keys(headers).filter((name) => name.startsWith(prefix) && !standard.includes(name.slice(prefix.length)))
}

function without(headers: Readonly<Record<string, string>>, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name)))
}

function deliver(recording: string, queue: string, storage: string): void {
  const from = join(storageOf(recording), queue)
  mkdirSync(join(storage, queue, '.bodies'), { recursive: true })
  for (const name of names(join(from, '.bodies'))) copyFileSync(join(from, '.bodies', name), join(storage, queue, '.bodies', name))
  for (const name of names(from).filter((each) => each.endsWith('.metadata.txt')))
    copyFileSync(join(from, name), join(storage, queue, name))
}

function write(storage: string, queue: string, nativeId: string, headers: Readonly<Record<string, string>>, body: Buffer): void {
  const folder = join(storage, queue)
  mkdirSync(join(folder, '.bodies'), { recursive: true })
  writeFileSync(join(folder, '.bodies', `${nativeId}.body.txt`), body)
  const aside = join(storage, `${nativeId}.aside`)
  writeFileSync(aside, JSON.stringify(headers))
  utimesSync(aside, new Date(), new Date())
  renameSync(aside, join(folder, `${nativeId}.metadata.txt`))
}

function tree(storage: string): readonly string[] {
  return readdirSync(storage, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(storage.length + 1))
    .sort()
}

function names(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

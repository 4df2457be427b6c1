// One contestant in one workload; prints its figures as JSON. Started by bench/rabbitmq.ts.
// node contestant.mjs amqplib|nsb <url> <queue> send|receive|request|handle <messages> <at once>
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { connect } from 'amqplib'
import { command, defineEndpoint, handler, openTransport, route, silentLogger, startEndpoint } from '../../dist/src/index.js'

const [, , contestant, url, queue, workload, count, width] = process.argv
const messages = Number(count)
const atOnce = Number(width)
const warmUp = workload === 'request' ? Math.min(500, messages) : 4000

const content = (number) => ({
  OrderId: '0f4c3a52-6d1e-4b7a-9c58-2e7f81d9a001',
  Number: number,
  Customer: 'Ada Lovelace',
  PlacedAt: '2026-03-01T09:30:15.25Z',
  Lines: Array.from({ length: 13 }, (_, index) => ({ Sku: `BOOK-${index}`, Quantity: index + 1, UnitPrice: 61.75, Note: 'plain text' })),
})

const enclosed = (name) => `Shop.Messages.${name}, Shop.Messages, Version=1.0.0.0, Culture=neutral, PublicKeyToken=null`
const headersOf = (id, type, more) => ({
  'NServiceBus.MessageId': id,
  'NServiceBus.OpenTelemetry.StartNewTrace': 'False',
  'NServiceBus.MessageIntent': 'Send',
  'NServiceBus.ConversationId': id,
  'NServiceBus.CorrelationId': id,
  'NServiceBus.ReplyToAddress': 'Shop.Client',
  'NServiceBus.OriginatingMachine': hostname(),
  'NServiceBus.OriginatingEndpoint': 'Shop.Client',
  '$.diagnostics.originating.hostid': '9a5bc0a55361f12743b646d323f22728',
  'NServiceBus.ContentType': 'application/json',
  'NServiceBus.EnclosedMessageTypes': enclosed(type),
  'NServiceBus.Version': '10.2.8',
  'nsb.Version': '0.1.0',
  'NServiceBus.TimeSent': '2026-11-21 00:21:06:917061 Z',
  ...more,
})
const propertiesOf = (id, type, more) => ({
  messageId: id,
  correlationId: id,
  replyTo: 'Shop.Client',
  type: `Shop.Messages.${type}`,
  contentType: 'application/json',
  persistent: true,
  mandatory: true,
  headers: headersOf(id, type, more),
})

/** From the first message after the warm-up to the last. */
class Stopwatch {
  #done = 0
  #started
  #cpu
  #all = Promise.withResolvers?.() ?? withResolvers()
  latencies = []

  count() {
    this.#done++
    if (this.#done === warmUp) {
      this.#cpu = process.cpuUsage()
      this.#started = performance.now()
    }
    if (this.#done === warmUp + messages) {
      const { user, system } = process.cpuUsage(this.#cpu)
      const sorted = this.latencies.slice(-messages).sort((a, b) => a - b)
      this.#all.resolve({
        cpuMicros: (user + system) / messages,
        perSecond: (messages * 1000) / (performance.now() - this.#started),
        p50Ms: sorted[Math.floor(sorted.length / 2)] ?? 0,
        rssMiB: process.resourceUsage().maxRSS / 1024,
      })
    }
  }

  get figures() {
    return this.#all.promise
  }
}

function withResolvers() {
  let resolve
  const promise = new Promise((done) => {
    resolve = done
  })
  return { promise, resolve }
}

/** Runs `act` for each number, so many at once. */
async function each(total, width, act) {
  let next = 0
  await Promise.all(
    Array.from({ length: Math.min(width, total) }, async () => {
      while (next < total) await act(next++)
    }),
  )
}

const total = warmUp + messages
const stopwatch = new Stopwatch()

async function connected() {
  const connection = await connect(url, { noDelay: true })
  return { connection, channel: await connection.createConfirmChannel() }
}

async function makeQueue(channel, name) {
  await channel.assertQueue(name, { arguments: { 'x-queue-type': 'quorum' } })
  await channel.assertExchange(name, 'fanout')
  await channel.bindQueue(name, name, '')
}

const confirmed = (channel, exchange, body, properties) =>
  new Promise((resolve, reject) => channel.publish(exchange, '', body, properties, (error) => (error ? reject(error) : resolve())))

/** Fills the queue, from a process' point of view before anything is measured. */
async function fill() {
  const { connection, channel } = await connected()
  await makeQueue(channel, queue)
  await makeQueue(channel, `${queue}.target`)
  await each(total, 1000, (number) => {
    const id = randomUUID()
    return confirmed(channel, queue, Buffer.from(JSON.stringify(content(number))), propertiesOf(id, 'PlaceOrder', { 'Shop.Number': '1' }))
  })
  await connection.close()
}

const plain = {
  async send() {
    const { connection, channel } = await connected()
    await makeQueue(channel, queue)
    await each(total, atOnce, async (number) => {
      const id = randomUUID()
      await confirmed(channel, queue, Buffer.from(JSON.stringify(content(number))), propertiesOf(id, 'PlaceOrder', { 'Shop.Number': '1' }))
      stopwatch.count()
    })
    return connection
  },
  async receive() {
    await fill()
    const { connection, channel } = await connected()
    await channel.prefetch(atOnce)
    await channel.consume(queue, (delivery) => {
      JSON.parse(delivery.content.toString('utf8'))
      channel.ack(delivery)
      stopwatch.count()
    })
    return connection
  },
  async handle() {
    await fill()
    const { connection, channel } = await connected()
    const publisher = await connection.createConfirmChannel()
    await channel.prefetch(atOnce)
    const handle = async (delivery) => {
      const order = JSON.parse(delivery.content.toString('utf8'))
      const send = (type) => {
        const id = randomUUID()
        return confirmed(publisher, `${queue}.target`, Buffer.from(JSON.stringify(order)), propertiesOf(id, type, { 'Shop.Number': '1' }))
      }
      await Promise.all([send('BillOrder'), send('ShipOrder')])
      channel.ack(delivery)
      stopwatch.count()
    }
    await channel.consume(queue, (delivery) => void handle(delivery))
    return connection
  },
  async request() {
    const responder = await respond()
    const { connection, channel } = await connected()
    const replies = `${queue}.client`
    await makeQueue(channel, replies)
    const waiting = new Map()
    const receiving = await connection.createChannel()
    await receiving.prefetch(100)
    await receiving.consume(replies, (delivery) => {
      const id = delivery.properties.correlationId
      waiting.get(id)?.(Number(delivery.properties.headers['NServiceBus.ReturnMessage.ErrorCode']))
      waiting.delete(id)
      receiving.ack(delivery)
    })
    await each(total, atOnce, async (number) => {
      const id = randomUUID()
      const started = performance.now()
      const answered = new Promise((resolve) => waiting.set(id, resolve))
      const properties = propertiesOf(id, 'PlaceOrder', { 'Shop.Number': '1', 'NServiceBus.ReplyToAddress': replies })
      await confirmed(channel, queue, Buffer.from(JSON.stringify(content(number))), { ...properties, replyTo: replies })
      await answered
      stopwatch.latencies.push(performance.now() - started)
      stopwatch.count()
    })
    return { close: () => Promise.all([connection.close(), responder.close()]) }
  },
}

/** The same responder for everybody, in this process, so that its share is the same. */
async function respond() {
  const { connection, channel } = await connected()
  await makeQueue(channel, queue)
  const receiving = await connection.createChannel()
  await receiving.prefetch(100)
  await receiving.consume(queue, (delivery) => {
    const id = randomUUID()
    const { messageId, replyTo } = delivery.properties
    void confirmed(channel, replyTo, Buffer.alloc(0), {
      messageId: id,
      correlationId: messageId,
      persistent: true,
      mandatory: true,
      contentType: 'application/octet-stream',
      headers: {
        'NServiceBus.MessageId': id,
        'NServiceBus.CorrelationId': messageId,
        'NServiceBus.MessageIntent': 'Reply',
        'NServiceBus.ControlMessage': 'True',
        'NServiceBus.ReturnMessage.ErrorCode': '42',
        'NServiceBus.Version': '10.2.8',
      },
    }).then(() => receiving.ack(delivery))
  })
  return {
    async close() {
      await channel.waitForConfirms()
      await connection.close()
    },
  }
}

/** Plain amqplib checks nothing either. */
const anything = { '~standard': { version: 1, vendor: 'bench', validate: (value) => ({ value }) } }
class PlaceOrder extends command('Shop.Messages.PlaceOrder', anything) {}
class BillOrder extends command('Shop.Messages.BillOrder', anything) {}
class ShipOrder extends command('Shop.Messages.ShipOrder', anything) {}

const nsb = {
  async send() {
    const { connection, channel } = await connected()
    await makeQueue(channel, queue)
    await connection.close()
    const { endpoint, transport } = await start({ sendOnly: true, handlers: [], routes: [route(PlaceOrder, queue)] })
    await each(total, atOnce, async (number) => {
      await endpoint.send(new PlaceOrder(content(number)), { headers: { 'Shop.Number': '1' } })
      stopwatch.count()
    })
    return transport
  },
  async receive() {
    await fill()
    const { transport } = await start({ handlers: [handler(PlaceOrder, async () => undefined)], concurrency: atOnce }, () =>
      stopwatch.count(),
    )
    return transport
  },
  async handle() {
    await fill()
    const routes = [route(BillOrder, `${queue}.target`), route(ShipOrder, `${queue}.target`)]
    const handlers = [
      handler(PlaceOrder, (order, context) => context.send(new BillOrder(Object.assign({}, order)), { headers: { 'Shop.Number': '1' } })),
      handler(PlaceOrder, (order, context) => context.send(new ShipOrder(Object.assign({}, order)), { headers: { 'Shop.Number': '1' } })),
    ]
    const { transport } = await start({ handlers, routes, concurrency: atOnce }, () => stopwatch.count())
    return transport
  },
  async request() {
    const responder = await respond()
    const { endpoint, transport } = await start({
      name: `${queue}.client`,
      instance: '1',
      handlers: [],
      routes: [route(PlaceOrder, queue)],
      concurrency: 100,
    })
    await each(total, atOnce, async (number) => {
      const started = performance.now()
      const answer = await endpoint.request(new PlaceOrder(content(number)), 'int', { headers: { 'Shop.Number': '1' } })
      if (answer !== 42) throw new Error(`${answer} is not 42`)
      stopwatch.latencies.push(performance.now() - started)
      stopwatch.count()
    })
    return { close: () => Promise.all([transport.close(), responder.close()]) }
  },
}

async function start({ name = queue, ...options }, observe) {
  const transport = await openTransport(url)
  const endpoint = await startEndpoint(defineEndpoint(name, { messages: [PlaceOrder], ...options }), {
    transport,
    logger: silentLogger,
    ...(observe ? { observe } : {}),
  })
  return { endpoint, transport }
}

const opened = await { amqplib: plain, nsb }[contestant][workload]()
console.log(JSON.stringify(await stopwatch.figures))
await opened.close()
process.exit(0)

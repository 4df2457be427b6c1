// Run with `--unhandled-rejections=strict`: what is not handled ends the process, and so does a warning.
import { z } from 'zod'
import { type RunningEndpoint, command, defineEndpoint, handler, route, silentLogger, startEndpoint } from '../../../src/index.ts'
import { sendAndAwait } from '../../../src/toolkit/send/await-reply.ts'
import { memoryTransport } from '../../../src/transport/memory/transport.ts'
import type { OutgoingMessage, ReceiveOptions, Transport } from '../../../src/transport/transport.ts'

process.on('warning', (warning) => {
  throw warning
})

class PlaceOrder extends command('Shop.PlaceOrder', z.object({ OrderId: z.string() })) {}

const fail = (): never => {
  throw new Error('the logger is broken')
}
const reject = (): Promise<never> => Promise.reject(new Error('the logger is broken'))
const order = (OrderId: string): PlaceOrder => new PlaceOrder({ OrderId })
const sent = (id: string, replyTo = 'nowhere'): OutgoingMessage => ({
  id,
  headers: { 'NServiceBus.MessageId': id, 'NServiceBus.ReplyToAddress': replyTo },
  body: new Uint8Array(),
  to: { address: 'Shop' },
})

/** The same transport with other answers for some calls. */
function changed(transport: Transport, changes: Partial<Transport>): Transport {
  return new Proxy(transport, {
    get(target, key) {
      const value: unknown = Reflect.get(changes, key) ?? Reflect.get(target, key, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 20_000
  while (!(await condition())) {
    if (performance.now() > end) throw new Error('it never came')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

const depthOf = async (transport: Transport, queue: string): Promise<number> => (await transport.inspect(queue))?.depth ?? 0

const scenes: Readonly<Record<string, () => Promise<string>>> = {
  /** Every message is dealt with, and each of the four slots is free again afterwards. */
  async loggers() {
    const transport = memoryTransport()
    let handled = 0
    const endpoint: RunningEndpoint = await startEndpoint(
      defineEndpoint('Shop', {
        handlers: [
          handler(PlaceOrder, ({ OrderId }) => {
            if (OrderId.startsWith('bad')) throw new Error('no stock')
            handled++
          }),
        ],
        routes: [route(PlaceOrder, 'Shop')],
        concurrency: 4,
        recoverability: { immediateRetries: 1, delayedRetries: 0 },
      }),
      {
        transport,
        logger: { debug: fail, info: fail, warn: fail, error: reject as never },
        observe: reject as never,
        onPoison: fail,
        onAbandoned: fail,
      },
    )
    for (let number = 0; number < 10; number++) await endpoint.send(order(`bad ${number}`))
    for (let number = 0; number < 10; number++) await endpoint.send(order(`good ${number}`))
    await until(async () => handled === 10 && (await depthOf(transport, 'error')) === 10 && endpoint.inHand === 0)
    await endpoint.stop()
    return `${handled} handled, ${await depthOf(transport, 'error')} failed`
  },

  /** The first queue of the endpoint is received, and then the second is refused. */
  async start() {
    const transport = memoryTransport()
    const refusing = changed(transport, {
      receive: (options: ReceiveOptions, decide) =>
        options.queue === 'Shop' ? transport.receive(options, decide) : Promise.reject(new Error('refused')),
    })
    const definition = defineEndpoint('Shop', { handlers: [handler(PlaceOrder, () => undefined)], instance: 'a1' })
    const refused = await startEndpoint(definition, { transport: refusing, logger: silentLogger }).then(String, String)
    await transport.dispatch([sent('1')])
    const facts = await transport.inspect('Shop')
    return `${refused}, ${facts?.consumers} consumers, ${facts?.depth} waiting`
  },

  /** The wait ends while the transport has not taken the request. */
  async abort() {
    const transport = memoryTransport()
    await transport.createQueues(['Shop', 'error'])
    const abort = new AbortController()
    let taken = (): void => {}
    const stuck = changed(transport, { dispatch: () => new Promise<void>((resolve) => (taken = resolve)) })
    const options = { errorQueue: 'error', timeoutMs: 60_000, signal: abort.signal, sent: () => undefined }
    const waiting = sendAndAwait(stuck, (replyTo) => sent('1', replyTo), options).then(String, String)
    await new Promise((resolve) => setTimeout(resolve, 20))
    abort.abort(new Error('Ctrl-C'))
    const how = await waiting
    taken()
    return how
  },

  /** The receiver of the reply fails for good, before and while the request is on its way. */
  async critical() {
    const ends: string[] = []
    for (const early of [true, false]) {
      const transport = memoryTransport()
      await transport.createQueues(['Shop', 'error'])
      let tell: (error: unknown) => void = () => undefined
      const failing = changed(transport, {
        receive: (options: ReceiveOptions, decide) => {
          tell = (error) => options.onCriticalError(error)
          if (early) tell(new Error('the queue is gone'))
          return transport.receive(options, decide)
        },
        dispatch: async () => {
          if (!early) tell(new Error('the queue is gone'))
          await new Promise((resolve) => setTimeout(resolve, 20))
        },
      })
      const options = { errorQueue: 'error', timeoutMs: 60_000, signal: new AbortController().signal, sent: () => undefined }
      ends.push(await sendAndAwait(failing, (replyTo) => sent('1', replyTo), options).then(String, String))
    }
    return ends.join(', ')
  },

  /** A thousand requests with one signal, each of which ends in time. */
  async listeners() {
    const transport = memoryTransport()
    const abort = new AbortController()
    const endpoint = await startEndpoint(
      defineEndpoint('Shop', {
        handlers: [handler(PlaceOrder, (_, context) => context.reply(7))],
        routes: [route(PlaceOrder, 'Shop')],
        instance: 'a1',
      }),
      { transport, logger: silentLogger },
    )
    let sum = 0
    for (let number = 0; number < 1000; number++)
      sum += Number(await endpoint.request(order(String(number)), 'int', { signal: abort.signal }))
    const pending = endpoint.request(order('late'), 'int', { signal: abort.signal }).then(String, String)
    abort.abort()
    await pending
    const late = await endpoint
      .request(order('too late'), 'int', { signal: abort.signal })
      .then(String, ({ code }: { code: string }) => code)
    await endpoint.stop()
    return `${sum}, ${late}, ${endpoint.pendingRequests} pending`
  },
}

process.stdout.write(await (scenes[process.argv[2] ?? ''] as () => Promise<string>)())

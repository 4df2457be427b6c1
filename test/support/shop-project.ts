import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { learningTransport } from '../../src/transport/learning/transport.ts'
import { emptyFolder } from './folders.ts'

/** A folder with an `nsb.json`, a storage folder and the given files: what a user of `nsb` works in. */
export function project(files: Readonly<Record<string, string>>, config: Record<string, unknown> = {}): string {
  const folder = emptyFolder()
  mkdirSync(join(folder, '.learningtransport'))
  write(folder, { 'nsb.json': JSON.stringify({ endpoint: { name: 'Shop' }, routing: { 'Shop.*': 'Shop' }, ...config }), ...files })
  return folder
}

export function write(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
}

export const placeOrder = `import { command } from 'nsbus'
import { z } from 'zod'
export class PlaceOrder extends command('Shop.PlaceOrder', z.object({ OrderId: z.string() })) {}
`

export const orderAccepted = `import { message } from 'nsbus'
import { z } from 'zod'
export class OrderAccepted extends message('Shop.OrderAccepted', z.object({ OrderId: z.string() })) {}
`

/** A handler for PlaceOrder with the given statements; `message` and `context` are there. */
export const placeOrderHandler = (statements: string): string => `import { type IHandleMessages, type MessageHandlerContext } from 'nsbus'
import { PlaceOrder } from '../messages/place-order.ts'
import { OrderAccepted } from '../messages/order-accepted.ts'
export class PlaceOrderHandler implements IHandleMessages<PlaceOrder> {
  static readonly handles = PlaceOrder
  async handle(message: PlaceOrder, context: MessageHandlerContext) {
    ${statements}
  }
}
export { OrderAccepted }
`

/** The usual shop: PlaceOrder is answered with OrderAccepted; order 'bad' fails. */
export function shop(
  statements = `if (message.OrderId === 'bad') throw new Error('no stock for ' + message.OrderId)\n    await context.reply(new OrderAccepted({ OrderId: message.OrderId }))`,
): string {
  return project({
    'src/messages/place-order.ts': placeOrder,
    'src/messages/order-accepted.ts': orderAccepted,
    'src/handlers/place-order.handler.ts': placeOrderHandler(statements),
  })
}

/** Puts PlaceOrder messages into the queue of the shop: ids `m<n>`, orders `o<n>`, from `from` on. */
export async function fill(folder: string, from: number, count: number): Promise<void> {
  const transport = learningTransport({ storage: join(folder, '.learningtransport') })
  for (let id = from; id < from + count; id++)
    await transport.dispatch([
      {
        id: `m${id}`,
        headers: {
          'NServiceBus.MessageId': `m${id}`,
          'NServiceBus.ContentType': 'application/json',
          'NServiceBus.EnclosedMessageTypes': 'Shop.PlaceOrder',
        },
        body: Buffer.from(JSON.stringify({ OrderId: `o${id}` })),
        to: { address: 'Shop' },
      },
    ])
  await transport.close()
}

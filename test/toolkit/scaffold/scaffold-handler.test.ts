import assert from 'node:assert/strict'
import { describe, expect, it } from 'vitest'
import { findProject } from '../../../src/toolkit/project.ts'
import { type HandlerRequest, planHandler } from '../../../src/toolkit/scaffold/scaffold-handler.ts'
import { planMessage } from '../../../src/toolkit/scaffold/scaffold-message.ts'
import { writeFiles } from '../../../src/toolkit/scaffold/write-files.ts'
import { projectWith } from '../load-handlers/project.ts'

const empty = { 'nsb.json': '{"endpoint":{"name":"Shop"}}', 'package.json': '{"type":"module"}' }

const plan = async (files: Readonly<Record<string, string>>, request: Partial<HandlerRequest> = {}) => {
  await using project = await projectWith(files)
  return await planHandler(await findProject(project.root), { message: 'PlaceOrder', properties: [], ...request })
}
const contents = ({ files }: Awaited<ReturnType<typeof plan>>): Record<string, string> =>
  Object.fromEntries(files.map(({ path, content }) => [path, content]))

describe('a handler for a message that is not declared yet', () => {
  it('is what the manual shows', async () => {
    const planned = await plan(empty, { replies: 'OrderAccepted' })

    assert.deepEqual(
      planned.files.map(({ path, action, type }) => [action, path, type]),
      [
        ['create', 'src/messages/place-order.ts', 'Shop.PlaceOrder (command)'],
        ['create', 'src/messages/order-accepted.ts', 'Shop.OrderAccepted (reply)'],
        ['create', 'src/handlers/place-order.handler.ts', undefined],
        ['create', 'src/handlers/place-order.handler.test.ts', undefined],
      ],
    )
    assert.equal(
      contents(planned)['src/handlers/place-order.handler.ts'],
      `import { type IHandleMessages, type MessageHandlerContext } from 'nsbus'
import { PlaceOrder } from '../messages/place-order.ts'
import { OrderAccepted } from '../messages/order-accepted.ts'

export class PlaceOrderHandler implements IHandleMessages<PlaceOrder> {
  static readonly handles = PlaceOrder

  async handle(message: PlaceOrder, context: MessageHandlerContext) {
    await context.reply(new OrderAccepted({ OrderId: message.OrderId }))
  }
}
`,
    )
    assert.match(
      contents(planned)['src/messages/place-order.ts'] ?? '',
      /command\('Shop\.PlaceOrder', z\.object\(\{ OrderId: z\.string\(\) \}\)\)/,
    )
    assert.deepEqual(planned.newMessages, ['Shop.PlaceOrder', 'Shop.OrderAccepted'])
    assert.deepEqual(planned.example, { type: 'PlaceOrder', data: ['OrderId=1'] })
  })

  it('gives the reply the identifying property of the message', async () => {
    const planned = await plan(empty, { properties: ['Quantity:int', 'OrderId:guid'], replies: 'OrderAccepted' })

    assert.match(contents(planned)['src/messages/order-accepted.ts'] ?? '', /OrderId: z\.guid\(\)/)
    assert.match(contents(planned)['src/handlers/place-order.handler.test.ts'] ?? '', /new PlaceOrder\(\{ Quantity: 1, OrderId: '0f4c3a52-/)
  })

  it('handles several types, and tests each', async () => {
    const planned = await plan(empty, { also: ['CancelOrder', 'PlaceOrder'] })

    const handler = contents(planned)['src/handlers/place-order.handler.ts'] ?? ''
    assert.match(handler, /implements IHandleMessages<PlaceOrder \| CancelOrder>/)
    assert.match(handler, /static readonly handles = \[PlaceOrder, CancelOrder\]/)
    assert.equal(planned.tests, 2)
  })

  it('is plain JavaScript when asked', async () => {
    const handler = contents(await plan(empty, { js: true, replies: 'OrderAccepted' }))['src/handlers/place-order.handler.js'] ?? ''

    assert.doesNotMatch(handler, /implements|readonly|: PlaceOrder,/)
    assert.match(handler, /from '\.\.\/messages\/place-order\.js'/)
  })

  it('follows node:test where the project uses it', async () => {
    const planned = await plan({ ...empty, 'package.json': '{"scripts":{"test":"node --test"}}' }, { replies: 'OrderAccepted' })

    const test = contents(planned)['src/handlers/place-order.handler.test.ts'] ?? ''
    assert.match(test, /import assert from 'node:assert\/strict'\nimport \{ test \} from 'node:test'/)
    assert.match(test, /assert\.deepEqual\(context\.replied\.of\(OrderAccepted\), \[new OrderAccepted\(\{ OrderId: '1' \}\)\]\)/)
  })

  it('goes where nsb.json looks, and warns when it is told to go elsewhere', async () => {
    const config = { 'nsb.json': '{"endpoint":{"name":"Shop","handlers":"lib/in/*.handler.ts","messages":"lib/**/*.ts"}}' }

    const usual = await plan(config)
    const elsewhere = await plan(config, { dir: 'other' })

    assert.deepEqual(Object.keys(contents(usual)), [
      'lib/place-order.ts',
      'lib/in/place-order.handler.ts',
      'lib/in/place-order.handler.test.ts',
    ])
    assert.deepEqual(usual.warnings, [])
    assert.match(elsewhere.warnings[0] ?? '', /will not find other\/place-order\.handler\.ts/)
  })
})

describe('a handler for declared messages', () => {
  const declared = {
    ...empty,
    'src/messages/orders.ts': `
      import { command, message, event } from 'nsbus'
      import { decimal } from 'nsbus/zod'
      import { z } from 'zod'
      export class PlaceOrder extends command('Shop.Messages.PlaceOrder', z.object({ OrderId: z.guid(), Total: decimal(), Note: z.string().optional() })) {}
      export class OrderAccepted extends message(
        'Shop.Messages.OrderAccepted',
        z.object({ OrderId: z.guid(), Total: z.number(), Note: z.string(), Lines: z.array(z.string()), Comment: z.string().nullish() }),
      ) {}
      export class OrderPlaced extends event('Shop.Messages.OrderPlaced', z.object({ OrderId: z.guid() })) {}
    `,
  }

  it('imports them from where they are, and writes only itself and its test', async () => {
    const planned = await plan(declared, { replies: 'OrderAccepted' })

    assert.deepEqual(
      planned.files.map(({ path, action, type }) => [action, path, type]),
      [
        ['same', 'src/messages/orders.ts', 'Shop.Messages.PlaceOrder (command)'],
        ['same', 'src/messages/orders.ts', 'Shop.Messages.OrderAccepted (reply)'],
        ['create', 'src/handlers/place-order.handler.ts', undefined],
        ['create', 'src/handlers/place-order.handler.test.ts', undefined],
      ],
    )
    assert.deepEqual(planned.newMessages, [])
    assert.match(
      contents(planned)['src/handlers/place-order.handler.ts'] ?? '',
      /import \{ PlaceOrder, OrderAccepted \} from '\.\.\/messages\/orders\.ts'/,
    )
  })

  it('copies what has the same name and type, and fills in the rest', async () => {
    const handler = contents(await plan(declared, { replies: 'OrderAccepted' }))['src/handlers/place-order.handler.ts'] ?? ''

    assert.match(handler, /new OrderAccepted\(\{ OrderId: message\.OrderId, Total: 0, Note: '', Lines: \[\] \}\)/)
  })

  it('gives a new reply the identifying property of a declared message', async () => {
    const planned = await plan(declared, { replies: 'OrderRejected' })

    assert.match(contents(planned)['src/messages/order-rejected.ts'] ?? '', /OrderId: z\.guid\(\)/)
    assert.match(contents(planned)['src/handlers/place-order.handler.ts'] ?? '', /new OrderRejected\(\{ OrderId: message\.OrderId \}\)/)
  })

  it('is refused when other properties are given than they have', async () => {
    await expect(plan(declared, { properties: ['OrderId:string'] })).rejects.toThrow(
      expect.objectContaining({ code: 'NSB_MESSAGE_EXISTS' }),
    )
    const planned = await plan(declared, { properties: ['OrderId:guid', 'Total:decimal', 'Note?:string'] })
    assert.equal(planned.newMessages.length, 0)
  })

  it('is refused when the reply is an event', async () => {
    await expect(plan(declared, { replies: 'OrderPlaced' })).rejects.toThrow(expect.objectContaining({ code: 'NSB_NOT_A_REPLY' }))
  })

  it('says which ones it could mean', async () => {
    const twice = {
      ...declared,
      'src/messages/legacy.ts': `import { command } from 'nsbus'\nexport class PlaceOrder extends command('Legacy.PlaceOrder', schema) {}`,
    }

    await expect(plan(twice)).rejects.toThrow(`'Legacy.PlaceOrder' in src/messages/legacy.ts`)
  })

  it('shows why a message file does not compile', async () => {
    const broken = { ...empty, 'src/messages/a.ts': `export class PlaceOrder extends command('Shop.PlaceOrder', z.object({) {}` }

    await expect(plan(broken)).rejects.toThrow(expect.objectContaining({ code: 'NSB_HANDLER_DOES_NOT_COMPILE' }))
  })
})

describe('a message', () => {
  it.each([
    [{ name: 'PlaceOrder' }, /command\('Shop\.PlaceOrder', z\.object\(\{ OrderId: z\.string\(\) \}\)\)/],
    [{ name: 'OrderPlaced' }, /event\('Shop\.OrderPlaced'/],
    [{ name: 'OrderPlaced', kind: 'reply' as const }, /message\('Shop\.OrderPlaced'/],
    [{ name: 'Billing.PayInvoice' }, /command\('Billing\.PayInvoice'/],
    [{ name: 'PlaceOrder', namespace: 'A.B' }, /command\('A\.B\.PlaceOrder'/],
    [
      { name: 'PlaceOrder', properties: ['Total:decimal', 'For:timespan'] },
      /import \{ decimal, timeSpan \} from 'nsbus\/zod'\nimport \{ z \} from 'zod'/,
    ],
  ])('of %j is declared', async (request, expected) => {
    await using project = await projectWith(empty)

    const [file] = await planMessage(await findProject(project.root), { properties: [], ...request })

    assert.match(file?.content ?? '', expected)
  })

  it('that another file declares is refused', async () => {
    await using project = await projectWith({
      ...empty,
      'src/messages/all.ts': `export class PlaceOrder extends command('Shop.PlaceOrder', schema) {}`,
    })

    await expect(planMessage(await findProject(project.root), { name: 'PlaceOrder', properties: [] })).rejects.toThrow(
      'declared already, in src/messages/all.ts',
    )
  })

  it('written twice is the same, with other properties a conflict', async () => {
    await using project = await projectWith(empty)
    const shop = await findProject(project.root)
    await writeFiles(project.root, await planMessage(shop, { name: 'PlaceOrder', properties: [] }))

    const [same] = await planMessage(shop, { name: 'PlaceOrder', properties: [] })
    const [other] = await planMessage(shop, { name: 'PlaceOrder', properties: ['A:int'] })

    assert.deepEqual([same?.action, other?.action], ['same', 'conflict'])
  })
})

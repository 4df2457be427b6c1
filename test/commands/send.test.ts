import { readFileSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { learningTransport } from '../../src/transport/learning/transport.ts'
import { nsb } from '../cli/nsb.ts'
import { storedMessages } from '../support/folders.ts'
import { startNsb, startRun } from '../support/running-nsb.ts'
import { project, shop, write } from '../support/shop-project.ts'

const waiting = (folder: string, queue = 'Shop') => storedMessages(join(folder, '.learningtransport'), queue)
const bodies = (folder: string) => waiting(folder).map(({ body }) => body.toString())

const withTypes = () =>
  project({
    'src/messages/order.ts': `import { command, event } from 'nsbus'
import { int64, decimal } from 'nsbus/zod'
import { z } from 'zod'
export class PlaceOrder extends command('Shop.PlaceOrder', z.object({ OrderId: z.string(), Quantity: z.int().optional(), Total: decimal().optional(), Big: int64().optional(), Address: z.object({ City: z.string(), Zip: z.string().optional() }).optional() })) {}
export class OrderPlaced extends event('Shop.OrderPlaced', z.object({ OrderId: z.string() })) {}
`,
  })

describe('nsb send', () => {
  it('sends to the endpoint of the routing, with the headers of a .NET endpoint', async () => {
    const folder = shop()

    const { code, json } = await nsb(['send', 'PlaceOrder', '--data', 'OrderId=42', '--json'], { cwd: folder })

    expect(code).toBe(0)
    expect(json()).toMatchObject({ schema: 'nsb.send/1', destination: 'Shop', status: 'sent' })
    const [message] = waiting(folder)
    expect(message?.body.toString()).toBe('{"OrderId":"42"}')
    expect(message?.headers).toMatchObject({
      'NServiceBus.EnclosedMessageTypes': 'Shop.PlaceOrder',
      'NServiceBus.MessageIntent': 'Send',
      'NServiceBus.ContentType': 'application/json',
      'NServiceBus.OriginatingEndpoint': 'Shop',
      'NServiceBus.MessageId': json()['messageId'],
    })
  })

  it('has a reply address inside a project even when nobody awaits the reply, and none outside', async () => {
    const folder = shop()
    const outside = project({})
    rmSync(join(outside, 'nsb.json'))
    await nsb(['send', 'PlaceOrder', '--data', 'OrderId=1'], { cwd: folder })
    await nsb(['send', 'Shop.PlaceOrder', '{"OrderId":"1"}', '--to', 'Shop', '--no-validate'], { cwd: outside })

    const { code } = await nsb(['run', '--no-retries', '--until-idle', '200ms'], { cwd: folder })

    expect(code).toBe(0)
    expect(waiting(folder, 'nsb.reply.unread').map(({ body }) => body.toString())).toEqual(['{"OrderId":"1"}'])
    expect(waiting(outside)[0]?.headers).toMatchObject({ 'NServiceBus.OriginatingEndpoint': 'nsb' })
    expect(waiting(outside)[0]?.headers).not.toHaveProperty(['NServiceBus.ReplyToAddress'])
  })

  it.each([
    ['Quantity=1e400', /\/Quantity +1e400 is beyond the range of a number/],
    ['Quantity=1.5', /\/Quantity +Invalid input: expected int, received number/],
  ])('says what is wrong with the number in --data %s', async (data, says) => {
    const { code, stderr } = await nsb(['send', 'PlaceOrder', '--data', 'OrderId=1', '--data', data], { cwd: withTypes() })

    expect(code).toBe(2)
    expect(stderr).toMatch(says)
  })

  it('removes replies that nobody has read for a day', async () => {
    const folder = shop()
    const transport = learningTransport({ storage: join(folder, '.learningtransport') })
    await transport.dispatch(
      ['old', 'new'].map((id) => ({
        id,
        headers: { 'NServiceBus.MessageId': id },
        body: Buffer.from('{}'),
        to: { address: 'nsb.reply.unread' },
      })),
    )
    await transport.close()
    const queue = join(folder, '.learningtransport/nsb.reply.unread')
    const old =
      readdirSync(queue).find((name) => name.endsWith('.metadata.txt') && readFileSync(join(queue, name), 'utf8').includes('"old"')) ?? ''
    const twoDaysAgo = new Date(Date.now() - 2 * 86_400_000)
    utimesSync(join(queue, old), twoDaysAgo, twoDaysAgo)

    await nsb(['send', 'PlaceOrder', '--data', 'OrderId=1'], { cwd: folder })

    expect(waiting(folder, 'nsb.reply.unread').map(({ headers }) => headers['NServiceBus.MessageId'])).toEqual(['new'])
  })

  it('merges body, file and properties, the later ones winning, and keeps every digit', async () => {
    const folder = withTypes()
    writeFileSync(join(folder, 'order.json'), '{"OrderId":"1","Total":123.40,"Address":{"City":"Bern"}}')

    const { code, stderr } = await nsb(
      [
        'send',
        'PlaceOrder',
        '--file',
        'order.json',
        '--data',
        'OrderId=2',
        '--data',
        'Address.Zip=3000',
        '--data',
        'Quantity=3',
        '--data',
        'Big=9007199254740993',
      ],
      { cwd: folder },
    )

    expect(code, stderr).toBe(0)
    expect(bodies(folder)).toEqual([
      '{"OrderId":"2","Quantity":3,"Total":123.40,"Big":9007199254740993,"Address":{"City":"Bern","Zip":"3000"}}',
    ])
  })

  it('takes the body from stdin for -, and when nothing else gives one', async () => {
    const folder = shop()

    const dash = await nsb(['send', 'PlaceOrder', '-'], { cwd: folder, input: '\uFEFF{"OrderId":"1"}' })
    const piped = await nsb(['send', 'PlaceOrder'], { cwd: folder, input: '{"OrderId":"2"}' })
    const empty = await nsb(['send', 'PlaceOrder', '-'], { cwd: folder, input: '' })

    expect([dash.code, piped.code, empty.code]).toEqual([0, 0, 2])
    expect(bodies(folder).sort()).toEqual(['{"OrderId":"1"}', '{"OrderId":"2"}'])
  })

  it('CLI-5 does not wait for an open stdin when --data gives the body', async () => {
    const folder = shop()

    expect((await nsb(['send', 'PlaceOrder', '--data', 'OrderId=1'], { cwd: folder, input: 'open' })).code).toBe(0)
  })

  it('prints the complete wire form and sends nothing with --dry-run', async () => {
    const folder = shop()

    const { code, json } = await nsb(['send', 'PlaceOrder', '--data', 'OrderId=1', '--dry-run', '--json'], { cwd: folder })
    const human = await nsb(['send', 'PlaceOrder', '--data', 'OrderId=1', '--dry-run'], { cwd: folder })

    expect(code).toBe(0)
    expect(json()).toMatchObject({
      dryRun: true,
      destination: 'Shop',
      body: '{"OrderId":"1"}',
      headers: { 'NServiceBus.MessageIntent': 'Send' },
    })
    expect(human.stdout).toContain('NServiceBus.EnclosedMessageTypes: Shop.PlaceOrder')
    expect(waiting(folder)).toEqual([])
  })

  it('sends although a handler does not compile', async () => {
    const folder = shop()
    write(folder, { 'src/handlers/broken.handler.ts': 'export class {' })

    expect((await nsb(['send', 'PlaceOrder', '--data', 'OrderId=1'], { cwd: folder })).code).toBe(0)
  })

  it('adds custom headers and takes a message id', async () => {
    const folder = shop()

    await nsb(['send', 'PlaceOrder', '--data', 'OrderId=1', '--header', 'Tenant=a=b', '--id', 'order-1'], { cwd: folder })

    expect(waiting(folder)[0]?.headers).toMatchObject({ Tenant: 'a=b', 'NServiceBus.MessageId': 'order-1' })
  })

  it('sends an unknown type only with --to and --no-validate', async () => {
    const folder = shop()

    const refused = await nsb(['send', 'Other.Thing', '{"A":1}', '--to', 'Other'], { cwd: folder })
    const sent = await nsb(['send', 'Other.Thing', '{"A":1.10}', '--to', 'Other', '--no-validate'], { cwd: folder })

    expect(refused.code).toBe(2)
    expect(refused.stderr).toContain('--no-validate')
    expect(sent.code).toBe(0)
    expect(waiting(folder, 'Other')[0]).toMatchObject({ headers: { 'NServiceBus.EnclosedMessageTypes': 'Other.Thing' } })
    expect(waiting(folder, 'Other')[0]?.body.toString()).toBe('{"A":1.10}')
  })

  const refusals: readonly { readonly name: string; readonly words: readonly string[]; readonly error: string; readonly says: RegExp }[] = [
    {
      name: 'a body that does not match its schema',
      words: ['PlaceOrder', '--data', 'Ordr=1'],
      error: 'NSB_BODY_INVALID',
      says: /\/OrderId [^]*\n {2}Try: Correct it; --dry-run checks without sending\n/,
    },
    {
      name: 'a conversation without an id',
      words: ['PlaceOrder', '--data', 'OrderId=1', '--conversation', ''],
      error: 'NSB_BLANK_CONVERSATION_ID',
      says: /conversation/,
    },
    {
      name: 'a property that the schema does not know',
      words: ['PlaceOrder', '{"OrderId":"1","OrdrId":"2"}'],
      error: 'NSB_BODY_INVALID',
      says: /\/OrdrId +is not a known property; did you mean 'OrderId'/,
    },
    {
      name: 'JSON that goes on after the value',
      words: ['PlaceOrder', '--data', 'OrderId:="1","x":2'],
      error: 'NSB_BAD_DATA',
      says: /no JSON/,
    },
    {
      name: 'a storage folder that is not there',
      words: ['PlaceOrder', '--data', 'OrderId=1', '--storage', 'typo'],
      error: 'NSB_NO_STORAGE',
      says: /typo/,
    },
    { name: 'a body that is no JSON', words: ['PlaceOrder', '{"OrderId":'], error: 'NSB_NOT_JSON', says: /no JSON/ },
    { name: 'an unknown type', words: ['PlaceOrdr', '--data', 'OrderId=1'], error: 'NSB_UNKNOWN_TYPE', says: /PlaceOrder/ },
    {
      name: 'an address with a path',
      words: ['PlaceOrder', '--data', 'OrderId=1', '--to', '../x'],
      error: 'NSB_BAD_ADDRESS',
      says: /\.\.\/x/,
    },
    { name: 'a missing file', words: ['PlaceOrder', '--file', 'nope.json'], error: 'NSB_FILE_NOT_READABLE', says: /nope\.json/ },
    { name: 'a malformed property', words: ['PlaceOrder', '--data', 'OrderId'], error: 'NSB_BAD_DATA', says: /OrderId/ },
    { name: 'a prototype key', words: ['PlaceOrder', '--data', '__proto__.x=1'], error: 'NSB_BAD_DATA', says: /__proto__/ },
    {
      name: 'a malformed header',
      words: ['PlaceOrder', '--data', 'OrderId=1', '--header', 'Tenant'],
      error: 'NSB_BAD_HEADER',
      says: /Tenant/,
    },
    {
      name: 'a header with the name of a prototype',
      words: ['PlaceOrder', '--data', 'OrderId=1', '--header', '__proto__=z'],
      error: 'NSB_BAD_HEADER',
      says: /'__proto__' cannot be the name/,
    },
    {
      name: 'an expectation without --await-reply',
      words: ['PlaceOrder', '--data', 'OrderId=1', '--expect', 'OrderId'],
      error: 'NSB',
      says: /await-reply/,
    },
  ]
  for (const { error, name, says, words } of refusals)
    it(`CLI-2 refuses ${name} with exit 2, as text and as JSON, and sends nothing`, async () => {
      const folder = shop()

      const human = await nsb(['send', ...words], { cwd: folder })
      const json = await nsb(['send', ...words, '--json'], { cwd: folder })

      expect([human.code, json.code]).toEqual([2, 2])
      expect(human.stderr).toMatch(says)
      expect(json.json()).toMatchObject({ schema: 'nsb.error/1', error: { code: expect.stringContaining(error), exitCode: 2 } })
      expect(waiting(folder)).toEqual([])
    })

  it('refuses a type without a destination, and never guesses one', async () => {
    const folder = shop()
    write(folder, { 'nsb.json': JSON.stringify({ endpoint: { name: 'Shop' }, routing: { 'Other.*': 'Other' } }) })

    const { code, stderr } = await nsb(['send', 'PlaceOrder', '--data', 'OrderId=1'], { cwd: folder })

    expect(code).toBe(2)
    expect(stderr).toContain('Other')
  })

  it('warns of a header that the sender decides itself, and of no other', async () => {
    const headers = ['NServiceBus.MessageId=mine', 'NServiceBus.CorrelationId=mine', 'NServiceBus.ConversationId=mine', 'Tenant=acme']

    const { code, json, stderr } = await nsb(
      ['send', 'PlaceOrder', '--data', 'OrderId=1', '--dry-run', '--json', ...headers.flatMap((header) => ['--header', header])],
      { cwd: shop() },
    )

    expect(code).toBe(0)
    expect(stderr.match(/^! .*$/gm)).toEqual([
      '! --header NServiceBus.MessageId has no effect: a sender decides that itself; --id sets it',
      '! --header NServiceBus.CorrelationId has no effect: a sender decides that itself',
    ])
    expect(json()['headers']).toMatchObject({ 'NServiceBus.ConversationId': 'mine', Tenant: 'acme' })
  })

  it('warns about a destination that never had a receiver', async () => {
    const { code, stderr } = await nsb(['send', 'PlaceOrder', '--data', 'OrderId=1', '--to', 'Shopp'], { cwd: shop() })

    expect(code).toBe(0)
    expect(stderr).toContain(`'Shopp'`)
  })
})

describe('nsb send --await-reply', () => {
  it('CB-10 prints the body of the reply and nothing else on stdout', async () => {
    const folder = shop()
    await startRun(folder)

    const { code, stderr, stdout } = await nsb(['send', 'PlaceOrder', '--data', 'OrderId=42', '--await-reply'], { cwd: folder })

    expect(code).toBe(0)
    expect(stdout).toBe('{"OrderId":"42"}\n')
    expect(stderr).toMatch(/✓ sent Shop\.PlaceOrder [0-9a-f]{8} to Shop\n✓ reply Shop\.OrderAccepted from Shop after \d+ ms/)
  })

  it('CB-8 prints a number reply, and says the same as JSON', async () => {
    const folder = shop('await context.reply(42)')
    await startRun(folder)

    const human = await nsb(['send', 'PlaceOrder', '--data', 'OrderId=1', '--await-reply', '--expect', '=42'], { cwd: folder })
    const { json } = await nsb(['send', 'PlaceOrder', '--data', 'OrderId=1', '--await-reply', '--json'], { cwd: folder })

    expect([human.code, human.stdout]).toEqual([0, '42\n'])
    expect(json()).toMatchObject({ schema: 'nsb.send/1', status: 'replied', reply: { kind: 'int', value: 42 } })
  })

  it('CB-9 compares an enum by number or by name, as the project declares it', async () => {
    const folder = project({
      'src/messages/ask.ts': `import { command, message } from 'nsbus'
import { enumOf } from 'nsbus/zod'
import { z } from 'zod'
export const OrderStatus = { Open: 0, Cancelled: 2 } as const
export const Other = { Open: 7 } as const
export class Ask extends command('Shop.Ask', z.object({ As: z.string() })) {}
export class Answer extends message('Shop.Answer', z.object({ Size: enumOf({ Small: 0, Large: 1 }) })) {}
`,
      'src/handlers/ask.handler.ts': `import { handler } from 'nsbus'
import { Answer, Ask, OrderStatus } from '../messages/ask.ts'
export const ask = handler(Ask, ({ As }, context) =>
  As === 'object' ? context.reply(new Answer({ Size: 'Large' })) : context.replyEnum(OrderStatus, OrderStatus[As as keyof typeof OrderStatus]), { name: 'Ask' })
`,
    })
    await startRun(folder)
    const codes: (number | null)[] = []
    for (const [as, expected] of [
      ['Cancelled', '=Cancelled'],
      ['Cancelled', '=2'],
      ['object', 'Size=Large'],
      ['Cancelled', '=Large'],
      ['Cancelled', '=Misspelled'],
      // Two enums disagree about the number of this name.
      ['Open', '=Open'],
    ] as const) {
      const { code } = await nsb(['send', 'Ask', '--data', `As=${as}`, '--await-reply', '--expect', expected], { cwd: folder })
      codes.push(code)
    }

    expect(codes).toEqual([0, 0, 0, 8, 8, 8])
  })

  it('keeps every digit of a reply, and compares all of them', async () => {
    const folder = project({
      'src/messages/ask.ts': `import { command, message } from 'nsbus'
import { decimal, int64 } from 'nsbus/zod'
import { z } from 'zod'
export class PlaceOrder extends command('Shop.PlaceOrder', z.object({ OrderId: z.string() })) {}
export class Sum extends message('Shop.Sum', z.object({ Total: decimal(), Big: int64() })) {}
`,
      'src/handlers/ask.handler.ts': `import { handler } from 'nsbus'
import { PlaceOrder, Sum } from '../messages/ask.ts'
export const ask = handler(PlaceOrder, (_, context) => context.reply(new Sum({ Total: '12.50', Big: 9007199254740993n })), { name: 'Ask' })
`,
    })
    await startRun(folder)
    const words = ['send', 'PlaceOrder', '--data', 'OrderId=1', '--await-reply']

    const { stdout } = await nsb([...words, '--json'], { cwd: folder })
    const met = await nsb([...words, '--expect', 'Total=12.5', '--expect', 'Big=9007199254740993'], { cwd: folder })
    const notMet = await nsb([...words, '--expect', 'Big=9007199254740992'], { cwd: folder })

    expect(stdout).toMatch(/"Total": 12\.50,\s+"Big": 9007199254740993/)
    expect([met.code, notMet.code]).toEqual([0, 8])
  })

  it('ends with 8 when the reply is not as expected', async () => {
    const folder = shop()
    await startRun(folder)

    const met = await nsb(['send', 'PlaceOrder', '--data', 'OrderId=1', '--await-reply', '--expect', '$.OrderId=1'], { cwd: folder })
    const notMet = await nsb(['send', 'PlaceOrder', '--data', 'OrderId=1', '--await-reply', '--expect', 'OrderId=2'], { cwd: folder })

    expect([met.code, notMet.code]).toEqual([0, 8])
    expect(notMet.stderr).toContain('expected OrderId=2')
  })

  it('ends with 8 and the exception when the request goes to the error queue', async () => {
    const folder = shop()
    await startRun(folder, '--no-retries')

    const { code, json } = await nsb(['send', 'PlaceOrder', '--data', 'OrderId=bad', '--await-reply', '--json'], { cwd: folder })

    expect(code).toBe(8)
    expect(json()).toMatchObject({ status: 'failed', failure: { exceptionType: 'Node.Error', exceptionMessage: 'no stock for bad' } })
  })

  it('ends with 7 when no reply comes, and says where the request is', async () => {
    const folder = shop()

    const { code, json, stderr } = await nsb(
      ['send', 'PlaceOrder', '--data', 'OrderId=1', '--await-reply', '--reply-timeout', '300ms', '--json'],
      { cwd: folder },
    )

    expect(code).toBe(7)
    expect(json()).toMatchObject({ status: 'timedOut' })
    expect(stderr).toContain(`It still waits in 'Shop'`)
  })

  it('CB-27 CLI-11 leaves the reply queue behind when nobody came, so that a late reply does not fail its sender', async () => {
    const folder = shop()
    const { code } = await nsb(['send', 'PlaceOrder', '--data', 'OrderId=1', '--await-reply', '--reply-timeout', '100ms'], { cwd: folder })

    const run = await nsb(['run', '--no-retries', '--until-idle', '200ms', '--log', 'json'], { cwd: folder })

    expect([code, run.code]).toEqual([7, 0])
    expect(waiting(folder, 'error')).toEqual([])
    const [replyQueue] = readdirSync(join(folder, '.learningtransport')).filter((name) => name.startsWith('nsb.reply.'))
    expect(waiting(folder, replyQueue)).toHaveLength(1)
  })

  it.each(['SIGINT', 'SIGKILL'] as const)(
    'CLI-11 killed with %s before the reply, does not make the handler of the request fail',
    async (signal) => {
      const folder = shop()
      const asking = startNsb(['send', 'PlaceOrder', '--data', 'OrderId=1', '--await-reply'], folder)
      await expect.poll(() => asking.stderr, { timeout: 20_000 }).toContain('sent Shop.PlaceOrder')

      asking.kill(signal)
      const asked = await asking.ended
      const run = await nsb(['run', '--no-retries', '--until-idle', '200ms', '--log', 'json'], { cwd: folder })

      expect([asked, run.code]).toEqual([signal === 'SIGINT' ? 130 : null, 0])
      expect(run.stdout).toContain('"event":"handled"')
      expect(waiting(folder, 'error')).toEqual([])
    },
  )

  it('CB-29 says in its help that callbacks are for data whose loss is acceptable', async () => {
    const { stdout } = await nsb(['send', '--help'], { cwd: shop() })

    expect(stdout.replaceAll(/\s+/g, ' ')).toContain('Such a callback is for data whose loss is acceptable')
    expect(stdout).toContain('a handler for the reply type')
  })
})

describe('nsb publish', () => {
  it('gives every subscriber its copy', async () => {
    const folder = withTypes()
    write(folder, {
      '.learningtransport/.events/Shop.OrderPlaced/Billing.subscription': 'Billing',
      '.learningtransport/.events/System.Object/Archive.subscription': 'Archive',
    })

    const { code, json, stderr } = await nsb(['publish', 'OrderPlaced', '--data', 'OrderId=1', '--json'], { cwd: folder })

    expect(code).toBe(0)
    expect(json()).toMatchObject({ status: 'published', subscribers: 2 })
    expect(stderr).not.toContain('subscribed')
    expect([waiting(folder, 'Billing').length, waiting(folder, 'Archive').length]).toEqual([1, 1])
    expect(waiting(folder, 'Billing')[0]?.headers['NServiceBus.MessageIntent']).toBe('Publish')
  })

  it('says that nobody has subscribed, and ends with 0 all the same', async () => {
    const folder = withTypes()
    write(folder, { '.learningtransport/.events/Shop.OtherEvent/Billing.subscription': 'Billing' })

    const { code, json, stderr } = await nsb(['publish', 'OrderPlaced', '--data', 'OrderId=1', '--json'], { cwd: folder })

    expect(code).toBe(0)
    expect(stderr).toContain('Nobody has subscribed to Shop.OrderPlaced')
    expect(json()).toMatchObject({ status: 'published', subscribers: 0 })
  })

  it('refuses a command', async () => {
    const { code, stderr } = await nsb(['publish', 'PlaceOrder', '--data', 'OrderId=1'], { cwd: withTypes() })

    expect(code).toBe(2)
    expect(stderr).toContain('Best practice violation')
    expect(stderr).toMatch(/Try: nsb (?:send|publish) Shop\./)
  })
})

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { nsb } from '../cli/nsb.ts'
import { storedMessages } from '../support/folders.ts'
import { startNsb } from '../support/running-nsb.ts'
import { project, shop, write } from '../support/shop-project.ts'

const waiting = (folder: string, queue = 'Shop') => storedMessages(join(folder, '.learningtransport'), queue)
const bodies = (folder: string) =>
  waiting(folder)
    .map(({ body }) => body.toString())
    .toSorted()
const orders = (count: number) => Array.from({ length: count }, (_, index) => `{"OrderId":"${index + 1}"}`)
const lines = (stdout: string) =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)

describe('nsb send --each', () => {
  it('sends one message for every line that is not blank, in order', async () => {
    const folder = shop()

    const { code, json, stderr } = await nsb(['send', 'PlaceOrder', '--each', '--json'], {
      cwd: folder,
      input: `\uFEFF${orders(3).join('\r\n\n')}\n`,
    })

    expect(code, stderr).toBe(0)
    expect(json()).toMatchObject({ schema: 'nsb.send/1', destination: 'Shop', status: 'sent', sent: 3 })
    expect(json()['items']).toEqual([1, 3, 5].map((line) => ({ messageId: expect.any(String), line })))
    expect(bodies(folder)).toEqual(orders(3))
  })

  it('sends more than one group', async () => {
    const folder = shop()

    const { code } = await nsb(['send', 'PlaceOrder', '--each'], { cwd: folder, input: orders(250).join('\n') })

    expect([code, waiting(folder).length]).toEqual([0, 250])
  })

  it('checks every line before the first is sent, and names the wrong ones', async () => {
    const folder = shop()
    const input = `${orders(2).join('\n')}\n{"OrderId":7}\n{"OrderId":\n`

    const { code, json, stderr } = await nsb(['send', 'PlaceOrder', '--each', '--json'], { cwd: folder, input })

    expect(code).toBe(2)
    expect(stderr).toMatch(/2 of 4 lines cannot be sent, so none was:\n +line 3: 'Shop\.PlaceOrder' does not match/)
    expect(stderr).toMatch(/line 4: The body from line 4 is no JSON/)
    expect(json()).toMatchObject({
      error: { code: 'NSB_BODY_INVALID', details: { lines: [{ line: 3 }, { line: 4, code: 'NSB_NOT_JSON' }] } },
    })
    expect(waiting(folder)).toEqual([])
  })

  it('merges every line over --file and under --data', async () => {
    const folder = project({})
    writeFileSync(join(folder, 'all.json'), '{"A":1,"B":1,"C":1}')

    await nsb(['send', 'Shop.Any', '--each', '--file', 'all.json', '--data', 'C=3', '--no-validate', '--to', 'Shop'], {
      cwd: folder,
      input: '{"B":2}\n{"B":4,"C":4}',
    })

    expect(bodies(folder)).toEqual(['{"A":1,"B":2,"C":3}', '{"A":1,"B":4,"C":3}'])
  })

  it('gives one object a line with -o ndjson, a summary last, and bare ids with -o ids', async () => {
    const folder = shop()

    const ndjson = await nsb(['send', 'PlaceOrder', '--each', '-o', 'ndjson'], { cwd: folder, input: orders(2).join('\n') })
    const ids = await nsb(['send', 'PlaceOrder', '--repeat', '2', '--data', 'OrderId=1', '-o', 'ids'], { cwd: folder })

    expect(lines(ndjson.stdout)).toEqual([
      { messageId: expect.any(String), line: 1 },
      { messageId: expect.any(String), line: 2 },
      { schema: 'nsb.summary/1', type: 'Shop.PlaceOrder', destination: 'Shop', sent: 2 },
    ])
    expect(ids.stdout).toMatch(/^([0-9a-f-]{36}\n){2}$/)
  })

  it('ends with 3 and says what was not sent when sending stops in between', async () => {
    const folder = shop()
    const input = [...orders(100), `{"OrderId":"${'x'.repeat(70_000)}"}`, ...orders(3)].join('\n')

    const { code, json, stderr } = await nsb(['send', 'PlaceOrder', '--each', '--json'], { cwd: folder, input })

    expect(code).toBe(3)
    expect(json()).toMatchObject({ sent: 100, notSent: 4, error: { code: 'NSB_MESSAGE_TOO_LARGE' } })
    expect(stderr).toContain('4 not sent from line 101 on')
    expect(waiting(folder)).toHaveLength(100)
  })

  it.each([
    ['nothing on stdin', ['--each'], '', 'NSB_EMPTY_BODY'],
    ['blank lines only', ['--each'], '\n \r\n', 'NSB_EMPTY_BODY'],
    ['a body beside it', ['{"OrderId":"1"}', '--each'], '{"OrderId":"1"}', 'NSB_BAD_ARGUMENTS'],
    ['--await-reply', ['--each', '--await-reply'], '{"OrderId":"1"}', 'NSB_BAD_FLAG'],
    ['--repeat', ['--each', '--repeat', '2'], '{"OrderId":"1"}', 'NSB_BAD_FLAG'],
    ['--id', ['--each', '--id', 'x'], '{"OrderId":"1"}', 'NSB_BAD_FLAG'],
    ['a rate that is none', ['--each', '--rate', 'fast'], '{"OrderId":"1"}', 'NSB_BAD_FLAG'],
  ])('CLI-14 refuses %s with exit 2', async (_name, words, input, code) => {
    const folder = shop()

    const ended = await nsb(['send', 'PlaceOrder', ...words, '--json'], { cwd: folder, input })

    expect(ended.code).toBe(2)
    expect(ended.json()).toMatchObject({ error: { code } })
    expect(waiting(folder)).toEqual([])
  })
})

describe('nsb send --repeat', () => {
  it('sends that many messages with ids of their own', async () => {
    const folder = shop()

    const { code, json } = await nsb(['send', 'PlaceOrder', '--data', 'OrderId=1', '--repeat', '3', '--rate', '100/s', '--json'], {
      cwd: folder,
    })

    expect(code).toBe(0)
    expect(json()).toMatchObject({ sent: 3 })
    expect(new Set(waiting(folder).map(({ headers }) => headers['NServiceBus.MessageId'])).size).toBe(3)
  })

  it('CLI-3 stops between two messages on Ctrl-C, and says how many were sent', async () => {
    const folder = shop()
    const running = startNsb(['send', 'PlaceOrder', '--data', 'OrderId=1', '--repeat', '5', '--rate', '1/m'], folder)
    await expect.poll(() => waiting(folder).length, { timeout: 20_000 }).toBe(1)

    running.kill('SIGINT')

    expect(await running.ended).toBe(130)
    expect(running.stderr).toContain('4 not sent')
  })
})

describe('nsb send', () => {
  it('delivers at the time of --at, and not before', async () => {
    const folder = shop()

    const { code } = await nsb(['send', 'PlaceOrder', '--data', 'OrderId=1', '--at', '2099-01-01T00:00:00Z'], { cwd: folder })
    const run = await nsb(['send', 'PlaceOrder', '--data', 'OrderId=1', '--at', '2099-01-01T00:00:00Z', '--dry-run', '--json'], {
      cwd: folder,
    })

    expect([code, waiting(folder).length]).toEqual([0, 0])
    expect(run.json()).toMatchObject({ deliverAt: '2099-01-01T00:00:00.000Z' })
  })

  it.each(['soon', '25:00', '2026-13-40', '7'])('refuses %s as a time', async (at) => {
    const { code, stderr } = await nsb(['send', 'PlaceOrder', '--data', 'OrderId=1', '--at', at], { cwd: shop() })

    expect(code).toBe(2)
    expect(stderr).toContain('is not a time')
  })

  it('puts the message into the conversation of --conversation', async () => {
    const folder = shop()

    await nsb(['send', 'PlaceOrder', '--data', 'OrderId=1', '--conversation', 'order-7'], { cwd: folder })

    expect(waiting(folder)[0]?.headers['NServiceBus.ConversationId']).toBe('order-7')
  })

  it('CLI-14 sends binary bodies byte for byte with --content-type, from stdin and from a file', async () => {
    const folder = shop()
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index)
    writeFileSync(join(folder, 'order.bin'), bytes)

    const piped = await nsb(['send', 'PlaceOrder', '-', '--content-type', 'application/octet-stream'], { cwd: folder, input: bytes })
    const file = await nsb(['send', 'PlaceOrder', '--file', 'order.bin', '--content-type', 'application/octet-stream'], { cwd: folder })

    expect([piped.code, file.code], piped.stderr + file.stderr).toEqual([0, 0])
    for (const { body, headers } of waiting(folder)) {
      expect(new Uint8Array(body)).toEqual(bytes)
      expect(headers).toMatchObject({
        'NServiceBus.ContentType': 'application/octet-stream',
        'NServiceBus.EnclosedMessageTypes': 'Shop.PlaceOrder',
      })
    }
    expect(waiting(folder)).toHaveLength(2)
  })

  it('CLI-14 shows a binary body in base64 with --dry-run --json', async () => {
    const ended = await nsb(['send', 'PlaceOrder', '-', '--content-type', 'application/octet-stream', '--dry-run', '--json'], {
      cwd: shop(),
      input: Uint8Array.of(0, 255),
    })

    expect(ended.json()).toMatchObject({ bodyBase64: 'AP8=', contentType: 'application/octet-stream' })
  })

  it.each([
    ['with', '\uFEFF{"OrderId":"Zürich"}'],
    ['without', '{"OrderId":"Zürich"}'],
  ])('CLI-14 takes UTF-8 from stdin %s byte order mark', async (_name, input) => {
    const folder = shop()

    const { code } = await nsb(['send', 'PlaceOrder', '-'], { cwd: folder, input })

    expect([code, ...bodies(folder).map((body) => JSON.parse(body) as object)]).toEqual([0, { OrderId: 'Zürich' }])
  })

  it('CLI-14 refuses an empty body for --content-type, and bytes that are no UTF-8 without it', async () => {
    const folder = shop()

    const empty = await nsb(['send', 'PlaceOrder', '-', '--content-type', 'text/plain', '--json'], { cwd: folder })
    const latin = await nsb(['send', 'PlaceOrder', '-', '--json'], { cwd: folder, input: Buffer.from('{"OrderId":"Zürich"}', 'latin1') })

    expect([empty.code, latin.code]).toEqual([2, 2])
    expect([empty.json(), latin.json()]).toMatchObject([{ error: { code: 'NSB_EMPTY_BODY' } }, { error: { code: 'NSB_NOT_JSON' } }])
    expect(waiting(folder)).toEqual([])
  })

  it('CLI-14 refuses 5 MB, which is over the limit of the learning transport, with both sizes', async () => {
    const folder = shop()

    const { code, stderr } = await nsb(['send', 'PlaceOrder', '-'], { cwd: folder, input: `{"OrderId":"${'x'.repeat(5_000_000)}"}` })

    expect(code).toBe(2)
    expect(stderr).toMatch(/NSB_MESSAGE_TOO_LARGE: .* 5000014 bytes of body, together more than 65536/)
    expect(waiting(folder)).toEqual([])
  })
})

describe('a protected profile', () => {
  it('CLI-17 is sent to only with --confirm and its name; --yes alone is refused', async () => {
    const folder = shop()
    write(folder, {
      'nsb.json': JSON.stringify({ routing: { 'Shop.*': 'Shop' }, profiles: { prod: { transport: 'learning', protect: true } } }),
    })
    const words = ['send', 'PlaceOrder', '--data', 'OrderId=1', '--profile', 'prod']

    const refused = await nsb([...words, '--yes'], { cwd: folder })
    const sent = await nsb([...words, '--confirm', 'prod'], { cwd: folder })

    expect([refused.code, sent.code]).toEqual([6, 0])
    expect(refused.stderr).toContain('--confirm prod')
    expect(waiting(folder)).toHaveLength(1)
  })
})

describe('nsb publish', () => {
  const event = `import { event } from 'nsbus'
import { z } from 'zod'
export class OrderPlaced extends event('Shop.OrderPlaced', z.object({ OrderId: z.string() })) {}
`

  it('publishes every line with --each, in one conversation with --conversation', async () => {
    const folder = project({ 'src/messages/order-placed.ts': event })
    write(folder, { '.learningtransport/.events/Shop.OrderPlaced/Billing.subscription': 'Billing' })

    const { code, json } = await nsb(['publish', 'OrderPlaced', '--each', '--conversation', 'c1', '--json'], {
      cwd: folder,
      input: orders(3).join('\n'),
    })

    expect(code).toBe(0)
    expect(json()).toMatchObject({ schema: 'nsb.publish/1', status: 'published', sent: 3, subscribers: 1 })
    expect(waiting(folder, 'Billing').map(({ headers }) => headers['NServiceBus.ConversationId'])).toEqual(['c1', 'c1', 'c1'])
  })
})

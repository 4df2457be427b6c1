import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { nsb } from '../cli/nsb.ts'
import { storedMessages } from '../support/folders.ts'
import { startRun } from '../support/running-nsb.ts'
import { placeOrder, project, shop, write } from '../support/shop-project.ts'

const send = (folder: string, id: string) => nsb(['send', 'PlaceOrder', '--data', `OrderId=${id}`], { cwd: folder })
const failed = (folder: string) => storedMessages(join(folder, '.learningtransport'), 'error')

describe('nsb run', () => {
  it('N-4 handles what waits, and ends with 0 when nothing is left', async () => {
    const folder = shop('await Promise.resolve()')
    await send(folder, '1')
    await send(folder, '2')

    const { code, stdout } = await nsb(['run', '--until-idle', '200ms', '--log', 'json'], { cwd: folder })

    expect(code).toBe(0)
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(lines[0]).toMatchObject({
      event: 'ready',
      endpoint: 'Shop',
      handlers: [{ type: 'Shop.PlaceOrder', handler: 'PlaceOrderHandler' }],
    })
    expect(lines.slice(1, 3)).toMatchObject([
      { event: 'handled', types: ['Shop.PlaceOrder'] },
      { event: 'handled', types: ['Shop.PlaceOrder'] },
    ])
    expect(lines.at(-1)).toMatchObject({ schema: 'nsb.summary/1', handled: 2, failed: 0 })
  })

  it('ends with 8 when a message failed, and shows where in the code', async () => {
    const folder = shop()
    await send(folder, 'bad')

    const { code, stdout } = await nsb(['run', '--no-retries', '--until-idle', '200ms'], { cwd: folder })

    expect(code).toBe(8)
    expect(stdout).toContain('no retries (--no-retries)')
    expect(stdout).toMatch(
      /✗ PlaceOrder +[0-9a-f]{8} +\d+ ms {3}failed, moved to error\n +Error: no stock for bad\n +src\/handlers\/place-order\.handler\.ts:7:\d+\n/,
    )
    expect(stdout).toMatch(/> +7 \|.*throw new Error/)
    expect(stdout).toMatch(/replay after the fix: nsb errors replay [0-9a-f]{4}/)
  })

  it.each([
    [['--no-retries'], { failed: 1, retried: 0 }],
    [['--immediate-retries', '2', '--delayed-retries', '1', '--delay-increase', '10ms'], { failed: 1, retried: 5 }],
  ])('ends every loop in the error queue, whatever counts a message has brought with it (%j)', async (retries, summary) => {
    const folder = shop()
    const counts = ['NServiceBus.Retries=-999999999', 'x-delivery-count=0'].flatMap((count) => ['--header', count])
    await nsb(['send', 'PlaceOrder', '--data', 'OrderId=bad', ...counts], { cwd: folder })

    const { code, stdout } = await nsb(['run', ...retries, '--until-idle', '200ms', '--log', 'json'], { cwd: folder })

    expect(code).toBe(8)
    expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '{}')).toMatchObject({ handled: 0, ...summary })
    expect(failed(folder).map(({ headers }) => headers['NServiceBus.Retries'])).toEqual([undefined])
  })

  it('shows an error of the library by its code and with its next step, and one of several lines below each other', async () => {
    const folder = shop('void context.sendLocal(message)')
    await send(folder, '1')
    await nsb(['send', 'PlaceOrder', '{"OrderId":7}', '--no-validate'], { cwd: folder })

    const { stdout } = await nsb(['run', '--no-retries', '--until-idle', '200ms'], { cwd: folder })

    expect(stdout).toMatch(/\n {11}NSB_OPERATION_NOT_AWAITED: The handler 'PlaceOrderHandler' did not await [^\n]*\n {11}Try: /)
    expect(stdout).toMatch(/\n {11}caused by NSB_BODY_INVALID: 'Shop\.PlaceOrder' does not match its schema:\n {13}\/OrderId /)
  })

  it('E-44 lets no control character of an id, a name or an error reach the terminal, and keeps its own colours', async () => {
    const folder = shop(`throw new Error('red \\u001b[31m text')`)
    const env = { FORCE_COLOR: '1' }
    const sent = await nsb(['send', 'PlaceOrder', '--data', 'OrderId=1', '--id', 'a\u001b[35mb'], { cwd: folder })

    const { stderr, stdout } = await nsb(['run', '--name', 'Shop', '--no-retries', '--until-idle', '200ms'], { cwd: folder, env })
    const retried = await nsb(['errors', 'replay', '--all', '--yes'], { cwd: folder })
    const again = await nsb(['run', '--delayed-retries', '0', '--immediate-retries', '1', '--until-idle', '200ms'], { cwd: folder })

    expect(sent.stderr).toContain('a\\x1b[35m')
    expect(stdout).toContain('\u001b[31mError\u001b[39m: red \\x1b[31m text')
    expect(stdout + stderr).not.toContain('\u001b[35m')
    expect(stdout + stderr).not.toContain('\\x1b[39m')
    expect([retried.code, again.code]).toEqual([0, 8])
    expect(again.stdout).toContain('a\\x1b[35m')
    expect(sent.stderr + again.stdout + again.stderr).not.toContain('\u001b')
  })

  it.each([
    ['a text', `'just text'`, 'string: just text'],
    ['null', 'null', 'object: null'],
    ['nothing', 'undefined', 'undefined: undefined'],
    ['a frozen error', `Object.freeze(new Error('cold'))`, 'Error: cold'],
    [
      'an object whose every property throws',
      `new Proxy(new Error('x'), { get() { throw 1 }, getPrototypeOf() { throw 1 }, ownKeys() { throw 1 } })`,
      'something that has no text',
    ],
  ])('shows what a handler threw, and moves its message to the error queue: %s', async (_name, thrown, shown) => {
    const folder = shop(`throw ${thrown}`)
    await send(folder, '1')

    const { code, stderr, stdout } = await nsb(['run', '--no-retries', '--max', '1', '--max-time', '30s'], { cwd: folder })

    expect(code).toBe(8)
    expect(stdout).toContain('failed, moved to error')
    expect(stdout).toContain(shown)
    expect(stderr).not.toContain('observer')
    expect(failed(folder)).toHaveLength(1)
  })

  it('waits for its own delayed retries before it is idle', async () => {
    const folder = shop(`if (context.headers['NServiceBus.Retries'] === undefined) throw new Error('not yet')`)
    await send(folder, '1')

    const { code, stdout } = await nsb(
      ['run', '--immediate-retries', '0', '--delayed-retries', '1', '--delay-increase', '1s', '--until-idle', '200ms', '--log', 'json'],
      { cwd: folder },
    )

    expect(code).toBe(0)
    expect(stdout).toContain('"action":"retryLater"')
    expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({ handled: 1, failed: 0, retried: 1 })
  })

  it('lets what is in hand finish on SIGTERM, and ends with 143; on SIGINT with 130', async () => {
    for (const [signal, exit] of [
      ['SIGTERM', 143],
      ['SIGINT', 130],
    ] as const) {
      const folder = shop(
        `process.stdout.write(JSON.stringify({ inHand: true }) + '\\n'); await new Promise((resolve) => setTimeout(resolve, 300))`,
      )
      await send(folder, '1')
      const run = await startRun(folder)
      await expect.poll(() => run.stdout).toContain('inHand')

      run.kill(signal)

      expect(await run.ended).toBe(exit)
      expect(run.lines.find((line) => line['event'] === 'handled')).toBeDefined()
    }
  })

  it('says why a recoverability policy failed, and what to do about it', async () => {
    const folder = project({
      'src/messages/place-order.ts': placeOrder,
      'endpoint.ts': `import { defineEndpoint, handler } from 'nsbus'
import { PlaceOrder } from './src/messages/place-order.ts'
const fails = handler(PlaceOrder, () => Promise.reject(new Error('no')), { name: 'Fails' })
export default defineEndpoint('Shop', { handlers: [fails], recoverability: () => ({ kind: 'retry' }) as never })
`,
    })
    await send(folder, '1')
    const run = await startRun(folder)

    await expect
      .poll(() => run.stderr, { timeout: 20_000 })
      .toMatch(/Failed to execute recoverability policy[^\n]*\n! {3}caused by NSB_BAD_RETRIES: [^\n]*which is no action\.\n {2}Try: /)
  })

  it('takes the endpoint of endpoint.ts where there is one', async () => {
    const folder = project({
      'src/messages/place-order.ts': placeOrder,
      'endpoint.ts': `import { defineEndpoint, handler } from 'nsbus'
import { PlaceOrder } from './src/messages/place-order.ts'
export default defineEndpoint('Shop', { handlers: [handler(PlaceOrder, () => undefined, { name: 'Audit' })] })
`,
    })
    await send(folder, '1')

    const { code, stdout } = await nsb(['run', '--until-idle', '200ms'], { cwd: folder })

    expect(code).toBe(0)
    expect(stdout).toContain('→ Audit')
  })

  it('reports a promise that a handler forgot, and goes on', async () => {
    const folder = shop(`void Promise.reject(new Error('forgotten')); await new Promise((resolve) => setTimeout(resolve, 20))`)
    await send(folder, '1')

    const { code, stderr } = await nsb(['run', '--until-idle', '200ms'], { cwd: folder })

    expect(code).toBe(0)
    expect(stderr).toContain('forgotten')
  })

  it('ends although the code has left a timer running, and says what nobody could catch', async () => {
    const folder = shop(
      `setTimeout(() => { throw new Error('nobody catches this') }, 20); await new Promise((resolve) => setTimeout(resolve, 200))`,
    )
    write(folder, {
      'src/handlers/timer.handler.ts': `import { handler } from 'nsbus'\nimport { PlaceOrder } from '../messages/place-order.ts'\nsetInterval(() => undefined, 1000)\nexport const quiet = handler(PlaceOrder, () => undefined, { name: 'Quiet' })\n`,
    })
    await send(folder, '1')

    const { code, stderr, stdout } = await nsb(['run', '--log', 'json'], { cwd: folder })

    expect(code).toBe(1)
    expect(stderr).toContain('nobody catches this')
    expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({ schema: 'nsb.summary/1', handled: 1 })
  })

  it('makes no retries with --no-retries, even where the project has a policy of its own', async () => {
    const folder = project({
      'src/messages/place-order.ts': placeOrder,
      'endpoint.ts': `import { defineEndpoint, handler } from 'nsbus'
import { PlaceOrder } from './src/messages/place-order.ts'
export default defineEndpoint('Shop', { handlers: [handler(PlaceOrder, () => Promise.reject(new Error('no')))], recoverability: (failure, byDefault) => byDefault() })
`,
    })
    await send(folder, '1')

    const { code, stdout } = await nsb(['run', '--no-retries', '--until-idle', '200ms', '--log', 'json'], { cwd: folder })

    expect(code).toBe(8)
    expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({ failed: 1, retried: 0 })
  })

  it('CLI-2 prints its error as a JSON line too, and a bad number is wrong use', async () => {
    const folder = shop()
    write(folder, { 'src/handlers/bad.handler.ts': 'export class {' })

    const broken = await nsb(['run', '--log', 'json', '--until-idle', '100ms'], { cwd: folder })
    const number = await nsb(['run', '--concurrency', '0'], { cwd: folder })

    expect(broken.json()).toMatchObject({ schema: 'nsb.error/1', error: { code: 'NSB_HANDLER_DOES_NOT_COMPILE', exitCode: 2 } })
    expect([broken.code, number.code]).toEqual([2, 2])
    expect(number.stderr).toMatch(/NSB_BAD_FLAG: --concurrency: .*integer/)
  })

  const bad: readonly { readonly name: string; readonly files: Record<string, string>; readonly code: string; readonly says: RegExp }[] = [
    {
      name: 'a handler that does not compile',
      files: { 'src/handlers/bad.handler.ts': 'export class {' },
      code: 'NSB_HANDLER_DOES_NOT_COMPILE',
      says: /bad\.handler\.ts:1:\d+/,
    },
    {
      name: 'a handler without `handles`',
      files: { 'src/handlers/bad.handler.ts': 'export class Lost { async handle(message: object) { void message } }' },
      code: 'NSB_NOT_A_HANDLER',
      says: /'Lost' in src\/handlers\/bad\.handler\.ts/,
    },
    {
      name: 'two types of one name',
      files: { 'src/messages/twin.ts': placeOrder.replace('class PlaceOrder', 'class Twin') },
      code: 'NSB_DUPLICATE_TYPE',
      says: /Shop\.PlaceOrder/,
    },
    {
      name: 'a broken nsb.json',
      files: { 'nsb.json': '{ "endpoint": { "name": 7 } }' },
      code: 'NSB_CONFIG_INVALID',
      says: /nsb\.json:1:\d+/,
    },
  ]
  for (const { code, files, name, says } of bad)
    it(`refuses ${name} with exit 2 and its place`, async () => {
      const folder = shop()
      write(folder, files)

      const human = await nsb(['run', '--until-idle', '100ms'], { cwd: folder })

      expect(human.code).toBe(2)
      expect(human.stderr).toContain(code)
      expect(human.stderr).toMatch(says)
      expect(failed(folder)).toEqual([])
    })

  it('refuses a folder without handlers, an endpoint name with a path, and a folder that does not exist', async () => {
    const empty = await nsb(['run', '--until-idle', '100ms'], { cwd: project({}) })
    const path = await nsb(['run', '--name', '../x', '--until-idle', '100ms'], { cwd: shop() })
    const missing = await nsb(['run', 'nope', '--until-idle', '100ms'], { cwd: shop() })

    expect([empty.code, path.code, missing.code]).toEqual([2, 2, 2])
    expect([empty.stderr, path.stderr, missing.stderr]).toEqual([
      expect.stringContaining('NSB_NO_HANDLERS_FOUND'),
      expect.stringContaining('NSB_BAD_ENDPOINT'),
      expect.stringContaining('NSB_NO_SUCH_FOLDER'),
    ])
  })
})

describe('nsb handlers', () => {
  it('lists handlers in the order of execution: by path, then as they stand in the file', async () => {
    const folder = shop()
    write(folder, {
      'src/handlers/a.handler.ts': `import { handler } from 'nsbus'
import { PlaceOrder } from '../messages/place-order.ts'
export const zebra = handler(PlaceOrder, () => undefined, { name: 'Zebra' })
export const ant = handler(PlaceOrder, () => undefined, { name: 'Ant' })
`,
    })

    const { json } = await nsb(['handlers', '--json'], { cwd: folder })

    expect(json()).toMatchObject({
      schema: 'nsb.handlers/1',
      endpoint: 'Shop',
      items: [{ handler: 'Zebra' }, { handler: 'Ant' }, { handler: 'PlaceOrderHandler' }],
    })
  })
})

describe('nsb explain', () => {
  it('shows each entry, the rule and who would run', async () => {
    const { code, json } = await nsb(['explain', 'Shop.Nope;Shop.PlaceOrder, Other', '--json'], { cwd: shop() })

    expect(code).toBe(0)
    expect(json()).toMatchObject({
      entries: [{ rule: 'unknown' }, { rule: 'full name', type: 'Shop.PlaceOrder' }],
      roots: [{ type: 'Shop.PlaceOrder', handlers: [{ name: 'PlaceOrderHandler' }] }],
    })
  })

  it('ends with 4 when nothing maps, and with 2 when the header cannot be read', async () => {
    const folder = shop()

    expect((await nsb(['explain', 'Shop.Nope'], { cwd: folder })).code).toBe(4)
    expect((await nsb(['explain', 'Shop.PlaceOrder;'], { cwd: folder })).code).toBe(2)
  })
})

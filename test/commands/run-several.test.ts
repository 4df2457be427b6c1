import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { nsb } from '../cli/nsb.ts'
import { emptyFolder } from '../support/folders.ts'
import { type RunningNsb, startNsb } from '../support/running-nsb.ts'
import { write } from '../support/shop-project.ts'

const soon = { timeout: 20_000 }

const started: RunningNsb[] = []
afterEach(async () => {
  for (const run of started.splice(0)) {
    run.kill('SIGTERM')
    await run.ended
  }
})

function start(cwd: string, ...words: readonly string[]): RunningNsb {
  const run = startNsb(['run', ...words], cwd)
  started.push(run)
  return run
}

const messages = `import { command } from 'nsbus'
import { z } from 'zod'
export class PlaceOrder extends command('Shop.PlaceOrder', z.object({ OrderId: z.string() })) {}
export class BillOrder extends command('Shop.BillOrder', z.object({ OrderId: z.string() })) {}
`
const handlerOf = (type: string, statements: string): string => `import { handler } from 'nsbus'
import { PlaceOrder, BillOrder } from '../../shared/messages.ts'
export const only = handler(${type}, async (message, context) => {
  void [PlaceOrder, BillOrder, context]
  ${statements}
}, { name: 'Handle${type}' })
`
const settings = (name: string): string =>
  JSON.stringify({ endpoint: { name }, routing: { 'Shop.PlaceOrder': 'Sales', 'Shop.BillOrder': 'Billing' } })

/** Sales hands every order on to Billing. */
function twoEndpoints(): string {
  const folder = emptyFolder()
  mkdirSync(join(folder, '.learningtransport'))
  write(folder, {
    'shared/messages.ts': messages,
    'sales/nsb.json': settings('Sales'),
    'sales/src/place-order.handler.ts': handlerOf('PlaceOrder', `await context.send(new BillOrder({ OrderId: message.OrderId }))`),
    'billing/nsb.json': settings('Billing'),
    'billing/src/bill-order.handler.ts': handlerOf(
      'BillOrder',
      `if (message.OrderId === 'bad') throw new Error('no money'); console.log('billed', message.OrderId)`,
    ),
  })
  return folder
}

const place = (folder: string, id: string) =>
  nsb(['send', 'Shop.PlaceOrder', JSON.stringify({ OrderId: id }), '--no-validate', '--to', 'Sales'], { cwd: folder })

describe('nsb run with several endpoints', () => {
  it('runs each in a process of its own, with its name before each line, until all are idle together', async () => {
    const folder = twoEndpoints()
    await place(folder, '1')

    const { code, stderr, stdout } = await nsb(['run', '--until-idle', '300ms'], { cwd: folder })

    expect(stderr).toContain('handled 2, failed 0')
    expect(stdout).toMatch(/^Sales {3}\| Sales on learning/m)
    expect(stdout).toMatch(/^Billing \| billed 1$/m)
    expect(
      stdout
        .trim()
        .split('\n')
        .filter((line) => !/^(?:Sales {2}|Billing) \| /.test(line)),
    ).toEqual([])
    expect(code).toBe(0)
  })

  it('ends with the worst of their exit codes: 8 for a failed message, 2 for code that does not compile', async () => {
    const failing = twoEndpoints()
    await place(failing, 'bad')
    const broken = twoEndpoints()
    write(broken, { 'sales/src/place-order.handler.ts': 'export class {' })

    const one = await nsb(['run', '--until-idle', '300ms', '--no-retries'], { cwd: failing })
    const other = await nsb(['run'], { cwd: broken })

    expect(one.code).toBe(8)
    expect(other.code).toBe(2)
    expect(other.stderr).toMatch(/^Sales {3}\| Error NSB_HANDLER_DOES_NOT_COMPILE/m)
  })

  it('takes those of "workspaces", and refuses an entry without a project', async () => {
    const folder = twoEndpoints()
    write(folder, { 'nsb.json': JSON.stringify({ workspaces: ['sal*', 'billing/'] }), 'other/nsb.json': settings('Other') })

    const both = await nsb(['run', '--until-idle', '100ms'], { cwd: folder })
    write(folder, { 'nsb.json': JSON.stringify({ workspaces: ['sales', 'nowhere'] }) })
    const missing = await nsb(['run', '--until-idle', '100ms'], { cwd: folder })

    expect(both.code).toBe(0)
    expect(both.stdout).toMatch(/^Billing \| /m)
    expect(both.stdout).not.toContain('Other')
    expect(missing.code).toBe(2)
    expect(missing.stderr).toMatch(/NSB_CONFIG_INVALID: .*nsb\.json:1:\d+: no folder 'nowhere'/)
  })

  it('runs the one endpoint of a named folder, from anywhere', async () => {
    const folder = twoEndpoints()

    const { code, stdout } = await nsb(['run', 'sales', '--until-idle', '50ms', '--log', 'json'], { cwd: folder })

    expect(code).toBe(0)
    expect(JSON.parse(stdout.split('\n', 1)[0] ?? '')).toMatchObject({ event: 'ready', endpoint: 'Sales' })
  })

  it('refuses what is for one endpoint', async () => {
    const { code, stderr } = await nsb(['run', '--max', '1'], { cwd: twoEndpoints() })

    expect(code).toBe(2)
    expect(stderr).toContain('--max is for one endpoint')
  })

  it('prints JSON lines that name the endpoint, also for what handlers print', async () => {
    const folder = twoEndpoints()
    await place(folder, '1')

    const { stdout } = await nsb(['run', '--until-idle', '300ms', '--log', 'json'], { cwd: folder })

    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(lines).toContainEqual({ endpoint: 'Billing', event: 'output', text: 'billed 1' })
    // Two processes: which line comes first is not said.
    const handledBy = lines.filter((line) => line['event'] === 'handled').map((line) => String(line['endpoint']))
    expect(handledBy.toSorted()).toEqual(['Billing', 'Sales'])
    expect(lines.at(-1)).toMatchObject({ schema: 'nsb.summary/1', handled: 2 })
  })

  it('reloads the endpoint a change belongs to, and all for code they share', async () => {
    const folder = twoEndpoints()
    const run = start(folder, '--watch', '--log', 'json')
    const of = (event: string) =>
      run.lines
        .filter((line) => line['event'] === event)
        .map((line) => String(line['endpoint']))
        .toSorted((a, b) => a.localeCompare(b))
    await expect.poll(() => of('ready'), soon).toEqual(['Billing', 'Sales'])

    write(folder, { 'sales/src/more.ts': 'export {}' })
    await expect.poll(() => of('ready'), soon).toEqual(['Billing', 'Sales', 'Sales'])
    expect(of('reloading')).toEqual(['Sales'])

    write(folder, { 'shared/messages.ts': `${messages}\n` })
    await expect.poll(() => of('ready'), soon).toEqual(['Billing', 'Billing', 'Sales', 'Sales', 'Sales'])
  })

  it('CLI-13 stops all together on SIGTERM, with 143', async () => {
    const run = start(twoEndpoints(), '--log', 'json')
    await expect.poll(() => run.lines.filter((line) => line['event'] === 'ready'), soon).toHaveLength(2)
    const pids = run.lines.map((line) => line['pid'] as number)

    run.kill('SIGTERM')

    expect(await run.ended).toBe(143)
    for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow('ESRCH')
  })
})

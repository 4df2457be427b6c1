import assert from 'node:assert/strict'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { emptyFolder } from '../../support/folders.ts'
import { shop, write } from '../../support/shop-project.ts'
import { hasTypes, installedProject, nsb } from './installed-project.ts'

const actionsOf = (stdout: string): Record<string, string> =>
  Object.fromEntries((JSON.parse(stdout) as { files: { path: string; action: string }[] }).files.map(({ path, action }) => [path, action]))

describe('nsb scaffold endpoint', () => {
  it('writes a package with a message, a handler and a test, and changes nothing the second time', async () => {
    const folder = emptyFolder()

    const first = await nsb(folder, 'scaffold', 'endpoint', 'Shop.Billing', '--no-check')
    const second = await nsb(folder, 'scaffold', 'endpoint', 'Shop.Billing', '--no-check', '--json')

    assert.equal(first.code, 0, first.stderr)
    assert.match(first.stdout, /^ {2}create {2}src\/messages\/ping\.ts +Shop\.Billing\.Ping \(command\)$/m)
    assert.match(first.stderr, /Next: cd shop-billing {6}npm install {6}nsb run --watch --no-retries {6}nsb send Ping --data Id=1/)
    assert.equal(
      (JSON.parse(readFileSync(join(folder, 'shop-billing/nsb.json'), 'utf8')) as { endpoint: { name: string } }).endpoint.name,
      'Shop.Billing',
    )
    assert.equal(second.code, 0)
    assert.deepEqual(new Set(Object.values(actionsOf(second.stdout))), new Set(['same']))
    assert.ok(
      [
        'package.json',
        'tsconfig.json',
        'nsb.json',
        'src/messages/ping.ts',
        'src/handlers/ping.handler.ts',
        'src/handlers/ping.handler.test.ts',
      ].every((path) => path in actionsOf(second.stdout)),
    )
  })

  it('gives what runs: the message is sent and handled', async () => {
    const folder = emptyFolder()
    await nsb(folder, 'scaffold', 'endpoint', 'Billing', '--message', 'BillOrder', 'OrderId:string', '--no-check')
    const billing = join(folder, 'billing')

    const sent = await nsb(billing, 'send', 'BillOrder', '--data', 'OrderId=7')
    const run = await nsb(billing, 'run', '--no-retries', '--until-idle', '200ms')

    assert.deepEqual([sent.code, run.code], [0, 0], sent.stderr + run.stderr)
    assert.match(run.stdout, /✓ BillOrder/)
  })

  it('uses the storage folder above, so that endpoints side by side reach each other', async () => {
    const folder = shop()

    await nsb(folder, 'scaffold', 'endpoint', 'Billing', '--no-check')

    assert.ok(existsSync(join(folder, 'billing/nsb.json')))
    assert.ok(!existsSync(join(folder, 'billing/.learningtransport')))
  })

  it('keeps the project files that are there', async () => {
    const folder = emptyFolder()
    write(folder, { 'package.json': '{"name":"mine"}' })

    const { stdout } = await nsb(folder, 'scaffold', 'endpoint', 'Billing', '--dir', '.', '--no-check', '--json')

    assert.equal(actionsOf(stdout)['package.json'], 'keep')
    assert.equal(readFileSync(join(folder, 'package.json'), 'utf8'), '{"name":"mine"}')
  })

  it.each([
    [['../x'], 'NSB_BAD_ENDPOINT_NAME'],
    [['Billing', '--message', 'class'], 'NSB_BAD_NAME'],
    [['Billing', 'Id:money'], 'NSB_BAD_PROPERTY'],
  ])('refuses %j with exit code 2, and writes nothing', async (words, code) => {
    const folder = emptyFolder()

    const result = await nsb(folder, 'scaffold', 'endpoint', ...words, '--json')

    assert.equal(result.code, 2)
    assert.equal((JSON.parse(result.stdout) as { error: { code: string } }).error.code, code)
    assert.deepEqual(readdirSync(folder), [])
  })
})

describe('nsb scaffold test', () => {
  it('writes the test of a handler that is there, and changes nothing the second time', async () => {
    const folder = shop()

    const first = await nsb(folder, 'scaffold', 'test', 'PlaceOrder')
    const second = await nsb(folder, 'scaffold', 'test', 'PlaceOrderHandler', '--json')

    assert.equal(first.code, 0, first.stderr)
    assert.match(first.stdout, /create {2}src\/handlers\/place-order\.handler\.test\.ts/)
    assert.deepEqual(actionsOf(second.stdout), { 'src/handlers/place-order.handler.test.ts': 'same' })
    const text = readFileSync(join(folder, 'src/handlers/place-order.handler.test.ts'), 'utf8')
    assert.match(text, /test\('PlaceOrderHandler handles PlaceOrder'/)
    assert.match(text, /import \{ PlaceOrder \} from '\.\.\/messages\/place-order\.ts'/)
  })

  it('CLI-7 refuses an unknown handler with the nearest, a changed test, and a handler made of a function', async () => {
    const folder = shop()
    write(folder, {
      'src/handlers/place-order.handler.test.ts': '// mine\n',
      'src/handlers/f.handler.ts': `import { handler } from 'nsbus'
import { PlaceOrder } from '../messages/place-order.ts'
export const countOrders = handler(PlaceOrder, () => undefined, { name: 'countOrders' })
`,
    })

    const unknown = await nsb(folder, 'scaffold', 'test', 'PlaceOrdrHandler')
    const conflict = await nsb(folder, 'scaffold', 'test', 'PlaceOrderHandler')
    const fn = await nsb(folder, 'scaffold', 'test', 'countOrders')

    assert.deepEqual([unknown.code, conflict.code, fn.code], [2, 2, 2])
    assert.match(unknown.stderr, /Did you mean 'PlaceOrderHandler'\?/)
    assert.match(conflict.stderr, /NSB_FILE_CONFLICT/)
    assert.match(fn.stderr, /NSB_NOT_A_HANDLER/)
    assert.equal(readFileSync(join(folder, 'src/handlers/place-order.handler.test.ts'), 'utf8'), '// mine\n')
  })
})

// Declarations are part of a full build only.
describe.skipIf(!hasTypes)('what scaffold writes', () => {
  it.each([
    ['an ES module project', '{"type":"module"}'],
    ['a CommonJS project', '{"name":"empty"}'],
  ])('CLI-9 compiles and passes its test in %s, and changes nothing the second time', { timeout: 120_000 }, async (_name, packageFile) => {
    const folder = installedProject({ 'package.json': packageFile })
    const endpoint = ['scaffold', 'endpoint', 'Shop', '--dir', '.'] as const

    const first = await nsb(folder, ...endpoint)
    const second = await nsb(folder, ...endpoint, '--json')
    await nsb(folder, 'scaffold', 'handler', 'ShipOrder', '--no-test')
    const test = await nsb(folder, 'scaffold', 'test', 'ShipOrder')

    assert.match(first.stdout, /^ {2}ok {6}type check, 1 test passed$/m, first.stdout + first.stderr)
    assert.ok(Object.entries(actionsOf(second.stdout)).every(([path, action]) => action === (path === 'package.json' ? 'keep' : 'same')))
    assert.match(test.stdout, /^ {2}ok {6}type check, 1 test passed$/m, test.stdout + test.stderr)
  })

  it.each([
    ['an ES module project', '{"type":"module"}'],
    ['a CommonJS project', '{"name":"empty"}'],
  ])('CLI-9 as a package below %s compiles and passes its test', { timeout: 120_000 }, async (_name, packageFile) => {
    const folder = installedProject({ 'package.json': packageFile })

    const { code, stdout, stderr } = await nsb(folder, 'scaffold', 'endpoint', 'Shop.Billing', '--message', 'BillOrder', 'OrderId:guid')

    assert.match(stdout, /^ {2}ok {6}type check, 1 test passed$/m, stdout + stderr)
    assert.equal(code, 0)
  })
})

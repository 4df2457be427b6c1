import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, it } from 'vitest'
import { emptyFolder } from '../../support/folders.ts'
import { project } from '../../support/shop-project.ts'
import { hasTypes, installedProject, nsb } from './installed-project.ts'

const run = resolve(import.meta.dirname, '../../../bin/run.js')
const handler = ['scaffold', 'handler', 'PlaceOrder', '--replies', 'OrderAccepted'] as const
const everyFile = [
  'src/messages/place-order.ts',
  'src/messages/order-accepted.ts',
  'src/handlers/place-order.handler.ts',
  'src/handlers/place-order.handler.test.ts',
]

const esm = {
  'package.json': '{"type":"module"}',
  'tsconfig.json':
    '{"compilerOptions":{"module":"nodenext","strict":true,"noEmit":true,"allowImportingTsExtensions":true,"noUnusedParameters":true,"noUnusedLocals":true},"include":["src"]}',
}
const commonJs = {
  'package.json': '{"name":"shop"}',
  'tsconfig.json': '{"compilerOptions":{"module":"nodenext","strict":true,"noEmit":true,"skipLibCheck":true},"include":["src"]}',
}

describe('nsb scaffold handler', () => {
  it('writes handler, test and both messages, and changes nothing the second time', async () => {
    const folder = project({})

    const first = await nsb(folder, ...handler)
    const second = await nsb(folder, ...handler, '--json')

    assert.equal(first.code, 0)
    assert.match(first.stdout, /^ {2}create {2}src\/messages\/place-order\.ts {2,}Shop\.PlaceOrder \(command\)$/m)
    assert.match(first.stdout, /^ {2}skip {4}test: not installed here \(npm install\)$/m)
    assert.match(first.stderr, /Next: nsb run --watch --no-retries {6}nsb send PlaceOrder --data OrderId=1 --await-reply/)
    const { schema, files } = JSON.parse(second.stdout) as { schema: string; files: { path: string; action: string }[] }
    assert.equal(schema, 'nsb.scaffold.handler/1')
    assert.deepEqual(
      files.map(({ path, action }) => [path, action]),
      everyFile.map((path) => [path, 'same']),
    )
  })

  it('refuses to overwrite a changed file, and overwrites it with --force', async () => {
    const folder = project({})
    await nsb(folder, ...handler)
    const path = join(folder, everyFile[2] as string)
    const written = readFileSync(path, 'utf8')
    writeFileSync(path, '// mine\n')

    const refused = await nsb(folder, ...handler)
    assert.equal(refused.code, 2)
    assert.match(refused.stdout, /^ {2}conflict {2}src\/handlers\/place-order\.handler\.ts$/m)
    assert.match(refused.stderr, /NSB_FILE_CONFLICT[^]*--force/)
    assert.equal(readFileSync(path, 'utf8'), '// mine\n')

    const forced = await nsb(folder, ...handler, '--force')
    assert.equal(forced.code, 0)
    assert.match(forced.stdout, /^ {2}overwrite {2}src\/handlers\/place-order\.handler\.ts$/m)
    assert.equal(readFileSync(path, 'utf8'), written)
  })

  it('writes nothing under --dry-run', async () => {
    const folder = project({})

    const { code, stdout } = await nsb(folder, ...handler, '--dry-run')

    assert.equal(code, 0)
    for (const path of everyFile) assert.ok(stdout.includes(`--- ${path}`))
    assert.deepEqual(readdirSync(folder).toSorted(), ['.learningtransport', 'nsb.json'])
  })

  it('gives code that nsb finds and lists', async () => {
    const folder = emptyFolder()
    await nsb(folder, 'init', 'shop', '--yes')
    const shop = join(folder, 'shop')
    await nsb(shop, ...handler)
    await nsb(shop, 'scaffold', 'handler', 'OrderPlaced', '--js', '--no-test')

    const { stdout } = await nsb(shop, 'handlers', '--json')

    const { items } = JSON.parse(stdout) as { items: { type: string; handler: string; file: string }[] }
    assert.deepEqual(items, [
      { type: 'Shop.OrderPlaced', kind: 'event', handler: 'OrderPlacedHandler', file: 'src/handlers/order-placed.handler.js' },
      { type: 'Shop.PlaceOrder', kind: 'command', handler: 'PlaceOrderHandler', file: 'src/handlers/place-order.handler.ts' },
    ])
  })

  it.each([
    [['Place/Order'], 'NSB_BAD_NAME'],
    [['PlaceOrder', '--replies', 'class'], 'NSB_BAD_NAME'],
    [['PlaceOrder', '--for', 'a.b'], 'NSB_BAD_NAME'],
    [['PlaceOrder', 'OrderId:money'], 'NSB_BAD_PROPERTY'],
    [['PlaceOrder', '--namespace', 'my shop'], 'NSB_BAD_NAME'],
    [['PlaceOrder', '--dir', 'nsb.json/x'], 'NSB_BAD_PATH'],
  ])('refuses %j with exit code 2, and writes nothing', async (words, code) => {
    const folder = project({})

    const { code: exitCode, stdout } = await nsb(folder, 'scaffold', 'handler', ...words, '--json')

    assert.equal(exitCode, 2)
    assert.equal((JSON.parse(stdout) as { error: { code: string } }).error.code, code)
    assert.deepEqual(readdirSync(folder).toSorted(), ['.learningtransport', 'nsb.json'])
  })
})

// Declarations are part of a full build only.
describe.skipIf(!hasTypes)('what was written', () => {
  it.each([
    ['an ES module project', esm],
    ['a CommonJS project', commonJs],
  ])('compiles and passes its test in %s', { timeout: 120_000 }, async (_name, files) => {
    const folder = installedProject(files)

    const replying = await nsb(
      folder,
      ...handler,
      'OrderId:guid',
      'Total:decimal',
      'Count:long',
      'Note?:string',
      'At:datetime',
      'Blob:bytes',
    )
    const several = await nsb(folder, 'scaffold', 'handler', 'OrderPlaced', '--for', 'OrderCancelled')

    assert.match(replying.stdout, /^ {2}ok {6}type check, 1 test passed$/m, `${replying.stdout}${replying.stderr}`)
    assert.match(several.stdout, /^ {2}ok {6}type check, 2 tests passed$/m, `${several.stdout}${several.stderr}`)
  })

  it('passes its test in plain JavaScript under node:test', { timeout: 120_000 }, async () => {
    const folder = installedProject({ 'package.json': '{"type":"module","scripts":{"test":"node --test"}}' })

    const { code, stdout, stderr } = await nsb(folder, ...handler, '--js')

    assert.match(stdout, /^ {2}ok {6}1 test passed$/m, stderr)
    assert.equal(code, 0)
  })

  it('ends with 8 and shows what the compiler says when the project does not compile', { timeout: 120_000 }, async () => {
    const folder = installedProject({ ...esm, 'src/broken.ts': `export const n: number = 'text'\n` })

    const { code, stdout, stderr } = await nsb(folder, ...handler)

    assert.equal(code, 8)
    assert.match(stdout, /^ {2}failed {2}type check$/m)
    assert.match(stderr, /src\/broken\.ts\(1,14\): error TS2322/)
  })
})

// A terminal that answers: script(1) is what comes with the system.
const canScript = process.platform === 'linux' && spawnSync('script', ['--version']).status === 0

describe.skipIf(!canScript)('in a terminal, nsb scaffold handler', () => {
  const answer = (cwd: string, keys: string): Promise<string> =>
    new Promise((ended) => {
      const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => name !== 'CI'))
      const child = spawn('script', ['-qec', `"${process.execPath}" "${run}" scaffold handler PlaceOrder --no-color`, '/dev/null'], {
        cwd,
        env,
      })
      let screen = ''
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        const asked = screen.includes('too?')
        screen += text
        if (!asked && screen.includes('too?')) child.stdin.write(keys)
      })
      child.on('close', () => ended(screen))
    })

  it('asks before it declares a message, and does nothing on a no', async () => {
    const folder = project({})

    const refused = await answer(folder, 'n\r')
    assert.match(refused, /'Shop\.PlaceOrder' is not declared yet\. Declare it too\?/)
    assert.match(refused, /NSB_NOT_CONFIRMED/)
    assert.deepEqual(readdirSync(folder).toSorted(), ['.learningtransport', 'nsb.json'])

    const accepted = await answer(folder, '\r')
    assert.match(accepted, /create {2}src\/messages\/place-order\.ts/)
  })
})

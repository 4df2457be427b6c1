import assert from 'node:assert/strict'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { emptyFolder } from '../support/folders.ts'
import { write } from '../support/shop-project.ts'
import { nsb } from './scaffold/installed-project.ts'

const read = (folder: string, file: string): string => readFileSync(join(folder, file), 'utf8')

describe('nsb init', () => {
  it('makes a new folder a project, and says what comes next', async () => {
    const folder = emptyFolder()

    const { code, stdout, stderr } = await nsb(folder, 'init', 'shop', '--yes')

    assert.equal(code, 0)
    assert.deepEqual(readdirSync(join(folder, 'shop')).toSorted(), [
      '.gitignore',
      '.learningtransport',
      'nsb.json',
      'package.json',
      'src',
      'tsconfig.json',
    ])
    assert.deepEqual(JSON.parse(read(folder, 'shop/nsb.json')), {
      $schema: './node_modules/nsbus/nsb.schema.json',
      endpoint: { name: 'Shop', handlers: 'src/**/*.handler.{ts,mts,js,mjs}', messages: 'src/messages/**/*.{ts,mts,js,mjs}' },
      routing: { 'Shop.*': 'Shop' },
      profiles: { default: { transport: 'learning' } },
    })
    assert.equal(read(folder, 'shop/.learningtransport/.gitignore'), '*\n')
    assert.match(stdout, /^ {2}create {2}nsb\.json$/m)
    assert.match(stderr, /Next: cd shop {6}npm install {6}nsb scaffold handler PlaceOrder --replies OrderAccepted/)
  })

  it('adds a profile for the broker of this machine with --transport rabbitmq', async () => {
    const folder = emptyFolder()

    const { code, stdout, stderr } = await nsb(folder, 'init', 'shop', '--transport', 'rabbitmq', '--yes', '--json')
    const human = await nsb(folder, 'init', 'other', '--transport', 'rabbitmq', '--yes')

    assert.equal(code, 0, stderr)
    assert.deepEqual((JSON.parse(stdout) as { profiles: unknown }).profiles, ['default', 'local'])
    assert.deepEqual((JSON.parse(read(folder, 'shop/nsb.json')) as { profiles: object }).profiles, {
      default: { transport: 'learning' },
      local: { transport: 'rabbitmq', connection: 'amqp://guest:guest@localhost:5672' },
    })
    assert.match(human.stderr, /Next: .*nsb profile use local/)
  })

  it('changes nothing the second time', async () => {
    const folder = emptyFolder()
    await nsb(folder, 'init', '--name', 'Shop', '--yes')

    const { code, stdout } = await nsb(folder, 'init', '--name', 'Shop', '--yes', '--json')

    assert.equal(code, 0)
    const { schema, files } = JSON.parse(stdout) as { schema: string; files: { action: string }[] }
    assert.equal(schema, 'nsb.init/1')
    assert.deepEqual(new Set(files.map(({ action }) => action)), new Set(['same']))
  })

  it('routes the messages it will scaffold, whatever the endpoint is called', async () => {
    const folder = emptyFolder()
    await nsb(folder, 'init', '--name', 'my-shop', '--yes')

    const { stdout } = await nsb(folder, 'scaffold', 'message', 'PlaceOrder', '--no-check')

    assert.deepEqual((JSON.parse(read(folder, 'nsb.json')) as { routing: object }).routing, { 'MyShop.*': 'my-shop' })
    assert.match(stdout, /MyShop\.PlaceOrder/)
  })

  it('keeps what is there', async () => {
    const folder = emptyFolder()
    write(folder, { 'package.json': '{"name":"mine"}', '.gitignore': 'secret\n' })

    const { stdout } = await nsb(folder, 'init', '--yes')

    assert.equal(read(folder, 'package.json'), '{"name":"mine"}')
    assert.match(stdout, /^ {2}keep {4}package\.json$/m)
    assert.match(stdout, /^ {2}keep {4}\.gitignore$/m)
    assert.match(stdout, /^ {2}create {2}tsconfig\.json$/m)
  })

  it.each([
    ['a name that is no queue name', ['init', 'shop', '--name', '../x', '--yes'], 'NSB_BAD_ENDPOINT_NAME'],
    ['a file in place of the folder', ['init', 'there', '--yes'], 'NSB_NOT_A_FOLDER'],
    ['a folder below a file', ['init', 'there/shop', '--yes'], 'NSB_NOT_A_FOLDER'],
  ])('refuses %s with exit code 2, and writes nothing', async (_name, words, code) => {
    const folder = emptyFolder()
    write(folder, { there: '' })

    const result = await nsb(folder, ...words)

    assert.equal(result.code, 2)
    assert.match(result.stderr, new RegExp(code))
    assert.ok(!existsSync(join(folder, 'shop')))
  })
})

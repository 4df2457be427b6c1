import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, symlinkSync } from 'node:fs'
import { join, sep } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { loadModules } from '../../../src/toolkit/load-handlers/load-modules.ts'
import { userFrame } from '../../../src/toolkit/load-handlers/frames.ts'
import { projectWith } from './project.ts'

const zod = join(import.meta.dirname, '../../../node_modules/zod')

const messages = `
  import { command } from 'nsbus'
  import { z } from 'zod'
  export class PlaceOrder extends command('Shop.PlaceOrder', z.object({ OrderId: z.string() })) {}
`
const handler = `
  import type { IHandleMessages } from 'nsbus'
  import { PlaceOrder } from '../messages/place-order.ts'
  export class PlaceOrderHandler implements IHandleMessages<PlaceOrder> {
    static readonly handles = PlaceOrder
    async handle(message: PlaceOrder) { throw new Error(message.OrderId) }
  }
`
const second = `
  import { PlaceOrder } from '../messages/place-order.ts'
  export class Audit { static readonly handles = PlaceOrder }
`

const shop = { 'src/messages/place-order.ts': messages, 'src/handlers/a.handler.ts': handler, 'src/handlers/b.handler.ts': second }

describe('handlers of a project', () => {
  it('load without a build step, without node_modules, and share their messages', async () => {
    await using project = await projectWith(shop)

    const { modules, dispose } = await loadModules({
      root: project.root,
      files: ['src/handlers/a.handler.ts', 'src/handlers/b.handler.ts'],
    })

    const [first, other] = modules.map(
      ({ namespace, exports }) => namespace[exports[0] as string] as { name: string; handles: { name: string } },
    )
    assert.equal(first?.name, 'PlaceOrderHandler')
    assert.equal(first.handles.name, 'PlaceOrder')
    assert.equal(other?.handles, first.handles)
    await dispose()
  })

  it('are built into the project when it has node_modules, and use its zod', async () => {
    await using project = await projectWith({ ...shop, 'src/x.ts': `export { z } from 'zod'` })
    mkdirSync(join(project.root, 'node_modules'))
    symlinkSync(zod, join(project.root, 'node_modules/zod'))

    const { modules, dispose } = await loadModules({ root: project.root, files: ['src/x.ts'] })

    const built = join(project.root, 'node_modules/.cache/nsbus', String(process.pid))
    assert.equal(readdirSync(built).length, 1)
    assert.equal(modules[0]?.namespace['z'], (await import('zod')).z)
    await dispose()
    assert.deepEqual(readdirSync(built), [])
  })

  it('are seen again when they have changed', async () => {
    await using project = await projectWith({ 'a.ts': `export * from './b.ts'`, 'b.ts': 'export const version = 1' })
    const first = await loadModules({ root: project.root, files: ['a.ts'] })
    await project.write('b.ts', 'export const version = 2')

    const again = await loadModules({ root: project.root, files: ['a.ts'] })

    assert.equal(first.modules[0]?.namespace['version'], 1)
    assert.equal(again.modules[0]?.namespace['version'], 2)
    await first.dispose()
    await again.dispose()
  })

  it('throw with the line of the source', async () => {
    await using project = await projectWith(shop)
    const { modules, dispose } = await loadModules({ root: project.root, files: ['src/handlers/a.handler.ts'] })
    const Handler = modules[0]?.namespace['PlaceOrderHandler'] as new () => { handle(message: object): Promise<void> }

    const error = await new Handler().handle({ OrderId: '7' }).catch((thrown: unknown) => thrown)

    assert.deepEqual(userFrame(error, project.root), { file: join(project.root, 'src/handlers/a.handler.ts'), line: 6, column: 47 })
    await dispose()
  })

  it.each([
    ['a.mts', `export const b = 1\nexport class A {}\nexport default 5`],
    ['a.js', `export const b = 1\n// class A\nexport class A {}\nexport default 5`],
    ['a.mjs', `const b = 1\nclass A {}\nexport default 5\nexport { A, b }`],
    ['a.cjs', `exports.b = 1; exports.A = class A {}; exports.default = 5`],
    ['a.cts', `class A {}\nmodule.exports = { b: 1, A, default: require('node:path').sep }`],
    ['b.js', `Object.assign(module.exports, { b: 1, A: 2, default: 3 })`],
  ])('in %s list their exports in the order of the file', async (file, text) => {
    await using project = await projectWith({ [file]: text })

    const { modules, dispose } = await loadModules({ root: project.root, files: [file] })

    assert.deepEqual(modules[0]?.exports, ['b', 'A', 'default'])
    assert.ok(modules[0].exports.every((name) => modules[0]?.namespace[name] !== undefined))
    await dispose()
  })

  it('keep class names that several files use', async () => {
    await using project = await projectWith({
      'a.ts': `import { X as Other } from './b.ts'\nexport class X { other = Other }`,
      'b.ts': 'export class X {}',
    })

    const { modules, dispose } = await loadModules({ root: project.root, files: ['a.ts', 'b.ts'] })

    assert.deepEqual(
      modules.map(({ namespace }) => (namespace['X'] as { name: string }).name),
      ['X', 'X'],
    )
    await dispose()
  })

  it('know where their source is', async () => {
    await using project = await projectWith({
      'src/a.ts': `export const [url, folder, file, text] = [import.meta.url, import.meta.dirname, __filename, 'in __dirname']`,
      'src/b.ts': `import { fileURLToPath } from 'node:url'\nconst __dirname = fileURLToPath(new URL('.', import.meta.url))\nexport const folder = __dirname`,
    })

    const { modules, dispose } = await loadModules({ root: project.root, files: ['src/a.ts', 'src/b.ts'] })

    const folder = join(project.root, 'src')
    assert.deepEqual(
      { ...modules[0]?.namespace },
      { url: `file://${folder}/a.ts`, folder, file: join(folder, 'a.ts'), text: 'in __dirname' },
    )
    assert.equal(modules[1]?.namespace['folder'], `${folder}/`)
    await dispose()
  })
})

describe('a file that does not compile', () => {
  it('is refused with every place, the text and the line', async () => {
    await using project = await projectWith({
      'src/a.handler.ts': 'const a = 1\n\tconst = 5\n',
      'src/b.handler.ts': `import './missing.ts'`,
    })

    const error = await loadModules({ root: project.root, files: ['src/a.handler.ts', 'src/b.handler.ts'] }).catch(
      (thrown: unknown) => thrown,
    )

    expect(error).toMatchObject({ code: 'NSB_HANDLER_DOES_NOT_COMPILE' })
    assert.match(
      (error as Error).message,
      /src\/a\.handler\.ts:2:8: Expected identifier but found "="\n {2}> 2 \| \tconst = 5\n {6}\| \t {6}\^/,
    )
    assert.match((error as Error).message, /src\/b\.handler\.ts:1:8: Could not resolve "\.\/missing\.ts"/)
  })

  it('shows five places at most', async () => {
    await using project = await projectWith({ 'a.ts': Array.from({ length: 8 }, (_, index) => `import './missing${index}.ts'`).join('\n') })

    const error = (await loadModules({ root: project.root, files: ['a.ts'] }).catch((thrown: unknown) => thrown)) as Error

    assert.equal(error.message.match(/Could not resolve/g)?.length, 5)
    assert.match(error.message, /… and 3 more/)
  })
})

describe('a file that throws while it is loaded', () => {
  it('is refused with the place', async () => {
    await using project = await projectWith({
      'src/a.handler.ts': `const x: string | undefined = undefined\nif (!x) throw new Error('no connection')\n`,
    })

    const error = await loadModules({ root: project.root, files: ['src/a.handler.ts'] }).catch((thrown: unknown) => thrown)

    expect(error).toMatchObject({
      code: 'NSB_HANDLER_DOES_NOT_LOAD',
      details: { place: { file: 'src/a.handler.ts', line: 2, column: 15 } },
    })
    assert.match((error as Error).message, /'src\/a\.handler\.ts' throws while it is loaded: no connection/)
    assert.match((error as Error).message, /> 2 \| if \(!x\) throw new Error/)
  })

  it('says what to do about messages that implement each other', async () => {
    const declaring = (own: string, other: string): string => `import { event } from 'nsbus'
import { ${other} } from './${other}.ts'
const schema = { '~standard': { version: 1, vendor: 'test', validate: (value: unknown) => ({ value }) } } as const
export class ${own} extends event('Shop.${own}', schema, { implements: [${other}] }) {}
`
    await using project = await projectWith({ 'A.ts': declaring('A', 'B'), 'B.ts': declaring('B', 'A') })

    const error = await loadModules({ root: project.root, files: ['A.ts', 'B.ts'] }).catch((thrown: unknown) => thrown)

    expect(error).toMatchObject({
      code: 'NSB_HANDLER_DOES_NOT_LOAD',
      message: expect.stringContaining(`lists something in 'implements' that is no message type: undefined`),
      suggestions: expect.arrayContaining([expect.stringContaining('declare the parent in a file of its own')]),
    })
  })

  it('names the package that is not installed', async () => {
    await using project = await projectWith({ 'a.ts': `import 'surely-not-installed'` })

    const error = await loadModules({ root: project.root, files: ['a.ts'] }).catch((thrown: unknown) => thrown)

    expect(error).toMatchObject({ code: 'NSB_HANDLER_DOES_NOT_LOAD', suggestions: ['npm install surely-not-installed'] })
  })
})

it('builds of processes that are gone are removed', async () => {
  await using project = await projectWith({ 'a.ts': 'export const a = 1', 'node_modules/.cache/nsbus/4194999/1/x.mjs': '' })

  const { dispose } = await loadModules({ root: project.root, files: ['a.ts'] })

  assert.ok(!existsSync(join(project.root, 'node_modules/.cache/nsbus/4194999')))
  await dispose()
})

describe.skipIf(process.getuid === undefined)('without a node_modules', () => {
  const own = `nsbus-${process.getuid?.()}`
  /** Which folders below a temporary one have built files in them. */
  const builtIn = async (temporary: string): Promise<readonly string[]> => {
    await using project = await projectWith({ 'a.ts': 'export const a = 1' })
    vi.stubEnv('TMPDIR', temporary)
    try {
      const { dispose } = await loadModules({ root: project.root, files: ['a.ts'] })
      const files = readdirSync(temporary, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.mjs'))
      await dispose()
      return files.map((name) => name.split(sep, 1)[0] as string)
    } finally {
      vi.unstubAllEnvs()
    }
  }

  it('builds in a temporary folder that is its user’s alone', async () => {
    await using temporary = await projectWith({})

    const folders = await builtIn(temporary.root)

    assert.deepEqual([...new Set(folders)], [own])
    assert.equal(statSync(join(temporary.root, own)).mode & 0o777, 0o700)
  })

  it('does not build where somebody else could change what is run', async () => {
    await using temporary = await projectWith({})
    await using linked = await projectWith({ 'elsewhere/x': '' })
    mkdirSync(join(temporary.root, own))
    chmodSync(join(temporary.root, own), 0o777)
    symlinkSync(join(linked.root, 'elsewhere'), join(linked.root, own))

    for (const root of [temporary.root, linked.root]) {
      const [folder = '', ...more] = new Set(await builtIn(root))

      assert.match(folder, /^nsbus-[A-Za-z0-9]{6}$/)
      assert.deepEqual([more, folder === own], [[], false])
    }
  })
})

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { hash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { loadModules } from '../../../src/toolkit/load-handlers/load-modules.ts'
import { projectWith } from './project.ts'

const cacheOf = (root: string): string => join(root, 'node_modules/.cache/nsbus/builds')
const entriesOf = (root: string): readonly string[] => (existsSync(cacheOf(root)) ? readdirSync(cacheOf(root)) : [])

async function valueOf(root: string, name = 'value'): Promise<unknown> {
  const { dispose, modules } = await loadModules({ root, files: ['a.ts'] })
  await dispose()
  return modules[0]?.namespace[name]
}

/** Loads until the build is kept: one right after a setting was written is not. */
async function keep(root: string): Promise<void> {
  for (const end = performance.now() + 20_000; ; ) {
    await valueOf(root)
    if (entriesOf(root).length > 0) return
    assert.ok(performance.now() < end, 'Waited 20 s for: the build is kept.')
  }
}

/** Makes the kept build say something else, so that one can see whether it is used; its digest stays right. */
function mark(root: string, from: string, to: string): void {
  const file = join(cacheOf(root), entriesOf(root)[0] as string)
  const content = readFileSync(file, 'utf8').slice(64)
  assert.ok(content.includes(from))
  const changed = content.replaceAll(from, to)
  writeFileSync(file, hash('sha256', changed) + changed)
}

const files = {
  'package.json': '{ "type": "module" }',
  'tsconfig.json': '{}',
  'node_modules/zod/package.json': '{}',
  'a.ts': `export { value } from './b'`,
  'b.js': `export const value = 'first'`,
}

describe('a build that is kept', () => {
  it('is used again while nothing has changed', async () => {
    await using project = await projectWith(files)
    await keep(project.root)
    mark(project.root, 'first', 'kept')

    assert.equal(await valueOf(project.root), 'kept')
    assert.equal(await valueOf(project.root), 'kept')
  })

  it.each([
    ['a file that is imported', 'b.js', `export const value = 'new'`, 'new'],
    ['a file that an import without an extension now means', 'b.ts', `export const value = 'other'`, 'other'],
    ['the settings of TypeScript', 'tsconfig.json', '{ "compilerOptions": { "experimentalDecorators": true } }', 'first'],
    ['the package file', 'package.json', '{ "type": "module", "sideEffects": true }', 'first'],
  ])('is not used when this has changed: %s', async (_what, file, text, value) => {
    await using project = await projectWith(files)
    await keep(project.root)
    mark(project.root, 'first', 'kept')

    await project.write(file, text)

    assert.equal(await valueOf(project.root), value)
  })

  it('is not used when a tsconfig that is extended has changed', async () => {
    await using project = await projectWith({ ...files, 'tsconfig.json': '{ "extends": "./base" }', 'base.json': '{}' })
    await keep(project.root)
    mark(project.root, 'first', 'kept')

    await project.write('base.json', '{ "compilerOptions": { "experimentalDecorators": true } }')

    assert.equal(await valueOf(project.root), 'first')
  })

  it('is not used when a link leads elsewhere', async () => {
    await using project = await projectWith({ ...files, 'a.ts': `export { value } from './link'`, 'c.js': `export const value = 'c'` })
    symlinkSync('b.js', join(project.root, 'link.js'))
    await keep(project.root)
    rmSync(join(project.root, 'link.js'))
    symlinkSync('c.js', join(project.root, 'link.js'))

    assert.equal(await valueOf(project.root), 'c')
  })

  it('is replaced when it is damaged', async () => {
    await using project = await projectWith(files)
    await keep(project.root)
    const file = join(cacheOf(project.root), entriesOf(project.root)[0] as string)
    const whole = readFileSync(file, 'utf8')

    for (const damaged of ['', 'x', whole.slice(0, -10), whole.replace('first', 'f1rst')]) {
      writeFileSync(file, damaged)
      assert.equal(await valueOf(project.root), 'first')
      assert.equal(readFileSync(file, 'utf8'), whole)
    }
  })

  it('does not hide that a file does not compile any more, each time anew', async () => {
    await using project = await projectWith(files)
    await keep(project.root)

    await project.write('b.js', 'export const value = ')
    for (let time = 0; time < 2; time++) await assert.rejects(valueOf(project.root), { code: 'NSB_HANDLER_DOES_NOT_COMPILE' })

    await project.write('b.js', files['b.js'])
    assert.equal(await valueOf(project.root), 'first')
  })

  it('throws with the line of the source', async () => {
    await using project = await projectWith({ ...files, 'b.js': `\n\nexport function value() {\n  throw new Error('here')\n}` })
    await keep(project.root)
    // The test runner maps no stacks of what lies below node_modules, so a process of its own throws.
    const script = `
      import { userFrame } from './src/toolkit/load-handlers/frames.ts'
      import { loadModules } from './src/toolkit/load-handlers/load-modules.ts'
      const root = ${JSON.stringify(project.root)}
      for (const time of [1, 2]) {
        const { modules, dispose } = await loadModules({ root, files: ['a.ts'] })
        try { modules[0].namespace.value() } catch (error) { console.log(JSON.stringify(userFrame(error, root))) }
        await dispose()
      }`
    const words = ['--import', 'tsx', '--input-type=module', '-e', script]
    const said = execFileSync(process.execPath, words, { cwd: join(import.meta.dirname, '../../..'), encoding: 'utf8' })

    const place = JSON.stringify({ file: join(project.root, 'b.js'), line: 4, column: 9 })
    assert.equal(said, `${place}\n${place}\n`)
  })

  it('makes new module instances each time, with exports in their order', async () => {
    await using project = await projectWith({ ...files, 'b.js': `export class Value {}\nexport const value = Value, another = 1` })
    await project.write('a.ts', `export class Zebra {}\nexport class Ape {}\nexport { value } from './b'`)
    await keep(project.root)

    const [first, second] = [
      await loadModules({ root: project.root, files: ['a.ts'] }),
      await loadModules({ root: project.root, files: ['a.ts'] }),
    ]

    assert.notEqual(first.modules[0]?.namespace['Ape'], second.modules[0]?.namespace['Ape'])
    assert.deepEqual(first.modules[0]?.exports, ['Zebra', 'Ape', 'value'])
    await first.dispose()
    await second.dispose()
  })

  it('is one of twenty at most', async () => {
    await using project = await projectWith(files)
    mkdirSync(cacheOf(project.root), { recursive: true })
    for (let entry = 0; entry < 30; entry++) writeFileSync(join(cacheOf(project.root), `${entry}.json`), '')

    for (const end = performance.now() + 20_000; entriesOf(project.root).length > 20; ) {
      await valueOf(project.root)
      assert.ok(performance.now() < end, 'Waited 20 s for: the build is kept.')
    }
    assert.equal(await valueOf(project.root), 'first')
  })

  it('is none where its folder cannot be written', async () => {
    await using project = await projectWith({ ...files, 'node_modules/.cache/nsbus/builds': 'a file in the way' })

    assert.equal(await valueOf(project.root), 'first')
    assert.equal(await valueOf(project.root), 'first')
  })

  it('is not kept outside of a node_modules', async () => {
    await using project = await projectWith({ 'a.ts': files['a.ts'], 'b.js': files['b.js'] })

    assert.equal(await valueOf(project.root), 'first')
    assert.deepEqual(readdirSync(project.root).toSorted(), ['a.ts', 'b.js'])
  })
})

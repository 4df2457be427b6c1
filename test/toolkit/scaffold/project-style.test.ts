import assert from 'node:assert/strict'
import { describe, it } from 'vitest'
import { inStyle, projectStyle } from '../../../src/toolkit/scaffold/project-style.ts'
import { projectWith } from '../load-handlers/project.ts'

const styleOf = async (files: Readonly<Record<string, string>>, language: 'ts' | 'js' = 'ts') => {
  await using project = await projectWith(files)
  return await projectStyle(project.root, language)
}

describe('the style of a project', () => {
  it('is ours when there is nothing to see', async () => {
    assert.deepEqual(await styleOf({ 'package.json': '{"type":"module"}' }), {
      language: 'ts',
      extension: 'ts',
      importExtension: '.ts',
      quote: "'",
      indent: '  ',
      semicolons: false,
      runner: 'vitest',
      nodeTestFlags: ['--test'],
    })
  })

  it('follows quotes, indent and semicolons of the sources', async () => {
    const style = await styleOf({ 'src/a.ts': 'import { b } from "./b.js";\nexport function a() {\n\treturn b();\n}\n' })

    assert.deepEqual([style.quote, style.indent, style.semicolons, style.importExtension], ['"', '\t', true, '.js'])
  })

  it.each([
    ['.ts when the compiler allows it', '{"compilerOptions":{"module":"nodenext","allowImportingTsExtensions":true}}', '.ts'],
    ['.js under nodenext', '{\n  // strict\n  "compilerOptions": { "module": "NodeNext", },\n}', '.js'],
    ['nothing under bundler', '{"compilerOptions":{"module":"esnext","moduleResolution":"bundler"}}', ''],
  ])('ends imports with %s', async (_name, tsconfig, expected) => {
    assert.equal((await styleOf({ 'tsconfig.json': tsconfig })).importExtension, expected)
  })

  it('reads what tsconfig.json extends', async () => {
    const style = await styleOf({
      'tsconfig.json': '{"extends":"./base"}',
      'base.json': '{"compilerOptions":{"allowImportingTsExtensions":true}}',
    })

    assert.equal(style.importExtension, '.ts')
  })

  it.each([
    ['{"scripts":{"test":"node --import tsx --test src/**/*.test.ts"}}', 'node', ['--import', 'tsx', '--test']],
    ['{"scripts":{"test":"node --test"}}', 'node', ['--test']],
    ['{"scripts":{"test":"vitest run"}}', 'vitest', ['--test']],
    ['{"scripts":{"test":"node --test"},"devDependencies":{"vitest":"4"}}', 'vitest', ['--test']],
    ['{"scripts":{"test":"jest"}}', 'vitest', ['--test']],
  ])('takes the test runner from %s', async (text, runner, flags) => {
    const style = await styleOf({ 'package.json': text })

    assert.deepEqual([style.runner, style.nodeTestFlags], [runner, flags])
  })

  it.each([
    ['{"type":"module"}', 'js'],
    ['{}', 'js'],
    ['{"type":"commonjs"}', 'mjs'],
  ])('writes JavaScript for %s into .%s files', async (text, extension) => {
    assert.equal((await styleOf({ 'package.json': text }, 'js')).extension, extension)
  })
})

describe('code in the style of a project', () => {
  const ours = `import { a } from 'b'\n\n/**\n * A\n */\nexport class A {\n  b = ['it\\'s']\n\n  async c() {\n    await d({\n      e: 1,\n    })\n  }\n}\n\nexport class F extends g('F', z.object({})) {}\n`

  it('is as it was when that is ours', async () => {
    assert.equal(inStyle(ours, await styleOf({})), ours)
  })

  it('has its quotes, tabs and semicolons', async () => {
    const style = { ...(await styleOf({})), quote: '"' as const, indent: '\t', semicolons: true }

    assert.equal(
      inStyle(ours, style),
      `import { a } from "b";\n\n/**\n * A\n */\nexport class A {\n\tb = ["it's"];\n\n\tasync c() {\n\t\tawait d({\n\t\t\te: 1,\n\t\t});\n\t}\n}\n\nexport class F extends g("F", z.object({})) {}\n`,
    )
  })
})

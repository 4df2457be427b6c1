import assert from 'node:assert/strict'
import { relative } from 'node:path'
import { describe, it } from 'vitest'
import { findFiles, globPattern } from '../../../src/toolkit/load-handlers/find-files.ts'
import { projectWith } from './project.ts'

const names = [
  'b.handler.ts',
  'src/a.handler.ts',
  'src/deep/er/c.handler.mjs',
  'src/a.ts',
  'src/a.handler.test.ts',
  'src/a.handler.d.ts',
  'src/handlers.txt',
]
const skipped = ['node_modules/x/y.handler.ts', 'src/node_modules/y.handler.ts', '.cache/z.handler.ts', 'dist/a.handler.js']
const files = Object.fromEntries([...names, ...skipped].map((name) => [name, '']))

describe('the files of a glob', () => {
  it.each([
    ['**/*.handler.{ts,js,mts,mjs,cts,cjs}', ['b.handler.ts', 'src/a.handler.ts', 'src/deep/er/c.handler.mjs']],
    ['src/**/*.handler.ts', ['src/a.handler.ts']],
    ['./src/**/*.handler.ts', ['src/a.handler.ts']],
    ['src/**/*', ['src/a.handler.ts', 'src/a.ts', 'src/deep/er/c.handler.mjs', 'src/handlers.txt']],
    ['*.handler.ts', ['b.handler.ts']],
    ['src/a.ts', ['src/a.ts']],
    ['dist/**/*.handler.js', ['dist/a.handler.js']],
    ['nowhere/**/*.ts', []],
  ])('%s are %j', async (glob, expected) => {
    await using project = await projectWith(files)

    const found = await findFiles(project.root, glob)

    assert.deepEqual(
      found.map((file) => relative(project.root, file)),
      expected,
    )
  })

  it('treats every other sign as itself', () => {
    assert.ok(globPattern('a+(b)[c].ts').test('a+(b)[c].ts'))
    assert.ok(!globPattern('a.ts').test('abts'))
    assert.ok(globPattern('a,b}.ts').test('a,b}.ts'))
    assert.ok(globPattern('{a,{b,c}d}?.ts').test('cdx.ts'))
  })
})

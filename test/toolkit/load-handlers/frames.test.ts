import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { codeFrame, userFrame } from '../../../src/toolkit/load-handlers/frames.ts'
import { projectWith } from './project.ts'

const errorWith = (...frames: string[]): Error =>
  Object.assign(new Error('no stock'), { stack: ['Error: no stock', ...frames.map((frame) => `    at ${frame}`)].join('\n') })

describe('the code frame', () => {
  it('shows the line between its neighbours, with a mark under the column', async () => {
    await using project = await projectWith({ 'a.ts': 'one\ntwo\n\tthree()\nfour\n' })

    assert.equal(codeFrame(join(project.root, 'a.ts'), 3, 2), ['  2 | two', '> 3 | \tthree()', '    | \t^', '  4 | four'].join('\n'))
  })

  it('aligns numbers of different width', async () => {
    await using project = await projectWith({ 'a.ts': Array.from({ length: 12 }, (_, index) => `line${index + 1}`).join('\n') })

    assert.equal(codeFrame(join(project.root, 'a.ts'), 9, 1), ['   8 | line8', '>  9 | line9', '     | ^', '  10 | line10'].join('\n'))
  })

  it('is missing when the file or the line is', async () => {
    await using project = await projectWith({ 'a.ts': 'one' })

    assert.equal(codeFrame(join(project.root, 'b.ts'), 1, 1), undefined)
    assert.equal(codeFrame(join(project.root, 'a.ts'), 9, 1), undefined)
  })
})

describe('the first frame of the project', () => {
  const place = { file: '/shop/src/a.handler.ts', line: 9, column: 11 }

  it.each([
    ['a method', 'PlaceOrderHandler.handle (/shop/src/a.handler.ts:9:11)'],
    ['an asynchronous method', 'async PlaceOrderHandler.handle (/shop/src/a.handler.ts:9:11)'],
    ['a file URL', 'handle (file:///shop/src/a.handler.ts:9:11)'],
    ['no function', '/shop/src/a.handler.ts:9:11'],
    ['a function with parentheses in its name', 'Object.<anonymous> [as (handle)] (/shop/src/a.handler.ts:9:11)'],
  ])('is found for %s', (_name, frame) => {
    assert.deepEqual(
      userFrame(errorWith('node:internal/fs:1:1', 'lib (/shop/node_modules/x/y.js:1:1)', 'run (/other/z.js:1:1)', frame), '/shop'),
      place,
    )
  })

  it('is that of the cause when the error itself has none', () => {
    const outer = Object.assign(errorWith('run (/other/z.js:1:1)'), { cause: errorWith('handle (/shop/src/a.handler.ts:9:11)') })

    assert.deepEqual(userFrame(outer, '/shop'), place)
  })

  it('is missing for what is no error', () => {
    assert.equal(userFrame('text', '/shop'), undefined)
    assert.equal(userFrame(errorWith('run (/shopping/z.js:1:1)'), '/shop'), undefined)
  })
})

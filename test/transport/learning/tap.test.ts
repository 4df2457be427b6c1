import { strict as assert } from 'node:assert'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import type { IncomingMessage } from '../../../src/transport/transport.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { message, openLearning, textOf, until, writeByHand } from './support.ts'

describe('a tap on a folder', () => {
  it('shows what comes, in the order of sending, and nothing that was there', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    await transport.dispatch([message('old', 'error')])
    const seen: IncomingMessage[] = []
    const tap = await transport.tap('error', (incoming) => seen.push(incoming))

    for (const name of ['a', 'b', 'c']) await transport.dispatch([message(name, 'error')])

    await until('all three are seen', () => seen.length === 3)
    await tap.stop()
    assert.deepEqual(seen.map(textOf), ['a', 'b', 'c'])
  })

  it('does not show again what somebody takes and puts back', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    await transport.dispatch([message('old', 'error', { nativeId: 'old' })])
    const seen: IncomingMessage[] = []
    const tap = await transport.tap('error', (incoming) => seen.push(incoming))
    await transport.dispatch([message('new', 'error', { nativeId: 'new' })])
    await until('the new one is seen', () => seen.length === 1)

    for (const name of ['old', 'new']) {
      renameSync(join(storage, `error/${name}.metadata.txt`), join(storage, name))
      renameSync(join(storage, name), join(storage, `error/${name}.metadata.txt`))
    }
    await transport.dispatch([message('last', 'error')])

    await until('the last one is seen', () => seen.some((each) => textOf(each) === 'last'))
    await tap.stop()
    assert.deepEqual(seen.map(textOf), ['new', 'last'])
  })

  it('shows a file that is still being written when it is whole, also when the system names it no more', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    await transport.dispatch([message('slow', 'other', { nativeId: 'slow' })])
    const whole = readFileSync(join(storage, 'other/slow.metadata.txt'))
    const seen: IncomingMessage[] = []
    const tap = await transport.tap('error', (incoming) => seen.push(incoming))

    writeByHand(storage, 'error', 'slow', whole.subarray(0, 20), 'slow')
    await transport.dispatch([message('quick', 'error')])
    await until('the quick one is seen', () => seen.length === 1)
    writeFileSync(join(storage, 'error/slow.metadata.txt'), whole)

    await until('the slow one is seen', () => seen.length === 2)
    await tap.stop()
    assert.deepEqual(seen.map(textOf), ['quick', 'slow'])
  })
})

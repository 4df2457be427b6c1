import { strict as assert } from 'node:assert'
import { mkdirSync, readdirSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { FolderSnapshot, countMessages } from '../../../src/transport/learning/folder-snapshot.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const guidName = (digit: number | string): string => `${String(digit).padStart(8, '0')}-6d1e-4b7a-9c58-2e7f81d9a001.metadata.txt`

/** Makes a file that was sent so many seconds after a fixed moment. */
function write(folder: string, name: string, second: number): void {
  writeFileSync(join(folder, name), 'x')
  utimesSync(join(folder, name), 1_700_000_000 + second, 1_700_000_000 + second)
}

function allOf(snapshot: FolderSnapshot): readonly string[] {
  return Array.from({ length: snapshot.length }, (_, rank) => snapshot.nameAt(rank))
}

describe('a snapshot of a folder', () => {
  it('has its messages by time and, where this is the same, by name', () => {
    const folder = tempFolder()
    for (const [name, second] of [
      [guidName('c'), 2],
      [guidName('b'), 2],
      ['by-hand.metadata.txt', 2],
      ['0000zz.txt', 2],
      [guidName('a'), 3],
      [guidName('f'), 1],
    ] as const)
      write(folder, name, second)

    const snapshot = new FolderSnapshot(folder)

    assert.deepEqual(allOf(snapshot), [guidName('f'), guidName('b'), guidName('c'), '0000zz.txt', 'by-hand.metadata.txt', guidName('a')])
    assert.equal(snapshot.timeAt(0), 1_700_000_001_000)
    assert.equal(statSync(snapshot.pathOf(snapshot.nameAt(5))).mtimeMs, snapshot.timeAt(5))
  })

  it('sorts thousands as a plain sort does', () => {
    const folder = tempFolder()
    for (let index = 0; index < 3001; index++) write(folder, guidName((index * 7919) % 3001), (index * 31) % 17)

    const names = readdirSync(folder).map((name) => ({ name, time: statSync(join(folder, name)).mtimeMs }))
    const expected = names.toSorted((a, b) => a.time - b.time || (a.name < b.name ? -1 : 1)).map(({ name }) => name)
    assert.deepEqual(allOf(new FolderSnapshot(folder)), expected)
  })

  it('takes every file for a message, and neither a folder nor a link, wherever it leads', () => {
    const folder = tempFolder()
    mkdirSync(join(folder, '.bodies'))
    mkdirSync(join(folder, 'a folder'))
    write(folder, 'file', 1)
    write(folder, '.hidden', 2)
    symlinkSync(join(folder, 'file'), join(folder, 'link'))
    symlinkSync(join(folder, 'nothing'), join(folder, 'broken link'))

    const snapshot = new FolderSnapshot(folder)

    assert.deepEqual(allOf(snapshot).toSorted(), ['.hidden', 'file'])
    assert.equal(countMessages(folder), 2)
    assert.deepEqual(snapshot.strange.map(({ path }) => path).toSorted(), [join(folder, 'broken link'), join(folder, 'link')])
  })

  it('counts what came later, and not what was taken or put back', () => {
    const folder = tempFolder()
    for (const name of [guidName('a'), guidName('b'), 'by-hand.metadata.txt']) write(folder, name, 1)
    const snapshot = new FolderSnapshot(folder)

    rmSync(join(folder, guidName('a')))
    rmSync(join(folder, 'by-hand.metadata.txt'))
    for (const name of ['by-hand.metadata.txt', guidName('c'), 'also by hand']) write(folder, name, 2)
    mkdirSync(join(folder, 'a folder'))

    assert.equal(snapshot.countNewer(), 2)
  })

  it('counts what came later also into a folder that had not changed for long, or has just changed', () => {
    for (const lastChange of [new Date(1_700_000_000_000), new Date()]) {
      const folder = tempFolder()
      write(folder, guidName('a'), 1)
      utimesSync(folder, lastChange, lastChange)
      const snapshot = new FolderSnapshot(folder)
      assert.equal(snapshot.countNewer(), 0)

      write(folder, guidName('b'), 2)
      if (lastChange.getTime() > 1_700_000_000_000) utimesSync(folder, lastChange, lastChange)

      assert.equal(snapshot.countNewer(), 1)
    }
  })

  it('of no folder is an error, and its messages are none', () => {
    const folder = join(tempFolder(), 'missing')

    assert.throws(() => new FolderSnapshot(folder), { code: 'ENOENT' })
    assert.equal(countMessages(folder), 0)
  })

  it('says after its folder was removed that nothing came later', () => {
    const folder = join(tempFolder(), 'queue')
    mkdirSync(folder)
    write(folder, guidName('a'), 1)
    const snapshot = new FolderSnapshot(folder)
    rmSync(folder, { recursive: true })

    assert.equal(snapshot.countNewer(), 0)
  })
})

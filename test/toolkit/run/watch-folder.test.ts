import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type FolderWatch, watchFolder } from '../../../src/toolkit/run/watch-folder.ts'
import { emptyFolder } from '../../support/folders.ts'
import { write } from '../../support/shop-project.ts'

const soon = { timeout: 20_000 }

describe('watchFolder', () => {
  let root: string
  let watch: FolderWatch
  let seen: string[]
  const start = (except: readonly string[] = []): void => {
    seen = []
    watch = watchFolder(
      root,
      except,
      (files) => seen.push(...files),
      (error) => {
        throw error
      },
    )
  }
  beforeEach(() => {
    root = emptyFolder()
  })
  afterEach(() => watch.close())

  it('tells of new, changed and removed files, also in folders that did not exist', async () => {
    write(root, { 'src/a.ts': '1', 'b.json': '{}' })
    start()

    writeFileSync(join(root, 'src/a.ts'), '2')
    await expect.poll(() => seen, soon).toContain('src/a.ts')
    write(root, { 'src/deep/er/c.mts': '1' })
    await expect.poll(() => seen, soon).toContain('src/deep/er/c.mts')
    writeFileSync(join(root, 'src/deep/er/c.mts'), '2')
    rmSync(join(root, 'b.json'))
    await expect.poll(() => seen, soon).toContain('b.json')
  })

  it('goes on seeing a folder that was replaced, and one that was renamed', async () => {
    write(root, { 'src/a.ts': '1' })
    start()

    rmSync(join(root, 'src'), { recursive: true })
    write(root, { 'src/a.ts': '2' })
    await expect.poll(() => seen, soon).toContain('src/a.ts')
    renameSync(join(root, 'src'), join(root, 'lib'))
    await expect.poll(() => seen, soon).toContain('lib/a.ts')
    seen = []
    writeFileSync(join(root, 'lib/a.ts'), '3')

    await expect.poll(() => seen, soon).toEqual(['lib/a.ts'])
  })

  it('leaves out node_modules, dist, dot folders, tests, what is no code, and what it is told to', async () => {
    mkdirSync(join(root, 'storage'))
    start([join(root, 'storage')])

    const left = ['node_modules/x/i.js', 'dist/a.js', '.git/a.ts', 'src/a.test.ts', 'src/a.txt', 'storage/a.json']
    write(root, Object.fromEntries(left.map((file) => [file, '1'])))
    write(root, { 'last.ts': '' })

    await expect.poll(() => seen, soon).toContain('last.ts')
    expect(seen).toEqual(['last.ts'])
  })
})

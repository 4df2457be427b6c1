import { strict as assert } from 'node:assert'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it } from 'vitest'
import { type FolderView, discoverStorage } from '../../../src/transport/learning/discover.ts'
import { tempFolder } from '../../support/temp-folder.ts'

/** A file system of these paths; those that end with `/` are folders. */
const view = (...paths: readonly string[]): FolderView => ({
  files: (folder) =>
    paths.filter((path) => !path.endsWith('/') && dirname(path) === folder).map((path) => path.slice(path.lastIndexOf('/') + 1)),
  isFolder: (path) => paths.includes(`${path}/`),
})

describe('L-3 the storage folder', () => {
  it.each<[string, readonly string[], string | undefined, string?]>([
    ['.sln beside', ['/shop/Shop.sln'], '/shop/.learningtransport'],
    ['.slnx beside', ['/shop/Shop.slnx'], '/shop/.learningtransport'],
    ['.sln above', ['/shop/Shop.sln'], '/shop/.learningtransport', '/shop/sales/bin'],
    ['folder only', ['/shop/.learningtransport/'], '/shop/.learningtransport'],
    ['folder above', ['/shop/.learningtransport/'], '/shop/.learningtransport', '/shop/a/b'],
    ['folder below a solution: the nearer one', ['/Shop.sln', '/shop/.learningtransport/'], '/shop/.learningtransport', '/shop/a'],
    ['solution below a folder: the nearer one', ['/.learningtransport/', '/shop/Shop.sln'], '/shop/.learningtransport', '/shop/a'],
    ['both in one folder', ['/shop/Shop.sln', '/shop/.learningtransport/'], '/shop/.learningtransport'],
    ['a folder called .sln does not count', ['/shop/Shop.sln/', '/.learningtransport/'], '/.learningtransport'],
    ['a file called .learningtransport does not count', ['/shop/.learningtransport'], undefined],
    ['other endings', ['/shop/Shop.slnf', '/shop/package.json'], undefined],
    ['nothing', [], undefined],
  ])('%s', (_, paths, expected, from = '/shop') => {
    assert.equal(discoverStorage({ from, view: view(...paths) })?.path, expected)
  })

  it('is the explicit one, then that of the environment; blank counts as not set', () => {
    const files = view('/shop/Shop.sln')
    const env = { NSB_STORAGE: '/env' }

    assert.deepEqual(discoverStorage({ explicit: '/set', env, from: '/shop', view: files }), { path: '/set', reason: 'set explicitly' })
    assert.deepEqual(discoverStorage({ explicit: ' ', env, from: '/shop', view: files }), { path: '/env', reason: 'set by NSB_STORAGE' })
    assert.equal(discoverStorage({ env: { NSB_STORAGE: ' ' }, from: '/shop', view: files })?.path, '/shop/.learningtransport')
  })

  it('is looked for from the second folder when the first walk finds nothing', () => {
    assert.equal(discoverStorage({ from: ['/elsewhere', '/shop'], view: view('/shop/Shop.sln') })?.path, '/shop/.learningtransport')
  })

  it('is found on a real disk, with the reason', () => {
    const folder = tempFolder()
    writeFileSync(join(folder, 'Shop.slnx'), '')
    mkdirSync(join(folder, 'sales', 'bin'), { recursive: true })

    assert.deepEqual(discoverStorage({ from: join(folder, 'sales', 'bin') }), {
      path: join(folder, '.learningtransport'),
      reason: `found at the solution file ${join(folder, 'Shop.slnx')}`,
    })
  })
})

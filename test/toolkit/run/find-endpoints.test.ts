import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { findEndpoints } from '../../../src/toolkit/run/find-endpoints.ts'
import { emptyFolder } from '../../support/folders.ts'
import { write } from '../../support/shop-project.ts'

const named = (name: string): string => JSON.stringify({ endpoint: { name } })

/** What is found from a folder, with paths relative to the root. */
async function found(files: Readonly<Record<string, string>>, from = '', below = false): Promise<readonly [string, string][]> {
  const root = emptyFolder()
  write(root, { '.git/HEAD': '', ...files })
  const { endpoints } = await findEndpoints(join(root, from), below)
  return endpoints.map(({ folder, name }) => [folder.slice(root.length + 1), name])
}

describe('findEndpoints', () => {
  const cases: readonly [string, Readonly<Record<string, string>>, string, boolean, readonly [string, string][]][] = [
    ['the project itself', { 'nsb.json': named('Shop'), 'a/nsb.json': named('A') }, '', false, [['', 'Shop']]],
    ['the project around', { 'nsb.json': named('Shop'), 'src/a.ts': '' }, 'src', false, [['', 'Shop']]],
    [
      'projects below, not those inside of them',
      { 'a/nsb.json': named('A'), 'b/c/nsb.json': '{}', 'a/x/nsb.json': '{}' },
      '',
      false,
      [
        ['a', 'A'],
        ['b/c', 'C'],
      ],
    ],
    [
      'projects below a named folder before the one around it',
      { 'nsb.json': named('Shop'), 'all/a/nsb.json': named('A') },
      'all',
      true,
      [['all/a', 'A']],
    ],
    [
      'the project around, when the folder was not named',
      { 'nsb.json': named('Shop'), 'all/a/nsb.json': named('A') },
      'all',
      false,
      [['', 'Shop']],
    ],
    [
      'workspaces, each once',
      { 'nsb.json': '{"workspaces":["s/*","s/a"]}', 's/b/nsb.json': '{}', 's/a/nsb.json': '{}', 'c/nsb.json': '{}' },
      '',
      false,
      [
        ['s/a', 'A'],
        ['s/b', 'B'],
      ],
    ],
    [
      'nothing in node_modules, dist and dot folders',
      { 'node_modules/a/nsb.json': '{}', 'dist/nsb.json': '{}', '.x/nsb.json': '{}', 'b/nsb.json': '{}' },
      '',
      false,
      [['b', 'B']],
    ],
    [
      'a project whose nsb.json is broken, which is for others to say',
      { 'nsb.json': '{', 'a/nsb.json': '{}' },
      '',
      false,
      [['', expect.any(String) as string]],
    ],
  ]
  for (const [what, files, from, below, expected] of cases)
    it(`finds ${what}`, async () => {
      expect(await found(files, from, below)).toEqual(expected)
    })

  it('refuses workspaces that are no list of folders with a project, with the place', async () => {
    await expect(found({ 'nsb.json': '{ "workspaces": "a" }' })).rejects.toThrow(/nsb\.json:1:17: 'workspaces' must be a list/)
    await expect(found({ 'nsb.json': '{ "workspaces": ["a"] }' })).rejects.toThrow(/nsb\.json:1:18: no folder 'a'/)
  })
})

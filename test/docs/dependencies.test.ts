import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'vitest'

const root = join(import.meta.dirname, '../..')
const packageJson = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
}
const page = readFileSync(join(root, 'docs/dependencies.md'), 'utf8')

/** The rows of the table below a heading, cell by cell. */
function rowsBelow(heading: string): readonly (readonly string[])[] {
  const [, below = ''] = page.split(`## ${heading}\n`)
  const rows = (below.split('\n## ', 1)[0] as string).split('\n').filter((line) => line.startsWith('|'))
  return rows.slice(2).map((row) =>
    row
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  )
}

describe('docs/dependencies.md', () => {
  it.each([
    ['At run time', packageJson.dependencies],
    ['For development', packageJson.devDependencies],
  ])('has a row for each dependency, and for no other: %s', (heading, dependencies) => {
    const named = rowsBelow(heading).map(([name = '']) => name.replaceAll('`', ''))

    assert.deepEqual(named.toSorted(), Object.keys(dependencies).toSorted())
  })

  it('gives each of them a reason, what it replaces, its cost, and what dropping it would take', () => {
    const incomplete = ['At run time', 'For development']
      .flatMap(rowsBelow)
      .filter((cells) => cells.length !== 5 || cells.some((cell) => cell === ''))

    assert.deepEqual(incomplete, [])
  })
})

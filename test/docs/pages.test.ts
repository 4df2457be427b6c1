import assert from 'node:assert/strict'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it } from 'vitest'
import { problemsOf } from './command-lines.ts'

const root = join(import.meta.dirname, '../..')
const decisions = readdirSync(join(root, 'docs/adr')).toSorted()
const pages = [
  'README.md',
  ...readdirSync(join(root, 'docs'))
    .filter((file) => file.endsWith('.md'))
    .map((file) => `docs/${file}`),
  ...decisions.map((file) => `docs/adr/${file}`),
]
const textOf = (page: string): string => readFileSync(join(root, page), 'utf8')

describe.each(pages)('%s', (page) => {
  it('links to files that exist', () => {
    const targets = [...textOf(page).matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)].map((match) => match[1] as string)
    const dead = targets.filter((target) => !/^https?:/.test(target) && !existsSync(join(root, dirname(page), target)))

    assert.deepEqual(dead, [])
  })

  it('names commands, flags and scripts that exist', () => {
    // In a table a bar is escaped.
    const named = [...textOf(page).matchAll(/(?<!`)`((?:nsb|npm) [^`\n]*)`(?!`)/g)].map(([, line = '']) => line.replaceAll('\\|', '|'))

    assert.deepEqual(problemsOf(named), [])
  })
})

describe('docs/adr', () => {
  it('is numbered without gaps', () => {
    assert.deepEqual(
      decisions.map((file) => Number(file.slice(0, 4))),
      decisions.map((_, index) => index + 1),
    )
  })

  it.each(decisions)('has context, decision, consequences and what would change it: %s', (file) => {
    const text = textOf(`docs/adr/${file}`)

    assert.ok(text.startsWith(`# ${file.slice(0, 4)}: `))
    for (const part of ['Context', 'Decision', 'Consequences', 'What would change it'])
      assert.ok(text.includes(`\n**${part}.**`), `${part} is missing`)
  })
})

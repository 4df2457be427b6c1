import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { exitCodeOf } from '../../src/cli/exit-codes.ts'
import { reportedError } from '../../src/cli/report-error.ts'

const root = join(import.meta.dirname, '../..')

/** Sources without comment lines, so that only code counts. */
const sources = ['src', 'commands'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => ({ path: join(folder, path), text: withoutComments(readFileSync(join(root, folder, path), 'utf8')) })),
)

function withoutComments(text: string): string {
  return text
    .split('\n')
    .filter((line) => !/^\s*(?:\/\*|\*|\/\/)/.test(line))
    .join('\n')
}

/** Literals that a text has, such as both branches of `code: condition ? 'NSB_A' : 'NSB_B'`. */
const literalsIn = (text: string): readonly string[] => [...text.matchAll(/'(NSB_[A-Z0-9_]+)'/g)].map((match) => match[1] as string)

/** What follows `code:` up to the next property, and what is given to a `refuse(code, why)`. */
const produced = new Set(
  sources.flatMap(({ text }) =>
    [...text.matchAll(/\bcode: [^,}]*|\brefuse\(\s*'NSB_[A-Z0-9_]+'/g)].flatMap(([found]) => literalsIn(found)),
  ),
)
const environment = new Set(
  sources.flatMap(({ text }) => [...text.matchAll(/\b(?:env: |env\??\.?\[)'NSB_[A-Z0-9_]+'/g)].flatMap(([found]) => literalsIn(found))),
)
const page = readFileSync(join(root, 'docs/errors.md'), 'utf8')
const sections = new Map(
  page
    .split(/^### /m)
    .slice(1)
    .map((section) => [section.split('\n', 1)[0] as string, section.slice(section.indexOf('\n')).trim()]),
)

/** Two codes are given to what is no NsbError, together with their exit codes. */
const foreign: Readonly<Record<string, Error>> = {
  NSB_UNEXPECTED: new TypeError('x is not a function'),
  NSB_CANNOT_ACCESS: Object.assign(new Error('EACCES'), { code: 'EACCES' }),
}

function realExitCode(code: string): number {
  const error = foreign[code]
  if (!error) return exitCodeOf(code)
  const reported = reportedError(error)
  assert.equal(reported.code, code)
  return reported.exitCode
}

describe('docs/errors.md', () => {
  it('has a section for every code that the sources produce, and for no other', () => {
    const documented = [...sections.keys()]

    assert.ok(produced.size > 50, 'the sources were not read')
    assert.deepEqual(documented.toSorted(), [...produced].toSorted())
  })

  it('is in alphabetical order, with one section a code', () => {
    const headings = [...page.matchAll(/^### (.*)$/gm)].map((match) => match[1] as string)

    assert.deepEqual(headings, [...new Set(headings)].toSorted())
  })

  it('gives the exit code that a command ends with', () => {
    const documented = [...sections].map(([code, text]) => [code, Number(/^- Exit code: (\d+)$/m.exec(text)?.[1])])

    assert.deepEqual(
      documented,
      [...sections.keys()].map((code) => [code, realExitCode(code)]),
    )
  })

  it('says for every code what happened and what to do next', () => {
    const incomplete = [...sections].filter(([, text]) => !/^[^-\n][^]*?\n- Next: \S/.test(text)).map(([code]) => code)

    assert.deepEqual(incomplete, [])
  })
})

describe('reading codes from the sources', () => {
  it('misses none: every NSB_ literal is a code that is produced, or an environment variable', () => {
    const unexplained = sources.flatMap(({ path, text }) =>
      literalsIn(text)
        .filter((name) => !produced.has(name) && !environment.has(name))
        .map((name) => `${path}: ${name}`),
    )

    assert.deepEqual(unexplained, [])
  })

  it('takes no environment variable for a code', () => {
    assert.deepEqual(
      [...environment].filter((name) => produced.has(name)),
      [],
    )
  })
})

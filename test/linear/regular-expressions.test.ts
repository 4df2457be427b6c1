import { readFileSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseSync } from 'oxc-parser'
import { describe, expect, it } from 'vitest'
import { regexpSteps } from '../support/regexp-steps.ts'
import { worstText } from '../support/worst-texts.ts'

const root = resolve(import.meta.dirname, '../..')

/** Expressions of these files read what the person at the keyboard has written or runs anyway. Each of the others meets foreign texts. */
const notForeign: Readonly<Record<string, string>> = {
  'src/toolkit/load-handlers/build-cache.ts': 'tsconfig.json of a project whose code is about to be run',
  'src/toolkit/load-handlers/export-order.ts': 'source files of handlers that are about to be run',
  'src/toolkit/scaffold/find-messages.ts': 'source files of the project that something is scaffolded in',
  'src/toolkit/scaffold/project-style.ts': 'source files and settings of the project that something is scaffolded in',
}

/** Expressions that are put together when the program runs, and what they read. */
const putTogether: Readonly<Record<string, string>> = {
  'src/cli/error-help.ts': 'our own docs',
  'src/cli/lossless-json.ts': 'a random mark, and no quotes up to a quote',
  'src/message/type-names.ts': 'names that a message class is declared with',
  'src/toolkit/errors/select/select.ts': 'what a person typed as --message /…/ or --header name~…',
  'src/toolkit/errors/select/stack-title.ts': 'lines of 2,000 characters; the table of readers has it',
  'src/toolkit/load-handlers/export-order.ts': 'source files of handlers that are about to be run',
  'src/toolkit/load-handlers/find-files.ts': 'a glob of nsb.json, for paths of the project',
  'src/transport/rabbitmq/policies.ts': 'the pattern of a policy, for the name of a queue; the broker runs it too',
}

interface Found {
  readonly file: string
  readonly line: number
  readonly pattern: RegExp
}

interface Syntax {
  readonly type?: string
  readonly start?: number
  readonly regex?: { readonly pattern: string; readonly flags: string }
  readonly callee?: { readonly name?: string }
}

const found: Found[] = []
const dynamic = new Set<string>()

for (const folder of ['src', 'commands', 'bin'])
  for (const name of readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })) {
    if (!/\.[jt]s$/.test(name)) continue
    const file = `${folder}/${name}`
    const text = readFileSync(join(root, file), 'utf8')
    const look = (node: unknown): void => {
      if (typeof node !== 'object' || node === null) return
      const { callee, regex, start, type } = node as Syntax
      if (type === 'Literal' && regex) {
        const line = text.slice(0, start).split('\n').length
        found.push({ file, line, pattern: new RegExp(regex.pattern, regex.flags) })
      }
      if ((type === 'NewExpression' || type === 'CallExpression') && callee?.name === 'RegExp') dynamic.add(file)
      for (const inside of Object.values(node)) look(inside)
    }
    look(parseSync(file, text).program)
  }

describe('a regular expression', () => {
  it('takes steps in proportion to a text, whatever the text is', () => {
    const slow = found
      .filter(({ file }) => notForeign[file] === undefined)
      .flatMap(({ file, line, pattern }) => {
        const worst = worstText(pattern)
        return worst === undefined ? [] : [`${file}:${line} ${String(pattern)} for ${JSON.stringify(worst)}`]
      })

    expect(slow).toEqual([])
  })

  it('that is put together at run time is known, with what it reads', () => {
    expect([...dynamic].sort()).toEqual(Object.keys(putTogether).sort())
  })

  it('is found in all sources, and no exception is there for nothing', () => {
    expect(found.length).toBeGreaterThan(200)
    for (const file of Object.keys(notForeign)) expect(found.map((each) => each.file)).toContain(file)
  })
})

describe('the steps of a regular expression', () => {
  it.each<[RegExp, string, number]>([
    [/a/, 'a', 2],
    [/ab|ac/, 'ac', 6],
    [/^a+b$/, 'aab', 10],
    [/(?<=x)a(?!b)/, 'xa', 9],
    [/a+$/, 'aaab', 26],
  ])('are those of an engine that goes back: %s in %j', (pattern, text, steps) => {
    expect(regexpSteps(pattern, text)).toBe(steps)
  })

  it.each([
    [/0+$/],
    [/\s+x/],
    [/(:\/\/)([^\s:@/]*):[^\s'"]*@/g],
    [/"(?:[^"\\]|\\.)*"/],
    [/^(a+)+$/],
    [/(?:a|a)*b/],
    [/<!--[^]*?-->/],
    [/\{"k":\[[^\]]*\]/],
    [/(\w+)=\1;/],
  ])('of %s grow faster than a text', (pattern) => expect(worstText(pattern)).toBeDefined())

  it.each([[/(?<!0)0+$/], [/^\s+x/], [/[^"\\]*"/y], [/^(?:ab)*$/], [/\d{1,9}x/], [/a*?b*c/y], [/[\s()]+/g]])('of %s do not', (pattern) =>
    expect(worstText(pattern)).toBeUndefined(),
  )
})

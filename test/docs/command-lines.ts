import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')

interface Flag {
  readonly type: 'boolean' | 'option'
  readonly char?: string
  readonly aliases?: readonly string[]
  readonly allowNo?: boolean
  readonly options?: readonly string[]
}

interface Command {
  readonly aliases?: readonly string[]
  readonly flags: Readonly<Record<string, Flag>>
  readonly args: Readonly<Record<string, { readonly multiple?: boolean }>>
  readonly strict?: boolean
}

const { commands } = JSON.parse(readFileSync(join(root, 'oclif.manifest.json'), 'utf8')) as {
  readonly commands: Readonly<Record<string, Command>>
}
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly scripts: Readonly<Record<string, string>> }
const byName = new Map(
  Object.entries(commands).flatMap(([id, command]) => [id, ...(command.aliases ?? [])].map((name) => [name.replaceAll(':', ' '), command])),
)

/** The lines of a shell block that are typed: without prompts, comments and output. */
export function commandLinesOf(block: string): readonly string[] {
  const lines = block.split('\n')
  const typed = lines.some((line) => line.startsWith('$ '))
    ? lines.filter((line) => line.startsWith('$ ')).map((line) => line.slice(2))
    : lines
  return typed.map((line) => line.replace(/(?:^|\s)# .*$/, '').trim()).filter((line) => line !== '')
}

/** What is wrong with each line, as far as commands, flags, their values and npm scripts are concerned. */
export function problemsOf(lines: readonly string[]): readonly string[] {
  return lines.flatMap((line) =>
    withoutSubstitutions(line)
      .replaceAll(/'[^']*'|"[^"]*"|<[^<>]*>/g, (quoted) => quoted.replaceAll(/[|;&\s]/g, '_'))
      .split(/&&|[|;]/)
      .flatMap((part) => {
        const problem = problemOf(part.trim().split(/\s+/))
        return problem === undefined ? [] : [`${line}: ${problem}`]
      }),
  )
}

/** What stands in `$(…)` becomes a part of its own. */
function withoutSubstitutions(line: string): string {
  const inner = [...line.matchAll(/\$\(([^()]*)\)/g)].map(([, command = '']) => command)
  return [line.replaceAll(/\$\([^()]*\)/g, '<substituted>'), ...inner].join(' ; ')
}

function problemOf([program = '', ...words]: readonly string[]): string | undefined {
  if (program === 'npm') {
    const script = words[0] === 'run' ? words.find((word, index) => index > 0 && !word.startsWith('-')) : undefined
    return script === undefined || Object.hasOwn(scripts, script) ? undefined : `there is no script '${script}'`
  }
  return program === 'nsb' ? problemOfNsb(words) : undefined
}

const globalOnly = ['--help', '--version', '-h']

function problemOfNsb(words: readonly string[]): string | undefined {
  // A placeholder, `...`, or nsb alone.
  if (words.every((word) => globalOnly.includes(word) || /^[<.…]/.test(word)) || words[0] === 'help') return undefined
  const length = [3, 2, 1].find((count) => byName.has(words.slice(0, count).join(' ')))
  const command = byName.get(words.slice(0, length).join(' '))
  if (length === undefined || !command) {
    const isTopic = [...byName.keys()].some((name) => name.startsWith(`${words[0]} `))
    return isTopic && words.length === 1 ? undefined : `there is no command '${words.slice(0, 2).join(' ')}'`
  }
  let given = 0
  const rest = words.slice(length)
  for (let index = 0; index < rest.length; index++) {
    const word = rest[index] as string
    if (/^(\.\.\.|…)$/.test(word)) return undefined
    if (!/^-{1,2}[a-z]/i.test(word)) {
      given++
      continue
    }
    const [name = '', value] = word.split('=', 2)
    if (globalOnly.includes(name)) continue
    if (name === '-vv') continue
    const flag = flagOf(command, name)
    if (!flag) return `there is no flag '${name}'`
    // A page may name a flag without giving it a value.
    const its = flag.type === 'boolean' ? undefined : (value ?? rest[++index])
    if (flag.options && its !== undefined && !its.startsWith('<') && !flag.options.includes(its)) return `'${name}' does not take '${its}'`
  }
  const takes = Object.values(command.args)
  const most = command.strict === false || takes.some(({ multiple }) => multiple) ? Infinity : takes.length
  return given > most ? `${given} arguments, and it takes ${most}` : undefined
}

function flagOf(command: Command, word: string): Flag | undefined {
  const entries = Object.entries(command.flags)
  return entries.find(([name, { aliases, allowNo, char }]) =>
    word.startsWith('--') ? [name, ...(aliases ?? []), ...(allowNo ? [`no-${name}`] : [])].includes(word.slice(2)) : char === word.slice(1),
  )?.[1]
}

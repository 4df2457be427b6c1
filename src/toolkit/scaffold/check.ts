import { execFile } from 'node:child_process'
import { dirname, join } from 'node:path'
import { errorText } from '../../message/nsb-error.ts'
import { type Consent, requireTrust } from '../trust/trust.ts'
import { type ProjectStyle, exists, upwards } from './project-style.ts'

/** What the project's own tools say about the new files. */
export interface CheckResult {
  readonly status: 'ok' | 'failed' | 'skipped'
  /** `type check, 1 test passed`. */
  readonly text: string
  /** What a failing tool printed. */
  readonly output?: string
}

const longestCheckMs = 120_000

/** What there is to be checked. */
export interface ToCheck {
  readonly style: ProjectStyle
  /** The new test, relative to the project; undefined when none was written. */
  readonly test: string | undefined
  /** How many it holds. */
  readonly tests: number
}

/** Runs the project's type check and the new test, each if the project has it. What somebody else can change is not run. */
export async function checkProject(root: string, { style, test, tests }: ToCheck, consent: Consent | undefined): Promise<CheckResult> {
  try {
    await requireTrust({ kind: 'code', folder: root, consent })
  } catch (error) {
    return { status: 'skipped', text: `type check and test: ${errorText(error)}` }
  }
  const typed = style.language === 'ts' && (await upwards(root, 'tsconfig.json')) !== undefined
  const tsc = typed ? await tool(root, 'tsc') : undefined
  const runner = test === undefined ? undefined : await tool(root, style.runner === 'vitest' ? 'vitest' : undefined)
  const done: string[] = []
  if (tsc !== undefined) {
    const failure = await run(root, tsc, ['--noEmit', '--pretty', 'false'])
    if (failure !== undefined) return { status: 'failed', text: 'type check', output: failure }
    done.push('type check')
  }
  if (test !== undefined && runner !== undefined) {
    const failure =
      style.runner === 'vitest' ? await run(root, runner, ['run', test]) : await run(root, process.execPath, [...style.nodeTestFlags, test])
    const count = `${tests} test${tests === 1 ? '' : 's'}`
    if (failure !== undefined) return { status: 'failed', text: [...done, count].join(', '), output: failure }
    done.push(`${count} passed`)
  }
  if (done.length > 0) return { status: 'ok', text: done.join(', ') }
  const missing = [...(typed ? ['type check'] : []), ...(test === undefined ? [] : ['test'])].join(' and ')
  return {
    status: 'skipped',
    text: missing === '' ? 'type check: there is no tsconfig.json' : `${missing}: not installed here (npm install)`,
  }
}

/** The path of a tool in the nearest node_modules; without a name, the folder itself. */
async function tool(root: string, name: string | undefined): Promise<string | undefined> {
  for (let folder = root; ; folder = dirname(folder)) {
    const modules = join(folder, 'node_modules')
    const path = name === undefined ? modules : join(modules, '.bin', process.platform === 'win32' ? `${name}.cmd` : name)
    if (await exists(path)) return path
    if (folder === dirname(folder)) return undefined
  }
}

/** Both streams of a command that failed; undefined when it succeeded. */
function run(folder: string, command: string, words: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    const options = {
      cwd: folder,
      timeout: longestCheckMs,
      maxBuffer: 16 * 1024 * 1024,
      shell: command.endsWith('.cmd'),
      env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0' },
    }
    execFile(command, words, options, (error, stdout, stderr) =>
      resolve(error === null ? undefined : `${stdout}${stderr}`.trim() || error.message),
    )
  })
}

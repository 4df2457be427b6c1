import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterEach, expect } from 'vitest'

const run = fileURLToPath(new URL('../../bin/run.js', import.meta.url))
const running = new Set<ChildProcess>()

afterEach(() => {
  for (const child of running) child.kill('SIGKILL')
  running.clear()
})

/** `script` gives a child a terminal. */
export const hasTerminal = process.platform === 'linux' && spawnSync('script', ['--version']).status === 0

export const key = { enter: '\r', down: '\u001b[B', up: '\u001b[A', interrupt: '\u0003' } as const

/** A command line that somebody sits in front of. */
export interface Terminal {
  /** Everything that was written, without colours and movements of the cursor. */
  readonly screen: string
  /** Waits until the text is written, after what was waited for before. */
  shows(text: string): Promise<void>
  type(keys: string): void
  /** Sends SIGTERM to the command line itself. */
  terminate(): void
  readonly ended: Promise<number | null>
}

/** Starts the built command line in a terminal of its own; it is ended when the test is over. */
export function startInTerminal(words: readonly string[], cwd: string, more: Readonly<Record<string, string>> = {}): Terminal {
  const quoted = [process.execPath, run, ...words].map((word) => `'${word}'`).join(' ')
  const kept = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(CI|NO_COLOR|FORCE_COLOR|NSB_.*)$/.test(name)))
  const env = { ...kept, XDG_CONFIG_HOME: '/nonexistent', TERM: 'xterm', NO_COLOR: '1', ...more }
  const child = spawn('script', ['-qec', `stty rows 40 cols 160; exec ${quoted}`, '/dev/null'], { cwd, env })
  running.add(child)
  let written = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (written += text))
  const ended = new Promise<number | null>((resolve) => {
    child.on('close', (code) => {
      running.delete(child)
      resolve(code)
    })
  })
  // oxlint-disable-next-line no-control-regex -- that is what is taken out
  const screen = (): string => written.replaceAll(/\u001b\[[0-9;?]*[A-Za-z]/g, '')
  let seen = 0
  return {
    get screen() {
      return screen()
    },
    async shows(text) {
      await expect
        .poll(() => screen().slice(seen), { timeout: 20_000, message: `the terminal shows '${text}'` })
        .toSatisfy((shown: string) => shown.includes(text))
      seen += screen().slice(seen).indexOf(text) + text.length
    },
    type: (keys) => void child.stdin.write(keys),
    terminate() {
      const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')
      process.kill(Number(children.trim()), 'SIGTERM')
    },
    ended,
  }
}

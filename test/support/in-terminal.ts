import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterEach } from 'vitest'

const nsbFile = fileURLToPath(new URL('../../bin/run.js', import.meta.url))
const open = new Set<ChildProcess>()

afterEach(async () => {
  for (const child of open) {
    const closed = new Promise((resolve) => child.once('close', resolve))
    child.kill('SIGTERM')
    await closed
  }
})

/** A command line in a terminal of its own. */
export interface InTerminal {
  /** All that was shown, without carriage returns and escape sequences. */
  readonly text: string
  type(keys: string): void
  readonly ended: Promise<number | null>
}

/** Starts the built command line in a terminal, typed into through a pipe; it is ended when the test is over. Needs `script`. */
export function inTerminal(words: readonly string[], cwd: string, more: Readonly<Record<string, string>> = {}): InTerminal {
  const kept = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(NSB_|CI$|NO_COLOR$|FORCE_COLOR$)/.test(name)))
  const command = [process.execPath, nsbFile, ...words].map((word) => `'${word}'`).join(' ')
  const env = { ...kept, TERM: 'xterm', NO_COLOR: '1', ...more }
  const child = spawn('script', ['-qec', `stty columns 200 2>/dev/null; exec ${command}`, '/dev/null'], { cwd, env })
  open.add(child)
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part))
  child.stdin.on('error', () => undefined)
  return {
    get text() {
      // oxlint-disable-next-line no-control-regex
      return text.replaceAll(/\u001b\[[0-9;?]*[A-Za-z]/g, '').replaceAll('\r', '')
    },
    type: (keys) => void child.stdin.write(keys),
    ended: new Promise((resolve) => child.on('close', (code) => (open.delete(child), resolve(code)))),
  }
}

import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterEach, expect } from 'vitest'

const run = fileURLToPath(new URL('../../bin/run.js', import.meta.url))
const running = new Set<ChildProcess>()

afterEach(() => {
  for (const child of running) child.kill('SIGKILL')
  running.clear()
})

/** A command line that goes on in the background. */
export interface RunningNsb {
  readonly pid: number
  readonly stdout: string
  readonly stderr: string
  /** The JSON lines so far. */
  readonly lines: readonly Record<string, unknown>[]
  kill(signal: NodeJS.Signals): void
  /** Waits for the end; the exit code, or null after a signal it did not handle. */
  readonly ended: Promise<number | null>
}

/** Starts the built command line as a process of its own; it is killed when the test is over. */
export function startNsb(words: readonly string[], cwd: string, more: Readonly<Record<string, string>> = {}): RunningNsb {
  const kept = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(NSB_|CI$|NO_COLOR$|FORCE_COLOR$)/.test(name)))
  const child = spawn(process.execPath, [run, ...words], { cwd, env: { ...kept, ...more }, stdio: ['ignore', 'pipe', 'pipe'] })
  running.add(child)
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const ended = new Promise<number | null>((resolve) => {
    child.on('close', (code) => {
      running.delete(child)
      resolve(code)
    })
  })
  return {
    pid: child.pid as number,
    get stdout() {
      return stdout
    },
    get stderr() {
      return stderr
    },
    get lines() {
      return stdout
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Record<string, unknown>)
    },
    kill: (signal) => void child.kill(signal),
    ended,
  }
}

/** `nsb run --log json`, once it says that it is ready. */
export async function startRun(cwd: string, ...flags: readonly string[]): Promise<RunningNsb> {
  const nsb = startNsb(['run', '--log', 'json', ...flags], cwd)
  await expect.poll(() => nsb.stdout.includes('"event":"ready"') || nsb.stderr, { timeout: 20_000 }).toBe(true)
  return nsb
}

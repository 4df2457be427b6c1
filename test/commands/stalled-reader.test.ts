import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { constants, closeSync, openSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { BoundedOutput } from '../../src/cli/run/bounded-output.ts'
import { fill, shop } from '../support/shop-project.ts'
import { tempFolder } from '../support/temp-folder.ts'

const nsb = fileURLToPath(new URL('../../bin/run.js', import.meta.url))

/** Starts the command line with a pipe for its output that is open and never read. */
function startUnread(words: readonly string[], cwd: string): { readonly child: ChildProcess; readonly ended: Promise<number | null> } {
  const pipe = join(tempFolder(), 'pipe')
  execFileSync('mkfifo', [pipe])
  // Opened for both, it waits for nobody; the pipe has a reader as long as it is open.
  const output = openSync(pipe, constants.O_RDWR)
  const child = spawn(process.execPath, [nsb, ...words], {
    cwd,
    stdio: ['ignore', output, 'ignore'],
    env: { ...process.env, NSB_STATE_DIR: tempFolder(), CI: '1' },
  })
  onTestFinished(() => {
    child.kill('SIGKILL')
    closeSync(output)
  })
  return { child, ended: new Promise((resolve) => child.once('exit', (code) => resolve(code))) }
}

const waitingIn = (folder: string): number =>
  readdirSync(join(folder, '.learningtransport/Shop')).filter((name) => name.endsWith('.txt')).length

describe.skipIf(process.platform === 'win32')('with a reader of the output that has stopped reading', () => {
  it.each([
    ['SIGINT', 130, []],
    ['SIGTERM', 143, ['--log', 'json']],
  ] as const)('run goes on, and ends with one %s', { timeout: 60_000 }, async (signal, code, flags) => {
    const folder = shop('void message')
    // More lines than a pipe takes.
    await fill(folder, 0, 1500)
    const { child, ended } = startUnread(['run', ...flags], folder)
    await expect.poll(() => waitingIn(folder), { timeout: 40_000 }).toBe(0)

    child.kill(signal)

    expect(await ended).toBe(code)
  })
})

it('lines that nobody reads do not fill the memory, and what is missing is said where it is missing', () => {
  const written: string[] = []
  const stream = { writableLength: 0, write: (text: string) => written.push(text) > 0 }
  const output = new BoundedOutput((missing) => `${missing} missing`, stream as never)

  output.line('a')
  stream.writableLength = 17 * 1024 * 1024
  output.line('b')
  output.line('c')
  stream.writableLength = 0
  output.line('d')

  expect(written).toEqual(['a\n', '2 missing\n', 'd\n'])
})

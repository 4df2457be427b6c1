import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { nsb, projectWith } from './nsb.ts'

const run = fileURLToPath(new URL('../../bin/run.js', import.meta.url))

/** `script` gives a child a terminal. */
const hasScript = process.platform === 'linux' && spawnSync('script', ['--version']).status === 0

/** A pager that writes down what it got. */
function pagerIn(folder: string): { readonly command: string; readonly seen: () => string | undefined } {
  const file = join(folder, 'paged.txt')
  writeFileSync(join(folder, 'pager.sh'), `#!/bin/sh\ncat > '${file}'\n`, { mode: 0o755 })
  return { command: `${join(folder, 'pager.sh')} --quiet`, seen: () => (existsSync(file) ? readFileSync(file, 'utf8') : undefined) }
}

function inTerminal(words: readonly string[], cwd: string, rows: number, pager: string): Promise<{ code: number | null; screen: string }> {
  const command = `stty rows ${rows} cols 120; ${[process.execPath, run, ...words].map((word) => `'${word}'`).join(' ')}`
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(CI|NO_COLOR|FORCE_COLOR|NSB_.*)$/.test(name)))
  const child = spawn('script', ['-qec', command, '/dev/null'], { cwd, env: { ...env, TERM: 'xterm', PAGER: pager } })
  let screen = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (screen += text))
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, screen })))
}

describe.skipIf(!hasScript)('nsb errors show in a terminal (needs script)', () => {
  const show = ['errors', 'show', 'acc3', '--headers', '--no-color']

  it('uses $PAGER for what is longer than the screen', async () => {
    const { folder } = projectWith('12-error-queue')
    const pager = pagerIn(folder)

    const { code, screen } = await inTerminal(show, folder, 10, pager.command)

    expect(code, screen).toBe(0)
    expect(pager.seen()).toContain('FailingOrder')
    expect(screen).not.toContain('NServiceBus.EnclosedMessageTypes')
  })

  it.each([
    ['fits on the screen', 200],
    ['is JSON', 10],
  ])('does not for what %s', async (_name, rows) => {
    const { folder } = projectWith('12-error-queue')
    const pager = pagerIn(folder)

    const { screen } = await inTerminal(rows === 10 ? [...show, '--json'] : show, folder, rows, pager.command)

    expect(pager.seen()).toBe(undefined)
    expect(screen).toContain('NServiceBus.EnclosedMessageTypes')
  })

  it('prints the text itself when the pager does not exist', async () => {
    const { folder } = projectWith('12-error-queue')

    const { code, screen } = await inTerminal(show, folder, 10, 'no-such-pager')

    expect(code).toBe(0)
    expect(screen).toContain('NServiceBus.EnclosedMessageTypes')
  })

  it('ends with 0 when the pager is left before it has read everything', async () => {
    const { folder } = projectWith('12-error-queue')

    expect((await inTerminal(show, folder, 10, 'true')).code).toBe(0)
  })
})

describe('nsb errors show in a pipe', () => {
  it('never uses $PAGER', async () => {
    const { folder } = projectWith('12-error-queue')
    const pager = pagerIn(folder)

    const { stdout } = await nsb(['errors', 'show', 'acc3', '--headers'], { cwd: folder, env: { PAGER: pager.command } })

    expect(pager.seen()).toBe(undefined)
    expect(stdout).toContain('NServiceBus.EnclosedMessageTypes')
  })
})

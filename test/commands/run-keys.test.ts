import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { nsb } from '../cli/nsb.ts'
import { storedMessages } from '../support/folders.ts'
import { placeOrderHandler, shop, write } from '../support/shop-project.ts'

const soon = { timeout: 20_000 }
const nsbFile = fileURLToPath(new URL('../../bin/run.js', import.meta.url))
const hasScript = spawnSync('script', ['--version']).status === 0

interface Terminal {
  readonly text: string
  type(keys: string): void
  readonly ended: Promise<number | null>
}

const open = new Set<ChildProcess>()
afterEach(async () => {
  for (const child of open) {
    const closed = new Promise((resolve) => child.once('close', resolve))
    child.kill('SIGTERM')
    await closed
  }
})

/** `nsb run` in a terminal of its own, typed into through a pipe. */
function inTerminal(cwd: string, ...flags: readonly string[]): Terminal {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(NSB_|CI$|NO_COLOR$|FORCE_COLOR$)/.test(name)))
  const command = [process.execPath, nsbFile, 'run', ...flags].map((word) => `'${word}'`).join(' ')
  const child = spawn('script', ['-qec', `exec ${command}`, '/dev/null'], { cwd, env: { ...env, TERM: 'xterm', NO_COLOR: '1' } })
  open.add(child)
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (more: string) => (text += more.replaceAll('\r', '')))
  child.stdin.on('error', () => undefined)
  return {
    get text() {
      return text
    },
    type: (keys) => void child.stdin.write(keys),
    ended: new Promise((resolve) => child.on('close', (code) => (open.delete(child), resolve(code)))),
  }
}

const send = (folder: string, id: string) => nsb(['send', 'PlaceOrder', '--data', `OrderId=${id}`], { cwd: folder })
const waiting = (folder: string, queue = 'Shop') => storedMessages(join(folder, '.learningtransport'), queue)

describe.skipIf(!hasScript)('the keys of nsb run', () => {
  it('are told in the banner, listed by h, and q ends with 0', async () => {
    const terminal = inTerminal(shop())
    await expect.poll(() => terminal.text, soon).toContain('press h for help')

    terminal.type('h')
    await expect.poll(() => terminal.text, soon).toContain('r restart')
    terminal.type('q')

    expect(await terminal.ended).toBe(0)
    expect(terminal.text).toContain('handled 0, failed 0')
  })

  it('p leaves messages in the queue until it is pressed again, also over a restart', async () => {
    const folder = shop(`console.log('did', message.OrderId)`)
    const terminal = inTerminal(folder)
    await expect.poll(() => terminal.text, soon).toContain('press h for help')

    terminal.type('p')
    await expect.poll(() => terminal.text, soon).toContain('Shop is paused')
    terminal.type('r')
    await expect.poll(() => terminal.text.split('Shop is paused').length, soon).toBe(3)
    await send(folder, '1')
    expect(waiting(folder)).toHaveLength(1)
    terminal.type('p')

    await expect.poll(() => terminal.text, soon).toContain('did 1')
  })

  it('e replays the last failure, and r restarts with the code as it is now', async () => {
    const folder = shop()
    const terminal = inTerminal(folder, '--no-retries')
    await expect.poll(() => terminal.text, soon).toContain('press h for help')
    terminal.type('e')
    await expect.poll(() => terminal.text, soon).toContain('nothing has failed yet')
    await send(folder, 'bad')
    await expect.poll(() => waiting(folder, 'error'), soon).toHaveLength(1)

    write(folder, { 'src/handlers/place-order.handler.ts': placeOrderHandler(`console.log('did', message.OrderId)`) })
    terminal.type('r')
    await expect.poll(() => terminal.text.split('press h for help').length, soon).toBe(3)
    terminal.type('e')

    await expect.poll(() => terminal.text, soon).toContain('did bad')
    expect(waiting(folder, 'error')).toEqual([])
  })

  it('Ctrl-C ends with 130 once what is in hand is done; twice at once', async () => {
    const folder = shop(
      `console.log('begun'); await new Promise((resolve) => message.OrderId === 'slow' ? setTimeout(resolve, 300) : undefined); console.log('done')`,
    )
    await send(folder, 'slow')
    const once = inTerminal(folder)
    await expect.poll(() => once.text, soon).toContain('begun')
    once.type('\u0003')
    expect(await once.ended).toBe(130)
    expect(once.text).toContain('done')

    await send(folder, 'never')
    const twice = inTerminal(folder)
    await expect.poll(() => twice.text, soon).toContain('begun')
    twice.type('\u0003')
    await expect.poll(() => twice.text, soon).toContain('Ctrl-C again')
    twice.type('\u0003')
    expect(await twice.ended).toBe(130)
    expect(twice.text).not.toContain('done')
  })

  it('--purge asks in the terminal, and removes nothing on a no', async () => {
    const folder = shop()
    await send(folder, '1')
    const terminal = inTerminal(folder, '--purge')
    await expect.poll(() => terminal.text, soon).toContain('Remove 1 message from Shop?')

    terminal.type('n\r')

    expect(await terminal.ended).toBe(6)
    expect(waiting(folder)).toHaveLength(1)

    const again = inTerminal(folder, '--purge')
    await expect.poll(() => again.text, soon).toContain('Remove 1 message from Shop?')
    again.type('y\r')
    await expect.poll(() => again.text, soon).toContain('press h for help')
    expect(again.text).toContain('removed 1 from Shop')
    again.type('q')
    expect(await again.ended).toBe(0)
  })

  it('are no keys with --log json', async () => {
    const terminal = inTerminal(shop(), '--log', 'json', '--max-time', '1s')

    expect(await terminal.ended).toBe(0)
    expect(terminal.text).not.toContain('press h')
  })
})

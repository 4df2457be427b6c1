import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { nsb } from '../cli/nsb.ts'
import { project, shop, write } from '../support/shop-project.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

interface Command {
  readonly summary?: string
  readonly description?: string
  readonly examples?: readonly (string | { readonly command: string })[]
}

const manifest = JSON.parse(readFileSync(join(root, 'oclif.manifest.json'), 'utf8')) as { commands: Record<string, Command> }
const commands = Object.entries(manifest.commands).map(([id, { description, examples = [], summary }]) => ({
  id,
  summary,
  description,
  examples: examples.map((example) => (typeof example === 'string' ? example : example.command).replaceAll('<%= config.bin %>', 'nsb')),
}))
// Those of the errors commands need failed messages; errors/examples.test.ts runs them.
const examples = commands
  .filter(({ id }) => id !== 'errors' && !id.startsWith('errors:'))
  .flatMap(({ id, examples: all }) => all.map((example) => [example, id] as const))

const event = `import { event } from 'nsbus'
import { z } from 'zod'
export class OrderPlaced extends event('Shop.OrderPlaced', z.object({ OrderId: z.string() })) {}
`

/** The folder that the examples are written for: a shop, with files of orders to read; an empty project for what writes one. */
function preparedFolder(id: string): string {
  if (id === 'scaffold:handler' || id === 'scaffold:message') return project({})
  const files = {
    'src/messages/order-placed.ts': event,
    'orders.ndjson': '{"OrderId":"1"}\n{"OrderId":"2"}\n',
    'order-placed.json': '{"OrderId":"42"}',
    'order.xml': '<PlaceOrder><OrderId>42</OrderId></PlaceOrder>',
  }
  const folder = shop()
  write(folder, files)
  if (id.startsWith('queues:')) mkdirSync(join(folder, '.learningtransport/error/.bodies'), { recursive: true })
  // Folders named in examples are endpoints of their own.
  write(folder, {
    'shop/nsb.json': '{"endpoint":{"name":"Inner"}}',
    'shop/a.handler.ts': `import { message } from 'nsbus'
import { z } from 'zod'
export class Ping extends message('Inner.Ping', z.object({})) {}
export class PingHandler { static handles = Ping; handle() {} }
`,
  })
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(root, join(folder, 'node_modules/nsbus'))
  symlinkSync(join(root, 'node_modules/zod'), join(folder, 'node_modules/zod'))
  return folder
}

/** Runs a line in a shell in which `nsb` is this build. */
function paste(line: string, folder: string, stop: (stdout: string) => boolean): Promise<{ code: number | null; text: string }> {
  mkdirSync(join(folder, 'bin'))
  writeFileSync(join(folder, 'bin', 'nsb'), `#!/bin/sh\nexec '${process.execPath}' '${join(root, 'bin', 'run.js')}' "$@"\n`, {
    mode: 0o755,
  })
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(NSB_|CI$|NO_COLOR$|FORCE_COLOR$)/.test(name)))
  const child = spawn('/bin/sh', ['-c', /[|>;]/.test(line.replaceAll(/'[^']*'/g, '')) ? line : `exec ${line}`], {
    cwd: folder,
    env: { ...env, XDG_CONFIG_HOME: join(folder, '.config'), PATH: `${join(folder, 'bin')}${delimiter}${process.env['PATH'] ?? ''}` },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  const read = (more: string): void => {
    const wasDue = stop(text)
    text += more
    // Once: a second one while it ends would end it the hard way.
    if (stop(text) && !wasDue) child.kill('SIGTERM')
  }
  child.stdout.setEncoding('utf8').on('data', read)
  child.stderr.setEncoding('utf8').on('data', read)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, text }))
  })
}

describe('the help of every command', () => {
  it.each(commands)('CLI-1 of $id has a summary, two examples at least and its exit codes', ({ description, examples: all, summary }) => {
    expect(summary).toBeTruthy()
    expect(all.length).toBeGreaterThanOrEqual(2)
    expect(all.every((example) => /\bnsb /.test(example))).toBe(true)
    expect(description).toMatch(/Exit codes: 0 /)
  })

  it.each(examples)('CLI-1 %s works when pasted', { timeout: 60_000 }, async (example, id) => {
    const folder = preparedFolder(id)
    // What ends after a message would wait for it.
    if (example.includes('--max ')) await nsb(['send', 'PlaceOrder', '--data', 'OrderId=42'], { cwd: folder })
    const isEndpoint = /^nsb run\b/.test(example) && !/--until-idle|--max\b|--max-time/.test(example)
    // A request needs somebody who answers.
    const stopAnswering = example.includes('--await-reply') ? await answering(folder) : undefined

    const { code, text } = await paste(example, folder, (so_far) => isEndpoint && so_far.includes('ready in'))
    await stopAnswering?.()

    // An endpoint runs until it is stopped.
    expect(code, text).toBe(isEndpoint ? 143 : 0)
  })
})

/** `nsb run` in the background; gives what ends it. */
async function answering(folder: string): Promise<() => Promise<void>> {
  const child = spawn(process.execPath, [join(root, 'bin/run.js'), 'run', '--no-retries'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (more: string) => (text += more))
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()))
  await expect.poll(() => text, { timeout: 20_000 }).toContain('ready in')
  return () => {
    child.kill('SIGTERM')
    return ended
  }
}

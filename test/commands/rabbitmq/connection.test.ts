import { mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Ended } from '../../cli/nsb.ts'
import { type Place, place, spellings } from './place.ts'

const withManagement = ({ host }: Place): object => ({ default: { transport: 'rabbitmq', management: host.management.url } })
const text = ({ stderr, stdout }: Ended): string => stdout + stderr

function expectNoPassword(...ended: readonly Ended[]): void {
  for (const each of ended) for (const spelling of spellings) expect(text(each)).not.toContain(spelling)
}

describe('a connection to RabbitMQ', () => {
  it.each<readonly [string, (at: Place) => { words?: string[]; env?: Record<string, string>; input?: string; profile?: object }]>([
    ['NSB_CONNECTION', (at) => ({ env: { NSB_CONNECTION: at.url } })],
    ['--connection', (at) => ({ words: ['--connection', at.url] })],
    ['--connection with a .NET connection string', (at) => ({ words: ['--connection', at.dotnet] })],
    ['one line of stdin', (at) => ({ words: ['--connection', '-'], input: `${at.url}\nmore` })],
    ['a variable', (at) => ({ env: { SHOP_AMQP: at.url }, profile: { connectionEnv: 'SHOP_AMQP' } })],
    ['the first line of a file', () => ({ profile: { connectionFile: 'secrets/amqp.txt' } })],
    ['the first line of what a command prints', () => ({ profile: { connectionCommand: 'cat secrets/amqp.txt; echo asked >&2' } })],
    ['nsb.json', (at) => ({ profile: { connection: at.url } })],
    ['a .NET connection string in nsb.json', (at) => ({ profile: { connection: at.dotnet } })],
    ['the variable of the .NET tool', (at) => ({ env: { RabbitMQTransport_ConnectionString: at.dotnet } })],
  ])('CLI-6 comes from %s, and its password is never shown', { timeout: 60_000 }, async (_name, given) => {
    const at = await place(withManagement)
    mkdirSync(join(at.folder, 'secrets'))
    writeFileSync(join(at.folder, 'secrets/amqp.txt'), `${at.url}\nsecond line\n`)
    const { env = {}, input, profile = {}, words = [] } = given(at)
    const profiles = { default: { transport: 'rabbitmq', management: at.host.management.url, ...profile } }
    writeFileSync(join(at.folder, 'nsb.json'), JSON.stringify({ profiles }))
    const run = (...more: string[]): Promise<Ended> => at.run([...more, ...words], { env, ...(input !== undefined && { input }) })

    const created = await run('queues', 'create', 'Sales', '-vv')
    const listed = await run('queues', 'list', '--json')
    const tested = await run('profile', 'test', '-vv')
    const shown = [
      await run('profile', 'show', '--json'),
      await run('profile', 'list', '-o', 'csv'),
      await run('config', 'list', '-vv'),
      await run('config', 'get', 'transport', '-v'),
    ]
    // What goes wrong behind the connection says where it was.
    const missing = await run('queues', 'show', 'Salse', '-vv')

    expect([created.code, listed.code, tested.code, missing.code], text(created) + text(listed)).toEqual([0, 0, 0, 4])
    expect(listed.json()).toMatchObject({ schema: 'nsb.queues.list/1', items: [{ queue: 'Sales', type: 'quorum', depth: 0 }] })
    expectNoPassword(created, listed, tested, missing, ...shown)
    expect(created.stderr.includes('visible in the process list')).toBe(words.length > 0 && input === undefined)
  })

  it('shows what a connection command writes to stderr, and nothing of what it prints', async () => {
    const at = await place(() => ({ default: { connectionCommand: 'echo amqp://u:s3cret@h; echo not logged in >&2; exit 3' } }))

    const { code, stderr, stdout } = await at.run(['queues', 'list', '--json', '-vv'])

    expect(code).toBe(2)
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'NSB_NO_CONNECTION' } })
    expect(stderr).toContain('not logged in')
    expect(stderr).toContain('ended with 3')
    expect(stdout + stderr).not.toContain('s3cret')
  })

  it('ends a connection command that takes too long, with what it has started', async () => {
    const at = await place(() => ({ default: { connectionCommand: 'sleep 1000 & wait' } }))

    const { code, stderr } = await at.run(['queues', 'list', '--timeout', '200ms'])

    expect(code).toBe(2)
    expect(stderr).toContain('took longer than 200 ms')
  })

  it('names its connections after the endpoint it runs, and hands the password to no command line', { timeout: 60_000 }, async () => {
    const at = await place()
    writeFileSync(join(at.folder, 'nsb.json'), JSON.stringify({ endpoint: { name: 'Shop.Sales' } }))
    const root = fileURLToPath(new URL('../../../', import.meta.url))
    mkdirSync(join(at.folder, 'node_modules'))
    symlinkSync(root, join(at.folder, 'node_modules/nsbus'))
    symlinkSync(join(root, 'node_modules/zod'), join(at.folder, 'node_modules/zod'))
    writeFileSync(
      join(at.folder, 'a.handler.js'),
      `import { message } from 'nsbus'
import { z } from 'zod'
export class Ping extends message('Shop.Ping', z.object({})) {}
export class PingHandler { static handles = Ping; handle() {} }
`,
    )
    const child = spawn(process.execPath, [join(root, 'bin/run.js'), 'run', '--watch', '--connection', '-'], {
      cwd: at.folder,
      env: { PATH: process.env['PATH'], ...at.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (more: string) => (output += more))
    const ended = new Promise((resolve) => child.on('close', resolve))
    child.stdin.end(`${at.url}\n`)

    await expect.poll(() => output, { timeout: 20_000 }).toContain('ready in')
    const lines = commandLinesOf(child.pid as number)
    const names = async (): Promise<readonly (string | undefined)[]> =>
      (await at.host.api<{ client_properties: { connection_name?: string } }[]>('GET', `vhosts/${at.host.name}/connections`)).map(
        ({ client_properties: { connection_name: name } }) => name,
      )
    await expect.poll(names, { timeout: 20_000 }).toContain('Shop.Sales MessagePump')
    child.kill('SIGTERM')
    await ended

    expect(lines.length).toBeGreaterThan(0)
    for (const spelling of spellings) expect(lines.join('\n') + output).not.toContain(spelling)
  })
})

/** Of the processes that a process has started. */
function commandLinesOf(parent: number): readonly string[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return []
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
      const [, ppid] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return Number(ppid) === parent ? [readFileSync(`/proc/${pid}/cmdline`, 'utf8')] : []
    } catch {
      return []
    }
  })
}

describe('a connection that cannot be used', () => {
  const broken = async (change: (url: string) => string, words = ['queues', 'show', 'error']): Promise<readonly [Place, Ended, Ended]> => {
    const at = await place()
    const env = { NSB_CONNECTION: change(at.url) }
    return [at, await at.run([...words, '-vv'], { env }), await at.run([...words, '--json'], { env })]
  }

  it.each<readonly [string, string, (url: string) => string, RegExp]>([
    ['a port where nothing listens', 'NSB_CONNECTION_REFUSED', (url) => url.replace(/:\d+\//, ':1/'), /nothing listens on port 1/],
    ['another password', 'NSB_LOGIN_REFUSED', (url) => url.replace('@', 'x@'), /login was refused for user/],
    ['a virtual host that does not exist', 'NSB_VIRTUAL_HOST', (url) => `${url}-not`, /virtual host/],
    ['TLS where there is none', 'NSB_TLS_FAILED', (url) => url.replace('amqp:', 'amqps:'), /TLS/],
  ])('CLI-3 with %s ends with 5 and says %s', { timeout: 60_000 }, async (_name, code, change, says) => {
    const [, human, script] = await broken(change)

    expect([human.code, script.code], text(human)).toEqual([5, 5])
    expect(human.stderr).toMatch(says)
    expect(human.stderr).toContain('nsb profile test default')
    expect(human.stdout).toBe('')
    expect(script.json()).toMatchObject({ schema: 'nsb.error/1', error: { code, exitCode: 5 } })
    expectNoPassword(human, script)
  })

  it('CLI-3 without the permission for what is asked ends with 5', { timeout: 60_000 }, async () => {
    const at = await place(undefined, { configure: '^$' })

    const human = await at.run(['queues', 'create', 'Sales', '-vv'], { env: { NSB_CONNECTION: at.url } })
    const script = await at.run(['queues', 'create', 'Sales', '--json'], { env: { NSB_CONNECTION: at.url } })

    expect(human.code).toBe(5)
    expect(human.stderr).toMatch(/does not permit to create the queues/)
    expect(script.json()).toMatchObject({ error: { code: 'NSB_NOT_PERMITTED', exitCode: 5 } })
    expectNoPassword(human, script)
  })
})

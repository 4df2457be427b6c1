import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { failureHeaders, nsb, putMessage, temporaryFolder } from '../cli/nsb.ts'
import type { Ended } from '../cli/nsb.ts'

function folderWith(profiles: object = {}): string {
  const folder = temporaryFolder()
  mkdirSync(join(folder, '.git'))
  mkdirSync(join(folder, '.learningtransport'))
  writeFileSync(join(folder, 'nsb.json'), JSON.stringify({ profiles }))
  return folder
}

const text = ({ stderr, stdout }: Ended): string => stdout + stderr

describe('--connection', () => {
  it('CLI-7 is refused beside another transport with exit code 2', async () => {
    const { code, json } = await nsb(['queues', 'list', '--transport', 'learning', '--connection', 'amqp://h', '--json'], {
      cwd: folderWith(),
    })

    expect(code).toBe(2)
    expect(json()).toMatchObject({ error: { code: 'NSB_CONFLICTING_OPTIONS' } })
  })

  it('warns that it is visible, unless it comes from stdin or the environment', async () => {
    const cwd = folderWith()
    const warning = 'visible in the process list; prefer NSB_CONNECTION'

    const flag = await nsb(['config', 'list', '--connection', 'amqp://h'], { cwd })
    const stdin = await nsb(['config', 'get', 'connection', '--connection', '-'], { cwd, input: 'amqp://h\nrest' })
    const variable = await nsb(['config', 'get', 'connection'], { cwd, env: { NSB_CONNECTION: 'amqp://h' } })

    expect(flag.stderr).toContain(warning)
    expect([stdin.stdout, stdin.stderr, variable.stdout, variable.stderr]).toEqual(['amqp://h\n', '', 'amqp://h\n', ''])
  })

  it('leaves what follows the first line of stdin to the command', async () => {
    const { code, stdout } = await nsb(['config', 'set', 'endpoint.name', '-', '--connection', '-'], {
      cwd: folderWith(),
      input: 'amqp://h\nSales\n',
    })

    expect([code, stdout]).toEqual([0, ''])
  })

  it('takes a first line of stdin that has no end for none, instead of a part of it', async () => {
    const { code, stderr } = await nsb(['config', 'get', 'connection', '--connection', '-'], {
      cwd: temporaryFolder(),
      input: `amqp://${'h'.repeat(2 * 1024 * 1024)}`,
    })

    expect(code).toBe(2)
    expect(stderr).toContain('its first line has no end')
  })

  it('CLI-5 says that nothing came from stdin', async () => {
    const { code, stderr } = await nsb(['queues', 'list', '--connection', '-'], { cwd: folderWith() })

    expect(code).toBe(2)
    expect(stderr).toContain('A connection was expected on stdin')
  })
})

describe('RabbitMQ that is chosen without a connection', () => {
  it.each<readonly [string, object, RegExp]>([
    ['no word about it', { transport: 'rabbitmq' }, /nothing says which broker/],
    ['a variable that is not set', { connectionEnv: 'NOT_SET' }, /the variable NOT_SET is not set \(profile 'default' in/],
    ['a file that is not there', { connectionFile: 'none.txt' }, /none\.txt' cannot be read/],
    ['a command that fails', { connectionCommand: 'exit 3' }, /its command ended with 3/],
    ['a command that prints nothing', { connectionCommand: 'true' }, /the first line its command prints is empty/],
  ])('CLI-3 by %s ends with 2 and says why', async (_name, profile, says) => {
    const cwd = folderWith({ default: profile })

    const { code, stderr } = await nsb(['queues', 'list'], { cwd })

    expect(code).toBe(2)
    expect(stderr).toContain('NSB_NO_CONNECTION')
    expect(stderr).toMatch(says)
  })

  it.each<readonly [string, object, string]>([
    ['a topology that does not exist', { topology: 'star' }, `'profiles.default.topology' must be "conventional" or "direct", is "star"`],
    ['one host instead of a list', { hosts: 'b' }, `'profiles.default.hosts' must be a list of texts`],
    ['a truth that is text', { verify: 'no' }, `'profiles.default.verify' must be true or false, is "no"`],
  ])('refuses %s with file, line and column', async (_name, profile, says) => {
    const { code, stderr } = await nsb(['profile', 'list'], { cwd: folderWith({ default: profile }) })

    expect(code).toBe(2)
    expect(stderr).toMatch(/nsb\.json:1:\d+: /)
    expect(stderr).toContain(says)
  })

  it('CLI-7 warns of a key that a profile does not have, and suggests the nearest', async () => {
    const { code, stderr } = await nsb(['profile', 'list'], { cwd: folderWith({ default: { conectionEnv: 'A', storgae: 'x' } }) })

    expect(code).toBe(0)
    expect(stderr).toMatch(/nsb\.json:1:\d+: unknown key 'conectionEnv'\. Did you mean 'connectionEnv'\?/)
    expect(stderr).toContain(`Did you mean 'storage'?`)
  })

  it('refuses certificates that cannot be read, and a pass phrase that is not set', async () => {
    const env = { NSB_CONNECTION: 'amqps://h' }

    const missing = await nsb(['queues', 'list'], { cwd: folderWith({ default: { ca: 'ca.pem' } }), env })
    const unset = await nsb(['queues', 'list'], { cwd: folderWith({ default: { passphraseEnv: 'NOT_SET' } }), env })

    expect([missing.code, unset.code]).toEqual([2, 2])
    expect(missing.stderr).toContain('The file of "ca" cannot be read')
    expect(unset.stderr).toContain('NOT_SET')
  })
})

describe('a password', () => {
  it.each([
    ['with a slash', 'amqp://sales:12/s3cret@mq1'],
    ['with a slash and letters', 'amqp://sales:s3/cret@mq1'],
    ['with a number sign', 'amqp://sales:12#s3cret@mq1'],
    ['with a question mark', 'amqp://sales:12?s3cret@mq1'],
    ['with a colon', 'amqp://sales:12:s3cret@mq1'],
    ['with a percent sign', 'amqp://sales:s3cret%@mq1'],
    ['with a blank', 'amqp://sales:s3cret 2@mq1'],
    ['with a semicolon, without quotes', 'host=;username=sales;password=12;s3cret=1'],
    ['in a text that is no connection', 's3cret'],
    ['in a list of hosts', 'host=a,b;password=s3cret'],
    ['behind a blank instead of a semicolon', 'host=mq1 username=sales password=s3cret'],
    ['behind a name, with a blank', 'host=mq1;username=sales password=s3cret'],
    ['behind a blank in an address', 'amqp://sales s3cret@mq1'],
  ])('CLI-6 %s that makes the connection unusable is not repeated', async (_name, connection) => {
    const cwd = folderWith({ default: { transport: 'rabbitmq' } })
    const env = { NSB_CONNECTION: connection }

    const ended = await Promise.all([
      nsb(['queues', 'list', '-vv'], { cwd, env }),
      nsb(['queues', 'list', '--json'], { cwd, env }),
      nsb(['profile', 'list', '--json'], { cwd: folderWith({ default: { connection } }) }),
      nsb(['config', 'list', '-vv'], { cwd, env }),
    ])

    expect([ended[0]?.code, ended[1]?.code], ended[0]?.stderr).toEqual([2, 2])
    expect(ended[1]?.json()).toMatchObject({ error: { code: 'NSB_BAD_CONNECTION' } })
    // The name of a temporary folder may have any letters.
    for (const each of ended) expect(text(each).replaceAll(/nsb-(?:test|state)-\w+/g, '')).not.toMatch(/s3|cret/)
  })

  it('CLI-6 that was typed where it does not belong is not repeated', async () => {
    const cwd = folderWith()
    const url = 'amqp://sales:s3cret@mq1/shop'

    const ended = await Promise.all(
      [
        ['queues', 'list', url],
        ['queues', 'show', url],
        ['errors', 'show', url],
        ['profile', 'show', url],
        ['config', 'get', url],
        [url],
        ['--connection', url],
        ['queues', 'list', `--conection=${url}`],
        ['queues', 'list', '--columns', url],
        ['queues', 'list', '--timeout', url],
      ].flatMap((words) => [nsb([...words, '-vv'], { cwd }), nsb([...words, '--json'], { cwd })]),
    )

    for (const each of ended) {
      expect(each.code).not.toBe(0)
      expect(text(each)).not.toContain('s3cret')
    }
  })

  it('CLI-6 that a connection command says on stderr is not passed on, nor waited for from what it leaves running', async () => {
    const said = 'echo amqp://u:s3cret@h >&2; printf "password=s3cret2" >&2'
    const cwd = folderWith({ default: { connectionCommand: `${said}; sleep 5 >/dev/null & echo amqp://127.0.0.1:1` } })

    const { code, stderr } = await nsb(['queues', 'list'], { cwd })

    expect(code).toBe(5)
    expect(stderr).not.toContain('s3cret')
  })

  it('CLI-6 in "hosts", or in the name of a variable or a file, is not shown', async () => {
    const url = 'amqp://u:s3cret@h'
    const profiles = {
      default: { connection: 'amqp://mq1', hosts: [url, 'mq2'] },
      b: { connectionEnv: url },
      c: { connectionFile: url, ca: url },
    }
    const cwd = folderWith(profiles)

    const ended = await Promise.all(
      [
        ['config', 'list'],
        ['config', 'get', 'profiles.default.hosts'],
        ['profile', 'list', '--json'],
        ['profile', 'show', '--json'],
        ...['default', 'b', 'c'].flatMap((name) => [
          ['profile', 'show', name],
          ['queues', 'list', '-p', name, '-vv', '--timeout', '100ms'],
        ]),
      ].map((words) => nsb(words, { cwd })),
    )

    // After the others, which read what it writes.
    const changed = await nsb(['config', 'set', 'profiles.default.hosts', url], { cwd })
    for (const each of [...ended, changed]) expect(text(each)).not.toContain('s3cret')
    expect(ended[0]?.stdout).toContain('***,mq2')
  })

  it('CLI-6 in the words of a connection command is not shown', async () => {
    const cwd = folderWith({
      default: { connectionCommand: 'echo amqp://u:s3cret@h' },
      other: { connectionCommand: 'login --password=s3cret2' },
    })

    const ended = await Promise.all(
      [
        ['config', 'list'],
        ['profile', 'list', '--json'],
        ['profile', 'show', 'other'],
        ['profile', 'show', '--json'],
      ].map((words) => nsb(words, { cwd })),
    )

    for (const each of ended) expect(text(each)).not.toContain('s3cret')
  })
})

it('CLI-20 RabbitMQ is not loaded for a command that uses folders, and amqplib not before something connects', async () => {
  const cwd = folderWith({ prod: { connection: 'amqp://h' } })
  const loaded = async (...words: string[]): Promise<string> => (await nsb(words, { cwd, env: { NODE_DEBUG: 'esm,module' } })).stderr

  for (const words of [
    ['queues', 'list'],
    ['profile', 'list'],
    ['profile', 'test'],
    ['profile', 'show', 'prod'],
    ['config', 'list', '-p', 'prod'],
  ])
    expect(await loaded(...words), words.join(' ')).not.toMatch(/amqplib/)
  expect(await loaded('profile', 'test', 'prod', '--timeout', '1ms')).toMatch(/amqplib/)
})

describe('connection text with semicolons', () => {
  const bin = fileURLToPath(new URL('../../bin/run.js', import.meta.url))

  it('CLI-19 is shown in help with the quotes that it needs', async () => {
    const { stdout } = await nsb(['queues', 'list', '--help'], { cwd: folderWith() })

    expect(stdout.replaceAll(/\s+/g, ' ')).toContain("or 'host=…;username=…'")
  })

  const shells = [
    { shell: 'sh', words: ['-c'], call: '' },
    { shell: 'pwsh', words: ['-NoProfile', '-Command'], call: '& ' },
  ]
  for (const { call, shell, words } of shells)
    it.skipIf(spawnSync(shell, [...words, 'exit']).error !== undefined)(
      `CLI-19 survives the quoting of help in ${shell}, where that is there`,
      () => {
        const command = `${call}'${process.execPath}' '${bin}' config get connection --connection 'host=mq1;username=sales;password=s3cret'`

        const { stdout } = spawnSync(shell, [...words, command], { cwd: folderWith(), encoding: 'utf8' })

        expect(stdout.trimEnd()).toBe('amqp://sales:***@mq1/')
      },
    )
})

describe.skipIf(!existsSync('/proc/self'))('a folder in /proc, where making one never ends', () => {
  const refusal = async (words: readonly string[], cwd: string, env: Readonly<Record<string, string>> = {}): Promise<unknown[]> => {
    const { code, json } = await nsb([...words, '--json'], { cwd, env })
    return [code, (json()['error'] as { readonly code: string }).code]
  }

  it('is refused as storage, also behind a link', async () => {
    const cwd = folderWith()
    symlinkSync('/proc/self', join(cwd, 'link'))

    for (const storage of ['/proc/self', 'link'])
      expect(await refusal(['queues', 'create', 'Sales', '--storage', storage], cwd)).toEqual([2, 'NSB_BAD_STORAGE'])
  })

  it('is refused for a new project, for settings and for archives', { timeout: 60_000 }, async () => {
    const cwd = folderWith()
    for (const folder of ['/proc/x', '/proc/self/x'])
      expect(await refusal(['init', folder, '--yes'], cwd)).toEqual([5, 'NSB_CANNOT_ACCESS'])
    const settings = await refusal(['config', 'set', 'transport', 'learning', '--user'], cwd, { XDG_CONFIG_HOME: '/proc' })
    expect(settings).toEqual([2, 'NSB_CONFIG_INVALID'])
    putMessage(join(cwd, '.learningtransport'), 'error', 'm1', failureHeaders('m1'))
    expect(await refusal(['errors', 'export', '--all', '--file', '/proc/x/y'], cwd)).toEqual([5, 'NSB_ARCHIVE_UNWRITABLE'])
  })

  it('is refused for what nsb remembers, wherever that comes from', async () => {
    const cwd = folderWith()
    for (const env of [{ NSB_STATE_DIR: '/proc/nsb' }, { NSB_STATE_DIR: '', XDG_STATE_HOME: '/proc' }])
      expect(await refusal(['errors', 'resume', '--list'], cwd, env)).toEqual([2, 'NSB_BAD_STATE_DIR'])
  })
})

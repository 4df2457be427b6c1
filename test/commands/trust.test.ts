import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import module from 'node:module'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Ended, failureHeaders, nsb, projectWith, putMessage, temporaryFolder } from '../cli/nsb.ts'
import { write } from '../support/shop-project.ts'
import { hasTerminal, key, startInTerminal } from '../support/terminal.ts'

/** Somebody else; only root can give a file to them. */
const other = 12_345
const isRoot = process.geteuid?.() === 0
const me = process.geteuid?.() ?? 0

/** A project whose code, and whose command for the connection, leave a mark when they run. */
function project(): { readonly folder: string; readonly mark: string } {
  const folder = temporaryFolder()
  const mark = join(folder, 'it-ran')
  mkdirSync(join(folder, '.learningtransport'))
  write(folder, {
    'nsb.json': JSON.stringify({
      endpoint: { name: 'Shop' },
      routing: { 'Shop.*': 'Shop' },
      profiles: { broker: { connectionCommand: `touch '${mark}'; echo amqp://127.0.0.1:1` } },
    }),
    'src/ping.handler.js': `import { writeFileSync } from 'node:fs'
import { command } from 'nsbus'
import { z } from 'zod'
writeFileSync(${JSON.stringify(mark)}, '')
export class Ping extends command('Shop.Ping', z.object({})) {}
export class PingHandler { static handles = Ping; handle() {} }
`,
  })
  return { folder, mark }
}

function give(folder: string, user: number): void {
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) lchownSync(join(folder, name), user, user)
  lchownSync(folder, user, user)
}

/** A folder that everybody may write to, as /tmp. */
function sharedFolder(): string {
  const folder = temporaryFolder()
  chmodSync(folder, 0o1777)
  return folder
}

const codeOf = ({ json }: Ended): unknown => (json()['error'] as { readonly code: string }).code

/** Commands that run code of the project, or a command that it names. */
const running: readonly (readonly string[])[] = [
  ['errors', 'list', '-p', 'broker'],
  ['profile', 'test', 'broker'],
  ['run', '--until-idle', '1ms'],
  ['handlers'],
  ['explain', 'Shop.Ping'],
  ['send', 'Shop.Ping', '--data', '{}'],
  ['publish', 'Shop.Ping', '{}'],
  ['scaffold', 'test', 'Ping', '--no-check'],
  ['scaffold', 'handler', 'Ping', '--no-check'],
]

describe.skipIf(!isRoot)('a project of somebody else', () => {
  it('runs nothing: no command for a connection, no handlers, no types', async () => {
    const { folder, mark } = project()
    write(folder, { 'src/messages/ping.js': readFileSync(join(folder, 'src/ping.handler.js'), 'utf8') })
    give(folder, other)

    const ended = await Promise.all(running.map((words) => nsb([...words, '--json'], { cwd: folder })))

    expect(existsSync(mark)).toBe(false)
    for (const each of ended) {
      expect([each.code, codeOf(each)], each.stderr).toEqual([6, 'NSB_UNTRUSTED_FOLDER'])
      expect(each.stderr).toContain(`'${folder}' belongs to user ${other}, and not to you`)
      expect(each.stderr).toContain(`export NSB_TRUST=${folder}`)
    }
  })

  it('shows and lists what needs nothing of its to run', async () => {
    const { folder } = project()
    putMessage(join(folder, '.learningtransport'), 'error', 'm1', failureHeaders('m1'))
    give(folder, other)

    const ended = await Promise.all(
      [
        ['errors', 'list'],
        ['errors', 'show', 'm1'],
        ['config', 'list'],
        ['profile', 'list'],
        ['queues', 'list'],
        ['send', 'Shop.Ping', '--help'],
      ].map((words) => nsb(words, { cwd: folder })),
    )

    expect(ended.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0, 0])
  })

  it('lets a message be edited, unchecked and with the reason', async () => {
    const { folder, mark } = project()
    putMessage(join(folder, '.learningtransport'), 'error', 'm1', failureHeaders('m1', { 'NServiceBus.EnclosedMessageTypes': 'Shop.Ping' }))
    mkdirSync(join(folder, '.learningtransport', 'Sales'))
    give(folder, other)

    const { code, stderr } = await nsb(['errors', 'edit', 'm1', '--set-header', 'a=b', '--yes'], { cwd: folder })

    expect(existsSync(mark)).toBe(false)
    expect(code, stderr).toBe(0)
    expect(stderr).toContain('Without NSB_TRUST no code of this project is run')
  })

  it.each([
    ['its folder', (folder: string) => folder],
    ['a folder above it', (folder: string) => join(folder, '..')],
    ['several', (folder: string) => ['/nowhere', folder].join(delimiter)],
    ['everything', () => '*'],
  ])('runs when NSB_TRUST names %s', async (_name, trusted) => {
    const { folder, mark } = project()
    give(folder, other)
    const env = { NSB_TRUST: trusted(folder) }

    const handlers = await nsb(['handlers', '--json'], { cwd: folder, env })
    rmSync(mark)
    const command = await nsb(['errors', 'list', '-p', 'broker', '--json'], { cwd: folder, env })

    expect(handlers.code, handlers.stderr).toBe(0)
    expect(codeOf(command)).toBe('NSB_CONNECTION_REFUSED')
    expect(existsSync(mark)).toBe(true)
  })

  it('does not run when NSB_TRUST names another folder, or one whose name it begins with', async () => {
    const { folder, mark } = project()
    give(folder, other)

    for (const trusted of [`${folder}/src`, folder.slice(0, -1), '/nowhere', ''])
      expect(codeOf(await nsb(['handlers', '--json'], { cwd: folder, env: { NSB_TRUST: trusted } }))).toBe('NSB_UNTRUSTED_FOLDER')

    expect(existsSync(mark)).toBe(false)
  })

  it('of the user who called sudo runs, as with git', async () => {
    const { folder } = project()
    give(folder, other)

    expect((await nsb(['handlers'], { cwd: folder, env: { SUDO_UID: String(other) } })).code).toBe(0)
    expect((await nsb(['handlers'], { cwd: folder, env: { SUDO_UID: String(other + 1) } })).code).toBe(6)
  })

  it('is found from below, and runs nothing there either', async () => {
    const { folder, mark } = project()
    give(folder, other)
    mkdirSync(join(folder, 'mine'))

    const ended = await nsb(['errors', 'list', '-p', 'broker', '--json'], { cwd: join(folder, 'mine') })

    expect([codeOf(ended), existsSync(mark)]).toEqual(['NSB_UNTRUSTED_FOLDER', false])
  })

  it('is asked about once by nsb run for several endpoints, and each is refused', async () => {
    const root = temporaryFolder()
    const { folder, mark } = project()
    write(root, { 'sales/nsb.json': '{}', 'sales/a.handler.js': `import 'node:fs'`, 'nsb.json': '{"workspaces":["*"]}' })
    write(root, { 'theirs/nsb.json': readFileSync(join(folder, 'nsb.json'), 'utf8') })
    give(join(root, 'theirs'), other)

    const ended = await nsb(['run', '--until-idle', '1ms'], { cwd: root })

    expect([ended.code, existsSync(mark)]).toEqual([6, false])
    expect(ended.stderr).toContain(join(root, 'theirs'))
  })
})

describe.skipIf(process.platform === 'win32')('a folder that everybody may write to', () => {
  it('runs nothing: no command for a connection, no handlers, no types', async () => {
    const { folder, mark } = project()
    write(folder, { 'src/messages/ping.js': readFileSync(join(folder, 'src/ping.handler.js'), 'utf8') })
    chmodSync(folder, 0o1777)

    const ended = await Promise.all(running.map((words) => nsb([...words, '--json'], { cwd: folder })))

    expect(existsSync(mark)).toBe(false)
    for (const each of ended) {
      expect([each.code, codeOf(each)], each.stderr).toEqual([6, 'NSB_UNTRUSTED_FOLDER'])
      expect(each.stderr).toContain(`Everybody may write to '${folder}'`)
    }
  })

  it('runs nothing from an nsb.json in it for folders below', async () => {
    const { folder, mark } = project()
    chmodSync(folder, 0o1777)
    mkdirSync(join(folder, 'mine'))

    const ended = await nsb(['errors', 'list', '-p', 'broker', '--json'], { cwd: join(folder, 'mine') })

    expect([codeOf(ended), existsSync(mark)]).toEqual(['NSB_UNTRUSTED_FOLDER', false])
  })

  it('may be above a project of one owner', async () => {
    const shared = sharedFolder()
    const { folder } = project()
    write(shared, { 'mine/src/ping.handler.js': readFileSync(join(folder, 'src/ping.handler.js'), 'utf8'), 'mine/nsb.json': '{}' })

    expect((await nsb(['handlers'], { cwd: join(shared, 'mine') })).code).toBe(0)
  })

  it.each(['node_modules', 'package.json', 'tsconfig.json', 'jsconfig.json'])(
    'with a %s of somebody else stops code below it, which that would steer',
    async (name) => {
      if (!isRoot) return
      const shared = sharedFolder()
      const { folder, mark } = project()
      write(shared, { 'mine/src/ping.handler.js': readFileSync(join(folder, 'src/ping.handler.js'), 'utf8'), 'mine/nsb.json': '{}' })
      if (name === 'node_modules') mkdirSync(join(shared, name))
      else writeFileSync(join(shared, name), '{}')
      chownSync(join(shared, name), other, other)

      const refused = await nsb(['handlers', '--json'], { cwd: join(shared, 'mine') })
      const allowed = await nsb(['handlers', '--json'], { cwd: join(shared, 'mine'), env: { NSB_TRUST: join(shared, name) } })

      expect(codeOf(refused)).toBe('NSB_UNTRUSTED_FOLDER')
      expect(refused.stderr).toContain(join(shared, name))
      expect(allowed.code, allowed.stderr).toBe(0)
      expect(existsSync(mark)).toBe(true)
    },
  )

  it('keeps scaffolded files unchecked: the tools that would check them lie there', async () => {
    const folder = temporaryFolder()
    const mark = join(folder, 'it-ran')
    write(folder, {
      'nsb.json': '{}',
      'tsconfig.json': '{}',
      'node_modules/.bin/tsc': `#!/bin/sh\ntouch '${mark}'\n`,
    })
    chmodSync(join(folder, 'node_modules/.bin/tsc'), 0o755)

    const own = await nsb(['scaffold', 'message', 'Ping'], { cwd: folder })
    const ranBefore = existsSync(mark)
    rmSync(mark, { force: true })
    chmodSync(folder, 0o777)
    const shared = await nsb(['scaffold', 'message', 'Pong'], { cwd: folder })

    expect([own.code, ranBefore, shared.code, existsSync(mark)], own.stdout + shared.stdout).toEqual([0, true, 0, false])
    expect(shared.stdout).toContain('Without NSB_TRUST')
  })
})

describe.skipIf(!isRoot)('an nsb.json of somebody else in an own folder', () => {
  it('runs nothing, also behind a link', async () => {
    for (const theirs of ['the file', 'the link']) {
      const { folder, mark } = project()
      const file = join(folder, 'nsb.json')
      if (theirs === 'the link') {
        renameSync(file, join(folder, 'own.json'))
        symlinkSync('own.json', file)
      }
      lchownSync(file, other, other)

      const ended = await nsb(['errors', 'list', '-p', 'broker', '--json'], { cwd: folder })

      expect([codeOf(ended), existsSync(mark)]).toEqual(['NSB_UNTRUSTED_FOLDER', false])
    }
  })
})

describe.skipIf(!isRoot)('a copy of nsbus among the packages of somebody else', () => {
  const withCopy = (folder: string): string => {
    write(folder, {
      'node_modules/nsbus/package.json': '{"name":"nsbus","version":"9.9.9","type":"module"}',
      'node_modules/nsbus/bin/run.js': `console.log('the copy runs')\n`,
      'mine/.keep': '',
    })
    return join(folder, 'mine')
  }

  it.each<readonly [string, (folder: string) => void]>([
    ['in a folder of theirs', (folder) => give(folder, other)],
    ['in a folder that everybody may write to', (folder) => chmodSync(folder, 0o1777)],
    ['in an own folder', (folder) => give(join(folder, 'node_modules/nsbus'), other)],
    ['of which only the program is theirs', (folder) => chownSync(join(folder, 'node_modules/nsbus/bin/run.js'), other, other)],
  ])('%s is not run, and a warning says why', async (_name, theirs) => {
    const folder = temporaryFolder()
    const cwd = withCopy(folder)
    theirs(folder)

    const ended = await nsb(['config', 'path', '--json'], { cwd })
    const trusted = await nsb(['config', 'path', '--json'], { cwd, env: { NSB_TRUST: folder } })

    expect(ended.json()).toMatchObject({ schema: 'nsb.config.path/1' })
    expect(ended.stderr).toContain(`The copy of nsbus in '${folder}' is not used; NSB_TRUST='${folder}' uses it.`)
    expect(trusted.stdout).toBe('the copy runs\n')
  })
})

describe.skipIf(!isRoot || !hasTerminal)('in a terminal', () => {
  const asking = async (folder: string, home: string, answer: string): Promise<string> => {
    const terminal = startInTerminal(['handlers'], folder, { XDG_CONFIG_HOME: home })
    await terminal.shows(`'${folder}' belongs to user ${other}`)
    await terminal.shows('all the same')
    terminal.type(`${answer}${key.enter}`)
    await terminal.ended
    return terminal.screen
  }

  it('it is asked once, with folder and owner, and a yes is remembered for this owner alone', async () => {
    const { folder, mark } = project()
    const home = temporaryFolder()
    give(folder, other)

    const refused = await asking(folder, home, 'n')
    expect(existsSync(mark)).toBe(false)
    expect(refused).toContain('NSB_UNTRUSTED_FOLDER')
    await asking(folder, home, 'y')
    const later = await nsb(['handlers', '--json'], { cwd: folder, env: { XDG_CONFIG_HOME: home } })
    give(folder, other + 1)
    const ofAnother = await nsb(['handlers', '--json'], { cwd: folder, env: { XDG_CONFIG_HOME: home } })

    expect(later.code, later.stderr).toBe(0)
    expect(JSON.parse(readFileSync(join(home, 'nsb/trust.json'), 'utf8'))).toEqual({ folders: { [folder]: String(other) } })
    expect(codeOf(ofAnother)).toBe('NSB_UNTRUSTED_FOLDER')
  })
})

// Older versions of Node keep nothing.
describe.skipIf(process.platform === 'win32' || !('enableCompileCache' in module))('what is compiled', () => {
  const usual = 'node-compile-cache'

  it('is kept where nobody else can put anything, and not in the temporary folder of all', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'nsb-test-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))

    await nsb(['config', 'path'], { cwd: folder, env: { TMPDIR: folder } })

    expect(readdirSync(folder)).toEqual([`nsbus-${me}`])
    expect(readdirSync(join(folder, `nsbus-${me}`))).toEqual(['compiled'])
  })

  it.skipIf(!isRoot)('is kept nowhere when somebody else has made that folder before', async () => {
    const folder = temporaryFolder()
    mkdirSync(join(folder, `nsbus-${me}`))
    chownSync(join(folder, `nsbus-${me}`), other, other)

    const { code } = await nsb(['config', 'path'], { cwd: folder, env: { TMPDIR: folder } })

    expect(code).toBe(0)
    expect(readdirSync(folder)).not.toContain(usual)
    expect(readdirSync(join(folder, `nsbus-${me}`))).toEqual([])
  })
})

describe('an own project', () => {
  it('runs as ever', async () => {
    const { folder } = projectWith('12-error-queue')
    const own = project()

    expect((await nsb(['errors', 'list'], { cwd: folder })).code).toBe(0)
    expect((await nsb(['handlers'], { cwd: own.folder })).code).toBe(0)
  })
})

import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Script } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { write } from '../support/shop-project.ts'
import { nsb, temporaryFolder } from './nsb.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const run = join(root, 'bin/run.js')

/** A project with a nsbus of its own, which says that it runs. */
function projectWithCopy(): string {
  const folder = temporaryFolder()
  write(folder, {
    'src/handlers/.keep': '',
    'node_modules/nsbus/package.json': '{"name":"nsbus","version":"9.9.9","type":"module"}',
    'node_modules/nsbus/bin/run.js': `console.log('copy of the project', ...process.argv.slice(2)); process.exitCode = 8\n`,
  })
  return folder
}

describe('nsb from elsewhere, in a project with nsbus of its own', () => {
  it('hands over to it, with all words and its exit code, also below the project', async () => {
    const folder = projectWithCopy()

    const here = await nsb(['errors', 'list', '--json'], { cwd: folder })
    const below = await nsb(['errors', '-v'], { cwd: join(folder, 'src/handlers') })

    expect(here).toMatchObject({ code: 8, stdout: 'copy of the project errors list --json\n', stderr: '' })
    expect(below.stderr).toBe(`handing over to ${join(folder, 'node_modules/nsbus/bin/run.js')}\n`)
  })

  it.each([[['--version']], [['version']], [['--help']], [['help', 'send']], [['send', '--help']], [[]]])(
    'answers %j itself',
    async (words) => {
      const { code, stdout } = await nsb(words, { cwd: projectWithCopy() })

      expect(code).toBe(0)
      expect(stdout).not.toContain('copy of the project')
    },
  )

  it('does not with NSB_NO_HANDOVER=1', async () => {
    const { stdout } = await nsb(['config', 'path', '--json'], { cwd: projectWithCopy(), env: { NSB_NO_HANDOVER: '1' } })

    expect(JSON.parse(stdout)).toMatchObject({ schema: 'nsb.config.path/1' })
  })

  it('is itself when the project links to it, and where the copy has no command', async () => {
    const [linked, without] = [temporaryFolder(), temporaryFolder()]
    mkdirSync(join(linked, 'node_modules'))
    symlinkSync(root, join(linked, 'node_modules/nsbus'))
    write(without, { 'node_modules/nsbus/package.json': '{}' })

    for (const cwd of [linked, without]) expect((await nsb(['config', 'path', '--json'], { cwd })).code).toBe(0)
  })
})

describe('an older Node', () => {
  const source = readFileSync(run, 'utf8')

  it('can read bin/run.js: a plain script without newer operators', () => {
    expect(() => new Script(source.replace(/^#!.*/, ''))).not.toThrow()
    expect(source.replace(/^\s*\/\/.*$/gm, '')).not.toMatch(/\?\.|\?\?|\bawait\b|`/)
  })

  it('gets one sentence and exit code 2', () => {
    const older = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '18.20.1' } })`

    const { status, stderr, stdout } = spawnSync(
      process.execPath,
      ['--import', `data:text/javascript,${encodeURIComponent(older)}`, run, 'send'],
      {
        encoding: 'utf8',
      },
    )

    expect([status, stdout, stderr]).toEqual([2, '', 'nsb needs Node 20.19 or newer; this is Node 18.20.1.\n'])
  })
})

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Config } from '@oclif/core'
import { describe, expect, it } from 'vitest'
import { globalFlags } from '../../src/cli/global-flags.ts'
import { nsb, temporaryFolder } from '../cli/nsb.ts'

const page = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8')
const codes = [...page.matchAll(/^### (NSB_\w+)$/gm)].map((match) => match[1] as string)
const cwd = (): string => temporaryFolder()

describe('nsb help <CODE>', () => {
  it('prints the section of docs/errors.md, and nothing of the next one', async () => {
    const { code, stdout } = await nsb(['help', 'NSB_NO_ROUTE'], { cwd: cwd() })

    expect(code).toBe(0)
    expect(stdout).toMatch(/^### NSB_NO_ROUTE\n\n[^#]*- Exit code: 2\n$/)
    expect(page).toContain(stdout)
    expect(codes.length).toBeGreaterThan(50)
  })

  it('takes lower case, and gives JSON with --json', async () => {
    const { json } = await nsb(['help', 'nsb_no_route', '--json'], { cwd: cwd() })

    expect(json()).toMatchObject({ schema: 'nsb.help/1', code: 'NSB_NO_ROUTE', text: expect.stringContaining('Exit code: 2') })
  })

  it('CLI-7 ends with 4 for an unknown code, and suggests the nearest', async () => {
    const human = await nsb(['help', 'NSB_NO_ROUT'], { cwd: cwd() })
    const { code, json } = await nsb(['help', 'NSB_NO_ROUT', '--json'], { cwd: cwd() })

    expect([human.code, human.stdout, code]).toEqual([4, '', 4])
    expect(human.stderr).toContain('Try: nsb help NSB_NO_ROUTE')
    expect(json()).toMatchObject({ error: { code: 'NSB_NOT_FOUND' } })
  })
})

describe('the help of every command', () => {
  it('has the global flags, and no flag that excludes one that is not there', async () => {
    const { commands } = await Config.load({ root: fileURLToPath(new URL('../..', import.meta.url)) })

    for (const { flags, id } of commands) {
      expect(Object.keys(flags), id).toEqual(expect.arrayContaining([...Object.keys(globalFlags), 'json']))
      expect(Object.keys(flags), id).toEqual(expect.arrayContaining(Object.values(flags).flatMap(({ exclusive = [] }) => exclusive)))
    }
    expect(commands.length).toBeGreaterThan(30)
  })
})

describe('nsb help <command>', () => {
  it.each([['send'], ['errors', 'replay'], ['scaffold', 'message'], ['s']])('of %s %s is that of --help', async (...words) => {
    const [help, flag] = await Promise.all([nsb(['help', ...words], { cwd: cwd() }), nsb([...words, '--help'], { cwd: cwd() })])

    expect(help.stdout).toContain('USAGE')
    expect(help).toMatchObject({ code: flag.code, stdout: flag.stdout })
  })

  it('of a topic lists its commands', async () => {
    const { code, stdout } = await nsb(['help', 'scaffold'], { cwd: cwd() })

    expect(code).toBe(0)
    expect(stdout).toContain('nsb scaffold handler')
  })

  it('CLI-7 of what does not exist ends with 2 and the nearest command', async () => {
    const { code, stderr } = await nsb(['help', 'snd'], { cwd: cwd() })

    expect(code).toBe(2)
    expect(stderr).toContain('Try: nsb send')
  })
})

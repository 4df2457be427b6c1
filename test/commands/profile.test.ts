import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { nsb, temporaryFolder } from '../cli/nsb.ts'
import type { Ended } from '../cli/nsb.ts'

interface Place {
  readonly folder: string
  readonly userFile: string
  run(words: readonly string[], env?: Readonly<Record<string, string>>): Promise<Ended>
}

const profiles = {
  local: { transport: 'rabbitmq', connection: 'amqp://guest:guest@localhost' },
  prod: { connectionEnv: 'PROD_AMQP', topology: 'direct', protect: true },
  folder: { storage: 'bus' },
}

function place(project: object | null = { profiles }, user?: object): Place {
  const folder = temporaryFolder()
  const home = temporaryFolder()
  mkdirSync(join(folder, '.git'))
  mkdirSync(join(home, 'nsb'))
  const userFile = join(home, 'nsb', 'config.json')
  if (project !== null) writeFileSync(join(folder, 'nsb.json'), JSON.stringify(project))
  if (user !== undefined) writeFileSync(userFile, JSON.stringify(user))
  return { folder, userFile, run: (words, env = {}) => nsb(words, { cwd: folder, env: { XDG_CONFIG_HOME: home, ...env } }) }
}

describe('nsb profile list', () => {
  it('names transport, place, origin and protection of every profile, the default one included', async () => {
    const at = place({ profiles }, { profiles: { mine: { connectionCommand: 'vault read amqp' } } })

    const { json, stdout } = await at.run(['profile', 'list', '--json'], { PROD_AMQP: 'amqp://sales:s3cret@mq1/shop' })
    const table = await at.run(['profile', 'list', '-p', 'prod'])

    const origin = join(at.folder, 'nsb.json')
    expect(json()).toEqual({
      schema: 'nsb.profile.list/1',
      current: 'default',
      origin: 'default',
      items: [
        { name: 'default', transport: 'learning', origin: 'default', protect: false, current: true },
        { name: 'mine', transport: 'rabbitmq', where: 'output of vault read amqp', origin: at.userFile, protect: false, current: false },
        { name: 'local', transport: 'rabbitmq', where: 'amqp://guest:***@localhost', origin, protect: false, current: false },
        { name: 'prod', transport: 'rabbitmq', where: '$PROD_AMQP = amqp://sales:***@mq1/shop', origin, protect: true, current: false },
        { name: 'folder', transport: 'learning', where: join(at.folder, 'bus'), origin, protect: false, current: false },
      ],
    })
    expect(stdout).not.toContain('s3cret')
    expect(table.stdout).toMatch(/^NAME +CURRENT +TRANSPORT +PROTECT +WHERE +ORIGIN\n/)
    expect(table.stdout).toMatch(/^prod +yes +rabbitmq +yes +\$PROD_AMQP, which is not set +/m)
  })

  it('CLI-2 prints an error as JSON, and ends with 2, when nsb.json is not valid', async () => {
    const { code, json } = await place({ profiles: { a: 7 } }).run(['profile', 'list', '--json'])

    expect(code).toBe(2)
    expect(json()).toMatchObject({ schema: 'nsb.error/1', error: { code: 'NSB_CONFIG_INVALID' } })
  })
})

describe('nsb profile show', () => {
  it('names the origin of every setting, the defaults included', async () => {
    const at = place()

    const { json } = await at.run(['profile', 'show', 'prod', '--json'])

    const origin = join(at.folder, 'nsb.json')
    expect(json()).toEqual({
      schema: 'nsb.profile.show/1',
      name: 'prod',
      items: [
        { key: 'connectionEnv', value: 'PROD_AMQP', origin },
        { key: 'keepBodies', value: true, origin: 'default' },
        { key: 'protect', value: true, origin },
        { key: 'queueType', value: 'quorum', origin: 'default' },
        { key: 'topology', value: 'direct', origin },
        { key: 'transport', value: 'rabbitmq', origin: 'default' },
        { key: 'verify', value: true, origin: 'default' },
      ],
    })
  })

  it('CLI-7 suggests the nearest for a profile that does not exist, with exit code 2', async () => {
    const { code, stderr } = await place().run(['profile', 'show', 'pord'])

    expect(code).toBe(2)
    expect(stderr).toContain(`Did you mean 'prod'?`)
  })
})

describe('nsb profile use', () => {
  it('chooses for this project alone, in the file of the user', async () => {
    const at = place()
    const before = readFileSync(join(at.folder, 'nsb.json'), 'utf8')

    const used = await at.run(['profile', 'use', 'folder', '--json'])
    const again = await at.run(['profile', 'use', 'folder', '--json'])
    const current = await at.run(['config', 'get', 'profile', '--json'])

    expect(used.json()).toEqual({ schema: 'nsb.profile.use/1', name: 'folder', project: at.folder, file: at.userFile, changed: true })
    expect(again.json()).toMatchObject({ changed: false })
    expect(current.json()).toMatchObject({ value: 'folder', origin: `nsb profile use, in ${at.userFile}` })
    expect(JSON.parse(readFileSync(at.userFile, 'utf8'))).toEqual({ uses: { [at.folder]: 'folder' } })
    expect(readFileSync(join(at.folder, 'nsb.json'), 'utf8')).toBe(before)
  })

  it('CLI-8 is overruled by NSB_PROFILE, and that by --profile', async () => {
    const at = place()
    await at.run(['profile', 'use', 'folder'])
    const current = async (words: string[], env?: Record<string, string>): Promise<unknown> =>
      (await at.run(['config', 'get', 'profile', '--json', ...words], env)).json()['value']

    expect(await current([])).toBe('folder')
    expect(await current([], { NSB_PROFILE: 'local' })).toBe('local')
    expect(await current(['-p', 'prod'], { NSB_PROFILE: 'local' })).toBe('prod')
  })

  it('says so when the environment names another one', async () => {
    const { code, stderr } = await place().run(['profile', 'use', 'folder'], { NSB_PROFILE: 'local' })

    expect(code).toBe(0)
    expect(stderr).toContain('NSB_PROFILE names local, which overrules it')
  })

  it('CLI-7 writes nothing for a profile that does not exist, with exit code 2', async () => {
    const at = place()

    const { code } = await at.run(['profile', 'use', 'foldr'])

    expect(code).toBe(2)
    expect(existsSync(at.userFile)).toBe(false)
  })

  it('counts outside of a project for every place without one', async () => {
    const at = place(null, { profiles: { mine: { storage: '/bus' } } })
    const [elsewhere, project] = [temporaryFolder(), place()]

    await at.run(['profile', 'use', 'mine'])
    const env = { XDG_CONFIG_HOME: join(at.userFile, '../..') }
    const current = async (cwd: string): Promise<unknown> =>
      (await nsb(['config', 'get', 'profile', '--json'], { cwd, env })).json()['value']

    expect(await current(elsewhere)).toBe('mine')
    expect(await current(project.folder)).toBe('default')
  })

  it('tells what wrote the choice when the profile is gone', async () => {
    const at = place()
    await at.run(['profile', 'use', 'folder'])
    writeFileSync(join(at.folder, 'nsb.json'), '{}')

    const { code, stderr } = await at.run(['queues', 'list'])

    expect(code).toBe(2)
    expect(stderr).toContain(`There is no profile 'folder' (nsb profile use, in ${at.userFile})`)
  })

  it('is nothing that nsb.json may say', async () => {
    const at = place({ profiles, uses: { '*': 'prod' } })

    const { stderr } = await at.run(['profile', 'list'])

    expect(stderr).toContain(`'uses' counts in the user's own file only`)
  })
})

describe('nsb profile test', () => {
  it('says where a storage folder is, and that it can be used', async () => {
    const at = place()
    mkdirSync(join(at.folder, 'bus'))

    const { code, json } = await at.run(['profile', 'test', 'folder', '--json'])

    expect(code).toBe(0)
    expect(json()).toEqual({
      schema: 'nsb.profile.test/1',
      name: 'folder',
      transport: 'learning',
      storage: join(at.folder, 'bus'),
      origin: `profile 'folder' in ${join(at.folder, 'nsb.json')}`,
    })
  })

  it('CLI-3 ends with 5 for a storage folder that is not one', async () => {
    const at = place()
    writeFileSync(join(at.folder, 'bus'), '')

    const human = await at.run(['profile', 'test', 'folder'])
    const { code, json } = await at.run(['profile', 'test', 'folder', '--json'])

    expect([human.code, code]).toEqual([5, 5])
    expect(human.stdout).toMatch(/^✗ folder: '.*bus' is not a folder/)
    expect(json()).toMatchObject({ problem: expect.stringContaining('is not a folder') })
  })

  it('CLI-3 ends with 5 when nothing listens there', async () => {
    const at = place({ profiles: { mq: { connection: 'amqp://u:s3cret@127.0.0.1:1' } } })

    const { code, json } = await at.run(['profile', 'test', 'mq', '--json'])

    expect(code).toBe(5)
    expect(json()).toMatchObject({ error: { code: 'NSB_CONNECTION_REFUSED', message: expect.stringContaining('u:***@127.0.0.1:1') } })
  })
})

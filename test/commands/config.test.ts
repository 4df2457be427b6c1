import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { failureHeaders, nsb, putMessage, temporaryFolder } from '../cli/nsb.ts'

interface Place {
  readonly folder: string
  readonly userFile: string
  readonly env: { readonly XDG_CONFIG_HOME: string }
}

/** A project folder and a user's file; either may be left out. */
function place(project?: object | string, user?: object | string): Place {
  const folder = temporaryFolder()
  const home = temporaryFolder()
  mkdirSync(join(folder, '.git'))
  mkdirSync(join(home, 'nsb'))
  const write = (file: string, content: object | string | undefined): void => {
    if (content !== undefined) writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content, null, 2))
  }
  write(join(folder, 'nsb.json'), project)
  write(join(home, 'nsb', 'config.json'), user)
  return { folder, userFile: join(home, 'nsb', 'config.json'), env: { XDG_CONFIG_HOME: home } }
}

const run = ({ env, folder }: Place, words: readonly string[], more: Record<string, string> = {}, input?: string) =>
  nsb(['config', ...words], { cwd: folder, env: { ...env, ...more }, ...(input !== undefined && { input }) })

async function get(at: Place, key: string, flags: readonly string[] = [], env: Record<string, string> = {}) {
  const { json } = await run(at, ['get', key, '--json', ...flags], env)
  return [json()['value'], json()['origin']]
}

describe('the precedence of configuration', () => {
  const user = { endpoint: { errorQueue: 'user.error' }, profiles: { default: { storage: 'bus' } } }
  const project = { endpoint: { errorQueue: 'project.error' }, profiles: { default: { storage: 'here' } } }

  it('CLI-8 of the error queue: flag over environment over project over user over default', async () => {
    const all = place(project, user)
    const env = { NSB_ERROR_QUEUE: 'env.error' }

    expect(await get(all, 'error-queue', ['--error-queue', 'flag.error'], env)).toEqual(['flag.error', '--error-queue'])
    expect(await get(all, 'error-queue', [], env)).toEqual(['env.error', 'NSB_ERROR_QUEUE'])
    expect(await get(all, 'error-queue')).toEqual(['project.error', join(all.folder, 'nsb.json')])
    const onlyUser = place({}, user)
    expect(await get(onlyUser, 'error-queue')).toEqual(['user.error', onlyUser.userFile])
    expect(await get(place({}), 'error-queue')).toEqual(['error', 'default'])
  })

  it('CLI-8 of the storage folder, paths being relative to where they were written', async () => {
    const all = place(project, user)
    const env = { NSB_STORAGE: 'env' }

    expect(await get(all, 'storage', ['--storage', 'flag'], env)).toEqual([join(all.folder, 'flag'), '--storage'])
    expect(await get(all, 'storage', [], env)).toEqual([join(all.folder, 'env'), 'NSB_STORAGE'])
    expect(await get(all, 'storage')).toEqual([join(all.folder, 'here'), `profile 'default' in ${join(all.folder, 'nsb.json')}`])
    const onlyUser = place({}, user)
    expect(await get(onlyUser, 'storage')).toEqual([join(onlyUser.userFile, '../bus'), `profile 'default' in ${onlyUser.userFile}`])
    expect(await get(place({}), 'transport')).toEqual(['learning', 'default'])
  })

  it('CLI-8 takes part in what commands do: storage and error queue of the user file are listed', async () => {
    const at = place(undefined, user)
    putMessage(join(at.userFile, '../bus'), 'user.error', 'm1', failureHeaders('m1'))

    const { code, json, stderr } = await nsb(['errors', 'list', '--json'], { cwd: at.folder, env: at.env })

    expect(code, stderr).toBe(0)
    expect(json()).toMatchObject({ queue: 'user.error', total: 1 })
  })

  it('CLI-8 hides the connection of the user file where the project has another way to say it', async () => {
    const at = place(
      { profiles: { prod: { connectionEnv: 'AMQP' } } },
      { profiles: { prod: { connection: 'amqp://u:secret@h', protect: true } } },
    )

    const { json, stdout } = await run(at, ['list', '--json'])

    const keys = (json()['items'] as { key: string }[]).map(({ key }) => key)
    expect(keys).toContain('profiles.prod.connectionEnv')
    expect(keys).toContain('profiles.prod.protect')
    expect(keys).not.toContain('profiles.prod.connection')
    expect(stdout).not.toContain('secret')
  })
})

describe('nsb config list', () => {
  it('CLI-8 names the origin of every value, defaults included', async () => {
    const at = place({ endpoint: { name: 'Shop', recoverability: { delay: '90s' } } }, { routing: { 'Shop.*': 'Shop' } })

    const { code, stdout } = await run(at, ['list'])
    const { json } = await run(at, ['list', '--json'])

    expect(code).toBe(0)
    expect(stdout).toMatch(/^KEY +VALUE +ORIGIN\n/)
    expect(json()).toMatchObject({ schema: 'nsb.config.list/1' })
    const items = json()['items'] as { key: string }[]
    expect(items.slice(0, 3).map(({ key }) => key)).toEqual(['profile', 'transport', 'error-queue'])
    expect(items).toContainEqual({ key: 'endpoint.name', value: 'Shop', origin: join(at.folder, 'nsb.json') })
    expect(items).toContainEqual({ key: 'endpoint.recoverability.delayIncrease', value: '90s', origin: join(at.folder, 'nsb.json') })
    expect(items).toContainEqual({ key: 'endpoint.recoverability.immediateRetries', value: 5, origin: 'default' })
    expect(items).toContainEqual({ key: 'routing.Shop.*', value: 'Shop', origin: at.userFile })
  })

  it.each([
    ['amqp://sales:s3cret@mq1:5672/shop', 'amqp://sales:***@mq1:5672/shop'],
    ['amqp://sales:s3cret%2F@mq1', 'amqp://sales:***@mq1'],
    ['host=mq1;username=sales;password=s3cret', 'amqp://sales:***@mq1/'],
    ['not a s3cret connection', '***'],
  ])('CLI-6 shows %s as %s, in every form and at every verbosity', async (connection, shown) => {
    const at = place({ profiles: { prod: { transport: 'rabbitmq', connection } } })

    const list = await run(at, ['list', '-vv'])
    const json = await run(at, ['list', '--json'])
    const one = await run(at, ['get', 'profiles.prod.connection'])
    const set = await run(at, ['set', 'profiles.prod.connection', '-', '-vv'], {}, `${connection}x\n`)

    expect(one.stdout).toBe(`${shown}\n`)
    for (const { stderr, stdout } of [list, json, one, set]) expect(stdout + stderr).not.toContain('s3cret')
  })

  it('CLI-6 does not quote a connection of the wrong type', async () => {
    const { code, stderr } = await run(place({ profiles: { prod: { connection: ['amqp://u:s3cret@h'] } } }), ['list'])

    expect(code).toBe(2)
    expect(stderr).toContain(`'profiles.prod.connection' must be text.`)
    expect(stderr).not.toContain('s3cret')
  })

  it('says where the file of the user is not valid', async () => {
    const at = place({}, '{\n  "endpoint": 7\n}')

    const { code, stderr } = await run(at, ['list'])

    expect(code).toBe(2)
    expect(stderr).toContain(`${at.userFile}:2:15: 'endpoint' must be an object`)
  })
})

describe('nsb config get', () => {
  it('prints the value alone', async () => {
    const { code, stdout } = await run(place({ endpoint: { name: 'Shop' } }), ['get', 'endpoint.name'])

    expect([code, stdout]).toEqual([0, 'Shop\n'])
  })

  it('CLI-7 ends with 4 for what is not set, and with 2 and a suggestion for what does not exist', async () => {
    const at = place({})

    const unset = await run(at, ['get', 'endpoint.auditQueue'])
    const unknown = await run(at, ['get', 'endpoint.errorQueu'])

    expect([unset.code, unknown.code]).toEqual([4, 2])
    expect(unknown.stderr).toContain(`Did you mean 'endpoint.errorQueue'?`)
  })
})

describe('nsb config set', () => {
  it('changes one value and keeps the rest as it is written', async () => {
    const text = `{\n\t"endpoint": { "name": "Shop",   "errorQueue": "error" },\n\n\t"routing": {\n\t\t"Shop.*": "Shop"\n\t}\n}\n`
    const at = place(text)

    const { code, json } = await run(at, ['set', 'endpoint.errorQueue', 'shop.error', '--json'])

    expect(code).toBe(0)
    expect(json()).toEqual({
      schema: 'nsb.config.set/1',
      key: 'endpoint.errorQueue',
      value: 'shop.error',
      file: join(at.folder, 'nsb.json'),
      changed: true,
    })
    expect(readFileSync(join(at.folder, 'nsb.json'), 'utf8')).toBe(text.replace('"error" }', '"shop.error" }'))
    expect((await run(at, ['set', 'endpoint.errorQueue', 'shop.error', '--json'])).json()).toMatchObject({ changed: false })
  })

  it('makes the file of the user, which nobody else can read', async () => {
    const at = place({})

    await run(at, ['set', 'profiles.prod.protect', 'true', '--user'])

    expect(JSON.parse(readFileSync(at.userFile, 'utf8'))).toEqual({ profiles: { prod: { protect: true } } })
    expect(statSync(at.userFile).mode & 0o777).toBe(0o600)
    expect(await get(at, 'profiles.prod.protect')).toEqual([true, at.userFile])
  })

  it.each([
    ['an unknown setting', ['endpoint.nam', 'x'], `Did you mean 'endpoint.name'?`],
    ['a count that is none', ['endpoint.recoverability.immediateRetries', 'many'], 'must be a whole number from 0'],
    ['a duration that is none', ['endpoint.recoverability.delayIncrease', 'soon'], `'soon' is not a duration`],
    ['a name that is none', ['endpoint.name', ''], `'endpoint.name' must be a text that is not empty, is ''`],
    ['a list with nothing in it', ['profiles.prod.hosts', 'mq1,,mq2'], 'must be texts that are not empty, with commas between'],
    ['a route to nowhere', ['routing.Shop.*', ' '], 'must be a text that is not empty'],
    ['a truth that is none', ['profiles.prod.protect', 'yes'], 'must be true or false'],
    ['a section', ['endpoint', 'x'], 'There is no setting'],
  ])('CLI-7 refuses %s with exit 2, and changes nothing', async (_name, words, says) => {
    const at = place({ endpoint: {} })
    const before = readFileSync(join(at.folder, 'nsb.json'), 'utf8')

    const { code, stderr } = await run(at, ['set', ...words])

    expect(code).toBe(2)
    expect(stderr).toContain(says)
    expect(readFileSync(join(at.folder, 'nsb.json'), 'utf8')).toBe(before)
  })

  it('takes a list with commas between, and refuses what a profile cannot be', async () => {
    const at = place({})

    const set = await run(at, ['set', 'profiles.prod.hosts', 'mq2, mq3:5673', '--json'])
    const refused = await run(at, ['set', 'profiles.prod.topology', 'star'])

    expect(set.json()).toMatchObject({ value: ['mq2', 'mq3:5673'], changed: true })
    expect(refused.code).toBe(2)
    expect(JSON.parse(readFileSync(join(at.folder, 'nsb.json'), 'utf8'))).toEqual({ profiles: { prod: { hosts: ['mq2', 'mq3:5673'] } } })
    expect((await run(at, ['get', 'profiles.prod.hosts'])).stdout).toBe('mq2,mq3:5673\n')
  })

  it('CLI-6 shows no password in a command, and does not warn about a variable', async () => {
    const at = place({})

    const { stderr, stdout } = await run(at, ['set', 'profiles.prod.connectionCommand', 'echo amqp://u:s3cret@h', '--json'])

    expect(stdout + stderr).not.toContain('s3cret')
  })

  it('outside a project wants --user', async () => {
    const at = place()

    const { code, stderr } = await run(at, ['set', 'endpoint.errorQueue', 'x'])

    expect(code).toBe(2)
    expect(stderr).toContain('--user')
    expect(existsSync(join(at.folder, 'nsb.json'))).toBe(false)
  })

  it('warns about a password in nsb.json, unless it is for this machine', async () => {
    const at = place({})

    const foreign = await run(at, ['set', 'profiles.prod.connection', 'amqp://u:s3cret@mq1'])
    const local = await run(at, ['set', 'profiles.local.connection', 'amqp://guest:guest@localhost:5672'])

    expect(foreign.stderr).toContain('connectionEnv')
    expect(local.stderr).not.toContain('connectionEnv')
  })
})

describe('nsb config path', () => {
  it('prints both files, also when one cannot be read', async () => {
    const at = place('{ broken')

    const { code, json } = await run(at, ['path', '--json'])

    expect(code).toBe(0)
    expect(json()).toEqual({
      schema: 'nsb.config.path/1',
      items: [
        { level: 'project', path: join(at.folder, 'nsb.json'), exists: true },
        { level: 'user', path: at.userFile, exists: false },
      ],
    })
  })
})

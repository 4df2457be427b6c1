import { chownSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readBroker } from '../../../src/toolkit/profile/broker-settings.ts'
import { type ConnectionChoice, chooseConnection, findProject } from '../../../src/toolkit/project.ts'
import { temporaryFolder } from '../../cli/nsb.ts'

interface Configuration {
  /** The default profile of the project. */
  readonly project?: object
  /** The same of the user's own file. */
  readonly user?: object
  readonly choice?: ConnectionChoice
  readonly env?: NodeJS.ProcessEnv
  /** Who owns the project's file. */
  readonly owner?: number
}

const text = 'amqp://sales:s3cret@mq1/shop'
const given = { connection: { value: text, origin: 'NSB_CONNECTION' } }
const fallback = { fallback: { value: text, origin: 'RabbitMQTransport_ConnectionString' } }

/** What would be connected with. */
async function settingsOf({ choice = {}, env = {}, owner, project = {}, user = {} }: Configuration) {
  const folder = temporaryFolder()
  const [file, userFile] = [join(folder, 'nsb.json'), join(folder, 'own', 'config.json')]
  mkdirSync(join(folder, 'own'))
  mkdirSync(join(folder, '.git'))
  for (const name of ['ca.pem', 'own/ca.pem']) writeFileSync(join(folder, name), 'PEM')
  writeFileSync(join(folder, 'amqp.txt'), text)
  writeFileSync(file, JSON.stringify({ profiles: { default: { transport: 'rabbitmq', ...project } } }))
  writeFileSync(userFile, JSON.stringify({ profiles: { default: user } }))
  if (owner !== undefined) chownSync(file, owner, owner)
  const found = await findProject(folder, userFile)
  const { broker } = chooseConnection(found, choice, folder)
  const warnings: string[] = []
  if (broker === undefined) throw new Error('it is not RabbitMQ')
  const { settings } = await readBroker(broker, { env, warn: (warning) => warnings.push(warning) })
  return { ...settings, warnings }
}

const elsewhere = { hosts: ['mq2:5673', 'evil'], management: 'http://evil:15672' }

describe('a password that the project does not say', () => {
  const cases: readonly (readonly [string, Configuration])[] = [
    ['NSB_CONNECTION', { choice: given }],
    ['the variable of the .NET tool', { choice: fallback }],
    ["the user's own file", { user: { connection: text } }],
    ["a variable that the user's own file names", { user: { connectionEnv: 'AMQP' }, env: { AMQP: text } }],
  ]

  it.each(cases)('of %s goes to no host that the project names, and a warning says so', async (_name, configuration) => {
    const settings = await settingsOf({ ...configuration, project: elsewhere })

    expect(settings).toMatchObject({
      connection: text,
      warnings: [expect.stringContaining("'hosts'"), expect.stringContaining("'management'")],
    })
    expect([settings.hosts, settings.management]).toEqual([undefined, undefined])
    for (const warning of settings.warnings) {
      expect(warning).toContain("goes to no other host than 'mq1'")
      expect(warning).not.toContain('s3cret')
    }
  })

  it.each(cases)('of %s goes to other ports of its host', async (_name, configuration) => {
    const project = { hosts: ['mq1:5673', 'MQ1'], management: 'http://mq1:8080' }

    const settings = await settingsOf({ ...configuration, project })

    expect(settings).toMatchObject({ hosts: ['mq1:5673', 'MQ1'], management: { url: 'http://mq1:8080/' }, warnings: [] })
  })

  it.each(cases)('of %s stays at home where the address of the management API has a login of its own', async (_name, configuration) => {
    const settings = await settingsOf({ ...configuration, project: { management: 'http://admin:own@api:15672' } })

    expect(settings).toMatchObject({ management: { url: 'http://api:15672/', user: 'admin', password: 'own' }, warnings: [] })
  })

  it.each(cases)('of %s does not go with the name alone of another user either', async (_name, configuration) => {
    const settings = await settingsOf({ ...configuration, project: { management: 'http://admin@evil:15672' } })

    expect(settings.management).toBeUndefined()
  })

  it.each(['managementEnv', 'management'])('goes to no address that the project finds in the environment by "%s"', async (key) => {
    const project = { [key]: key === 'management' ? 'http://evil' : 'SOME_URL' }

    const settings = await settingsOf({ choice: given, project, env: { SOME_URL: 'http://evil' } })

    expect(settings.management).toBeUndefined()
  })

  it('that came for TLS never goes without', async () => {
    const choice = { connection: { value: text.replace('amqp:', 'amqps:'), origin: 'NSB_CONNECTION' } }

    const plain = await settingsOf({ choice, project: { management: 'http://mq1:15672' } })
    const secure = await settingsOf({ choice, project: { management: 'https://mq1:15671' } })

    expect([plain.management, secure.management]).toEqual([undefined, { url: 'https://mq1:15671/' }])
    expect(plain.warnings).toEqual([expect.stringContaining('with TLS')])
  })

  it.each(['localhost', '127.0.0.1', '[::1]'])('for this machine goes to all its names, from %s', async (host) => {
    const choice = { connection: { value: `amqp://u:s3cret@${host}`, origin: 'NSB_CONNECTION' } }

    for (const name of ['localhost', '127.0.0.1', '[::1]'])
      expect((await settingsOf({ choice, project: { management: `http://${name}:15672` } })).management).toBeDefined()
    expect((await settingsOf({ choice, project: { management: 'http://127.0.0.2:15672' } })).management).toBeUndefined()
  })
})

describe('hosts that are named where the password is', () => {
  it.each<readonly [string, Configuration]>([
    ['by the connection of nsb.json', { project: { connection: text, ...elsewhere } }],
    ['by the variable that nsb.json names', { project: { connectionEnv: 'AMQP', ...elsewhere }, env: { AMQP: text } }],
    ['by the file that nsb.json names', { project: { connectionFile: 'amqp.txt', ...elsewhere } }],
    ['by the command of nsb.json', { project: { connectionCommand: `echo ${text}`, ...elsewhere } }],
    ["by the user's own file", { user: { connection: text, ...elsewhere } }],
    ["by the user's own file, for NSB_CONNECTION", { choice: given, user: elsewhere }],
  ])('%s get it', async (_name, configuration) => {
    expect(await settingsOf(configuration)).toMatchObject({
      connection: text,
      hosts: ['mq2:5673', 'evil'],
      management: { url: 'http://evil:15672/' },
      warnings: [],
    })
  })

  it.skipIf(process.geteuid?.() !== 0).each<readonly [string, object]>([
    ['a variable', { connectionEnv: 'AMQP' }],
    ['a file', { connectionFile: 'amqp.txt' }],
  ])('by a file of somebody else that only says where it is, in %s, do not', async (_name, project) => {
    const stranger = { project: { ...project, ...elsewhere }, owner: 12_345 }

    const settings = await settingsOf({ ...stranger, env: { AMQP: text } })
    const own = await settingsOf({ project: { connection: text, ...elsewhere }, owner: 12_345 })

    expect([settings.hosts, settings.management]).toEqual([undefined, undefined])
    expect(own.hosts).toEqual(['mq2:5673', 'evil'])
  })
})

describe('what makes TLS trust more', () => {
  const project = { ca: 'ca.pem', verify: false }
  const choice = { connection: { value: 'amqps://sales:s3cret@mq1', origin: 'NSB_CONNECTION' } }

  it("holds where it stands in an own project, and in the user's own file", async () => {
    for (const configuration of [
      { choice, project },
      { choice, user: project },
    ])
      expect(await settingsOf(configuration)).toMatchObject({ tls: { ca: Buffer.from('PEM'), verify: false }, warnings: [] })
  })

  it.skipIf(process.geteuid?.() !== 0)('does not hold in a file of somebody else, for a password that it does not say', async () => {
    const settings = await settingsOf({ choice, project: { ...project, externalAuth: true }, owner: 12_345 })

    expect([settings.tls, settings.warnings]).toEqual([{ externalAuth: true }, [expect.stringContaining("'ca' and 'verify'")]])
  })
})

describe('the management API of a profile whose connection is overruled', () => {
  it('is asked after the usual one, and a variable that is not set is no matter', async () => {
    const profile = { connectionEnv: 'AMQP', hosts: ['mq1'] }

    const settings = await settingsOf({ choice: given, project: { ...profile, management: 'http://mq1:8080' } })
    const unset = await settingsOf({ choice: given, project: { ...profile, managementEnv: 'NOT_SET' } })

    expect(settings).toMatchObject({ management: { url: 'http://mq1:8080/', afterDefault: true }, warnings: [] })
    expect([settings.hosts, unset.management]).toEqual([undefined, undefined])
  })

  it('is not asked on another host, which needs no warning: it is about another broker perhaps', async () => {
    const settings = await settingsOf({ choice: given, project: { connectionEnv: 'AMQP', management: 'http://mq2:15672' } })

    expect([settings.management, settings.warnings]).toEqual([undefined, []])
  })
})

it('a user protects a profile, and no project lays it bare', async () => {
  const folder = temporaryFolder()
  const userFile = join(folder, 'config.json')
  writeFileSync(join(folder, 'nsb.json'), JSON.stringify({ profiles: { prod: { protect: false }, test: { protect: true } } }))
  writeFileSync(userFile, JSON.stringify({ profiles: { prod: { protect: true }, test: { protect: false } } }))

  const found = await findProject(folder, userFile)

  for (const profile of ['prod', 'test'])
    expect(chooseConnection(found, { profile: { value: profile, origin: '--profile' } }, folder).protect).toBe(true)
})

it("a command of the user's own file runs in the folder of that file, and not in that of a project", async () => {
  const settings = await settingsOf({ user: { connectionCommand: 'echo "amqp://$(basename "$PWD")"' } })

  expect(settings.connection).toBe('amqp://own')
})

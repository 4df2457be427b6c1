import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, it } from 'vitest'
import { parseWithPositions } from '../../src/toolkit/json-positions.ts'
import { parseProjectFile } from '../../src/toolkit/project-file.ts'
import { chooseConnection, findProject } from '../../src/toolkit/project.ts'
import { nearest } from '../../src/message/nearest.ts'
import { temporaryFolder } from '../cli/nsb.ts'

const parse = (text: string) => parseProjectFile(text, 'nsb.json')
const problemOf = (text: string): string => {
  try {
    parse(text)
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'NSB_CONFIG_INVALID')
    return (error as Error).message
  }
  throw new Error('no problem was found')
}

describe('nsb.json', () => {
  it('gives endpoint, routing, redirects and profiles', () => {
    const file = parse(`{
      "$schema": "./node_modules/nsbus/nsb.schema.json",
      "endpoint": { "name": "Sales", "handlers": "src/**/*.handler.ts", "recoverability": { "immediateRetries": 5, "delayedRetries": 3, "delayIncrease": "10s" } },
      "routing": { "Shop.PlaceOrder": "Sales", "Shop.Billing.*": "Billing" },
      "redirects": { "OldSales": "Sales" },
      "profiles": { "default": { "transport": "learning", "storage": "../bus" }, "prod": { "connectionEnv": "AMQP", "protect": true } }
    }`)

    assert.deepEqual(file, {
      endpoint: {
        name: 'Sales',
        handlers: 'src/**/*.handler.ts',
        recoverability: { immediateRetries: 5, delayedRetries: 3, delayIncreaseMs: 10_000 },
      },
      routing: { 'Shop.PlaceOrder': 'Sales', 'Shop.Billing.*': 'Billing' },
      redirects: { OldSales: 'Sales' },
      profiles: { default: { transport: 'learning', storage: '../bus' }, prod: { connectionEnv: 'AMQP', protect: true } },
      uses: {},
      warnings: [],
    })
  })

  it('accepts the short names of the retry settings', () => {
    const file = parse('{"endpoint": {"recoverability": {"immediate": 1, "delayed": 0, "delay": "1m"}}}')

    assert.deepEqual(file.endpoint.recoverability, { immediateRetries: 1, delayedRetries: 0, delayIncreaseMs: 60_000 })
  })

  it.each([
    ['{\n  "endpoint": { "name": 7 }\n}', /^nsb\.json:2:25: 'endpoint\.name' must be text, is 7\.$/],
    ['{ "endpoint": { "name": " " } }', /'endpoint\.name' must be a text that is not empty, is " "\.$/],
    ['{ "endpoint": [] }', /^nsb\.json:1:15: 'endpoint' must be an object/],
    ['{ "profiles": { "a/b": { "protect": "yes" } } }', /^nsb\.json:1:37: 'profiles\.a~1b\.protect' must be true or false/],
    ['{ "endpoint": { "recoverability": { "immediate": -1 } } }', /must be a whole number from 0, is -1/],
    ['{ "endpoint": { "recoverability": { "delayIncrease": "soon" } } }', /^nsb\.json:1:54: 'soon' is not a duration/],
    ['{ "routing": { "A": null } }', /'routing\.A' must be text, is null/],
    ['[]', /the file must be an object/],
    ['{ "routing": { "A": "B", } }', /^nsb\.json:1:26: not valid JSON: a comma too many/],
    ['{ "routing" "A" }', /':' is missing after the key/],
    ['{ "a": 1', /the text ends too early/],
    ['{ "a": tru }', /unexpected "t"/],
    ['{} {}', /text after the end/],
    ['{\n  // the name\n  "endpoint": {}\n}', /^nsb\.json:2:3: not valid JSON: comments are not allowed\.$/],
    ['{ "endpoint": { /* none */ } }', /^nsb\.json:1:17: not valid JSON: comments are not allowed\.$/],
    ['{}\n// end', /^nsb\.json:2:1: not valid JSON: comments are not allowed\.$/],
  ])('with %j is refused with file, line and column', (text, message) => assert.match(problemOf(text), message))

  it('warns of unknown keys and names the one that was meant', () => {
    const { warnings } = parse('{\n  "endpoint": { "nam": "Sales" },\n  "rounting": {}\n}')

    assert.deepEqual(warnings, [
      `nsb.json:3:3: unknown key 'rounting'. Did you mean 'routing'?`,
      `nsb.json:2:17: unknown key 'nam'. Did you mean 'name'?`,
    ])
  })

  it('reads exactly what JSON.parse reads', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        const parsed = parseWithPositions(text)

        assert.ok('value' in parsed)
        assert.deepEqual(parsed.value, JSON.parse(text))
      }),
    )
  })

  it('has a schema with the same keys', () => {
    const schema = JSON.parse(readFileSync(new URL('../../nsb.schema.json', import.meta.url), 'utf8')) as {
      properties: { endpoint: { properties: object }; profiles: { additionalProperties: { properties: object } } }
    }
    const anything = (keys: object): object =>
      Object.fromEntries(
        Object.entries(keys as Record<string, { type?: string; enum?: unknown[] }>).map(([key, { type, enum: values }]) => [
          key,
          key === 'recoverability' ? {} : type === 'boolean' ? true : type === 'array' ? ['x'] : (values?.[0] ?? 'x'),
        ]),
      )
    const { endpoint, profiles } = schema.properties

    const file = parse(
      JSON.stringify({ endpoint: anything(endpoint.properties), profiles: { p: anything(profiles.additionalProperties.properties) } }),
    )

    assert.deepEqual(file.warnings, [])
    assert.deepEqual(Object.keys(file.endpoint).toSorted(), Object.keys(endpoint.properties).toSorted())
    assert.deepEqual(Object.keys(file.profiles['p'] ?? {}).toSorted(), Object.keys(profiles.additionalProperties.properties).toSorted())
  })
})

describe('the project', () => {
  it('is found upwards from the working directory', async () => {
    const folder = temporaryFolder()
    mkdirSync(join(folder, 'a', 'b'), { recursive: true })
    writeFileSync(join(folder, 'nsb.json'), '{"endpoint":{"name":"Sales"}}')

    const project = await findProject(join(folder, 'a', 'b'))

    assert.deepEqual([project.folder, project.file, project.endpoint.name], [folder, join(folder, 'nsb.json'), 'Sales'])
  })

  it('is not looked for above a repository root', async () => {
    const folder = temporaryFolder()
    mkdirSync(join(folder, 'repository', '.git'), { recursive: true })
    mkdirSync(join(folder, 'repository', 'a'))
    writeFileSync(join(folder, 'nsb.json'), '{}')

    const project = await findProject(join(folder, 'repository', 'a'))

    assert.deepEqual([project.file, project.folder], [undefined, join(folder, 'repository', 'a')])
  })
})

describe('the connection', () => {
  const project = {
    ...parse('{"profiles": {"default": {"storage": "bus"}, "prod": {"transport": "rabbitmq", "protect": true}}}'),
    folder: '/shop',
    file: '/shop/nsb.json',
    origins: { 'profiles.default.storage': '/shop/nsb.json' },
  }
  const setting = (value: string, origin: string): { value: string; origin: string } => ({ value, origin })

  it('is the default profile with paths relative to nsb.json', () => {
    assert.deepEqual(chooseConnection(project, {}, '/elsewhere'), {
      profile: setting('default', 'default'),
      transport: setting('learning', 'default'),
      storage: setting('/shop/bus', `profile 'default' in /shop/nsb.json`),
      broker: undefined,
      keepsBodies: true,
      protect: false,
    })
  })

  it('takes what was given before the profile, relative to the working directory', () => {
    const chosen = chooseConnection(
      project,
      { profile: setting('prod', '--profile'), transport: setting('learning', '--transport'), storage: setting('x', 'NSB_STORAGE') },
      '/elsewhere',
    )

    assert.deepEqual(
      [chosen.transport.origin, chosen.storage, chosen.protect],
      ['--transport', setting('/elsewhere/x', 'NSB_STORAGE'), true],
    )
  })

  it('means RabbitMQ when a connection is given, whatever the profile says', () => {
    const url = setting('amqp://h', 'NSB_CONNECTION')

    const chosen = chooseConnection(project, { connection: url }, '/')

    assert.deepEqual(chosen.transport, setting('rabbitmq', 'NSB_CONNECTION'))
    assert.deepEqual(chosen.broker?.connection, { kind: 'text', text: 'amqp://h', origin: 'NSB_CONNECTION' })
  })

  it('refuses a connection beside another transport of the same level; a flag overrules the environment', () => {
    const [flag, variable] = [setting('amqp://h', '--connection'), setting('amqp://h', 'NSB_CONNECTION')]
    const choose = (choice: object): string => chooseConnection(project, choice, '/').transport.value
    const conflict = { code: 'NSB_CONFLICTING_OPTIONS' }

    assert.throws(() => choose({ connection: flag, transport: setting('learning', '--transport') }), conflict)
    assert.throws(() => choose({ connection: flag, storage: setting('x', '--storage') }), conflict)
    assert.throws(() => choose({ connection: variable, transport: setting('learning', 'NSB_TRANSPORT') }), conflict)
    assert.equal(choose({ connection: flag, transport: setting('learning', 'NSB_TRANSPORT') }), 'rabbitmq')
    assert.equal(choose({ connection: variable, transport: setting('learning', '--transport') }), 'learning')
    assert.equal(choose({ connection: variable, storage: setting('x', '--storage') }), 'learning')
    assert.equal(choose({ connection: flag, transport: setting('rabbitmq', '--transport') }), 'rabbitmq')
  })

  it('CLI-17 stays protected when the environment overrides its connection, which brings no node of the profile along', () => {
    const cluster = {
      ...project,
      ...parse(
        '{"profiles": {"prod": {"transport": "rabbitmq", "connectionEnv": "AMQP", "hosts": ["b"], "management": "http://b", "topology": "direct", "protect": true}}}',
      ),
    }

    const { broker, protect } = chooseConnection(
      cluster,
      { profile: setting('prod', 'NSB_PROFILE'), connection: setting('amqp://h', 'NSB_CONNECTION') },
      '/',
    )

    assert.equal(protect, true)
    assert.deepEqual([broker?.profile.hosts, broker?.management, broker?.profile.topology], [undefined, undefined, 'direct'])
  })

  it('takes the variable of the .NET tool only where RabbitMQ is chosen and nothing else names a broker', () => {
    const fallback = setting('amqp://fallback', 'RabbitMQTransport_ConnectionString')
    const named = { ...project, ...parse('{"profiles": {"prod": {"connectionEnv": "AMQP"}}}') }

    assert.equal(chooseConnection(project, { fallback }, '/').transport.value, 'learning')
    assert.equal(chooseConnection(project, { fallback, profile: setting('prod', '-p') }, '/').broker?.connection?.kind, 'text')
    assert.equal(chooseConnection(named, { fallback, profile: setting('prod', '-p') }, '/').broker?.connection?.kind, 'environment')
  })

  it('CLI-7 of an unknown profile is refused with the nearest', () => {
    assert.throws(() => chooseConnection(project, { profile: setting('pord', 'NSB_PROFILE') }, '/'), {
      code: 'NSB_UNKNOWN_PROFILE',
      suggestions: [`Did you mean 'prod'?`],
    })
    assert.throws(() => chooseConnection(project, { profile: setting('constructor', '--profile') }, '/'), { code: 'NSB_UNKNOWN_PROFILE' })
  })
})

describe('the nearest name', () => {
  it.each([
    ['lst', ['list', 'show', 'groups'], ['list']],
    ['--fail-if-an', ['--fail-if-any', '--from'], ['--fail-if-any']],
    ['Lsit', ['list'], ['list']],
    ['quite-other', ['list'], []],
  ])('to %s among %j is %j', (wrong, names, found) => assert.deepEqual(nearest(wrong, names), found))
})

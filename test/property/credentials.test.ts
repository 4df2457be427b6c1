import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, it } from 'vitest'
import { NsbError, errorText } from '../../src/message/nsb-error.ts'
import { noColours } from '../../src/cli/colour.ts'
import { errorDocument, errorLines, reportedError } from '../../src/cli/report-error.ts'
import { commandWithoutPasswords, withoutPassword, withoutPasswords } from '../../src/toolkit/config/secrets.ts'
import { settingsOf } from '../../src/toolkit/config/settings.ts'
import { readBroker } from '../../src/toolkit/profile/broker-settings.ts'
import { listProfiles, showProfile } from '../../src/toolkit/profile/profiles.ts'
import { chooseConnection, findProject } from '../../src/toolkit/project.ts'
import { profileKeys } from '../../src/toolkit/project-file.ts'
import { nsb, temporaryFolder } from '../cli/nsb.ts'
import { inCampaign } from './runs.ts'

const runs = (usual: number): number => (inCampaign ? 20 * usual : usual)

/** A password: two pieces that stand nowhere else, with signs around and between them. */
interface Secret {
  readonly text: string
  readonly pieces: readonly [string, string]
}

const piece = fc.stringMatching(/^[qxzjkvw]{9}$/)
const secretWith = (signs: string): fc.Arbitrary<Secret> =>
  fc
    .tuple(
      piece,
      piece,
      fc.string({ unit: fc.constantFrom(...signs.split('')), maxLength: 3 }),
      fc.string({ unit: fc.constantFrom(...signs.split('')), maxLength: 2 }),
    )
    .map(([first, second, between, after]) => ({ text: first + between + second + after, pieces: [first, second] }))

const anySign = `/@:%;=?#&'"\\$+,<>|!~ `
/** In these places of a connection it may be typed rightly, or in one of the ways in which it goes wrong. */
const forms: readonly ((secret: string) => string)[] = [
  (secret) => `amqp://sales:${secret}@mq1:5672/shop`,
  (secret) => `amqps://sales:${secret}@mq1`,
  (secret) => `amqp://sales:${encodeURIComponent(secret)}@mq1/shop`,
  (secret) => `http://sales:${secret}@mq1:15672`,
  (secret) => `host=mq1;username=sales;password=${secret}`,
  (secret) => `host=mq1;password="${secret.replaceAll('"', '""')}";username=sales`,
  (secret) => `Host = mq1; UserName = sales; Password = ${secret}`,
  // A ':' or a '/' forgotten, a blank too many.
  (secret) => `amqp:/sales:${secret}@mq1`,
  (secret) => `amqp:sales:${secret}@mq1`,
  (secret) => ` amqp://sales:${secret}@mq1`,
  (secret) => `amqp://sales: ${secret}@mq1`,
  (secret) => `host=mq1 username=sales password=${secret}`,
  (secret) => `host=mq1;username=sales password=${secret}`,
]
/** As a connection alone, of which nothing has to be shown. */
const aloneForms = [
  ...forms,
  (secret: string) => secret,
  (secret: string) => `sales:${secret}@mq1`,
  (secret: string) => `amqp://sales ${secret}@mq1`,
]

function assertUnseen(shown: string, { pieces, text }: Secret, from: string): void {
  for (const each of pieces) assert.ok(!shown.includes(each), `'${each}' of '${text}' in '${from}' is shown: ${shown}`)
}

describe('a password', () => {
  it('is in no connection that is shown', () => {
    fc.assert(
      fc.property(secretWith(anySign), fc.constantFrom(...aloneForms), (secret, form) => {
        const connection = form(secret.text)

        assertUnseen(withoutPassword(connection), secret, connection)
      }),
      { numRuns: runs(2000) },
    )
  })

  // Quotes and separators of the text around it end what stands in none.
  it.each(['', "'", '"'])('is in no text about what was typed, in %s', (quote) => {
    const signs = anySign.replaceAll(/[;'"]/g, '')
    fc.assert(
      fc.property(secretWith(signs), fc.constantFrom(...forms), (secret, form) => {
        const typed = form(secret.text)

        assertUnseen(withoutPasswords(`There is no queue ${quote}${typed}${quote} here, see 'x'.`), secret, typed)
        assertUnseen(withoutPasswords(`cannot read ${quote}/shop/${typed.replaceAll('//', '/')}${quote}`), secret, typed)
      }),
      { numRuns: runs(1000) },
    )
  })

  it('is in no command line', () => {
    const words: readonly ((secret: string) => string)[] = [
      (secret) => `echo ${forms[0]?.(secret)}`,
      (secret) => `login --password=${secret} --region eu`,
      (secret) => `login --password ${secret} --region eu`,
      (secret) => `curl -u sales:${secret} https://vault`,
      (secret) => `curl --user 'sales:${secret}' https://vault`,
      (secret) => `TOKEN=${secret} vault read amqp`,
    ]
    fc.assert(
      fc.property(secretWith('/@:%+,!~'), fc.constantFrom(...words), (secret, form) => {
        assertUnseen(commandWithoutPasswords(form(secret.text)), secret, form(secret.text))
      }),
      { numRuns: runs(500) },
    )
  })

  it('leaves what is none as it is', () => {
    for (const text of [
      'Cannot connect to RabbitMQ at amqp://sales:***@mq1:5672/shop: nothing listens on port 5672.',
      `The management API at 'http://127.0.0.1:15672' is that of another broker: 'rabbit@other' (node 'rabbit@mq2')`,
      'at load (file:///C:/projects/node_modules/.pnpm/foo@1.2.3/index.js:12:5)',
      'at async http://localhost:15672/api',
      'None of the 2 hosts can be used: amqp://sales:***@mq1:1 amqp://sales:***@mq2:2',
      'it is neither an address that begins with amqp:// nor a list of key=value pairs',
      `C:\\projects\\shop: write to admin@example.com`,
    ])
      assert.equal(withoutPasswords(text), text)
  })
})

/** A project whose default profile says this, and the project above a variable that it may name. */
async function outputsOf(folder: string, config: unknown): Promise<readonly string[]> {
  writeFileSync(join(folder, 'nsb.json'), JSON.stringify(config, null, 2))
  const shown: string[] = []
  const failed = (error: unknown): void => {
    const reported = reportedError(error)
    shown.push(errorLines(reported, noColours, true), JSON.stringify(errorDocument(reported)))
  }
  const warn = (warning: string): void => void shown.push(withoutPasswords(warning))
  try {
    const project = await findProject(folder)
    for (const warning of project.warnings) warn(warning)
    shown.push(JSON.stringify(settingsOf(project)))
    shown.push(JSON.stringify(listProfiles(project, 'default', folder, {})))
    const profile = { value: 'default', origin: 'default' }
    shown.push(JSON.stringify(showProfile(project, profile, folder)))
    const { broker } = chooseConnection(project, { profile, transport: { value: 'rabbitmq', origin: '--transport' } }, folder)
    if (broker !== undefined) shown.push((await readBroker(broker, { env: {}, warn })).shown)
  } catch (error) {
    failed(error)
  }
  return shown
}

describe('a password that stands anywhere in nsb.json', () => {
  const keys = Object.keys(profileKeys).filter((key) => key !== 'connectionCommand')
  const places: readonly ((value: unknown) => unknown)[] = [
    ...keys.map((key) => (value: unknown) => ({ profiles: { default: { [key]: value } } })),
    ...keys.map((key) => (value: unknown) => ({ profiles: { default: { [key]: [value] } } })),
    ...keys.map((key) => (value: unknown) => ({ profiles: { default: { [key]: { connection: value } } } })),
    (value) => ({ profiles: { default: value } }),
    (value) => ({ profiles: value }),
    (value) => ({ profiles: { default: { hosts: ['mq2', value] } } }),
    (value) => ({ profiles: { default: { connection: 'amqp://mq1', hosts: ['mq2', value] } } }),
    (value) => ({ profiles: { default: { [String(value)]: true } } }),
    (value) => ({ endpoint: { name: value, errorQueue: value } }),
    (value) => ({ endpoint: { recoverability: { delayIncrease: value, immediateRetries: value } } }),
    (value) => ({ routing: { 'Shop.*': value } }),
    (value) => ({ redirects: { [String(value)]: 'Sales' } }),
    (value) => ({ [String(value)]: {} }),
  ]

  it('is in no list, no error, no warning and no stack', async () => {
    const folder = temporaryFolder()
    mkdirSync(join(folder, '.git'))
    const signs = anySign.replaceAll(/[;'"]/g, '')
    await fc.assert(
      fc.asyncProperty(secretWith(signs), fc.constantFrom(...forms), fc.constantFrom(...places), async (secret, form, at) => {
        const value = form(secret.text)

        for (const shown of await outputsOf(folder, at(value))) assertUnseen(shown, secret, JSON.stringify(at(value)))
      }),
      { numRuns: runs(1500) },
    )
  })
})

describe('a password that stands in the wrong place of a command line', () => {
  const places: readonly ((typed: string) => readonly string[])[] = [
    (typed) => [typed],
    (typed) => ['queues', 'show', typed],
    (typed) => ['queues', 'list', typed],
    (typed) => ['queues', 'create', typed],
    (typed) => ['errors', 'show', typed],
    (typed) => ['errors', 'list', '--error-queue', typed],
    (typed) => ['errors', 'import', typed],
    (typed) => ['errors', 'export', '--file', typed],
    (typed) => ['errors', 'resume', typed],
    (typed) => ['profile', 'show', typed],
    (typed) => ['profile', 'use', typed],
    (typed) => ['config', 'get', typed],
    (typed) => ['config', 'set', 'profiles.default.hosts', typed],
    (typed) => ['config', 'set', 'endpoint.name', typed],
    (typed) => ['send', typed, '{}'],
    (typed) => ['send', 'Shop.Ping', '{}', '--no-validate', '--to', typed],
    (typed) => ['run', typed],
    (typed) => ['errors', 'list', '--storage', typed],
    (typed) => ['errors', 'list', '--profile', typed],
    (typed) => ['errors', 'list', '--since', typed],
    (typed) => ['errors', 'list', `--conection=${typed}`],
    (typed) => ['errors', 'list', '--connection', typed, '--timeout', '50ms'],
  ]

  it('is not repeated, whatever the command makes of it', { timeout: 300_000 }, async () => {
    const folder = temporaryFolder()
    mkdirSync(join(folder, '.git'))
    mkdirSync(join(folder, '.learningtransport'))
    writeFileSync(join(folder, 'nsb.json'), '{}')
    await fc.assert(
      fc.asyncProperty(
        secretWith('/@:%=?&+ '),
        fc.constantFrom(...forms),
        fc.shuffledSubarray([...places], { minLength: 6, maxLength: 6 }),
        async (secret, form, chosen) => {
          const typed = form(secret.text)
          await Promise.all(
            chosen.map(async (place) => {
              const words = place(typed)
              const { code, stderr, stdout } = await nsb([...words, ...(words.length % 2 === 0 ? ['-vv'] : ['--json'])], {
                cwd: folder,
                env: { NODE_DEBUG: 'http,net,tls' },
              })
              // What a command has done is told by the names that were given.
              assertUnseen(code === 0 && words[0] !== 'config' ? stderr : stdout + stderr, secret, words.join(' '))
            }),
          )
        },
      ),
      { numRuns: inCampaign ? 60 : 6 },
    )
  })
})

it('a password is in no error of whatever kind, nor in its causes', () => {
  fc.assert(
    fc.property(secretWith(' /@:%='), fc.constantFrom(...forms), (secret, form) => {
      const typed = form(secret.text)
      const cause = new TypeError(`Invalid URL: '${typed}'`, { cause: new Error(typed) })
      for (const error of [
        new NsbError({
          code: 'NSB_BAD_FLAG',
          message: `'${typed}'`,
          suggestions: [`nsb x '${typed}'`],
          details: { typed, all: [typed] },
          cause,
        }),
        cause,
      ]) {
        const reported = reportedError(error)
        assertUnseen(errorLines(reported, noColours, true) + JSON.stringify(errorDocument(reported)), secret, errorText(error))
      }
    }),
    { numRuns: runs(500) },
  )
})

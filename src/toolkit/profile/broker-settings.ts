import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { NsbError, errorText } from '../../message/nsb-error.ts'
import type { TransportSettings } from '../../transport/open.ts'
import { variableWithoutPassword, withoutPassword } from '../config/secrets.ts'
import type { BrokerChoice } from './broker-choice.ts'
import { settingsForPassword } from './password-hosts.ts'
import { type ReadSecretOptions, readSecret } from './secret-source.ts'

type RabbitSettings = NonNullable<TransportSettings['rabbitmq']>

/** What is read to connect with a broker. */
export interface BrokerSettings {
  readonly settings: RabbitSettings
  /** `amqp://user:***@host/vhost` */
  readonly shown: string
  /** Where the connection text comes from; for people. */
  readonly origin: string
}

export interface ReadBrokerOptions {
  readonly env: NodeJS.ProcessEnv
  /** Bounds the command that prints the connection; default: 30,000. */
  readonly timeoutMs?: number | undefined
  readonly warn: (warning: string) => void
}

const timeoutMs = 30_000

/**
 * Reads what a profile names: connection text, address of the management API, certificates.
 *
 * @throws {NsbError} NSB_NO_CONNECTION, NSB_BAD_CONNECTION, NSB_UNTRUSTED_FOLDER
 */
export async function readBroker(choice: BrokerChoice, options: ReadBrokerOptions): Promise<BrokerSettings> {
  const { profile } = choice
  if (choice.connection === undefined)
    throw new NsbError({
      code: 'NSB_NO_CONNECTION',
      message: `RabbitMQ is chosen (${choice.chosenBy}), and nothing says which broker.`,
      suggestions: [
        'export NSB_CONNECTION=amqp://user:password@host:5672/vhost',
        'Or name it in a profile of nsb.json: "connectionEnv", "connectionFile" or "connectionCommand"',
      ],
    })
  const secret = { env: options.env, timeoutMs: options.timeoutMs ?? timeoutMs, consent: choice.consent }
  const connection = await readSecret(choice.connection, { ...secret, what: 'connection' })
  const management = await readManagement(choice, secret)
  const tls = await readTls(choice, options)
  if (tls && !/^amqps:|usetls\s*=\s*true/i.test(connection))
    options.warn(`The certificates of the profile are not used: the connection is without TLS. Write amqps://, or useTls=true.`)
  const { hosts, queueType, topology } = profile
  const named = { ...(hosts && { hosts }), ...(management && { management }), ...(tls && { tls }) }
  return {
    settings: {
      connection,
      ...(await settingsForPassword(choice, connection, named, options)),
      ...(topology !== undefined && { topology: topology as 'conventional' | 'direct' }),
      ...(queueType !== undefined && { queueType: queueType as 'quorum' | 'classic' }),
    },
    shown: withoutPassword(connection),
    origin: choice.connection.origin,
  }
}

async function readManagement(
  { management, otherManagement }: BrokerChoice,
  secret: Omit<ReadSecretOptions, 'what'>,
): Promise<RabbitSettings['management'] | undefined> {
  const options = { ...secret, what: 'address of the management API' }
  if (management !== undefined) return managementOf(await readSecret(management, options))
  if (otherManagement === undefined) return undefined
  // It is about another broker perhaps, so nothing depends on it.
  const address = await readSecret(otherManagement, options).then(managementOf, () => undefined)
  return address && { ...address, afterDefault: true }
}

/** `http://user:password@host:15672`, the login being optional. */
function managementOf(address: string): NonNullable<RabbitSettings['management']> {
  const url = /^https?:\/\//i.test(address) && URL.canParse(address) ? new URL(address) : undefined
  const login = url && [url.username, url.password].map(decoded)
  // A query would be repeated wherever the address is, and may hold a password.
  const isPlain = url !== undefined && url.search === '' && url.hash === '' && !url.pathname.includes('@')
  if (url === undefined || !isPlain || login === undefined || login.includes(undefined))
    throw new NsbError({
      code: 'NSB_BAD_CONNECTION',
      message: `The address of the management API cannot be used: ${withoutPassword(address)}.`,
      suggestions: ['Write http://host:15672, or https://host:15671, with %-codes for reserved characters'],
    })
  const [user, password] = login
  ;[url.username, url.password] = ['', '']
  return { url: url.href, ...(user && { user }), ...(password && { password }) }
}

/** undefined: it has a '%' that begins no character. */
function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

async function readTls({ folder, profile }: BrokerChoice, { env }: ReadBrokerOptions): Promise<RabbitSettings['tls'] | undefined> {
  const files = await Promise.all(
    (['ca', 'certificate', 'key', 'pfx'] as const).map(async (key) => {
      const path = profile[key]
      return path === undefined ? [] : [[key, await readPem(key, resolve(folder, path))]]
    }),
  )
  const { externalAuth, passphraseEnv, verify } = profile
  const passphrase = passphraseEnv === undefined ? undefined : env[passphraseEnv]
  if (passphraseEnv !== undefined && passphrase === undefined)
    throw new NsbError({
      code: 'NSB_NO_CONNECTION',
      message: `There is no pass phrase for the certificate: the variable ${variableWithoutPassword(passphraseEnv)} is not set ("passphraseEnv").`,
      suggestions: [`export ${variableWithoutPassword(passphraseEnv)}=…`],
    })
  const tls = {
    ...Object.fromEntries(files.flat()),
    ...(passphrase !== undefined && { passphrase }),
    ...(externalAuth !== undefined && { externalAuth }),
    ...(verify !== undefined && { verify }),
  }
  return Object.keys(tls).length === 0 ? undefined : tls
}

async function readPem(key: string, file: string): Promise<Buffer> {
  return readFile(file).catch((error: unknown) => {
    throw new NsbError({
      code: 'NSB_BAD_CONNECTION',
      message: `The file of "${key}" cannot be read: ${errorText(error)}`,
      suggestions: ['Correct the path in the profile; it is relative to nsb.json'],
      cause: error,
    })
  })
}

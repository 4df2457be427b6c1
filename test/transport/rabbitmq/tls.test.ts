import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { NsbError } from '../../../src/message/nsb-error.ts'
import { parseConnection } from '../../../src/transport/rabbitmq/connection-settings.ts'
import type { TlsSettings } from '../../../src/transport/rabbitmq/settings.ts'
import { type Broker, certificateLoginIsInstalled, startBroker } from '../../support/broker.ts'
import { depthIs, message, openRabbit } from './faults-support.ts'

const hasOpenssl = spawnSync('openssl', ['version']).status === 0
if (!hasOpenssl) console.log('Skipped: connections with TLS need openssl to make certificates.')
const password = 'pass word:/@1'

let folder: string
let broker: Broker
const path = (name: string): string => join(folder, name)
const pem = (name: string): string => readFileSync(path(name), 'utf8')

/** An authority, or a certificate signed by one. */
function certify(name: string, subject: string, authority: string | undefined, extension: string): void {
  const openssl = (...args: readonly string[]): void => void execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' })
  openssl('req', '-newkey', 'rsa:2048', '-nodes', '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${subject}`)
  writeFileSync(path(`${name}.ext`), extension)
  const signed =
    authority === undefined ? ['-signkey', `${name}.key`] : ['-CA', `${authority}.pem`, '-CAkey', `${authority}.key`, '-CAcreateserial']
  openssl('x509', '-req', '-in', `${name}.csr`, '-days', '2', '-out', `${name}.pem`, '-extfile', `${name}.ext`, ...signed)
}

beforeAll(async () => {
  if (!hasOpenssl) return
  folder = mkdtempSync(join(tmpdir(), 'nsb-tls-'))
  certify('ca', 'nsb test authority', undefined, 'basicConstraints=critical,CA:true')
  certify('other', 'another authority', undefined, 'basicConstraints=critical,CA:true')
  certify('server', 'localhost', 'ca', 'subjectAltName=DNS:localhost')
  certify('client', 'shop', 'ca', 'extendedKeyUsage=clientAuth')
  broker = await startBroker({ tls: { ca: path('ca.pem'), certificate: path('server.pem'), key: path('server.key') } })
  await broker.api('PUT', 'users/shop', { password, tags: '' })
  await broker.api('PUT', 'permissions/%2F/shop', { configure: '^(?!forbidden)', write: '^(?!forbidden)', read: '^(?!forbidden)' })
}, 60_000)
afterAll(async () => {
  await broker?.remove()
  if (folder) rmSync(folder, { recursive: true, force: true })
})

/** What connecting says; undefined when it works. */
async function refusal(url: string, tls?: TlsSettings, timeoutMs = 5000): Promise<NsbError | undefined> {
  const settings = parseConnection(url).settings.with({ tls })
  try {
    await openRabbit(url, { settings, timeoutMs }).inspect('In')
    return undefined
  } catch (error) {
    const { message: text, suggestions } = error as NsbError
    expect(`${text} ${suggestions.join(' ')}`).not.toContain(password)
    expect(`${text} ${suggestions.join(' ')}`).not.toContain(encodeURIComponent(password))
    return error as NsbError
  }
}

const login = `shop:${encodeURIComponent(password)}`

describe.skipIf(!hasOpenssl)('over TLS', () => {
  const secure = (host = 'localhost'): string => `amqps://${login}@${host}:${broker.tlsPort}`

  it('sends to a broker whose authority is named', async () => {
    const settings = parseConnection(secure()).settings.with({ tls: { ca: pem('ca.pem') } })
    const transport = openRabbit(secure(), { settings })
    await transport.createQueues(['In'])
    await transport.dispatch([message('m', 'In')])
    await depthIs(transport, 'In', 1)
  })

  it('an authority that is not known, or another one, is an error that asks for it', async () => {
    for (const tls of [undefined, { ca: pem('other.pem') }]) {
      const error = await refusal(secure(), tls)
      expect(error?.code).toBe('NSB_TLS_FAILED')
      expect(error?.suggestions).toEqual(['Name the authority of the certificate in the profile: "ca"'])
    }
  })

  it('a certificate for another host is an error that says so', async () => {
    const error = await refusal(secure('127.0.0.1'), { ca: pem('ca.pem') })
    expect(error?.code).toBe('NSB_TLS_FAILED')
    expect(error?.message).toContain('127.0.0.1')
    expect(error?.suggestions).toEqual(['Connect to the host by the name that its certificate is for'])
  })

  it('any certificate is taken when it is not verified', async () => {
    expect(await refusal(secure('127.0.0.1'), { verify: false })).toBeUndefined()
  })

  it('a client certificate of an authority the broker does not trust is an error', async () => {
    certify('stranger', 'shop', 'other', 'extendedKeyUsage=clientAuth')
    const error = await refusal(secure(), { ca: pem('ca.pem'), certificate: pem('stranger.pem'), key: pem('stranger.key') })
    expect(error?.code).toMatch(/NSB_TLS_FAILED|NSB_NOT_AMQP/)
  })

  it('plain AMQP to the TLS port is an error that says amqps://', async () => {
    const error = await refusal(`amqp://${login}@localhost:${broker.tlsPort}`)
    expect(error?.code).toBe('NSB_NOT_AMQP')
    expect(error?.suggestions).toEqual(['Is this the AMQP port? With TLS, write amqps://'])
  })

  it('TLS to the plain port is an error that asks for the port', async () => {
    const error = await refusal(`amqps://${login}@localhost:${broker.port}`)
    expect(error?.code).toBe('NSB_TLS_FAILED')
    expect(error?.suggestions).toEqual(['Is this the TLS port? It is 5671 by default'])
  })

  it('logs in with the client certificate instead of a password', async ({ skip }) => {
    if (!certificateLoginIsInstalled()) return skip('rabbitmq_auth_mechanism_ssl is not installed')
    const certificate = { ca: pem('ca.pem'), certificate: pem('client.pem'), key: pem('client.key'), externalAuth: true }
    expect(await refusal(`amqps://localhost:${broker.tlsPort}`, certificate)).toBeUndefined()
  })

  it('logging in by certificate without one is refused', async ({ skip }) => {
    if (!certificateLoginIsInstalled()) return skip('rabbitmq_auth_mechanism_ssl is not installed')
    const error = await refusal(secure(), { ca: pem('ca.pem'), externalAuth: true })
    expect(error?.code).toBe('NSB_LOGIN_REFUSED')
  })
})

describe.skipIf(!hasOpenssl)('an error of a connection says what is wrong and what to do', () => {
  afterEach(async () => {
    // An exclusive one goes with its connection.
    for (const { name } of (await broker.api('GET', 'queues/%2F?columns=name')) as readonly { readonly name: string }[])
      if (!name.startsWith('nsb.v2.')) await broker.api('DELETE', `queues/%2F/${encodeURIComponent(name)}`).catch(() => undefined)
  })
  const plain = (vhost = ''): string => `amqp://${login}@127.0.0.1:${broker.port}${vhost}`

  it('a wrong password', async () => {
    const error = await refusal(`amqp://shop:wrong@127.0.0.1:${broker.port}`)
    expect(error?.code).toBe('NSB_LOGIN_REFUSED')
    expect(error?.message).toContain(`user 'shop'`)
  })

  it('a virtual host that does not exist, or is not permitted', async () => {
    await broker.api('PUT', 'vhosts/private')
    for (const vhost of ['missing', 'private']) {
      const error = await refusal(plain(`/${vhost}`))
      expect(error?.code).toBe('NSB_VIRTUAL_HOST')
      expect(error?.message).toContain(`'${vhost}'`)
      expect(error?.suggestions.join()).toContain('rabbitmqctl list_user_permissions shop')
    }
  })

  it('a port on which nothing listens, and a host that does not exist', async () => {
    const refused = await refusal(`amqp://${login}@127.0.0.1:1`)
    expect(refused?.code).toBe('NSB_CONNECTION_REFUSED')
    const unknown = await refusal(`amqp://${login}@no-such-host.invalid`)
    expect(unknown?.code).toBe('NSB_HOST_NOT_FOUND')
    expect(unknown?.message).toContain('no-such-host.invalid')
  })

  it('a port of something that speaks HTTP', async () => {
    const error = await refusal(`amqp://${login}@127.0.0.1:${broker.managementPort}`, undefined, 500)
    expect(error?.code).toMatch(/NSB_NOT_AMQP|NSB_CONNECTION_FAILED|NSB_CONNECTION_TIMED_OUT/)
  })

  it('a permission that the user does not have', async () => {
    const transport = openRabbit(plain())
    await expect(transport.createQueues(['forbidden'])).rejects.toMatchObject({
      code: 'NSB_NOT_PERMITTED',
      suggestions: ['Ask for the permission: rabbitmqctl set_permissions'],
    })
  })

  it('a queue of the other type, and which type it is', async () => {
    await openRabbit(plain(), { queueType: 'classic' }).createQueues([], ['Old'])
    await openRabbit(plain(), { queueType: 'quorum' }).createQueues([], ['New'])
    await expect(openRabbit(plain(), { queueType: 'quorum' }).createQueues([], ['Old'])).rejects.toMatchObject({
      code: 'NSB_BROKER_MISMATCH',
      message: expect.stringContaining(`queue 'Old' exists as classic`) as string,
    })
    await expect(openRabbit(plain(), { queueType: 'classic' }).createQueues([], ['New'])).rejects.toMatchObject({
      code: 'NSB_BROKER_MISMATCH',
      message: expect.stringContaining(`queue 'New' exists as quorum`) as string,
    })
  })
})

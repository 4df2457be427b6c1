import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import { type TlsOptions, createServer as createTlsServer } from 'node:tls'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Place, password, place, spellings } from './place.ts'

/** An authority, and certificates it has signed: of the broker on 127.0.0.1, and of a client whose key wants a pass phrase. */
function certificates(folder: string): void {
  const openssl = (...words: string[]): void => {
    const { status, stderr } = spawnSync('openssl', words, { cwd: folder })
    expect(status, stderr.toString()).toBe(0)
  }
  writeFileSync(join(folder, 'server.cnf'), 'subjectAltName = IP:127.0.0.1\n')
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']
  openssl('req', '-x509', ...key, '-nodes', '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=authority', '-days', '2')
  for (const [name, ...protection] of [
    ['server', '-nodes'],
    ['client', '-passout', 'pass:s3cret'],
  ] as const) {
    openssl('req', ...key, ...protection, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`)
    const extensions = name === 'server' ? ['-extfile', 'server.cnf'] : []
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      'ca.pem',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
      '-out',
      `${name}.pem`,
      '-days',
      '2',
      ...extensions,
    )
  }
}

/** Takes TLS and hands the plain bytes to the broker. @returns the port */
async function tlsBefore({ host }: Place, folder: string, options: TlsOptions = {}): Promise<number> {
  const [{ host: name, port }] = host.settings.hosts
  const server = createTlsServer(
    { cert: readFileSync(join(folder, 'server.pem')), key: readFileSync(join(folder, 'server.key')), ...options },
    (secure) => {
      const plain = connect(port, name)
      secure.pipe(plain).pipe(secure)
      for (const each of [secure, plain]) each.on('error', () => [secure, plain].forEach((one) => one.destroy()))
    },
  )
  onTestFinished(() => void server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

async function tlsPlace(
  options?: (folder: string) => TlsOptions,
): Promise<{ readonly at: Place; test(this: void, profile: object, env?: Record<string, string>): ReturnType<Place['run']> }> {
  const at = await place()
  const folder = join(at.folder, 'tls')
  mkdirSync(folder)
  certificates(folder)
  const port = await tlsBefore(at, folder, options?.(folder))
  const url = at.url.replace('amqp:', 'amqps:').replace(/:\d+\//, `:${port}/`)
  return {
    at,
    test(profile, env = {}) {
      const profiles = { prod: { transport: 'rabbitmq', connectionEnv: 'PROD_AMQP', management: at.host.management.url, ...profile } }
      writeFileSync(join(at.folder, 'nsb.json'), JSON.stringify({ profiles }))
      return at.run(['profile', 'test', 'prod', '-vv'], { env: { PROD_AMQP: url, ...env } })
    },
  }
}

describe('TLS of a profile', () => {
  it('trusts the authority of "ca", a file beside nsb.json, and no other', { timeout: 60_000 }, async () => {
    const { test } = await tlsPlace()

    const unknown = await test({})
    const trusted = await test({ ca: 'tls/ca.pem' })
    const another = await test({ ca: 'tls/client.pem' })
    const unverified = await test({ verify: false })

    expect([unknown.code, trusted.code, another.code, unverified.code], trusted.stderr).toEqual([5, 0, 5, 0])
    expect(unknown.stderr).toContain('NSB_TLS_FAILED')
    expect(unknown.stderr).toContain('"ca"')
    expect(trusted.stdout).toContain('amqps://')
  })

  it('CLI-6 shows the client certificate, whose pass phrase comes from a variable and is never printed', { timeout: 60_000 }, async () => {
    const { test } = await tlsPlace((folder) => ({
      ca: readFileSync(join(folder, 'ca.pem')),
      requestCert: true,
      rejectUnauthorized: true,
      // With 1.3 the refusal comes after the client believes to be connected.
      maxVersion: 'TLSv1.2',
    }))
    const profile = { ca: 'tls/ca.pem', certificate: 'tls/client.pem', key: 'tls/client.key', passphraseEnv: 'KEY_PHRASE' }

    const without = await test({ ca: 'tls/ca.pem' })
    const wrong = await test(profile, { KEY_PHRASE: 's3cret-not' })
    const right = await test(profile, { KEY_PHRASE: 's3cret' })

    expect([without.code, wrong.code, right.code], right.stderr).toEqual([5, 5, 0])
    expect(without.stderr).toContain('The broker wants another client certificate')
    expect(wrong.stderr).toContain('Correct the client certificate of the profile')
    for (const { stderr, stdout } of [without, wrong, right])
      for (const spelling of spellings) expect(stdout + stderr).not.toContain(spelling)
  })

  it('says that certificates are not used without TLS', async () => {
    const at = await place(({ host, url }) => ({
      default: { connection: url, management: host.management.url, verify: false },
    }))

    const { code, stderr } = await at.run(['profile', 'test'])

    expect(code).toBe(0)
    expect(stderr).toContain('The certificates of the profile are not used')
  })
})

describe('further nodes', () => {
  it('are used when the first one cannot be reached, with the login of the connection', async () => {
    const at = await place(({ host, url }) => {
      const [{ host: name, port }] = host.settings.hosts
      return { default: { connection: url.replace(/:\d+\//, ':1/'), hosts: [`${name}:${port}`], management: host.management.url } }
    })

    const { code, stderr } = await at.run(['queues', 'create', 'Sales'])
    const tested = await at.run(['profile', 'test', '--json'])

    expect(code, stderr).toBe(0)
    expect(tested.json()).toMatchObject({ address: expect.stringContaining(`127.0.0.1:${at.host.settings.hosts[0].port}/`) })
  })

  it('CLI-3 that cannot be reached either are named, with exit code 5', async () => {
    const at = await place(({ url }) => ({ default: { connection: url.replace(/:\d+\//, ':1/'), hosts: ['127.0.0.1:2'] } }))

    const { code, stderr } = await at.run(['queues', 'show', 'Sales'])

    expect(code).toBe(5)
    expect(stderr).toMatch(/None of the 2 hosts can be used.*port 1.*port 2/)
  })
})

it('CLI-3 --timeout bounds the wait for a broker that does not answer, with exit code 5', async () => {
  const silent = createServer()
  onTestFinished(() => void silent.close())
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  const { port } = silent.address() as AddressInfo
  const at = await place()

  const { code, stderr } = await at.run(['queues', 'show', 'Sales', '--timeout', '300ms'], {
    env: { NSB_CONNECTION: `amqp://127.0.0.1:${port}` },
  })

  expect(code).toBe(5)
  expect(stderr).toContain('NSB_CONNECTION_TIMED_OUT')
})

it('CLI-6 no debugging aid of node prints the password, nor the login of the management API', async () => {
  const at = await place(({ host, url }) => ({ default: { connection: url, management: host.management.url } }))
  const login = Buffer.from(`${new URL(at.url).username}:${password}`).toString('base64')
  const env = { NODE_DEBUG: '*', DEBUG: '*', NSB_LOG: 'debug' }

  const created = await at.run(['queues', 'create', 'Sales', '-vv'], { env })
  const listed = await at.run(['queues', 'list', '-vv'], { env })

  expect([created.code, listed.code]).toEqual([0, 0])
  for (const { stderr, stdout } of [created, listed])
    for (const spelling of [...spellings, login]) expect(stdout + stderr).not.toContain(spelling)
})

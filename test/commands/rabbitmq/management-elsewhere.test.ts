import { writeFileSync } from 'node:fs'
import { type Server, createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { randomUUID } from 'node:crypto'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openTransport } from '../../../src/transport/open.ts'
import { type Place, place } from './place.ts'

interface Fake {
  readonly url: string
  /** Logins that came along, decoded. */
  readonly logins: readonly string[]
  /** `GET /api/overview`, … */
  readonly asked: readonly string[]
}

interface Told {
  /** Fields of its overview that differ. */
  readonly overview?: object
  readonly queues?: readonly object[]
  /** Versions of RabbitMQ in its cluster. */
  readonly versions?: readonly string[]
}

/** A management API: that of the broker, but for what is told here. */
async function fakeManagement(at: Place, { overview = {}, queues, versions }: Told, host = '127.0.0.1'): Promise<Fake> {
  const [logins, asked]: [string[], string[]] = [[], []]
  const answer = async (method: string, path: string): Promise<unknown> => {
    if (method === 'PUT') return undefined
    if (path.startsWith('overview')) return { ...(await at.host.api<object>('GET', path)), ...overview }
    if (versions !== undefined && path.startsWith('nodes'))
      return versions.map((version) => ({ applications: [{ name: 'rabbit', version }] }))
    if (queues !== undefined && path.startsWith('queues/')) return path.includes('?') ? queues : queues[0]
    return at.host.api('GET', path)
  }
  const server: Server = createServer((request, response) => {
    const path = String(request.url).replace('/api/', '')
    asked.push(`${request.method} ${path}`)
    const { authorization = '' } = request.headers
    logins.push(Buffer.from(authorization.replace('Basic ', ''), 'base64').toString())
    answer(String(request.method), path).then(
      (value) => response.end(JSON.stringify(value)),
      () => response.writeHead(404).end(),
    )
  })
  onTestFinished(() => void server.close())
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  return { url: `http://${host}:${(server.address() as AddressInfo).port}`, logins, asked }
}

const theirs = { queues: [{ name: 'Theirs', type: 'classic', messages_ready: 7, consumers: 0, arguments: {} }] }
const another = { overview: { cluster_name: 'rabbit@other', node: 'rabbit@other' }, ...theirs }

/** A place whose profile names a management API that is made when the broker is known. */
async function placeWith(
  make: (at: Place) => Promise<Fake>,
): Promise<{ readonly at: Place; readonly fake: Fake; env: Record<string, string> }> {
  const at = await place(() => ({ default: { connectionEnv: 'AMQP', managementEnv: 'API' } }))
  const fake = await make(at)
  return { at, fake, env: { AMQP: at.url, API: fake.url } }
}

describe('a management API of another broker', () => {
  it('is named as such, with both, how to set it, and exit code 5; none of its queues is shown', async () => {
    const { at, env, fake } = await placeWith((made) => fakeManagement(made, another))

    const human = await at.run(['queues', 'list'], { env })
    const script = await at.run(['queues', 'list', '--json'], { env })

    expect([human.code, script.code]).toEqual([5, 5])
    expect(human.stderr).toMatch(
      new RegExp(
        `NSB_MANAGEMENT_ELSEWHERE: The management API at '${fake.url}' is that of another broker: 'rabbit@other' \\(node 'rabbit@other'.*'amqp://127`,
      ),
    )
    expect(human.stderr).toContain('Name the address of its own in the profile: "management"')
    expect(script.json()).toMatchObject({
      error: {
        code: 'NSB_MANAGEMENT_ELSEWHERE',
        details: { management: { address: fake.url, clusterName: 'rabbit@other' }, broker: { version: expect.any(String) } },
      },
    })
    for (const each of [human, script]) expect(each.stdout + each.stderr).not.toContain('Theirs')
  })

  it('is told of by profile test, whose exit code stays 0', async () => {
    const { at, env } = await placeWith((made) => fakeManagement(made, another))

    const { code, stdout } = await at.run(['profile', 'test'], { env })

    expect(code, stdout).toBe(0)
    expect(stdout).toContain('! The management API at')
    expect(stdout).toContain("is that of another broker: 'rabbit@other'")
    expect(stdout).toContain('"management": "http://host:15672"')
    expect(stdout).not.toContain('✓ management API')
  })

  it('with the name of this cluster and another version is another one too, unless a node of it runs this version', async () => {
    const { rabbitmq_version: version } = await (await place()).host.api<{ readonly rabbitmq_version: string }>('GET', 'overview')
    const older = { overview: { rabbitmq_version: '1.2.3' } }
    const namesake = await placeWith((made) => fakeManagement(made, { ...older, versions: ['1.2.3'] }))
    const upgraded = await placeWith((made) => fakeManagement(made, { ...older, versions: ['1.2.3', version] }))

    expect((await namesake.at.run(['queues', 'list'], { env: namesake.env })).stderr).toContain('NSB_MANAGEMENT_ELSEWHERE')
    expect((await upgraded.at.run(['queues', 'list'], { env: upgraded.env })).code).toBe(0)
  })

  it('gets no policy, and its limits are not believed', async () => {
    const at = await place()
    const limited = { name: 'Sales', type: 'quorum', arguments: { 'x-delivery-limit': 1 }, consumers: 0 }
    const fake = await fakeManagement(at, { ...another, queues: [limited] })
    const warnings: string[] = []
    const transport = await openTransport({
      kind: 'rabbitmq',
      rabbitmq: { connection: at.url, management: { url: fake.url } },
      warn: (warning) => warnings.push(warning),
    })
    onTestFinished(() => transport.close())
    await transport.createQueues(['Sales'])

    const receiving = await transport.receive(
      {
        queue: 'Sales',
        errorQueue: 'error',
        concurrency: 1,
        transactionMode: 'receiveOnly',
        onCriticalError: () => undefined,
        onDispatchFailed: () => Promise.resolve({ kind: 'putBack' }),
        onSettled: () => undefined,
        onPoison: () => undefined,
      },
      () => Promise.resolve({ kind: 'putBack' }),
    )
    await expect.poll(() => warnings).toEqual([expect.stringMatching(/^The delivery limits of queues are not known\. .*'rabbit@other'/)])
    const facts = await transport.inspect('Sales')
    await receiving.stop()

    expect(facts?.looksLeft).not.toBe(1)
    expect(fake.asked.filter((line) => line.startsWith('PUT'))).toEqual([])
  })

  it('that has the name and the version of this one too shows no queue that this one does not have', async () => {
    const { at, env } = await placeWith((made) => fakeManagement(made, theirs))

    const { json } = await at.run(['queues', 'list', '--json'], { env })

    expect(json()).toMatchObject({ total: 0, items: [] })
  })
})

describe('NSB_CONNECTION that overrules the connection of a profile', () => {
  it('leaves its management API in force, if that is of the same broker', async () => {
    const at = await place(({ host }) => ({
      default: { connection: 'amqp://other:pw@127.0.0.1:1', management: host.management.url },
    }))
    const env = { NSB_CONNECTION: at.url }
    await at.run(['queues', 'create', 'Sales'], { env })

    const { code, json, stderr } = await at.run(['queues', 'list', '--json'], { env })

    expect(code, stderr).toBe(0)
    expect(json()).toMatchObject({ items: [{ queue: 'Sales' }] })
  })

  it('does not believe it if it is of another one', async () => {
    const { at, env: profile } = await placeWith((made) => fakeManagement(made, another))
    const env = { ...profile, NSB_CONNECTION: at.url, AMQP: 'amqp://127.0.0.1:1' }

    const { code, stderr, stdout } = await at.run(['queues', 'list', '--json'], { env })

    expect(code).toBe(5)
    expect(stderr).toContain('NSB_MANAGEMENT_ELSEWHERE')
    expect(stdout + stderr).not.toContain('Theirs')
  })
})

describe.skipIf(process.platform !== 'linux')('a host that a project names for the password of somebody else', () => {
  const evil = '127.0.0.66'

  it('gets no login over the management API, and none over AMQP', async () => {
    const bytes: Buffer[] = []
    const amqp = createTcpServer((socket) => socket.on('data', (chunk) => bytes.push(chunk)).on('error', () => undefined))
    onTestFinished(() => void amqp.close())
    await new Promise<void>((resolve) => amqp.listen(0, evil, resolve))
    const at = await place()
    const fake = await fakeManagement(at, theirs, evil)
    const { port } = amqp.address() as AddressInfo
    const profile = { transport: 'rabbitmq', hosts: [`${evil}:${port}`], management: fake.url }
    writeFileSync(`${at.folder}/nsb.json`, JSON.stringify({ profiles: { default: profile } }))
    const secret = randomUUID()

    for (const variable of ['NSB_CONNECTION', 'RabbitMQTransport_ConnectionString'])
      for (const connection of [at.url, `amqp://sales:${secret}@127.0.0.1:1/shop`])
        for (const words of [
          ['queues', 'list'],
          ['profile', 'test'],
          ['errors', 'list'],
          ['queues', 'create', 'Sales'],
        ])
          await at.run(words, { env: { [variable]: connection } })

    expect([fake.asked, bytes]).toEqual([[], []])
  })

  it('gets the login that came with its address, and no other', async () => {
    const at = await place()
    const fake = await fakeManagement(at, another, evil)
    const profile = { transport: 'rabbitmq', management: fake.url.replace('//', '//own:login@') }
    writeFileSync(`${at.folder}/nsb.json`, JSON.stringify({ profiles: { default: profile } }))

    await at.run(['queues', 'list'], { env: { NSB_CONNECTION: at.url } })

    expect(new Set(fake.logins)).toEqual(new Set(['own:login']))
  })
})

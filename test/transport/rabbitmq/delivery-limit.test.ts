import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { NsbError } from '../../../src/message/nsb-error.ts'
import { decideDeliveryLimit } from '../../../src/transport/rabbitmq/delivery-limit.ts'
import type { Policies } from '../../../src/transport/rabbitmq/policies.ts'
import { givingBackCounts, isAtLeast } from '../../support/broker-version.ts'
import { type VirtualHost, makeVirtualHost } from '../../support/virtual-host.ts'
import { depthIs, look, message, openRabbit, receive, until } from './faults-support.ts'

// @source NServiceBus.RabbitMQ: BrokerVerifier.ValidateDeliveryLimit. Only 3.10 can be run here; the other versions are decided by table.

const written = {
  kind: 'write',
  policy: {
    name: 'nsb.Sales.Orders.delivery-limit',
    value: {
      pattern: String.raw`^Sales\.Orders$`,
      'apply-to': 'quorum_queues',
      definition: { 'delivery-limit': 100_000 },
      priority: 0,
    },
  },
}
const leave = { kind: 'leave' }
const warns = (...texts: readonly string[]): object => ({ kind: 'warn', warning: expect.stringMatching(new RegExp(texts.join('.*'), 's')) })

interface Case {
  readonly argument?: number
  /** As RabbitMQ 4 tells it. */
  readonly told?: number | 'unlimited'
  readonly policy?: object
  readonly operator?: object
  /** The policies may not be read; what the queue tells of them. */
  readonly effective?: object | 'not told'
}

const policy = (definition: object, more: object = {}): object => ({
  name: 'theirs',
  pattern: '^Sales',
  'apply-to': 'queues',
  priority: 1,
  definition,
  ...more,
})
const own = (limit: number, pattern = String.raw`^Sales\.Orders$`): object =>
  policy({ 'delivery-limit': limit }, { name: 'nsb.Sales.Orders.delivery-limit', pattern, 'apply-to': 'quorum_queues', priority: 0 })

function decide(version: string, { argument, effective, operator, policy: user, told }: Case): unknown {
  const queue = {
    name: 'Sales.Orders',
    type: 'quorum',
    arguments: { 'x-queue-type': 'quorum', ...(argument !== undefined && { 'x-delivery-limit': argument }) },
    ...(told !== undefined && { delivery_limit: told }),
    ...(effective !== undefined && effective !== 'not told' && { effective_policy_definition: effective }),
  }
  const policies = { user: user ? [user] : [], operator: operator ? [operator] : [] } as Policies
  return decideDeliveryLimit(queue, effective === undefined ? policies : undefined, Number.parseInt(version, 10))
}

const newer = ['4.0', '4.2', '4.3'] as const

describe('the decision on the delivery limit of a receiving queue', () => {
  it.each(['3.10', ...newer])('on %s is none for a queue that is no quorum queue', (version) => {
    for (const type of ['classic', 'stream', undefined])
      expect(decideDeliveryLimit({ name: 'Sales', type }, { user: [], operator: [] }, Number.parseInt(version, 10))).toEqual(leave)
  })

  it('leaves a queue without a limit on 3.10 as it is, and warns of every limit', () => {
    expect(decide('3.10', {})).toEqual(leave)
    expect(decide('3.10', { policy: policy({ 'max-length': 5 }) })).toEqual(leave)
    expect(decide('3.10', { argument: 100_000 })).toEqual(leave)
    expect(decide('3.10', { policy: policy({ 'delivery-limit': 100_000 }) })).toEqual(leave)
    expect(decide('3.10', { argument: 20 })).toEqual(warns("limit of 20, set by its argument 'x-delivery-limit'", 'dropped'))
    expect(decide('3.10', { policy: policy({ 'delivery-limit': 7 }) })).toEqual(warns("limit of 7, set by policy 'theirs'", 'dropped'))
    expect(decide('3.10', { argument: 20, policy: policy({ 'delivery-limit': 7 }) })).toEqual(warns("limit of 7, set by policy 'theirs'"))
    expect(decide('3.10', { argument: 5, operator: policy({ 'delivery-limit': 7 }) })).toEqual(warns('limit of 5, set by its argument'))
    expect(decide('3.10', { operator: policy({ 'delivery-limit': 7 }) })).toEqual(warns("limit of 7, set by operator policy 'theirs'"))
    // There, below zero is zero.
    expect(decide('3.10', { argument: -1 })).toEqual(warns('limit of 0, set by its argument'))
    expect(decide('3.10', { policy: own(-1) })).toEqual(written)
  })

  it.each(newer)('writes the policy on %s where nothing is set', (version) => {
    expect(decide(version, {})).toEqual(written)
    expect(decide(version, { told: 20 })).toEqual(written)
    // Operators' policies apply beside it.
    expect(decide(version, { told: 20, operator: policy({ 'max-length': 5 }) })).toEqual(written)
    // That of another queue does not apply.
    expect(decide(version, { told: 20, policy: policy({ 'delivery-limit': 3 }, { pattern: '^Billing$' }) })).toEqual(written)
    expect(decide(version, { told: 20, policy: policy({ 'delivery-limit': 3 }, { 'apply-to': 'classic_queues' }) })).toEqual(written)
  })

  it.each(newer)('rewrites the -1 of its own policy on %s, and leaves other ways to have no limit', (version) => {
    expect(decide(version, { told: 'unlimited', policy: own(-1) })).toEqual(written)
    expect(decide(version, { told: 20, policy: own(-1) })).toEqual(written)
    expect(decide(version, { told: 100_000, policy: own(100_000) })).toEqual(leave)
    expect(decide(version, { policy: own(100_000) })).toEqual(leave)
    expect(decide(version, { told: 'unlimited', policy: policy({ 'delivery-limit': -1 }) })).toEqual(leave)
    expect(decide(version, { told: 'unlimited', argument: -1 })).toEqual(leave)
    expect(decide(version, { argument: -1 })).toEqual(leave)
    expect(decide(version, { told: 100_000, argument: 100_000 })).toEqual(leave)
  })

  it.each(newer)('warns on %s of a limit that was set, and writes nothing over it', (version) => {
    expect(decide(version, { told: 20, argument: 20 })).toEqual(warns('limit of 20, set by its argument'))
    expect(decide(version, { told: 20, policy: policy({ 'delivery-limit': 20 }) })).toEqual(warns("limit of 20, set by policy 'theirs'"))
    expect(decide(version, { told: 20, policy: own(20) })).toEqual(warns("set by policy 'nsb.Sales.Orders.delivery-limit'"))
    expect(decide(version, { told: 7, operator: policy({ 'delivery-limit': 7 }) })).toEqual(warns('limit of 7, set by operator policy'))
    // Some brokers ignore -1.
    expect(decide(version, { told: 20, policy: policy({ 'delivery-limit': -1 }) })).toEqual(warns('limit of 20'))
  })

  it.each(newer)('writes no policy on %s that another one would hide, or that would hide it', (version) => {
    expect(decide(version, { told: 20, policy: policy({ 'max-length': 5 }) })).toEqual(warns('Only one policy', "'theirs'"))
  })

  it('warns where policies may not be read, unless the queue tells that there is no limit', () => {
    expect(decide('3.10', { effective: 'not told' })).toEqual(warns('may have a delivery limit', 'could not be read'))
    expect(decide('4.1', { effective: 'not told', told: 20 })).toEqual(warns('limit of 20', 'could not be read'))
    expect(decide('3.10', { effective: {} })).toEqual(leave)
    expect(decide('3.10', { effective: { 'delivery-limit': 4 } })).toEqual(warns('limit of 4, set by policy'))
    expect(decide('4.1', { effective: 'not told', told: 'unlimited' })).toEqual(leave)
  })

  it('warns of a policy of the transport that applies to other queues as well', () => {
    expect(decide('4.1', { told: 100_000, policy: own(100_000, 'Sales.Orders') })).toEqual(warns('not anchored'))
  })

  it('escapes the name of the queue as .NET does', () => {
    const decided = decideDeliveryLimit({ name: 'a.b+c(d)$ #|e', type: 'quorum', arguments: {} }, { user: [], operator: [] }, 4)
    expect(decided).toMatchObject({
      policy: { name: 'nsb.a.b+c(d)$ #|e.delivery-limit', value: { pattern: String.raw`^a\.b\+c\(d\)\$\ \#\|e$` } },
    })
  })
})

describe('receiving from a quorum queue', () => {
  let host: VirtualHost
  beforeAll(async () => {
    host = await makeVirtualHost()
  })
  afterAll(() => host.remove())

  const make = (queue: string, arguments_: object = {}): Promise<unknown> =>
    host.api('PUT', `queues/${host.name}/${queue}`, { durable: true, arguments: { 'x-queue-type': 'quorum', ...arguments_ } })
  const limit = (queue: string, value: number): Promise<unknown> =>
    host.api('PUT', `policies/${host.name}/${queue}-limit`, {
      pattern: `^${queue}$`,
      'apply-to': 'queues',
      definition: { 'delivery-limit': value },
    })
  const policies = (): Promise<readonly { readonly name: string }[]> => host.api('GET', `policies/${host.name}`)

  it('warns of the limit of an argument and of a policy with the consequence, and receives all the same', async () => {
    await make('Argument', { 'x-delivery-limit': 3 })
    await make('Policy')
    await limit('Policy', 4)
    const transport = openRabbit(host.url, { management: host.management })

    const [one, two] = await Promise.all([receive(transport, 'Argument'), receive(transport, 'Policy')])
    await transport.dispatch([{ ...message('1', 'Argument'), to: { exactQueue: 'Argument' } }])

    await until('both are warned of', () => transport.warnings.length === 2)
    await until('it is received', () => one.deliveries.length === 1)
    expect(transport.warnings.toSorted()).toEqual([
      expect.stringMatching(/^Queue 'Argument' has a delivery limit of 3, set by its argument .* is dropped by the broker/),
      expect.stringMatching(/^Queue 'Policy' has a delivery limit of 4, set by policy 'Policy-limit'.* is dropped by the broker/),
    ])
    expect((await policies()).map(({ name }) => name)).toEqual(['Policy-limit'])
    await Promise.all([one.stop(), two.stop()])
  })

  it('says nothing where there is no limit, or only that of newer brokers, which a policy lifts, and asks for no statistics that are not there yet', async () => {
    await make('Free')
    await make('Classic', { 'x-queue-type': 'classic' })
    await make('Marker', { 'x-delivery-limit': 3 })
    const before = await policies()
    const transport = openRabbit(host.url, { management: host.management })

    const seen = await Promise.all(['Free', 'Classic', 'Marker'].map((queue) => receive(transport, queue)))
    await until('one is warned of', () => transport.warnings.length > 0)

    expect(transport.warnings).toEqual([expect.stringContaining("'Marker'")])
    const lifted = { name: 'nsb.Free.delivery-limit', pattern: '^Free$', definition: { 'delivery-limit': 100_000 } }
    await expect.poll(policies).toMatchObject([...before, ...(isAtLeast(4) ? [lifted] : [])])
    await Promise.all(seen.map(({ stop }) => stop()))
  })

  it('loses no message that fails more often than the limit that newer brokers have by default, since its policy lifts it', async () => {
    await make('Failing')
    const transport = openRabbit(host.url, { management: host.management })
    const attempts: number[] = []
    const seen = await receive(transport, 'Failing', async ({ attempt }) => {
      attempts.push(attempt)
      return attempts.length < 30 ? { kind: 'putBack' } : { kind: 'consume', outgoing: [] }
    })
    const told = (): Promise<{ readonly effective_policy_definition?: unknown }> => host.api('GET', `queues/${host.name}/Failing`)
    if (isAtLeast(4)) await expect.poll(async () => (await told()).effective_policy_definition).toEqual({ 'delivery-limit': 100_000 })

    await transport.dispatch([{ ...message('1', 'Failing'), to: { exactQueue: 'Failing' } }])

    await until('it is handled', () => attempts.length === 30)
    expect(attempts).toEqual(Array.from({ length: 30 }, (_, index) => index + 1))
    await seen.stop()
  })

  it('a queue whose limit nobody has set is looked at as often as its broker allows, and nothing of it is lost', async () => {
    await make('Looked')
    const transport = openRabbit(host.url, { management: host.management })
    await transport.dispatch([{ ...message('1', 'Looked'), to: { exactQueue: 'Looked' } }])
    await depthIs(transport, 'Looked', 1)

    const outcomes: unknown[] = []
    for (let time = 0; time < 25; time++) {
      outcomes.push(
        await look(transport, 'Looked').then(
          (pages) => pages.flat().length,
          (error: NsbError) => error.code,
        ),
      )
      await depthIs(transport, 'Looked', 1)
    }

    const limited = isAtLeast(4) && givingBackCounts
    expect(outcomes).toEqual(Array.from({ length: 25 }, (_, time) => (limited && time >= 19 ? 'NSB_LOOKS_EXHAUSTED' : 1)))
  })

  it('warns once where the management API cannot be reached, however many queues there are', async () => {
    await make('First')
    await make('Second')
    const transport = openRabbit(host.url, { management: { url: 'http://127.0.0.1:1' } })

    const seen = await Promise.all([receive(transport, 'First'), receive(transport, 'Second')])
    await until('it is warned of', () => transport.warnings.length > 0)
    const third = await receive(transport, 'First')
    await transport.inspect('First')

    expect(transport.warnings).toEqual([expect.stringMatching(/^The delivery limits of queues are not known.*is dropped by the broker/s)])
    await Promise.all([...seen, third].map(({ stop }) => stop()))
  })

  it('warns where the user may not ask, and starts', async () => {
    await make('Hidden')
    const user = `plain-${randomBytes(4).toString('hex')}`
    await host.api('PUT', `users/${user}`, { password: 'p', tags: '' })
    await host.api('PUT', `permissions/${host.name}/${user}`, { configure: '.*', write: '.*', read: '.*' })
    onTestFinished(async () => {
      await host.api('DELETE', `users/${user}`)
    })
    const transport = openRabbit(host.url.replace('guest:guest', `${user}:p`), { management: host.management })

    const seen = await receive(transport, 'Hidden')

    await until('it is warned of', () => transport.warnings.length > 0)
    expect(transport.warnings).toEqual([expect.stringMatching(/^The delivery limits of queues are not known.*it answered 401/s)])
    await seen.stop()
  })

  /** A management API that tells of an older policy of the transport. @returns what was written */
  async function olderPolicy(status: number): Promise<{ readonly url: string; readonly written: readonly string[] }> {
    const texts: string[] = []
    const answers: Readonly<Record<string, unknown>> = {
      'queues/Old.Sales': { name: 'Old.Sales', type: 'quorum', arguments: {} },
      'policies/': [{ name: 'nsb.Old.Sales.delivery-limit', pattern: 'Old', 'apply-to': 'queues', definition: { 'delivery-limit': -1 } }],
      'operator-policies/': [],
      overview: await host.api<object>('GET', 'overview?columns=cluster_name,node,rabbitmq_version'),
    }
    const server = createServer((request, response) => {
      const path = String(request.url).replace('/api/', '').replace(host.name, '').replace('//', '/').replace(/\?.*/, '')
      let body = ''
      request.setEncoding('utf8').on('data', (text: string) => (body += text))
      request.on('end', () => {
        if (request.method === 'PUT') {
          texts.push(`${path} ${body}`)
          response.writeHead(status).end()
        } else response.end(JSON.stringify(answers[path]))
      })
    }).listen(0, '127.0.0.1')
    onTestFinished(() => void server.close())
    await once(server, 'listening')
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, written: texts }
  }

  it('rewrites an older policy of the transport', async () => {
    await make('Old.Sales')
    const { url, written: texts } = await olderPolicy(204)
    const transport = openRabbit(host.url, { management: { url } })

    const seen = await receive(transport, 'Old.Sales')

    await until('it is written', () => texts.length > 0)
    expect(texts).toEqual([
      String.raw`policies/nsb.Old.Sales.delivery-limit {"pattern":"^Old\\.Sales$","apply-to":"quorum_queues","definition":{"delivery-limit":100000},"priority":0}`,
    ])
    await seen.stop()
    expect(transport.warnings).toEqual([])
  })

  it('warns where the policy may not be written, with the command for it, and receives', async () => {
    await make('Old.Sales')
    const { url } = await olderPolicy(401)
    const transport = openRabbit(host.url, { management: { url } })

    const seen = await receive(transport, 'Old.Sales')

    await until('it is warned of', () => transport.warnings.length > 0)
    expect(transport.warnings).toEqual([expect.stringMatching(/^Queue 'Old\.Sales' .*it answered 401.*rabbitmqctl set_policy/s)])
    await seen.stop()
  })
})

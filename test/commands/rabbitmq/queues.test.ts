import { describe, expect, it, onTestFinished } from 'vitest'
import type { Ended } from '../../cli/nsb.ts'
import { openTransport } from '../../../src/transport/open.ts'
import type { Transport } from '../../../src/transport/transport.ts'
import { defaultLimit } from '../../support/broker-version.ts'
import { type Place, place } from './place.ts'

const profiles = ({ host, url }: Place): object => ({
  default: { transport: 'rabbitmq', connection: url, management: host.management.url },
  prod: { connection: url, management: host.management.url, protect: true },
  bare: { transport: 'rabbitmq', connection: url, management: 'http://127.0.0.1:1' },
})

function transportOf({ url }: Place): Promise<Transport> {
  return openTransport({ kind: 'rabbitmq', rabbitmq: { connection: url } }).then((transport) => {
    onTestFinished(() => transport.close())
    return transport
  })
}

async function fill(transport: Transport, queue: string, count: number): Promise<void> {
  await transport.createQueues([queue])
  await transport.dispatch(
    Array.from({ length: count }, (_, index) => ({
      id: String(index),
      headers: { 'NServiceBus.MessageId': String(index) },
      body: new Uint8Array(),
      to: { address: queue },
    })),
  )
}

const both = async (at: Place, words: readonly string[]): Promise<readonly [Ended, Ended]> => [
  await at.run(words),
  await at.run([...words, '--json']),
]

describe('nsb queues on RabbitMQ', () => {
  it('creates queues as an endpoint does, of both kinds, and lists them with kind, depth, consumers and limit', {
    timeout: 60_000,
  }, async () => {
    const at = await place(profiles)

    const created = await at.run(['queues', 'create', 'Sales', '--endpoint', '--json'])
    const again = await at.run(['queues', 'create', 'Sales', '--json'])
    await at.run(['queues', 'create', 'Old', '--queue-type', 'classic'])
    const [human, script] = await both(at, ['queues', 'list'])

    expect(created.json()).toMatchObject({
      schema: 'nsb.queues.create/1',
      items: [
        { queue: 'Sales', action: 'create' },
        { queue: 'error', action: 'create' },
      ],
    })
    expect(again.json()).toMatchObject({ items: [{ queue: 'Sales', action: 'same' }] })
    expect(human.stdout).toMatch(/^QUEUE +TYPE +DEPTH +CONSUMERS +LIMIT\n/)
    expect(human.stdout).toMatch(/^Old +classic +0 +0 +none$/m)
    expect(script.json()).toMatchObject({
      schema: 'nsb.queues.list/1',
      profile: 'default',
      total: 3,
      items: [
        { queue: 'Old', type: 'classic', depth: 0, consumers: 0, deliveryLimit: 'unlimited' },
        { queue: 'Sales', type: 'quorum', depth: 0, consumers: 0, deliveryLimit: defaultLimit },
        { queue: 'error', type: 'quorum' },
      ],
    })
  })

  it('shows the delivery limit of a policy', async () => {
    const at = await place(profiles)
    await at.run(['queues', 'create', 'Sales'])
    await at.host.api('PUT', `policies/${at.host.name}/limit`, {
      pattern: '^Sales$',
      definition: { 'delivery-limit': 7 },
      'apply-to': 'queues',
    })

    const { json } = await at.run(['queues', 'show', 'Sales', '--json'])

    expect(json()).toMatchObject({ schema: 'nsb.queues.show/1', queue: 'Sales', type: 'quorum', deliveryLimit: 7 })
  })

  it('lists the delivery limits of more queues than are asked one by one', { timeout: 60_000 }, async () => {
    const at = await place(profiles)
    await at.host.api('PUT', `policies/${at.host.name}/limit`, {
      pattern: '^Q1',
      definition: { 'delivery-limit': 7 },
      'apply-to': 'queues',
    })
    const names = Array.from({ length: 110 }, (_, index) => `Q${index}`)
    for (const name of names)
      await at.host.api('PUT', `queues/${at.host.name}/${name}`, {
        durable: true,
        arguments: { 'x-queue-type': 'quorum', ...(name === 'Q20' && { 'x-delivery-limit': 3 }) },
      })

    const { json } = await at.run(['queues', 'list', '--json'])

    const limits = (json()['items'] as readonly Record<string, unknown>[]).map(({ deliveryLimit, queue }) => [queue, deliveryLimit])
    expect(Object.fromEntries(limits)).toEqual(
      Object.fromEntries(names.map((name) => [name, name.startsWith('Q1') ? 7 : name === 'Q20' ? 3 : defaultLimit])),
    )
  })

  it('CLI-3 ends with 4 for a queue that does not exist, and names similar ones', async () => {
    const at = await place(profiles)
    await at.run(['queues', 'create', 'Sales'])

    const shown = await at.run(['queues', 'show', 'Salse', '--json'])
    const purged = await at.run(['queues', 'purge', 'Salse', '--yes', '--json'])

    expect([shown.code, purged.code]).toEqual([4, 4])
    for (const { json } of [shown, purged])
      expect(json()).toMatchObject({ error: { code: 'NSB_QUEUE_NOT_FOUND', hint: expect.stringContaining(`'Sales'`) } })
  })

  it('CLI-3 ends with 2 or 4 for a name that is longer than a queue can have', { timeout: 60_000 }, async () => {
    const at = await place(profiles)
    const long = 'x'.repeat(256)
    const told = async (...words: readonly string[]): Promise<unknown> => {
      const { code, json } = await at.run([...words, '--json'])
      return [code, (json()['error'] as { readonly code: string }).code]
    }

    expect(await told('queues', 'create', long)).toEqual([2, 'NSB_BAD_NAME'])
    expect(await told('queues', 'show', long)).toEqual([4, 'NSB_QUEUE_NOT_FOUND'])
    expect(await told('queues', 'purge', long, '--yes')).toEqual([4, 'NSB_QUEUE_NOT_FOUND'])
    expect(await told('send', 'Shop.Place', '{}', '--no-validate', '--to', long)).toEqual([4, 'NSB_QUEUE_NOT_FOUND'])
    expect(await told('publish', `Shop.${long}`, '{}', '--no-validate')).toEqual([2, 'NSB_BAD_NAME'])
    expect(await told('errors', 'list', '--error-queue', long)).toEqual([4, 'NSB_QUEUE_NOT_FOUND'])
  })

  it('CLI-3 ends with 5 for a list without the management API, and shows one queue all the same', async () => {
    const at = await place(profiles)
    await at.run(['queues', 'create', 'Sales'])

    const listed = await at.run(['queues', 'list', '-p', 'bare', '--json'])
    const shown = await at.run(['queues', 'show', 'Sales', '-p', 'bare', '--json'])

    expect(listed.code).toBe(5)
    expect(listed.json()).toMatchObject({ error: { code: 'NSB_MANAGEMENT_UNREACHABLE', hint: expect.stringContaining('"management"') } })
    expect(shown.json()).toMatchObject({ queue: 'Sales', type: 'quorum' })
  })

  it('refuses a queue of the other kind with exit code 2, and leaves it as it is', async () => {
    const at = await place(profiles)
    await at.run(['queues', 'create', 'Sales'])

    const { code, stderr } = await at.run(['queues', 'create', 'Sales', '--queue-type', 'classic'])

    expect(code).toBe(2)
    expect(stderr).toContain('NSB_BROKER_MISMATCH')
  })
})

describe('nsb queues purge on RabbitMQ', () => {
  it('CLI-5 removes what waits after a yes, and refuses where nobody can be asked', { timeout: 60_000 }, async () => {
    const at = await place(profiles)
    await fill(await transportOf(at), 'Sales', 120)

    const asked = await at.run(['queues', 'purge', 'Sales'], { input: '120\n' })
    const purged = await at.run(['queues', 'purge', 'Sales', '--yes', '--json'])
    const again = await at.run(['queues', 'purge', 'Sales', '--yes', '--json'])

    expect(asked.code).toBe(6)
    expect(asked.stderr).toContain('Remove 120 messages from Sales')
    expect(asked.stderr).toContain('--yes')
    expect(purged.json()).toEqual({ schema: 'nsb.queues.purge/1', profile: 'default', queue: 'Sales', removed: 120 })
    expect(again.json()).toMatchObject({ removed: 0 })
  })

  it('CLI-3 is refused with exit code 6 next to a consumer, unless --force is given', { timeout: 60_000 }, async () => {
    const at = await place(profiles)
    const transport = await transportOf(at)
    await fill(transport, 'Sales', 0)
    const receiving = await transport.receive(
      {
        queue: 'Sales',
        errorQueue: 'error',
        concurrency: 1,
        transactionMode: 'receiveOnly',
        onDispatchFailed: () => Promise.resolve({ kind: 'putBack' }),
        onSettled: () => undefined,
        onPoison: () => undefined,
        onCriticalError: () => undefined,
      },
      () => Promise.resolve({ kind: 'putBack', attempted: false }),
    )

    const refused = await at.run(['queues', 'purge', 'Sales', '--yes', '--json'])
    const forced = await at.run(['queues', 'purge', 'Sales', '--yes', '--force', '--json'])
    await receiving.stop({ graceMs: 0 })

    expect(refused.code).toBe(6)
    expect(refused.json()).toMatchObject({ error: { code: 'NSB_QUEUE_HAS_CONSUMER' } })
    expect(forced.code).toBe(0)
  })

  it('CLI-17 wants the name of a protected profile, --yes alone is refused, also when the environment overrides the connection', {
    timeout: 60_000,
  }, async () => {
    const at = await place(profiles)
    await fill(await transportOf(at), 'Sales', 2)
    const purge = (...words: string[]): Promise<Ended> =>
      at.run(['queues', 'purge', 'Sales', '-p', 'prod', ...words], { env: { NSB_CONNECTION: at.url } })

    const refused = [
      await purge('--yes'),
      await purge('--yes', '--confirm', 'default'),
      await at.run(['queues', 'create', 'X', '-p', 'prod', '--yes']),
    ]
    const confirmed = await purge('--confirm', 'prod', '--json')

    expect(refused.map(({ code }) => code)).toEqual([6, 6, 6])
    expect(refused[0]?.stderr).toContain('--confirm prod')
    expect(confirmed.json()).toMatchObject({ removed: 2 })
  })
})

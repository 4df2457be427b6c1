import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { messagesIn, nsb, putMessage, temporaryFolder } from '../cli/nsb.ts'
import type { Ended } from '../cli/nsb.ts'

interface Place {
  readonly folder: string
  readonly storage: string
  run(...words: readonly string[]): Promise<Ended>
}

/** A project with a storage folder, in which these queues have so many messages. */
function place(queues: Readonly<Record<string, number>>, project: object = {}): Place {
  const folder = temporaryFolder()
  const storage = join(folder, '.learningtransport')
  mkdirSync(join(folder, '.git'))
  writeFileSync(join(folder, 'nsb.json'), JSON.stringify(project))
  mkdirSync(storage)
  for (const [queue, count] of Object.entries(queues)) {
    mkdirSync(join(storage, queue, '.bodies'), { recursive: true })
    for (let index = 0; index < count; index++) putMessage(storage, queue, `m${index}`, { 'NServiceBus.MessageId': `m${index}` })
  }
  return { folder, storage, run: (...words) => nsb(words, { cwd: folder }) }
}

describe('nsb queues list', () => {
  it('CLI-2 shows kind, depth, consumers and delivery limit of every queue, in every form', async () => {
    const at = place({ Sales: 2, error: 0 })

    const [table, csv, ids, ndjson, json] = await Promise.all([
      at.run('queues', 'list'),
      at.run('queues', 'list', '-o', 'csv', '--sort', '-depth'),
      at.run('queues', 'list', '-o', 'ids'),
      at.run('queues', 'list', '-o', 'ndjson'),
      at.run('queues', 'list', '--json', '--sort', 'depth'),
    ])

    expect(table.stdout).toMatch(/^QUEUE +TYPE +DEPTH +CONSUMERS +LIMIT\nSales +folder +2 +0 +none\nerror +folder +0 +0 +none\n$/)
    expect(csv.stdout).toBe('queue,type,depth,consumers,limit\nSales,folder,2,0,none\nerror,folder,0,0,none\n')
    expect(ids.stdout).toBe('Sales\nerror\n')
    expect(
      ndjson.stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as object),
    ).toEqual([
      { queue: 'Sales', type: 'folder', depth: 2, consumers: 0, deliveryLimit: 'unlimited' },
      { queue: 'error', type: 'folder', depth: 0, consumers: 0, deliveryLimit: 'unlimited' },
      { schema: 'nsb.summary/1', profile: 'default', total: 2 },
    ])
    expect(json.json()).toMatchObject({
      schema: 'nsb.queues.list/1',
      profile: 'default',
      total: 2,
      items: [{ queue: 'error' }, { queue: 'Sales' }],
    })
  })

  it('ends with 0 when there is none', async () => {
    const { code, stderr, stdout } = await place({}).run('queues', 'list')

    expect([code, stdout]).toEqual([0, ''])
    expect(stderr).toContain('there is no queue on learning')
  })
})

describe('nsb queues show', () => {
  it('shows one queue', async () => {
    const at = place({ error: 1 })

    const human = await at.run('queues', 'show', 'error')
    const script = await at.run('queues', 'show', 'error', '--json')

    expect(human.stdout).toMatch(/^error on learning \(.*\)\ntype +folder\ndepth +1\nconsumers +0\nlimit +none\n$/)
    expect(human.stderr).toContain('Next: nsb errors')
    expect(script.json()).toMatchObject({ schema: 'nsb.queues.show/1', queue: 'error', type: 'folder', depth: 1 })
  })

  it('CLI-2 CLI-3 ends with 4 and a document for a queue that does not exist, and with 2 for what cannot be one', async () => {
    const at = place({ Sales: 0 })

    const unknown = await at.run('queues', 'show', 'Salse', '--json')
    const refused = await at.run('queues', 'show', '../x', '--json')

    expect(unknown.code).toBe(4)
    expect(unknown.json()).toMatchObject({ schema: 'nsb.error/1', error: { code: 'NSB_QUEUE_NOT_FOUND', hint: `Similar names: 'Sales'` } })
    expect(refused.code).toBe(2)
  })
})

describe('nsb queues create', () => {
  it('makes the queues that are named, and leaves those that are there', async () => {
    const at = place({ Sales: 3 })

    const { json } = await at.run('queues', 'create', 'Sales', 'Billing', '--json')

    expect(json()).toEqual({
      schema: 'nsb.queues.create/1',
      profile: 'default',
      items: [
        { queue: 'Sales', action: 'same' },
        { queue: 'Billing', action: 'create' },
      ],
    })
    expect(messagesIn(at.storage, 'Sales')).toHaveLength(3)
    expect(messagesIn(at.storage, 'Billing')).toEqual([])
  })

  it('without a name makes those of the endpoint in nsb.json', async () => {
    const at = place({}, { endpoint: { name: 'Shop.Sales', auditQueue: 'audit' } })

    const { code, stdout } = await at.run('queues', 'create')

    expect(code).toBe(0)
    expect(stdout).toContain('create  Shop.Sales')
  })

  it.each([
    ['no name at all', [], 'NSB_BAD_ARGUMENTS'],
    ['a name that leads elsewhere', ['../x'], 'NSB_BAD_ENDPOINT_NAME'],
    ['a kind that folders do not have', ['Sales', '--queue-type', 'classic'], 'NSB_CONFLICTING_OPTIONS'],
  ])('CLI-3 refuses %s with exit code 2', async (_name, words, expected) => {
    const { code, json } = await place({}).run('queues', 'create', ...words, '--json')

    expect(code).toBe(2)
    expect(json()).toMatchObject({ error: { code: expected } })
  })
})

describe('nsb queues purge', () => {
  it('CLI-5 removes what waits after a yes, and refuses where nobody can be asked', async () => {
    const at = place({ Sales: 2 })

    const asked = await at.run('queues', 'purge', 'Sales')
    const left = messagesIn(at.storage, 'Sales').length
    const purged = await at.run('queues', 'purge', 'Sales', '--yes', '--json')
    const again = await at.run('queues', 'purge', 'Sales')

    expect([asked.code, left]).toEqual([6, 2])
    expect(asked.stderr).toContain('--yes')
    expect(purged.json()).toEqual({ schema: 'nsb.queues.purge/1', profile: 'default', queue: 'Sales', removed: 2 })
    expect(messagesIn(at.storage, 'Sales')).toEqual([])
    expect([again.code, again.stderr]).toEqual([0, 'nothing waits in Sales\n'])
  })

  it('CLI-3 ends with 4 for a queue that does not exist', async () => {
    expect((await place({}).run('queues', 'purge', 'Sales', '--yes')).code).toBe(4)
  })

  it('CLI-17 wants the name of a protected profile, --yes alone is refused', async () => {
    const at = place({ Sales: 2 }, { profiles: { default: { protect: true } } })

    const refused = await at.run('queues', 'purge', 'Sales', '--yes', '--json')
    const left = messagesIn(at.storage, 'Sales').length
    const created = await at.run('queues', 'create', 'Billing', '--yes')
    const confirmed = await at.run('queues', 'purge', 'Sales', '--confirm', 'default')

    expect([refused.code, left, created.code, confirmed.code]).toEqual([6, 2, 6, 0])
    expect(refused.json()).toMatchObject({ error: { code: 'NSB_NEEDS_CONFIRMATION', hint: 're-run with --confirm default' } })
  })
})

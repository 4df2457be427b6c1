import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import amqplib from 'amqplib'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Ended, failureHeaders, nsb, putMessage, temporaryFolder } from '../../cli/nsb.ts'
import { brokerShop } from '../../support/broker-shop.ts'
import { givingBackCounts } from '../../support/broker-version.ts'
import { ErrorQueue } from '../../support/error-queue.ts'
import { makeErrorWorld } from '../../support/error-world.ts'
import { journalText } from '../../support/journals.ts'
import { makeVirtualHost } from '../../support/virtual-host.ts'

const numbers = (count: number): string[] => Array.from({ length: count }, (_, index) => `m${index + 1}`)
const bodiesIn = async (queue: ErrorQueue): Promise<string[]> => (await queue.drain()).map(({ body }) => body)
const codeOf = (ended: Ended): unknown => (ended.json()['error'] as { readonly code: string }).code

describe('the errors commands', () => {
  it('E-39 say the same of the same messages on the learning transport and on RabbitMQ', { timeout: 120_000 }, async () => {
    const failures: [string, Record<string, string>][] = [
      ['a', failureHeaders('a', { 'NServiceBus.TimeOfFailure': '2026-11-21 00:00:01:000000 Z', 'NServiceBus.ConversationId': 'c1' })],
      ['b', failureHeaders('b', { 'NServiceBus.TimeOfFailure': '2026-11-21 00:00:02:000000 Z', 'Nsb.Replay.Count': '2' })],
      [
        'c',
        failureHeaders('c', {
          'NServiceBus.TimeOfFailure': '2026-11-21 00:00:03:000000 Z',
          'NServiceBus.EnclosedMessageTypes': 'Shop.Messages.CancelOrder, Shop.Messages',
          'NServiceBus.ExceptionInfo.ExceptionType': 'System.TimeoutException',
          'NServiceBus.ExceptionInfo.StackTrace': 'none',
        }),
      ],
    ]
    const { errors, shop } = await makeErrorWorld({ kind: 'classic' })
    const folder = temporaryFolder()
    mkdirSync(join(folder, '.learningtransport', 'Sales', '.bodies'), { recursive: true })
    for (const [id, unsorted] of failures) {
      // Newer brokers sort headers.
      const headers = Object.fromEntries(Object.entries(unsorted).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      putMessage(join(folder, '.learningtransport'), 'error', id, headers, `{"OrderId":"${id}"}`)
      await errors.put([{ body: `{"OrderId":"${id}"}`, headers, properties: { messageId: id, contentType: 'application/json' } }])
    }
    const withoutOperation = (text: string): string =>
      text.replaceAll(/[0-9A-Z]{26}/g, 'OPERATION').replaceAll(/("asOf": ?)"[^"]+"/g, '$1"THEN"')
    const commands = [
      ['errors', 'list', '--json'],
      ['errors', 'list', '-o', 'wide'],
      ['errors', 'list', '-o', 'ndjson', '--limit', '2'],
      ['errors', 'list', '--type', 'CancelOrder', '--count'],
      ['errors', 'groups', '--json', '--refresh'],
      ['errors', 'groups', '--by', 'type', '-o', 'wide', '--refresh'],
      ['errors', 'show', 'a', '--json'],
      ['errors', 'show', 'b', '--headers', '--stack'],
      ['errors', 'show', 'nothing', '--json'],
      ['errors', 'replay', '--json'],
      ['errors', 'replay', '--all', '--json'],
      ['errors', 'replay', '--all', '--dry-run', '--json'],
      ['errors', 'replay', 'a', '--yes', '--json'],
      ['errors', 'replay', '--exception', 'TimeoutException', '--to', 'Nowhere', '--yes', '--json'],
      ['errors', 'replay', '--exception', 'TimeoutException', '--yes'],
      ['errors', 'replay', '--all', '--yes', '--json'],
      ['errors', 'replay', '--all', '--yes', '--json'],
      ['errors', 'list', '--json', '--fail-if-any'],
    ]

    for (const words of commands) {
      const onFolder = await nsb(words, { cwd: folder })
      const onBroker = await shop.run(...words)

      const said = ({ code, stdout }: Ended): string => `${words.join(' ')}: ${code}\n${withoutOperation(stdout)}`
      // Where the queues are is in the texts of errors.
      const comparable = (text: string): string => text.replaceAll(/"(message|suggestions|storage|near)": .*/g, '')
      assert.equal(comparable(said(onBroker)), comparable(said(onFolder)), onBroker.stderr)
    }
  })

  it('E-13 give everything back when they are interrupted while reading', { timeout: 60_000 }, async () => {
    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      const { errors, shop } = await makeErrorWorld({ kind: 'classic' })
      await errors.fill(20_000)
      const list = shop.start('errors', 'list', '--json')
      await expect.poll(() => errors.depth(), { interval: 5 }).toBeLessThan(20_000)

      list.kill(signal)

      expect(await list.ended).toBe(code)
      await expect.poll(() => errors.depth()).toBe(20_000)
      assert.deepEqual(await bodiesIn(errors), numbers(20_000))
    }
  })

  it('E-12 end with 6 from the third look on at a queue with a limit of 3 that looks spend, in ten processes, and lose nothing', {
    timeout: 120_000,
  }, async () => {
    const { errors, shop } = await makeErrorWorld({ kind: 'quorum', deliveryLimit: 3 })
    await errors.fill(20)

    const outcomes: (number | null)[] = []
    for (let number = 0; number < 10; number++) {
      const { code } = await shop.run('errors', 'list', '--refresh', '--json')
      outcomes.push(code)
      assert.equal(await errors.depth(), 20)
    }

    assert.deepEqual(outcomes, givingBackCounts ? [0, 0, 6, 6, 6, 6, 6, 6, 6, 6] : Array(10).fill(0))
    const lying = await errors.drain()
    assert.deepEqual(lying.map(({ body }) => body).toSorted(), numbers(20).toSorted())
    // Refused before the first get: no further delivery was spent.
    assert.deepEqual([...new Set(lying.map(({ deliveries }) => deliveries))], [givingBackCounts ? 3 : 10])
    if (!givingBackCounts) return
    const [note = ''] = readdirSync(join(shop.state, 'exhausted'))
    assert.equal(statSync(join(shop.state, 'exhausted', note)).mode & 0o777, 0o600)
  })

  it('E-15 warn of a consumer when they read, and refuse to write beside it unless forced', async () => {
    const { errors, sales, shop } = await makeErrorWorld()
    await errors.fill(10)
    const stop = await errors.consume()
    await expect.poll(() => errors.depth()).toBe(9)

    const listed = await shop.run('errors', 'list', '--json')
    const refused = await shop.run('errors', 'replay', '--all', '--yes', '--json')
    const forced = await shop.run('errors', 'replay', '--all', '--yes', '--force', '--json')
    await stop()

    expect([listed.code, listed.json()['total']]).toEqual([0, 9])
    expect(listed.stderr).toMatch(/1 consumer/)
    expect([refused.code, codeOf(refused)]).toEqual([6, 'NSB_QUEUE_HAS_CONSUMER'])
    expect([forced.code, forced.json()['published']]).toEqual([0, 9])
    expect(await sales.depth()).toBe(9)
  })

  it('E-16 refuse a queue that another nsb has in hand for longer than --timeout, without reading it', async () => {
    const { errors, host, shop } = await makeErrorWorld()
    await errors.fill(3)
    const { rabbitTransport } = await import('../../../src/transport/rabbitmq/transport.ts')
    const other = rabbitTransport({ settings: host.settings, management: host.management, warn: () => undefined })
    const holding = await other.hold('error', {
      purpose: 'look',
      overrule: [],
      page: 10,
      max: 10,
      signal: new AbortController().signal,
      beforeRemove: () => undefined,
    })

    const json = ['--json', '--timeout', '2s']

    const ended = [await shop.run('errors', 'list', ...json), await shop.run('errors', 'replay', '--all', '--yes', ...json)]
    await holding.giveBack()
    await other.close()

    for (const each of ended) expect([each.code, codeOf(each)]).toEqual([6, 'NSB_QUEUE_LOCKED'])
    expect((await errors.drain()).every(({ redelivered }) => !redelivered)).toBe(true)
  })

  it('E-16 wait for another nsb that has the queue in hand, and then say what is there', async () => {
    const { errors, host, shop } = await makeErrorWorld()
    await errors.fill(3)
    const { rabbitTransport } = await import('../../../src/transport/rabbitmq/transport.ts')
    const other = rabbitTransport({ settings: host.settings, management: host.management, warn: () => undefined })
    const { signal } = new AbortController()
    const holding = await other.hold('error', { purpose: 'look', overrule: [], page: 10, max: 10, signal, beforeRemove: () => undefined })
    for await (const page of holding.pages()) if (page.length > 0) break
    const waiting = [shop.start('errors', 'list', '--json'), shop.start('errors', 'replay', '--all', '--yes', '--json')]
    for (const each of waiting)
      await expect.poll(() => each.stderr, { timeout: 20_000 }).toMatch(/'error' is waited for, 30 s at most: another nsb/)

    await holding.giveBack()
    await other.close()

    const codes = await Promise.all(waiting.map((each) => each.ended))
    const [list, replay] = waiting.map(({ stdout }) => JSON.parse(stdout) as Readonly<Record<string, unknown>>)
    expect(codes).toEqual([0, 0])
    expect([3, 0]).toContain(list?.['total'])
    expect(replay).toMatchObject({ published: 3 })
  })

  it('E-16 wait for another nsb before they have asked anything', { timeout: 60_000 }, async () => {
    const { errors, host, shop } = await makeErrorWorld()
    await errors.fill(3)
    const killed = shop.start('errors', 'replay', '--all', '--yes', '--rate', '1/m')
    await expect.poll(() => journalText(shop.state), { timeout: 20_000 }).toContain('"safe"')
    killed.kill('SIGKILL')
    await killed.ended
    const { rabbitTransport } = await import('../../../src/transport/rabbitmq/transport.ts')
    const other = rabbitTransport({ settings: host.settings, management: host.management, warn: () => undefined })
    const { signal } = new AbortController()
    const holding = await other.hold('error', { purpose: 'look', overrule: [], page: 10, max: 10, signal, beforeRemove: () => undefined })

    const asking = [
      ['replay', '--all'],
      ['archive', '--all'],
      ['edit', 'm2', '--merge', '{}'],
      ['export', '--all', '--remove', '--file', 'a.ndjson'],
      ['resume'],
    ]
    const ended = await Promise.all(asking.map((words) => shop.run('errors', ...words, '--json', '--timeout', '2s')))
    await holding.giveBack()
    await other.close()

    expect(ended.map(codeOf)).toEqual(asking.map(() => 'NSB_QUEUE_LOCKED'))
  })

  it('E-17 answer from what was seen in the last ten minutes, and say how old it is', { timeout: 60_000 }, async () => {
    const { errors, shop } = await makeErrorWorld()
    await errors.fill(3)
    const listed = await shop.run('errors', 'list')

    const shown = await shop.run('errors', 'show', 'm2')
    const grouped = await shop.run('errors', 'groups')
    const cached = await shop.run('errors', 'list', '--cached', '--json')

    expect([listed.code, shown.code, grouped.code, cached.code]).toEqual([0, 0, 0, 0])
    expect(shown.stdout).toMatch(/System\.Exception: no stock/)
    expect(shown.stdout).toMatch(/at Sales\.PlaceOrderHandler\.Handle/)
    for (const { stderr } of [shown, grouped, cached]) expect(stderr).toMatch(/as 'error' was .*; --refresh reads it again/)
    expect(cached.json()['total']).toBe(3)
    const [file] = readdirSync(join(shop.state, 'snapshots')).map((name) => join(shop.state, 'snapshots', name))
    expect(statSync(String(file)).mode & 0o777).toBe(0o600)
    expect(readFileSync(String(file), 'utf8')).not.toContain('guest')

    const refreshed = await shop.run('errors', 'show', 'm2', '--refresh')
    expect(refreshed.stdout).toMatch(/m2/)
    expect((await errors.drain()).map(({ deliveries }) => deliveries)).toEqual([2, 2, 2])
  })

  it('E-17 forget what was seen once the queue was changed', async () => {
    const { errors, shop } = await makeErrorWorld()
    await errors.fill(3)
    await shop.run('errors', 'list')
    await shop.run('errors', 'replay', 'm1', '--yes')

    const grouped = await shop.run('errors', 'groups', '--json')

    expect(grouped.json()['total']).toBe(2)
  })

  it('E-18 list more than 2,000 messages of a quorum queue, and say so first', async () => {
    const { errors, shop } = await makeErrorWorld({ kind: 'quorum' })
    await errors.fill(2100)

    const listed = await shop.run('errors', 'list', '--limit', '3000', '--json')

    expect((listed.json()['items'] as unknown[]).length).toBe(2100)
    expect(listed.stderr).toContain(`reading all 2100 messages of 'error'`)
  })

  it('say what they would need when a queue is larger than what is held, and read nothing', async () => {
    const { errors, shop } = await makeErrorWorld()
    await errors.fill(5)

    const listed = await shop.run('errors', 'list', '--max-hold', '4', '--json')

    expect([listed.code, codeOf(listed)]).toEqual([6, 'NSB_HOLD_TOO_SMALL'])
    expect(listed.stderr).toContain('--max-hold 5')
    expect(listed.stderr).not.toMatch(/--all|archive|replay/)
    expect((await errors.drain()).every(({ redelivered }) => !redelivered)).toBe(true)
  })

  it('end with 4 when the error queue that was named does not exist, so that a misspelt name does not pass for an empty queue', async () => {
    const { shop } = await makeErrorWorld()

    const all = [
      ['list', '--fail-if-any'],
      ['list', '--count'],
      ['groups'],
      ['show', 'abcd'],
      ['edit', 'abcd', '--merge', '{}'],
      ['replay', '--all', '--yes'],
      ['replay', '--all', '--dry-run'],
      ['archive', '--all', '--yes'],
      ['export'],
    ]
    for (const words of all) {
      const ended = await shop.run('errors', ...words, '--error-queue', 'eror', '--json')

      expect([words, ended.code, codeOf(ended)]).toEqual([words, 4, 'NSB_QUEUE_NOT_FOUND'])
    }
  })

  it('E-23 lose nothing to a queue that takes a message and goes with its connection', async () => {
    const { errors, host, shop } = await makeErrorWorld()
    const other = await amqplib.connect(host.url)
    onTestFinished(() => other.close())
    const { queue: exclusive } = await (await other.createChannel()).assertQueue('', { exclusive: true })
    const targets = [`nsb.lock.${errors.name}`, 'nsb.acks', exclusive]
    await errors.put(
      targets.map((target, index) => ({ body: target, headers: failureHeaders(`m${index}`, { 'NServiceBus.FailedQ': target }) })),
    )

    const ended = await shop.run('errors', 'replay', '--all', '--yes', '--json')

    const file = join(temporaryFolder(), 'a.ndjson')
    await shop.run('errors', 'export', '--all', '--file', file)
    const imported = await shop.run('errors', 'import', file, '--replay', '--yes', '--json')

    const codesOf = ({ json }: Ended): string[] =>
      (json()['items'] as { error: { code: string } }[]).map((item) => item.error.code).toSorted()
    const refused = ['NSB_QUEUE_LOCKED', 'NSB_RESERVED_QUEUE', 'NSB_RESERVED_QUEUE']
    expect([ended.code, ended.json()['published'], codesOf(ended)]).toEqual([3, 0, refused])
    expect([imported.code, imported.json()['imported'], codesOf(imported)]).toEqual([3, 0, refused])
    expect((await bodiesIn(errors)).toSorted()).toEqual(targets.toSorted())
  })

  it('E-25 E-32 change nothing in a dry run, and nothing without a yes', async () => {
    const { errors, sales, shop } = await makeErrorWorld()
    await errors.fill(5)

    const dry = await shop.run('errors', 'replay', '--all', '--dry-run', '--json')
    const unasked = [
      await shop.run('errors', 'replay', '--all', '--json'),
      await shop.run('errors', 'replay', '--type', 'PlaceOrder', '--json'),
    ]

    expect([dry.code, dry.json()['selected'], dry.json()['published']]).toEqual([0, 5, 0])
    for (const each of unasked) expect([each.code, codeOf(each)]).toEqual([6, 'NSB_NEEDS_CONFIRMATION'])
    expect(await sales.depth()).toBe(0)
    expect(await bodiesIn(errors)).toEqual(numbers(5))
  })

  it('E-33 replay 5,000 messages with the usual settings', { timeout: 60_000 }, async () => {
    const { errors, sales, shop } = await makeErrorWorld()
    await errors.fill(5000)

    const ended = await shop.run('errors', 'replay', '--all', '--yes')

    expect(ended.code).toBe(0)
    expect(ended.stdout).toMatch(/^replayed 5000, left in queue 0, operation [0-9A-Z]{26}$/m)
    expect([await sales.depth(), await errors.depth()]).toEqual([5000, 0])
  })

  it('say where the rest is when a replay is interrupted, and lose none of it', { timeout: 60_000 }, async () => {
    const { errors, sales, shop } = await makeErrorWorld({ kind: 'classic' })
    await errors.fill(2000)
    // It takes 20 s.
    const replay = shop.start('errors', 'replay', '--all', '--yes', '--rate', '100/s')
    await expect.poll(() => sales.depth(), { timeout: 20_000, interval: 1 }).toBeGreaterThan(0)

    replay.kill('SIGINT')

    expect(await replay.ended).toBe(130)
    expect(replay.stderr).toContain('interrupted: the rest stays in the error queue')
    const replayed = Number(/^replayed (\d+), /m.exec(replay.stdout)?.[1])
    expect(replayed).toBeLessThan(2000)
    await expect.poll(async () => [await sales.depth(), await errors.depth()]).toEqual([replayed, 2000 - replayed])
  })

  it('E-22 send back what gets its full round of immediate and delayed retries again', { timeout: 60_000 }, async () => {
    const host = await makeVirtualHost()
    onTestFinished(() => host.remove())
    const shop = brokerShop(host)
    await shop.run('queues', 'create', 'Shop')
    await shop.run('send', 'PlaceOrder', '--data', 'OrderId=bad')
    const retries = ['--immediate-retries', '2', '--delayed-retries', '1', '--delay-increase', '1s']
    const round = (): Promise<Ended> => shop.run('run', ...retries, '--max', '1', '--max-time', '30s', '--log', 'json')
    const summaryOf = ({ stdout }: Ended): unknown => JSON.parse(stdout.trim().split('\n').at(-1) ?? '{}')

    const first = await round()
    const replayed = await shop.run('errors', 'replay', '--all', '--yes')
    const second = await round()
    const listed = await shop.run('errors', 'list', '--json')

    expect([first.code, replayed.code, second.code]).toEqual([8, 0, 8])
    for (const each of [first, second]) expect(summaryOf(each)).toMatchObject({ failed: 1, retried: 5 })
    expect(listed.json()).toMatchObject({ total: 1, items: [{ replayed: 1 }] })
  })

  it('E-30 leave an address that works when they are killed while waiting', { timeout: 60_000 }, async () => {
    const host = await makeVirtualHost()
    onTestFinished(() => host.remove())
    const shop = brokerShop(host, {}, 'await Promise.resolve()')
    const errors = await ErrorQueue.make(host, 'error', { kind: 'quorum' })
    await ErrorQueue.make(host, 'Shop', { kind: 'quorum' })
    const failed = { 'NServiceBus.EnclosedMessageTypes': 'Shop.PlaceOrder', 'NServiceBus.FailedQ': 'Shop' }
    await errors.put([{ body: '{"OrderId":"1"}', headers: failureHeaders('m1', failed), properties: { messageId: 'm1' } }])
    const waiting = shop.start('errors', 'replay', '--all', '--yes', '--wait', '60s')
    // The copy is safe before the original is removed, and what is held but not acknowledged would come back.
    const acknowledged = (): Promise<number> =>
      host.api<{ message_stats?: { ack?: number } }>('GET', `queues/${host.name}/error`).then(({ message_stats: stats }) => stats?.ack ?? 0)
    await expect.poll(acknowledged).toBe(1)
    waiting.kill('SIGKILL')
    await waiting.ended

    const ran = await shop.run('run', '--until-idle', '500ms', '--no-retries')

    expect(ran.code, ran.stderr + ran.stdout).toBe(0)
    expect(await errors.depth()).toBe(0)
    expect(await ErrorQueue.open(host, 'nsb.acks').depth()).toBe(1)
  })

  it.each(['conventional', 'direct'])(
    'E-30 wait for what an endpoint makes of it, in the %s topology',
    {
      timeout: 60_000,
    },
    async (topology) => {
      const host = await makeVirtualHost()
      onTestFinished(() => host.remove())
      const shop = brokerShop(host, { topology })
      await shop.run('queues', 'create', 'Shop')
      await shop.run('send', 'PlaceOrder', '--data', 'OrderId=bad')
      const failed = await shop.run('run', '--no-retries', '--max', '1', '--max-time', '30s')
      expect(failed.code, failed.stderr).toBe(8)
      const endpoint = shop.start('run', '--no-retries', '--log', 'json')
      await expect.poll(() => endpoint.stdout.includes('"event":"ready"') || endpoint.stderr, { timeout: 20_000 }).toBe(true)

      const again = await shop.run('errors', 'replay', '--all', '--yes', '--wait', '20s', '--json')

      expect(again.code, again.stderr).toBe(8)
      expect(again.json()).toMatchObject({ selected: 1, published: 1, failedAgain: 1, items: [{ result: 'failedAgain' }] })
      expect((again.json()['items'] as { exception: string }[])[0]?.exception).toContain('no stock for bad')
    },
  )
})

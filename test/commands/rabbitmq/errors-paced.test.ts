import assert from 'node:assert/strict'
import { describe, expect, it, onTestFinished } from 'vitest'
import { rabbitTransport } from '../../../src/transport/rabbitmq/transport.ts'
import { failureHeaders } from '../../cli/nsb.ts'
import { ErrorQueue } from '../../support/error-queue.ts'
import { type ErrorWorld, makeErrorWorld } from '../../support/error-world.ts'
import { asPut, bodiesIn, messages, numbers, staging } from './paced-support.ts'

const soon = { timeout: 30_000, interval: 10 }

describe.each(['quorum', 'classic'] as const)('errors replay on a %s queue', (kind) => {
  it('E-26 20 messages at 5/s take 3.8 s or more', { timeout: 120_000 }, async () => {
    const { errors, sales, shop } = await makeErrorWorld({ kind })
    await errors.fill(20)
    const start = performance.now()

    const ended = await shop.run('errors', 'replay', '--all', '--rate', '5/s', '--yes', '--json')

    assert.ok(performance.now() - start >= 3800)
    assert.equal(ended.code, 0, ended.stderr)
    assert.deepEqual(await bodiesIn(sales), numbers(20))
  })

  it('E-26 --limit 3 leaves the rest, in batches', { timeout: 120_000 }, async () => {
    const { errors, sales, shop } = await makeErrorWorld({ kind })
    await errors.fill(5)

    const ended = await shop.run(
      'errors',
      'replay',
      '--all',
      '--limit',
      '3',
      '--batch',
      '1,rest',
      '--batch-pause',
      '100ms',
      '--yes',
      '--json',
    )

    assert.equal(ended.code, 0, ended.stderr)
    assert.deepEqual(await bodiesIn(sales), numbers(3))
    assert.deepEqual(await bodiesIn(errors), ['m4', 'm5'])
  })

  it('staged: of two failures with one id and one moment both are sent, and archived ones both come back', {
    timeout: 120_000,
  }, async () => {
    const { errors, sales, shop } = await makeErrorWorld({ kind })
    const put = (body: string) => ({ body, headers: failureHeaders('order-42'), properties: { messageId: 'order-42' } })
    await errors.put([put('first'), put('second')])

    const archived = await shop.run('errors', 'archive', '--all', '--yes', '--json')
    const { file } = JSON.parse(archived.stdout) as { readonly file: string }
    const imported = await shop.run('errors', 'import', file, '--yes', '--json')
    const again = await shop.run('errors', 'import', file, '--yes', '--json')
    const replayed = await shop.run('errors', 'replay', '--all', '--staged', '--yes', '--json')

    expect([archived, imported, again, replayed].map(({ code }) => code)).toEqual([0, 0, 0, 0])
    expect([imported, again].map(({ stdout }) => JSON.parse(stdout) as object)).toMatchObject([
      { imported: 2, skipped: 0 },
      { imported: 0, skipped: 2 },
    ])
    assert.deepEqual((await bodiesIn(sales)).toSorted(), ['first', 'second'])
    assert.equal(await errors.depth(), 0)
  })

  it('staged: the messages wait in a queue as safe as the error queue, the others are free, and the queue is gone in the end', {
    timeout: 120_000,
  }, async () => {
    const world = await makeErrorWorld({ kind })
    const { errors, sales, shop } = world
    await errors.fill(40, (id) => (Number(id.slice(1)) % 2 === 0 ? { 'NServiceBus.EnclosedMessageTypes': 'Shop.Other' } : {}))

    const replay = shop.start('errors', 'replay', '--type', 'PlaceOrder', '--staged', '--rate', '5/s', '--yes')
    await expect.poll(() => sales.depth(), soon).toBeGreaterThan(2)
    const [queue] = await staging(world)
    assert.equal(queue?.type, kind)
    assert.equal(await errors.depth(), 20)

    assert.equal(await replay.ended, 0, replay.stderr)
    assert.deepEqual(
      await bodiesIn(sales),
      numbers(40).filter((_, index) => index % 2 === 0),
    )
    assert.deepEqual(
      await bodiesIn(errors),
      numbers(40).filter((_, index) => index % 2 === 1),
    )
    assert.deepEqual(await staging(world), [])
  })

  it('staged: what has no queue to go to is in the error queue again, as it was: types, properties and headers', {
    timeout: 120_000,
  }, async () => {
    const world = await makeErrorWorld({ kind })
    const { errors, sales, shop } = world
    await errors.put(messages(6, (index) => (index === 2 || index === 4 ? 'Nowhere' : 'Sales')))
    const before = await errors.drain()
    await errors.put(before.map(({ body, headers, properties }) => ({ body, headers, properties })))

    const ended = await shop.run('errors', 'replay', '--all', '--staged', '--yes', '--json')

    assert.equal(ended.code, 3, ended.stderr)
    assert.deepEqual([ended.json()['published'], ended.json()['failed']], [4, 2])
    assert.deepEqual(asPut(await errors.drain()), asPut([before[2] as (typeof before)[number], before[4] as (typeof before)[number]]))
    assert.deepEqual(await bodiesIn(sales), ['m1', 'm2', 'm4', 'm6'])
    assert.deepEqual(await staging(world), [])
  })

  it('staged: batches with a pause hold nothing meanwhile', { timeout: 120_000 }, async () => {
    const world = await makeErrorWorld({ kind })
    const { errors, sales, shop } = world
    await errors.fill(9)

    const replay = shop.start('errors', 'replay', '--all', '--staged', '--batch', '5', '--batch-pause', '3s', '--yes')
    await expect.poll(() => sales.depth(), soon).toBe(5)
    const [queue] = await staging(world)
    await expect.poll(() => ErrorQueue.open(world.host, queue?.name ?? '').depth(), soon).toBe(4)

    assert.equal(await replay.ended, 0, replay.stderr)
    assert.deepEqual((await bodiesIn(sales)).toSorted(), numbers(9))
  })
})

describe('errors replay in batches with --wait on a broker', () => {
  /** Plays the endpoint `Sales`: acknowledges each message, but for those that fail again. */
  async function playSales({ host }: ErrorWorld, fails: (body: string) => boolean): Promise<void> {
    const transport = rabbitTransport({ settings: host.settings, management: host.management })
    onTestFinished(() => transport.close())
    await transport.receive(
      {
        queue: 'Sales',
        errorQueue: 'error',
        concurrency: 1,
        transactionMode: 'receiveOnly',
        onCriticalError: () => {},
        onSettled: () => undefined,
        onPoison: () => undefined,
        onDispatchFailed: () => Promise.resolve({ kind: 'putBack' }),
      },
      ({ body, headers, id }) => {
        const unique = { 'ServiceControl.Retry.UniqueMessageId': headers['ServiceControl.Retry.UniqueMessageId'] ?? '' }
        const failure = { ...headers, ...unique, 'NServiceBus.TimeOfFailure': '2027-11-22 00:00:00:000000 Z' }
        const success = {
          'NServiceBus.MessageId': `ack-${id}`,
          ...unique,
          'ServiceControl.Retry.Successful': '2027-11-22 00:00:00:000000 Z',
        }
        const answer = fails(Buffer.from(body).toString())
          ? { id, headers: failureHeaders(id, failure), body, to: { address: 'error' } }
          : {
              id: `ack-${id}`,
              headers: success,
              body: new Uint8Array(),
              to: { address: headers['ServiceControl.Retry.AcknowledgementQueue'] ?? '' },
            }
        return Promise.resolve({ kind: 'consume', outgoing: [answer] })
      },
    )
  }

  it('the outcomes of each batch are there before the next one, and one that failed again is the end: exit 8', {
    timeout: 120_000,
  }, async () => {
    const world = await makeErrorWorld({ kind: 'quorum' })
    const { errors, shop } = world
    await errors.put(messages(10))
    await playSales(world, (body) => body === 'm4')

    const ended = await shop.run('errors', 'replay', '--all', '--batch', '1,2,5,rest', '--wait', '60s', '--yes', '--json')

    const document = ended.json()
    assert.equal(ended.code, 8, ended.stderr)
    assert.match(ended.stderr, /batch 1: 1 sent, 1 succeeded\nbatch 2: 2 sent, 2 succeeded\nbatch 3: 5 sent, 4 succeeded, 1 failed again/)
    assert.deepEqual([document['stoppedAfterBatch'], document['published'], document['failedAgain']], [3, 8, 1])
    assert.equal((document['staged'] as { left: number }).left, 2)

    const undone = await shop.run('errors', 'resume', '--undo', '--yes')
    assert.equal(undone.code, 0, undone.stderr)
    assert.deepEqual((await bodiesIn(errors)).toSorted(), ['m10', 'm4', 'm9'])
    assert.deepEqual(await staging(world), [])
  })

  it('Ctrl-C while a message waits for its time leaves the rest in the staging queue, to be gone on with', {
    timeout: 120_000,
  }, async () => {
    const world = await makeErrorWorld({ kind: 'quorum' })
    const { errors, sales, shop } = world
    await errors.fill(5)
    const replay = shop.start('errors', 'replay', '--all', '--rate', '1/h', '--yes')
    await expect.poll(() => sales.depth(), soon).toBe(1)
    replay.kill('SIGINT')

    assert.equal(await replay.ended, 130)
    assert.match(replay.stderr, /interrupted: the rest is in nsb\.staging\.[0-9A-Z]{26}/)
    const [queue] = await staging(world)
    await expect.poll(() => ErrorQueue.open(world.host, queue?.name ?? '').depth(), soon).toBe(4)
    const undone = await shop.run('errors', 'resume', '--undo', '--yes')
    assert.equal(undone.code, 0, undone.stderr)
    assert.deepEqual(await bodiesIn(errors), numbers(4, 2))
  })
})

describe('errors replay on a broker', () => {
  it.each([[[]], [['--staged']]])(
    'E-34 --patch sends changed copies under new ids, and what it does not fit stays as it was %j',
    { timeout: 120_000 },
    async (how) => {
      const { errors, sales, shop } = await makeErrorWorld({ kind: 'quorum' })
      const json = messages(2).map((message, index) => ({ ...message, body: `{"Id":${index}}` }))
      await errors.put(json)

      const patch = '[{"op":"test","path":"/Id","value":1},{"op":"add","path":"/Price","value":1.50}]'
      const ended = await shop.run('errors', 'replay', '--all', '--patch', patch, ...how, '--yes', '--json')

      const [copy] = await sales.drain()
      assert.equal(ended.code, 3, ended.stderr)
      assert.equal(copy?.body, '{"Id":1,"Price":1.50}')
      assert.match(String(copy?.headers['NServiceBus.MessageId']), /^[0-9a-f-]{36}$/)
      assert.equal(copy?.properties['messageId'], copy?.headers['NServiceBus.MessageId'])
      assert.ok(copy?.headers['ServiceControl.EditOf'])
      const [left] = asPut(await errors.drain())
      assert.deepEqual([left?.body, left?.properties['messageId'], left?.headers['List']], ['{"Id":0}', 'native-1', [1, 'two', true]])
    },
  )

  it('--allow-reorder takes the oldest of more messages than may be held', { timeout: 120_000 }, async () => {
    const { errors, sales, shop } = await makeErrorWorld({ kind: 'quorum' })
    await errors.fill(6)
    const flags = ['errors', 'replay', '--type', 'PlaceOrder', '--limit', '2', '--max-hold', '3', '--yes', '--json']

    const refused = await shop.run(...flags)
    const ended = await shop.run(...flags, '--allow-reorder')

    assert.equal(refused.code, 6)
    assert.match(refused.stdout, /NSB_HOLD_TOO_SMALL.*nsb errors replay --all/s)
    assert.equal(ended.code, 0, ended.stderr)
    assert.deepEqual(await bodiesIn(sales), ['m1', 'm2'])
    assert.deepEqual((await bodiesIn(errors)).toSorted(), ['m3', 'm4', 'm5', 'm6'])
  })
})

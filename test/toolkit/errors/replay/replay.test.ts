import assert from 'node:assert/strict'
import { describe, it } from 'vitest'
import { NsbError } from '../../../../src/message/nsb-error.ts'
import { pollForAnswers } from '../../../../src/toolkit/errors/replay/polled-answers.ts'
import { type ReplayOptions, planReplay } from '../../../../src/toolkit/errors/replay/plan.ts'
import { type ReplayReport, type ReplayRun, acknowledgementQueue, replay } from '../../../../src/toolkit/errors/replay/replay.ts'
import { openTransport } from '../../../../src/transport/open.ts'
import type { IncomingMessage, OutgoingMessage, Transport } from '../../../../src/transport/transport.ts'
import { failureHeaders } from '../../../cli/nsb.ts'
import { replayOptions, replayRun } from '../../../support/replay-options.ts'

/** A world with these failures in `error`, in this order, and the queue `Sales`. */
async function worldWith(...failures: readonly Record<string, string>[]): Promise<Transport> {
  const transport = await openTransport('memory:')
  await transport.createQueues(['error', 'Sales'])
  const outgoing = failures.map(
    (headers): OutgoingMessage => ({
      id: headers['NServiceBus.MessageId'] ?? 'x',
      headers,
      body: Buffer.from('{}'),
      to: { exactQueue: 'error' },
    }),
  )
  for (const message of outgoing) await transport.dispatch([message])
  return transport
}

/** The transport, which takes no message back. */
function notTaking(transport: Transport, code: string, before: () => Promise<unknown> = () => Promise.resolve()): Transport {
  const hold = transport.hold.bind(transport)
  const consume = async (): Promise<void> => {
    await before()
    throw new NsbError({ code, message: 'It was not taken.' })
  }
  return Object.assign(transport, {
    hold: async (...words: Parameters<typeof hold>) => Object.assign(await hold(...words), { consume }),
  })
}

async function replayed(transport: Transport, options: Partial<ReplayOptions> = {}, run: Partial<ReplayRun> = {}): Promise<ReplayReport> {
  const all = replayOptions(options)
  return replay(transport, await planReplay(transport, all), all, replayRun(run))
}

async function waitingIn(transport: Transport, queue: string): Promise<IncomingMessage[]> {
  const holding = await transport.hold(queue, {
    purpose: 'look',
    overrule: [],
    page: 100,
    max: 1000,
    signal: new AbortController().signal,
    beforeRemove: () => undefined,
  })
  const found: IncomingMessage[] = []
  for await (const page of holding.pages()) found.push(...page)
  await holding.giveBack()
  return found
}

const ids = (messages: readonly IncomingMessage[]): string[] => messages.map((message) => message.id)

/** An endpoint that answers each message as told: it acknowledges, fails again, or stays silent. */
async function endpoint(transport: Transport, answer: (message: IncomingMessage) => 'succeed' | 'fail' | 'silent'): Promise<void> {
  await transport.receive(
    {
      queue: 'Sales',
      errorQueue: 'error',
      concurrency: 1,
      transactionMode: transport.transactionModes[0],
      onCriticalError: () => {},
      onSettled: () => undefined,
      onPoison: () => undefined,
      onDispatchFailed: () => Promise.resolve({ kind: 'putBack' }),
    },
    (message) => {
      const unique = { 'ServiceControl.Retry.UniqueMessageId': message.headers['ServiceControl.Retry.UniqueMessageId'] ?? '' }
      const acknowledgement: OutgoingMessage = {
        id: `ack-${message.id}`,
        headers: { ...unique, 'ServiceControl.Retry.Successful': '2026-11-21 10:00:00:000000 Z', 'NServiceBus.ControlMessage': 'True' },
        body: new Uint8Array(),
        to: { address: message.headers['ServiceControl.Retry.AcknowledgementQueue'] ?? 'nowhere' },
      }
      const failure: OutgoingMessage = {
        id: message.id,
        headers: failureHeaders(message.id, { ...message.headers, ...unique, 'NServiceBus.TimeOfFailure': '2026-11-21 10:00:00:000000 Z' }),
        body: message.body,
        to: { exactQueue: 'error' },
      }
      const outgoing = { succeed: [acknowledgement], fail: [failure], silent: [] }[answer(message)]
      return Promise.resolve({ kind: 'consume', outgoing })
    },
  )
}

describe('replay', () => {
  it('sends all failures to where they failed, oldest first, and leaves nothing', async () => {
    const transport = await worldWith(failureHeaders('m1'), failureHeaders('m2'), failureHeaders('m3'))

    const report = await replayed(transport)

    assert.deepEqual(
      report.items.map((item) => item.result),
      ['published', 'published', 'published'],
    )
    assert.deepEqual(ids(await waitingIn(transport, 'Sales')), ['m1', 'm2', 'm3'])
    assert.equal(report.leftInQueue, 0)
  })

  it('E-9 leaves acknowledgements alone, whatever is asked for', async () => {
    const transport = await worldWith(failureHeaders('m1'), {
      'NServiceBus.MessageId': 'a',
      'ServiceControl.Retry.Successful': 'x',
      'NServiceBus.FailedQ': 'Sales',
    })

    const plan = await planReplay(transport, replayOptions({ criteria: { kind: ['ack', 'failure'] } }))

    assert.deepEqual(plan.selected, 1)
  })

  it('E-26 takes the oldest with --limit, the newest with --newest', async () => {
    const transport = await worldWith(failureHeaders('m1'), failureHeaders('m2'), failureHeaders('m3'))

    await replayed(transport, { limit: 1 })
    await replayed(transport, { limit: 1, newest: true })

    assert.deepEqual(ids(await waitingIn(transport, 'Sales')), ['m1', 'm3'])
    assert.deepEqual(ids(await waitingIn(transport, 'error')), ['m2'])
  })

  it('E-23 keeps a message whose queue does not exist, names the queue, and goes on with the others', async () => {
    const transport = await worldWith(failureHeaders('m1', { 'NServiceBus.FailedQ': 'Sails' }), failureHeaders('m2'))

    const report = await replayed(transport)

    assert.deepEqual(
      report.items.map((item) => item.result),
      ['failed', 'published'],
    )
    assert.equal(report.items[0]?.error?.code, 'NSB_QUEUE_NOT_FOUND')
    assert.match(report.items[0]?.error?.message ?? '', /Sails/)
    assert.deepEqual(ids(await waitingIn(transport, 'error')), ['m1'])
  })

  it('follows --to before a redirect before ServiceControl.RetryTo before the failed queue', async () => {
    const transport = await worldWith(failureHeaders('m1', { 'ServiceControl.RetryTo': 'Adapter' }))
    await transport.createQueues(['Adapter', 'Moved', 'Other'])
    const targetWith = async (more: Partial<ReplayOptions>): Promise<unknown> =>
      (await planReplay(transport, replayOptions(more))).first[0]?.target

    assert.equal(await targetWith({}), 'Adapter')
    assert.equal(await targetWith({ redirects: { Sales: 'Moved' } }), 'Moved')
    assert.equal(await targetWith({ redirects: { Sales: 'Moved' }, to: 'Other' }), 'Other')
  })

  it('does not take a name of every object for a redirect', async () => {
    const transport = await worldWith(failureHeaders('m1', { 'NServiceBus.FailedQ': 'constructor' }))

    assert.equal((await planReplay(transport, replayOptions())).first[0]?.target, 'constructor')
  })

  it('sends a poison message only where --to says', async () => {
    const transport = await worldWith({ 'NServiceBus.MessageId': 'p1' })

    const without = await replayed(transport, { criteria: { kind: ['poison'] } })
    const report = await replayed(transport, { criteria: { kind: ['poison'] }, to: 'Sales' })

    assert.equal(without.items[0]?.error?.code, 'NSB_NO_TARGET')
    assert.equal(report.items[0]?.result, 'published')
    assert.deepEqual(ids(await waitingIn(transport, 'Sales')), ['p1'])
  })

  it('refuses --to a queue that does not exist before anything is done', async () => {
    const transport = await worldWith(failureHeaders('m1'))

    await assert.rejects(planReplay(transport, replayOptions({ to: 'Nowhere' })), { code: 'NSB_QUEUE_NOT_FOUND' })
  })

  it('needs a criterion, or --all', async () => {
    const transport = await worldWith(failureHeaders('m1'))

    await assert.rejects(planReplay(transport, replayOptions({ all: false })), { code: 'NSB_NO_SELECTION' })
  })

  it('sends one of two copies of the same failure', async () => {
    const transport = await worldWith(failureHeaders('m1'), failureHeaders('m1'))

    const plan = await planReplay(transport, replayOptions())

    assert.equal(plan.selected, 1)
    assert.equal(plan.duplicates, 1)
  })

  it('stops after more than ten failures in a row', async () => {
    const lost = Array.from({ length: 30 }, (_, index) => failureHeaders(`m${index}`, { 'NServiceBus.FailedQ': 'Lost' }))
    const transport = await worldWith(...lost)

    const report = await replayed(transport, {}, { window: 1 })

    assert.equal(report.stopped, true)
    assert.equal(report.items.length, 11)
    assert.equal(report.leftInQueue, 30)
  })

  it('stops at the first failure with --on-error stop', async () => {
    const transport = await worldWith(failureHeaders('m1', { 'NServiceBus.FailedQ': 'Lost' }), failureHeaders('m2'))

    const report = await replayed(transport, {}, { window: 1, onError: 'stop' })

    assert.deepEqual(
      report.items.map((item) => item.result),
      ['failed'],
    )
    assert.deepEqual(ids(await waitingIn(transport, 'error')), ['m1', 'm2'])
  })

  it('reports a message that somebody else took between looking and sending', async () => {
    const transport = await worldWith(failureHeaders('m1'), failureHeaders('m2'))
    const options = replayOptions()
    const plan = await planReplay(transport, options)
    await transport.purge('error')

    const report = await replay(transport, plan, options, replayRun())

    assert.deepEqual(
      report.items.map((item) => item.error?.code),
      ['NSB_MESSAGE_TAKEN', 'NSB_MESSAGE_TAKEN'],
    )
  })

  it('takes no new message once it is interrupted, and gives the rest back', async () => {
    const transport = await worldWith(failureHeaders('m1'), failureHeaders('m2'), failureHeaders('m3'))
    const interruption = new AbortController()

    const report = await replayed(transport, { signal: interruption.signal }, { window: 1, progress: () => interruption.abort() })

    assert.ok(report.items.length < 3)
    assert.equal(report.leftInQueue, 3 - report.items.length)
  })
})

describe('replay --wait', () => {
  it.each([
    ['NSB_CONNECTION_LOST', false],
    ['NSB_NACKED', true],
  ])('E-23 says that the target is gone when it was deleted with a message on its way to it, which ends in %s', async (code, isOver) => {
    const transport = await worldWith(failureHeaders('m1'))
    const report = await replayed(notTaking(transport, code, () => transport.removeIfEmpty('Sales')))

    assert.deepEqual(
      report.items.map(({ error, result }) => [result, error]),
      [['failed', { code: 'NSB_QUEUE_NOT_FOUND', message: "There is no queue 'Sales' any more." }]],
    )
    // Whether it arrived before is not known when a connection was lost.
    assert.deepEqual([report.isOver, report.leftInQueue], [isOver, 1])
  })

  it('says what happened to a message that was not taken when its target is there', async () => {
    const transport = await worldWith(failureHeaders('m1'))
    const report = await replayed(notTaking(transport, 'NSB_NACKED'))

    assert.deepEqual(report.items[0]?.error, { code: 'NSB_NACKED', message: 'It was not taken.' })
  })

  it('E-30 tells success, repeated failure and silence apart, and consumes only its own acknowledgements', async () => {
    const transport = await worldWith(failureHeaders('good'), failureHeaders('bad'), failureHeaders('lost'))
    await transport.createQueues([acknowledgementQueue])
    await transport.dispatch([
      {
        id: 'foreign',
        headers: {
          'NServiceBus.MessageId': 'foreign',
          'ServiceControl.Retry.Successful': 'x',
          'ServiceControl.Retry.UniqueMessageId': 'foreign',
        },
        body: new Uint8Array(),
        to: { exactQueue: acknowledgementQueue },
      },
    ])
    await endpoint(transport, (message) => (message.id === 'good' ? 'succeed' : message.id === 'bad' ? 'fail' : 'silent'))

    const report = await replayed(transport, {}, { waitMs: 300 })

    assert.deepEqual(
      report.items.map((item) => item.result),
      ['succeeded', 'failedAgain', 'noAnswer'],
    )
    assert.equal(report.items[1]?.exception, 'System.Exception: no stock')
    assert.equal(report.leftInQueue, 1)
    assert.deepEqual(ids(await waitingIn(transport, acknowledgementQueue)), ['foreign'])
    await transport.close()
  })

  it('E-30 finds what happened while watching the queues was interrupted', async () => {
    const transport = await worldWith(failureHeaders('good'), failureHeaders('bad'), failureHeaders('lost'))
    const interrupted: Transport['tap'] = (_queue, _seen, events) => {
      events?.interrupted(new Error('it was lost'))
      return Promise.resolve({ stop: () => Promise.resolve() })
    }
    await endpoint(transport, (message) => (message.id === 'good' ? 'succeed' : message.id === 'bad' ? 'fail' : 'silent'))

    const report = await replayed(Object.assign(transport, { tap: interrupted }), {}, { waitMs: 300 })

    assert.deepEqual(
      report.items.map((item) => item.result),
      ['succeeded', 'failedAgain', 'noAnswer'],
    )
    await transport.close()
  })

  it('E-30 looks for what it missed once more when that connection turns out to be lost as well', async () => {
    const transport = await worldWith(failureHeaders('bad'))
    await endpoint(transport, () => 'fail')
    const hold = transport.hold.bind(transport)
    let looks = 0
    const disturbed = Object.assign(transport, {
      tap: ((_queue, _seen, events) => {
        events?.interrupted(new Error('it was lost'))
        return Promise.resolve({ stop: () => Promise.resolve() })
      }) satisfies Transport['tap'],
    })
    const plan = await planReplay(disturbed, replayOptions())
    Object.assign(disturbed, {
      hold: (...[queue, options]: Parameters<typeof hold>) =>
        options.purpose === 'look' && looks++ === 0
          ? Promise.reject(new NsbError({ code: 'NSB_CONNECTION_LOST', message: 'It was lost.' }))
          : hold(queue, options),
    })

    const report = await replay(disturbed, plan, replayOptions(), replayRun({ waitMs: 200 }))

    assert.deepEqual([report.items[0]?.result, looks], ['failedAgain', 2])
    await transport.close()
  })

  it('E-30 tells what it knows also where the queues cannot be read any more', async () => {
    const transport = await worldWith(failureHeaders('m1'))
    const inspect = transport.inspect.bind(transport)
    let isAway = false
    const tap: Transport['tap'] = (_queue, _seen, events) => {
      events?.interrupted(new Error('it was lost'))
      return Promise.resolve({ stop: () => Promise.resolve() })
    }
    const leaving = Object.assign(transport, {
      tap,
      inspect: (queue: string) => (isAway ? Promise.reject(new Error('it is away')) : inspect(queue)),
    })

    const report = await replayed(leaving, {}, { waitMs: 100, progress: ({ doing }) => (isAway ||= doing === 'waiting') })

    assert.deepEqual(
      report.items.map((item) => item.result),
      ['noAnswer'],
    )
    await transport.close()
  })

  it('E-30 finds a failure that came while depths could not be asked, and another message went', async () => {
    const transport = await worldWith(failureHeaders('other'))
    await transport.createQueues([acknowledgementQueue])
    const answers = await pollForAnswers(transport, { errorQueue: 'error', acknowledgementQueue, depth: undefined })
    const inspect = transport.inspect.bind(transport)
    let wasAway = false
    Object.assign(transport, {
      inspect: async (queue: string) => {
        if (wasAway || queue !== 'error') return inspect(queue)
        wasAway = true
        const [other] = await replayed(transport).then(({ items }) => items)
        assert.equal(other?.result, 'published')
        const headers = failureHeaders('m1', { 'ServiceControl.Retry.UniqueMessageId': 'unique' })
        await transport.dispatch([{ id: 'm1', headers, body: new Uint8Array(), to: { exactQueue: 'error' } }])
        throw new Error('it is away')
      },
    })

    answers.expect('unique', undefined)
    await answers.until(['unique'], 20_000, new AbortController().signal, () => undefined)

    assert.equal(answers.of('unique')?.kind, 'failedAgain')
    await transport.close()
  })

  it('ends as soon as all have answered', async () => {
    const transport = await worldWith(failureHeaders('m1'), failureHeaders('m2'))
    await endpoint(transport, () => 'succeed')

    const report = await replayed(transport, {}, { waitMs: 20_000 })

    assert.deepEqual(
      report.items.map((item) => item.result),
      ['succeeded', 'succeeded'],
    )
    await transport.close()
  })

  it('E-29 without --wait no acknowledgement address is left in the copy', async () => {
    const transport = await worldWith(failureHeaders('m1', { 'ServiceControl.Retry.AcknowledgementQueue': 'long.gone' }))

    await replayed(transport)

    const [copy] = await waitingIn(transport, 'Sales')
    assert.equal(copy?.headers['ServiceControl.Retry.AcknowledgementQueue'], undefined)
  })
})

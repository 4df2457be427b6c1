import assert from 'node:assert/strict'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type Answers, listenForAnswers } from '../../../../src/toolkit/errors/replay/answers.ts'
import { rabbitTransport } from '../../../../src/transport/rabbitmq/transport.ts'
import { failureHeaders } from '../../../cli/nsb.ts'
import { ErrorQueue } from '../../../support/error-queue.ts'
import { type VirtualHost, makeVirtualHost } from '../../../support/virtual-host.ts'

const acks = 'nsb.acks'
const earlier = Date.parse('2026-11-21T00:21:15.973Z')
const later = '2026-11-22 10:00:00:000000 Z'

let host: VirtualHost
beforeAll(async () => {
  host = await makeVirtualHost()
})
afterAll(() => host.remove())

let worlds = 0
const noSignal = new AbortController().signal

interface World {
  readonly answers: Answers
  readonly errors: ErrorQueue
  /** As an endpoint does that succeeded. */
  readonly acknowledge: (uniqueId: string) => Promise<void>
  /** As an endpoint does whose handler fails. */
  readonly fail: (messageId: string, uniqueId?: string) => Promise<void>
}

/** The direct topology, where no message can be seen without taking it. `lying` messages stay in the error queue, `sent` ones are replayed. */
async function makeWorld({
  lying,
  sent,
  deliveryLimit,
  isHeld = true,
}: {
  lying: number
  sent: readonly string[]
  deliveryLimit?: number
  /** They were taken out of the error queue for the replay, and not moved before. */
  isHeld?: boolean
}): Promise<World> {
  const queue = `error-${++worlds}`
  const errors = await ErrorQueue.make(host, queue, { kind: 'quorum', ...(deliveryLimit === undefined ? {} : { deliveryLimit }) })
  await errors.put(
    Array.from({ length: lying }, (_, index) => ({ body: `lying${index + 1}`, headers: failureHeaders(`lying${index + 1}`) })),
  )
  const transport = rabbitTransport({ settings: host.settings, management: host.management, topology: 'direct', warn: () => undefined })
  onTestFinished(() => transport.close())
  const answers = await listenForAnswers(transport, queue, acks, isHeld ? lying + sent.length : undefined)
  onTestFinished(() => answers.close())
  for (const uniqueId of sent) answers.expect(uniqueId, earlier)
  const queueOfAcks = ErrorQueue.open(host, acks)
  await queueOfAcks.drain()
  return {
    answers,
    errors,
    acknowledge: (uniqueId) =>
      queueOfAcks.put([
        { body: '', headers: { 'ServiceControl.Retry.UniqueMessageId': uniqueId, 'ServiceControl.Retry.Successful': later } },
      ]),
    fail: (messageId, uniqueId = messageId) =>
      errors.put([
        {
          body: messageId,
          headers: failureHeaders(messageId, {
            'ServiceControl.Retry.UniqueMessageId': uniqueId,
            'NServiceBus.TimeOfFailure': later,
          }),
        },
      ]),
  }
}

const deliveries = async (queue: ErrorQueue): Promise<readonly number[]> => (await queue.drain()).map((lying) => lying.deliveries)

describe('answers where nothing can be tapped', () => {
  it('E-30 are succeeded, failed again, or none, and what failed in the meantime for the first time is none of them', {
    timeout: 60_000,
  }, async () => {
    const { acknowledge, answers, errors, fail } = await makeWorld({ lying: 2, sent: ['good', 'bad', 'silent'] })
    await acknowledge('good')
    await fail('bad')
    await fail('another')

    await answers.until(['good', 'bad', 'silent'], 2000, noSignal, () => undefined)

    assert.deepEqual(
      ['good', 'bad', 'silent', 'another'].map((uniqueId) => answers.of(uniqueId)?.kind),
      ['succeeded', 'failedAgain', undefined, undefined],
    )
    expect(answers.of('bad')).toMatchObject({ exception: 'System.Exception: no stock' })
    assert.deepEqual(
      (await errors.drain()).map(({ body }) => body),
      ['lying1', 'lying2', 'bad', 'another'],
    )
  })

  it('E-30 consume the acknowledgements that are ours, and leave those of others', { timeout: 60_000 }, async () => {
    const { acknowledge, answers } = await makeWorld({ lying: 0, sent: ['ours'] })
    await acknowledge('theirs')
    await acknowledge('ours')

    await answers.until(['ours'], 20_000, noSignal, () => undefined)

    assert.equal(answers.of('ours')?.kind, 'succeeded')
    const left = await ErrorQueue.open(host, acks).drain()
    assert.deepEqual(
      left.map(({ headers }) => headers['ServiceControl.Retry.UniqueMessageId']),
      ['theirs'],
    )
  })

  it('do not look at the error queue as long as it has no more messages than were left in it', { timeout: 60_000 }, async () => {
    const { answers, errors } = await makeWorld({ lying: 5, sent: ['silent'], deliveryLimit: 20 })

    await answers.until(['silent'], 1600, noSignal, () => undefined)

    assert.deepEqual(await deliveries(errors), [0, 0, 0, 0, 0])
  })

  it('look at the error queue only after a batch of which something failed again', { timeout: 60_000 }, async () => {
    const { answers, errors, fail } = await makeWorld({ lying: 3, sent: ['first', 'second', 'third'], deliveryLimit: 20, isHeld: false })

    await answers.until(['first'], 700, noSignal, () => undefined)
    await fail('second')
    await answers.until(['second'], 20_000, noSignal, () => undefined)
    await answers.until(['third'], 700, noSignal, () => undefined)

    assert.deepEqual(
      ['first', 'second', 'third'].map((uniqueId) => answers.of(uniqueId)?.kind),
      [undefined, 'failedAgain', undefined],
    )
    assert.deepEqual(await deliveries(errors), [1, 1, 1, 1])
  })

  it('look ever more rarely at an error queue that goes on growing', { timeout: 60_000 }, async () => {
    const { answers, errors, fail } = await makeWorld({ lying: 1, sent: ['silent'], deliveryLimit: 20 })
    let isOver = false
    const waiting = answers.until(['silent'], 5000, noSignal, () => undefined).then(() => (isOver = true))

    for (let number = 0; !isOver; number++) await fail(`other${number}`)
    await waiting

    const counts = await deliveries(errors)
    // At once, then after 0.5, 1 and 2 seconds more, and at the end.
    assert.ok(Math.max(...counts) <= 5, `${Math.max(...counts)} looks`)
    assert.ok(Math.max(...counts) > 1)
  })

  it('wait for another nsb that has the queue in hand', { timeout: 60_000 }, async () => {
    const { acknowledge, answers, errors, fail } = await makeWorld({ lying: 0, sent: ['good', 'bad'] })
    const other = rabbitTransport({ settings: host.settings, management: host.management, warn: () => undefined })
    onTestFinished(() => other.close())
    const options = { purpose: 'look', overrule: [], page: 1, max: 1, signal: noSignal, beforeRemove: () => undefined } as const
    const holding = await other.hold(errors.name, options)
    await fail('bad')
    await acknowledge('good')
    let waitingFor = 2
    const waiting = answers.until(['good', 'bad'], 20_000, noSignal, (left) => (waitingFor = left))
    await expect.poll(() => waitingFor).toBe(1)

    await holding.giveBack()
    await waiting

    assert.equal(answers.of('bad')?.kind, 'failedAgain')
  })

  it('E-13 end at once when they are interrupted, with everything given back', { timeout: 60_000 }, async () => {
    const { answers, errors, fail } = await makeWorld({ lying: 3, sent: ['bad', 'silent'] })
    await fail('bad')
    const interruption = new AbortController()

    await answers.until(['bad', 'silent'], 60_000, interruption.signal, (waitingFor) => waitingFor === 1 && interruption.abort())

    assert.equal((await errors.drain()).length, 4)
  })
})

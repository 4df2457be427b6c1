import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import {
  type EndpointOptions,
  type Logger,
  type RecoverabilityAction,
  type RecoverabilityPolicy,
  UnrecoverableError,
  command,
  defineEndpoint,
  handler,
  silentLogger,
} from '../../src/index.ts'
import { formatTimestamp } from '../../src/message/wire-formats.ts'
import { defaultRecoverability, delayedRetriesOf } from '../../src/runtime/recoverability.ts'
import { testEndpoint } from '../../src/testing/index.ts'

class PlaceOrder extends command('Shop.PlaceOrder', z.object({ OrderId: z.string() })) {}
class Note extends command('Shop.Note', z.object({ Text: z.string() })) {}

const order = new PlaceOrder({ OrderId: '7' })
const failing = (error: () => unknown) =>
  handler(
    PlaceOrder,
    () => {
      throw error()
    },
    { name: 'Failing' },
  )

describe('the default policy', () => {
  const settings = { immediateRetries: 5, delayedRetries: 3, delayIncreaseMs: 10_000, unrecoverable: [TypeError], errorQueue: 'error' }
  const now = Date.UTC(2026, 0, 10)
  class NoMoney extends UnrecoverableError {}
  class BadArgument extends TypeError {}
  const cases = [
    { name: 'retries at once up to the limit', failedAttempts: 5, action: { kind: 'retryNow' } },
    { name: 'retries later after that', failedAttempts: 6, action: { kind: 'retryLater', delayMs: 10_000 } },
    {
      name: 'waits longer each time',
      failedAttempts: 6,
      headers: { 'NServiceBus.Retries': '2' },
      action: { kind: 'retryLater', delayMs: 30_000 },
    },
    {
      name: 'gives up when the delayed retries are used up',
      failedAttempts: 6,
      headers: { 'NServiceBus.Retries': '3' },
      action: { kind: 'moveToError', queue: 'error' },
    },
    {
      name: 'RC-5 reads an unreadable number of retries as none',
      failedAttempts: 6,
      headers: { 'NServiceBus.Retries': 'many' },
      action: { kind: 'retryLater', delayMs: 10_000 },
    },
    {
      name: 'RC-6 makes no delayed retry when the last one is more than a day old',
      failedAttempts: 6,
      headers: { 'NServiceBus.Retries': '1', 'NServiceBus.Retries.Timestamp': formatTimestamp(now - 25 * 3_600_000) },
      action: { kind: 'moveToError', queue: 'error' },
    },
    {
      name: 'ignores a timestamp that cannot be read',
      failedAttempts: 6,
      headers: { 'NServiceBus.Retries.Timestamp': '2020-01-01' },
      action: { kind: 'retryLater', delayMs: 10_000 },
    },
    {
      name: 'RC-4 does not retry an unrecoverable error or a subclass of one',
      failedAttempts: 1,
      error: new NoMoney('none'),
      action: { kind: 'moveToError', queue: 'error' },
    },
    {
      name: 'RC-4 does not retry a subclass of a configured class',
      failedAttempts: 1,
      error: new BadArgument('x'),
      action: { kind: 'moveToError', queue: 'error' },
    },
    {
      name: 'looks at the outermost error only',
      failedAttempts: 1,
      error: new Error('outer', { cause: new NoMoney('inner') }),
      action: { kind: 'retryNow' },
    },
  ]
  for (const { action, error = new Error('x'), failedAttempts, headers = {}, name } of cases)
    it(name, () => {
      expect(
        defaultRecoverability({ error, messageId: '1', headers, failedAttempts, delayedRetries: delayedRetriesOf(headers), now }, settings),
      ).toEqual(action)
    })
})

describe('when a handler always throws', () => {
  it('RC-1 runs it 6 times a round and 24 times in all, and then moves the message to the error queue once', async () => {
    const endpoint = await testEndpoint({ handlers: [failing(() => new Error('no stock'))] })

    const first = await endpoint.receive(order)
    await endpoint.world.advance('1h')

    expect(first).toMatchObject({ status: 'retried', attempts: 6 })
    expect(endpoint.world.errorQueue).toHaveLength(1)
    const id = endpoint.world.errorQueue[0]?.id as string
    expect(endpoint.outcome(id)).toMatchObject({ status: 'failed', attempts: 24 })
  })

  it('RC-2 waits 10, 20 and 30 seconds between the rounds', async () => {
    const endpoint = await testEndpoint({ handlers: [failing(() => new Error('no stock'))] })
    const { attempts } = await endpoint.receive(order)
    const id = endpoint.world.dispatched.at(-1)?.id as string

    const counts: number[] = [attempts]
    for (const wait of ['9.9s', '100ms', '19.9s', '100ms', '29.9s', '100ms']) {
      await endpoint.world.advance(wait)
      counts.push(endpoint.outcome(id).attempts)
    }

    expect(counts).toEqual([6, 6, 12, 12, 18, 18, 24])
  })

  it('keeps id and body on a delayed retry, counts it, and lets the first due time stick', async () => {
    const endpoint = await testEndpoint(
      { handlers: [failing(() => new Error('no stock'))], recoverability: { immediateRetries: 0 } },
      { now: Date.UTC(2026, 0, 1) },
    )

    await endpoint.receive(order, { 'NServiceBus.MessageId': 'm1' })
    await endpoint.world.advance('10s')

    const [first, second] = endpoint.world.dispatched
    expect(first?.headers).toMatchObject({
      'NServiceBus.MessageId': 'm1',
      'NServiceBus.Retries': '1',
      'NServiceBus.Retries.Timestamp': '2026-01-01 00:00:00:000000 Z',
      'NServiceBus.DeliverAt': '2026-01-01 00:00:10:000000 Z',
    })
    expect(second?.headers).toMatchObject({
      'NServiceBus.Retries': '2',
      'NServiceBus.Retries.Timestamp': '2026-01-01 00:00:10:000000 Z',
      'NServiceBus.DeliverAt': '2026-01-01 00:00:10:000000 Z',
    })
    expect(second?.data).toEqual({ OrderId: '7' })
  })
})

it('RC-3 does not retry a body that cannot be read', async () => {
  const endpoint = await testEndpoint({ handlers: [failing(() => new Error('never'))] })

  const outcome = await endpoint.receiveRaw({
    headers: { 'NServiceBus.EnclosedMessageTypes': 'Shop.PlaceOrder' },
    body: '{"OrderId": not json',
  })

  expect(outcome).toMatchObject({ status: 'failed', attempts: 1, handlersRun: [] })
  expect(endpoint.world.errorQueue[0]?.headers['NServiceBus.ExceptionInfo.ExceptionType']).toBe(
    'NServiceBus.MessageDeserializationException',
  )
})

describe('the copy in the error queue', () => {
  async function fail(error: () => unknown, headers: Record<string, string> = {}) {
    const endpoint = await testEndpoint(
      defineEndpoint('Sales', {
        handlers: [failing(error)],
        recoverability: { immediateRetries: 0, delayedRetries: 0 },
        host: { machine: 'web-1', displayName: 'Web 1', id: 'a'.repeat(32) },
      }),
    )
    await endpoint.receive(order, headers)
    return endpoint.world.errorQueue[0]?.headers as Record<string, string>
  }

  it('RC-7 has every header about the failure, and the retry counters no more', async () => {
    const headers = await fail(
      () =>
        Object.assign(new RangeError('no stock', { cause: new TypeError('inner') }), { code: 'E42', helpLink: 'https://shop.example/42' }),
      {
        'NServiceBus.MessageId': 'm1',
        'NServiceBus.Retries': '2',
        'NServiceBus.FLRetries': '1',
        'NServiceBus.Retries.Timestamp': formatTimestamp(Date.now()),
        Tenant: 'a',
      },
    )

    expect(headers).toMatchObject({
      Tenant: 'a',
      'NServiceBus.MessageId': 'm1',
      'NServiceBus.FailedQ': 'Sales',
      'NServiceBus.ProcessingEndpoint': 'Sales',
      'NServiceBus.ProcessingMachine': 'web-1',
      '$.diagnostics.hostid': 'a'.repeat(32),
      '$.diagnostics.hostdisplayname': 'Web 1',
      'NServiceBus.ExceptionInfo.ExceptionType': 'Node.RangeError',
      'NServiceBus.ExceptionInfo.InnerExceptionType': 'Node.TypeError',
      'NServiceBus.ExceptionInfo.Message': 'no stock',
      'NServiceBus.ExceptionInfo.Source': 'Sales',
      'NServiceBus.ExceptionInfo.HelpLink': 'https://shop.example/42',
      'NServiceBus.ExceptionInfo.Data.code': 'E42',
      'NServiceBus.ExceptionInfo.Data.Message type': 'Shop.PlaceOrder',
      'NServiceBus.ExceptionInfo.Data.Handler type': 'Failing',
      'NServiceBus.ExceptionInfo.Data.Handler canceled': 'False',
      'NServiceBus.ExceptionInfo.Data.Pipeline canceled': 'False',
      'NServiceBus.ExceptionInfo.Data.Message ID': 'm1',
    })
    for (const name of [
      'TimeOfFailure',
      'ExceptionInfo.StackTrace',
      'Retries.Timestamp',
      'ExceptionInfo.Data.Handler start time',
      'ExceptionInfo.Data.Transport message ID',
    ])
      expect(headers).toHaveProperty([`NServiceBus.${name}`])
    expect(headers).not.toHaveProperty(['NServiceBus.Retries'])
    expect(headers).not.toHaveProperty(['NServiceBus.FLRetries'])
  })

  it('RC-8 has the message cut at 16,384 characters', async () => {
    const headers = await fail(() => new Error('x'.repeat(20_000)))

    expect(headers['NServiceBus.ExceptionInfo.Message']).toHaveLength(16_384)
  })

  it('E-6 has a stack in the shape of .NET, causes first, with the handler in its first frame', async () => {
    const headers = await fail(() => new Error('outer', { cause: new TypeError('inner') }))

    const lines = headers['NServiceBus.ExceptionInfo.StackTrace']?.split('\n') as string[]
    expect(lines.slice(0, 2)).toEqual(['Node.Error: outer', ' ---> Node.TypeError: inner'])
    expect(lines[2]).toMatch(/^ {3}at [^ ]+\.[^ ]+\(\) in \/.*recoverability\.test\.ts:line \d+$/)
    expect(lines).toContain('   --- End of inner exception stack trace ---')
    expect(headers['NServiceBus.ExceptionInfo.Data.node.stack']).toContain('Error: outer')
  })

  it('is written for whatever was thrown', async () => {
    const hostile = [
      Object.assign(new Error('x'), { constructor: undefined }),
      Object.assign(new Error('x'), { name: Symbol('name') }),
      Object.assign(new Error('x'), { message: Object.create(null) }),
      Object.defineProperty(new Error('x'), 'cause', {
        get: () => {
          throw new Error('getter')
        },
      }),
      Object.defineProperty(new Error('x'), 'stack', {
        get: () => {
          throw new Error('getter')
        },
      }),
      new Proxy(new Error('x'), {
        get: () => {
          throw new Error('trap')
        },
        getPrototypeOf: () => {
          throw new Error('trap')
        },
        ownKeys: () => {
          throw new Error('trap')
        },
      }),
    ]
    for (const thrown of ['text', undefined, null, 42, { a: 1 }, Object.create(null), ...hostile]) {
      const headers = await fail(() => thrown)
      expect(headers['NServiceBus.FailedQ']).toBe('Sales')
    }
  })

  it('E-6 names the function of a short handler, so that two of them are two groups', async () => {
    const headers = await fail(() => new Error('no stock'))

    expect(headers['NServiceBus.ExceptionInfo.StackTrace']).toMatch(/at [^ ]+\.Failing\(\) in .*recoverability\.test\.ts/)
  })

  it('keeps its frames behind a very long message', async () => {
    const headers = await fail(() => new Error('x'.repeat(100_000)))

    expect(headers['NServiceBus.ExceptionInfo.StackTrace']).toMatch(/ in \/.*recoverability\.test\.ts:line \d+/)
  })

  it('survives causes that lead in a circle', async () => {
    const headers = await fail(() => {
      const error = new Error('round')
      error.cause = new Error('and round', { cause: error })
      return error
    })

    expect(headers['NServiceBus.ExceptionInfo.InnerExceptionType']).toBe('Node.Error')
  })
})

it('RC-9 drops the batch of a failed attempt and keeps what was dispatched at once', async () => {
  const endpoint = await testEndpoint({
    handlers: [
      handler(PlaceOrder, async (_, context) => {
        await context.send(new Note({ Text: 'batched' }), { destination: 'Notes' })
        await context.send(new Note({ Text: 'at once' }), { destination: 'Notes', requireImmediateDispatch: true })
        throw new Error('no stock')
      }),
    ],
    recoverability: { immediateRetries: 1, delayedRetries: 0 },
  })

  await endpoint.receive(order)

  const notes = endpoint.world.dispatched.filter((message) => message.to === 'Notes').map((message) => message.data)
  expect(notes).toEqual([{ Text: 'at once' }, { Text: 'at once' }])
})

describe('a message that ServiceControl sent back', () => {
  const retry = { 'ServiceControl.Retry.UniqueMessageId': 'u-1', 'ServiceControl.Retry.AcknowledgementQueue': 'acks' }
  const acks = (messages: readonly { to: string; headers: Readonly<Record<string, string>>; body: Uint8Array }[]) =>
    messages.filter((message) => message.to === 'acks')

  it('RC-13 is acknowledged when it succeeds, with five headers and no body', async () => {
    const endpoint = await testEndpoint({ handlers: [handler(PlaceOrder, () => undefined)], auditQueue: 'audit' })

    const outcome = await endpoint.receive(order, retry)

    const [acknowledgement, ...more] = acks(outcome.dispatched)
    expect(more).toEqual([])
    expect(acknowledgement?.body).toHaveLength(0)
    expect(
      Object.keys(acknowledgement?.headers ?? {})
        .filter((name) => name !== 'nsb.Version')
        .sort(),
    ).toEqual([
      'NServiceBus.ControlMessage',
      'NServiceBus.TimeSent',
      'NServiceBus.Version',
      'ServiceControl.Retry.Successful',
      'ServiceControl.Retry.UniqueMessageId',
    ])
    expect(outcome.audit?.headers['ServiceControl.Retry.AcknowledgementSent']).toBe('true')
  })

  it('RC-13 is not acknowledged when it fails again', async () => {
    const endpoint = await testEndpoint({
      handlers: [failing(() => new Error('again'))],
      recoverability: { immediateRetries: 0, delayedRetries: 0 },
    })

    const outcome = await endpoint.receive(order, retry)

    expect(outcome.status).toBe('failed')
    expect(acks(endpoint.world.dispatched)).toEqual([])
    expect(endpoint.world.errorQueue[0]?.headers).toMatchObject(retry)
  })

  it('is not acknowledged without a unique id', async () => {
    const endpoint = await testEndpoint({ handlers: [handler(PlaceOrder, () => undefined)] })

    const outcome = await endpoint.receive(order, { 'ServiceControl.Retry.AcknowledgementQueue': 'acks' })

    expect(outcome).toMatchObject({ status: 'ok', dispatched: [] })
  })
})

describe('a policy of the user', () => {
  const withPolicy = (recoverability: RecoverabilityPolicy, more: EndpointOptions = {}, logger: Logger = silentLogger) =>
    testEndpoint({ handlers: [failing(() => new Error('no stock'))], recoverability, auditQueue: 'audit', ...more }, { logger })

  it('RC-11 discards: the message is consumed, goes nowhere, and the log has the reason', async () => {
    const infos: string[] = []
    const endpoint = await withPolicy(
      () => ({ kind: 'discard', reason: 'stale' }),
      {},
      { ...silentLogger, info: (text) => void infos.push(text) },
    )

    const outcome = await endpoint.receive(order, { 'NServiceBus.MessageId': 'm1' })

    expect(outcome).toMatchObject({ status: 'discarded', attempts: 1, dispatched: [], audit: undefined })
    expect((await endpoint.world.transport().inspect('Test'))?.depth).toBe(0)
    expect(infos).toEqual([`Discarding message with id 'm1'. Reason: stale: no stock`])
  })

  it('sees the failure, and can fall back on the default with other numbers', async () => {
    const seen: unknown[] = []
    const endpoint = await withPolicy((failure, byDefault) => {
      seen.push([failure.messageId, (failure.error as Error).message, failure.failedAttempts, failure.delayedRetries])
      return byDefault({ immediateRetries: 1, delayedRetries: 0, errorQueue: 'poison' })
    })

    const outcome = await endpoint.receive(order, { 'NServiceBus.MessageId': 'm1' })

    expect(seen).toEqual([
      ['m1', 'no stock', 1, 0],
      ['m1', 'no stock', 2, 0],
    ])
    expect(outcome.dispatched.map(({ to }) => to)).toEqual(['poison'])
  })

  it('chooses the delay and the queue by itself', async () => {
    const endpoint = await withPolicy((failure) =>
      failure.delayedRetries === 0 ? { kind: 'retryLater', delayMs: 0 } : { kind: 'moveToError', queue: 'manual' },
    )

    const outcome = await endpoint.receive(order)

    expect([outcome.attempts, endpoint.world.dispatched.map(({ to }) => to)]).toEqual([2, ['Test', 'manual']])
  })

  const retries: readonly RecoverabilityAction[] = [{ kind: 'retryNow' }, { kind: 'retryLater', delayMs: 1000 }]
  for (const action of retries)
    it(`RC-12 ${action.kind} without transactions becomes a move to the error queue, with a warning`, async () => {
      const warnings: string[] = []
      const endpoint = await withPolicy(
        () => action,
        { transactionMode: 'none', errorQueue: 'failed' },
        {
          ...silentLogger,
          warn: (text) => void warnings.push(text),
        },
      )

      const outcome = await endpoint.receive(order, { 'NServiceBus.MessageId': 'm1' })

      expect([outcome.status, outcome.attempts, outcome.dispatched.map(({ to }) => to)]).toEqual(['failed', 1, ['failed']])
      expect(warnings).toEqual([`Message 'm1' cannot be retried without transactions; it moves to 'failed'.`])
    })

  const wrong: readonly unknown[] = [undefined, { kind: 'retry' }, { kind: 'retryLater', delayMs: -1 }, { kind: 'moveToError', queue: ' ' }]
  for (const answer of wrong)
    it(`that answers ${JSON.stringify(answer)} is reported, and the message stays`, async () => {
      const errors: unknown[] = []
      let asked = 0
      const endpoint = await withPolicy(
        (_, byDefault) => {
          asked += 1
          return asked === 1 ? (answer as RecoverabilityAction) : byDefault({ immediateRetries: 0, delayedRetries: 0 })
        },
        {},
        { ...silentLogger, error: (_, error) => void errors.push(error) },
      )

      await endpoint.receive(order, { 'NServiceBus.MessageId': 'm1' })
      await endpoint.world.advance('2s')

      expect(endpoint.outcome('m1').status).toBe('failed')
      expect(endpoint.world.errorQueue).toHaveLength(1)
      expect(errors[0]).toMatchObject({
        message: expect.stringMatching(/^Failed to execute recoverability policy for message with native ID: /),
        cause: { code: 'NSB_BAD_RETRIES' },
      })
    })
})

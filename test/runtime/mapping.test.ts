import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import {
  MessageInterface,
  type MessageType,
  command,
  defineEndpoint,
  event,
  handler,
  messageSymbol,
  silentLogger,
} from '../../src/index.ts'
import { testEndpoint } from '../../src/testing/index.ts'

class Base extends event('Ns.Base', z.object({ Id: z.string() })) {}
class Derived extends event('Ns.Derived', z.object({ Id: z.string() }), { implements: [Base] }) {}
class Unrelated extends event('Ns.Unrelated', z.object({ Id: z.string() })) {}
class Inner extends event('Ns.Outer+Inner', z.object({ Id: z.string() })) {}
class NoHandler extends command('Ns.NoHandler', z.object({ Id: z.string() })) {}
class Renamed extends command('Ns.Renamed', z.object({ Id: z.string() }), { aliases: ['Legacy.OldName'] }) {}
class Qualified extends command('Ns.Qualified', z.object({ Id: z.string() }), { assembly: 'Shop.Messages' }) {}

const named = (type: MessageType<{ Id: string }>, name: string) => handler(type, () => undefined, { name })
const receiverOf = () =>
  testEndpoint(
    defineEndpoint('Test', {
      handlers: [
        named(Base, 'base'),
        named(Derived, 'derived'),
        named(Inner, 'inner'),
        named(Renamed, 'renamed'),
        named(Qualified, 'qualified'),
      ],
      messages: [Unrelated, NoHandler],
      recoverability: { immediateRetries: 1, delayedRetries: 0 },
    }),
  )

const anotherToken = 'Version=9.9.9.9, Culture=neutral, PublicKeyToken=abcdef0123456789'

describe('a type header is mapped as .NET maps it', () => {
  const cases: readonly {
    readonly name: string
    readonly header: string
    readonly run: readonly string[]
    readonly status?: string
    readonly attempts?: number
  }[] = [
    {
      name: 'M-1 by its assembly qualified name',
      header: 'Ns.Qualified, Shop.Messages, Version=1.0.0.0, Culture=neutral, PublicKeyToken=null',
      run: ['qualified'],
    },
    {
      name: 'M-2 by the full name when the assembly does not match',
      header: 'Ns.Qualified, Other.Assembly, Version=1.0.0.0, Culture=neutral, PublicKeyToken=null',
      run: ['qualified'],
    },
    {
      name: 'M-3 whatever assembly, version, culture and token say',
      header: `Ns.Derived, Other, ${anotherToken}`,
      run: ['base', 'derived'],
    },
    { name: 'M-4 by a full name alone', header: 'Ns.Derived', run: ['base', 'derived'] },
    { name: 'with its base type listed after it, as one message', header: 'Ns.Derived;Ns.Base', run: ['base', 'derived'] },
    { name: 'with its base type listed before it, as two messages', header: 'Ns.Base;Ns.Derived', run: ['base', 'base', 'derived'] },
    { name: 'by a known parent when the type itself is unknown', header: 'Ns.Nope, Other;Ns.Base, Other', run: ['base'] },
    {
      name: 'and fails as a whole when one of several roots has no handler, after running those that have, each time',
      header: 'Ns.Nope, Other;Ns.Base, Other;Ns.Unrelated, Other',
      run: ['base', 'base'],
      status: 'failed',
      attempts: 2,
    },
    { name: 'without the proxies of old versions', header: 'Ns.Derived__impl;Ns.Base', run: ['base'] },
    { name: 'for a nested type', header: 'Ns.Outer+Inner', run: ['inner'] },
    { name: 'by an alias', header: 'Legacy.OldName, Old', run: ['renamed'] },
    { name: 'but not in another case', header: 'ns.derived', run: [], status: 'failed', attempts: 1 },
    { name: 'but not a nested type written with a dot', header: 'Ns.Outer.Inner', run: [], status: 'failed', attempts: 1 },
    { name: 'M-6 and an unknown type reaches no handler', header: 'Ns.Nope, Other', run: [], status: 'failed', attempts: 1 },
    { name: 'and a trailing separator is a failure', header: 'Ns.Derived;', run: [], status: 'failed', attempts: 1 },
    { name: 'and a blank header is a failure', header: ' ', run: [], status: 'failed', attempts: 1 },
  ]
  for (const { attempts = 1, header, name, run, status = 'ok' } of cases)
    it(name, async () => {
      const endpoint = await receiverOf()

      const outcome = await endpoint.receiveRaw({ headers: { 'NServiceBus.EnclosedMessageTypes': header }, body: '{"Id":"7"}' })

      expect(outcome).toMatchObject({ status, attempts, handlersRun: run })
      expect(endpoint.world.errorQueue).toHaveLength(status === 'ok' ? 0 : 1)
    })

  it('M-6 and a message without the header ends in the error queue at once', async () => {
    const endpoint = await receiverOf()

    const outcome = await endpoint.receiveRaw({ headers: {}, body: '{"Id":"7"}' })

    expect(outcome).toMatchObject({ status: 'failed', attempts: 1 })
  })

  it('and an empty body or a control message succeeds without a handler, whatever its type', async () => {
    const endpoint = await receiverOf()

    const empty = await endpoint.receiveRaw({ headers: { 'NServiceBus.EnclosedMessageTypes': 'Ns.Nope' }, body: '' })
    const control = await endpoint.receiveRaw({ headers: { 'NServiceBus.ControlMessage': 'true' }, body: 'whatever' })

    expect([empty, control]).toMatchObject([
      { status: 'ok', handlersRun: [] },
      { status: 'ok', handlersRun: [] },
    ])
  })
})

it('M-5 shows both names of a declared type', () => {
  expect(Qualified[messageSymbol].enclosedTypes).toBe('Ns.Qualified, Shop.Messages, Version=1.0.0.0, Culture=neutral, PublicKeyToken=null')
  expect(Qualified[messageSymbol].fullName).toBe('Ns.Qualified')
})

describe('a message of a known type that nobody handles', () => {
  it('N-1 N-2 N-3 is retried, and then in the error queue with the reason and the type', async () => {
    const endpoint = await receiverOf()

    const outcome = await endpoint.receive(new NoHandler({ Id: '7' }))

    expect(outcome).toMatchObject({ status: 'failed', attempts: 2, handlersRun: [] })
    expect(endpoint.world.errorQueue[0]?.headers).toMatchObject({
      'NServiceBus.ExceptionInfo.ExceptionType': 'System.InvalidOperationException',
      'NServiceBus.ExceptionInfo.Message': 'No handlers could be found for message type: Ns.NoHandler',
      'NServiceBus.EnclosedMessageTypes': 'Ns.NoHandler',
    })
  })
})

describe('an interface', () => {
  class IOrderEvent extends MessageInterface<{ OrderId: string }>('Shop.IOrderEvent') {}

  it('is handled by itself, with whatever the body has', async () => {
    const seen: unknown[] = []
    const endpoint = await testEndpoint({
      handlers: [handler(IOrderEvent, (received) => void seen.push(received.OrderId, received instanceof IOrderEvent))],
    })

    const outcome = await endpoint.receiveRaw({
      headers: { 'NServiceBus.EnclosedMessageTypes': 'Shop.Unknown, X;Shop.IOrderEvent, X' },
      body: '{"OrderId":"7","More":1}',
    })

    expect(outcome.status).toBe('ok')
    expect(seen).toEqual(['7', true])
  })
})

it('explains how a header is mapped, and who would run', async () => {
  const endpoint = await receiverOf()

  const explanation = endpoint.explain('Ns.Nope, Other;Ns.Derived, Other')

  expect(explanation.entries.map(({ rule }) => rule)).toEqual(['unknown', 'full name'])
  expect(explanation.handlers.map(({ handlers, type }) => [type, handlers.map(({ name }) => name)])).toEqual([
    ['Ns.Derived', ['base', 'derived']],
  ])
})

it('refuses a malformed time sent, as .NET does', async () => {
  const endpoint = await receiverOf()

  const outcome = await endpoint.receive(new Base({ Id: '7' }), { 'NServiceBus.TimeSent': '2026-01-01T00:00:00Z' })

  expect(outcome).toMatchObject({ status: 'failed', attempts: 2, handlersRun: [] })
})

describe('a message without the type header', () => {
  const body = '{"$type":"Ns.Renamed, Shop.Messages","Id":"7"}'

  it('has the type that its JSON body names, and the audit copy says so', async () => {
    const seen: string[] = []
    const endpoint = await testEndpoint({
      handlers: [handler(Renamed, ({ Id }, context) => void seen.push(Id, String(context.headers['NServiceBus.EnclosedMessageTypes'])))],
      auditQueue: 'audit',
    })

    const outcome = await endpoint.receiveRaw({ headers: { 'NServiceBus.ContentType': 'application/json' }, body: `\uFEFF[${body}]` })

    expect(outcome).toMatchObject({ status: 'ok', attempts: 1 })
    expect(seen).toEqual(['7', 'Ns.Renamed'])
    expect(outcome.audit?.headers['NServiceBus.EnclosedMessageTypes']).toBe('Ns.Renamed')
  })

  it('fails when the body names nothing that is known, or names it in no way that counts', async () => {
    const endpoint = await receiverOf()
    const bodies = [
      '{"$type":"System.Diagnostics.Process, System","Id":"7"}',
      '{"$type":7,"Id":"7"}',
      '{"Inner":{"$type":"Ns.Base"}}',
      '["$type"]',
    ]

    for (const other of bodies)
      expect(await endpoint.receiveRaw({ headers: {}, body: other })).toMatchObject({ status: 'failed', attempts: 1, handlersRun: [] })
  })

  it('fails with the words of .NET when inference is off', async () => {
    const endpoint = await testEndpoint({ handlers: [named(Renamed, 'renamed')], inferTypes: false })

    const outcomes = [
      await endpoint.receiveRaw({ headers: {}, body }),
      await endpoint.receiveRaw({ headers: { 'NServiceBus.EnclosedMessageTypes': 'Ns.Nope' }, body }),
    ]

    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ status: 'failed', attempts: 1, handlersRun: [] })
      expect((outcome.error as Error).cause).toMatchObject({
        message:
          "Could not determine the message type from the 'NServiceBus.EnclosedMessageTypes' header and message type inference from the message body has been disabled. Ensure the header is set or enable message type inference.",
      })
    }
  })

  it('is warned about when its header names nothing known, unless it was published', async () => {
    const warnings: string[] = []
    const endpoint = await testEndpoint({}, { logger: { ...silentLogger, warn: (text) => void warnings.push(text) } })
    const headers = { 'NServiceBus.EnclosedMessageTypes': 'Ns.Nope', 'NServiceBus.MessageId': 'm1' }

    await endpoint.receiveRaw({ headers, body })
    await endpoint.receiveRaw({ headers: { ...headers, 'NServiceBus.MessageIntent': 'Publish' }, body })

    expect(warnings).toEqual([`Could not determine message type from message header 'Ns.Nope'. MessageId: m1`])
  })
})

describe('with enclosedTypes: merge', () => {
  const merging = (handlers: readonly ReturnType<typeof named>[]) =>
    testEndpoint({
      handlers,
      messages: [Unrelated, Derived],
      enclosedTypes: 'merge',
      recoverability: { immediateRetries: 0, delayedRetries: 0 },
    })
  const cases = [
    { name: 'wrong order is one message of the first type', header: 'Ns.Base;Ns.Derived', run: ['base', 'derived'] },
    { name: 'an unrelated type without handler does no harm', header: 'Ns.Nope;Ns.Base;Ns.Unrelated', run: ['base'] },
    { name: 'its own base type listed after it runs once', header: 'Ns.Derived;Ns.Base', run: ['base', 'derived'] },
  ]
  for (const { header, name, run } of cases)
    it(name, async () => {
      const endpoint = await merging([named(Base, 'base'), named(Derived, 'derived')])

      const outcome = await endpoint.receiveRaw({ headers: { 'NServiceBus.EnclosedMessageTypes': header }, body: '{"Id":"7"}' })

      expect(outcome).toMatchObject({ status: 'ok', handlersRun: run })
      expect(endpoint.explain(header).handlers.flatMap(({ handlers }) => handlers.map((registered) => registered.name))).toEqual(run)
    })

  it('each handler gets the message as its own type', async () => {
    const got: object[] = []
    const keep = (type: MessageType<{ Id: string }>) => handler(type, (received) => void got.push(received))
    const endpoint = await merging([keep(Unrelated), keep(Base)])

    await endpoint.receiveRaw({ headers: { 'NServiceBus.EnclosedMessageTypes': 'Ns.Base;Ns.Unrelated' }, body: '{"Id":"7"}' })

    expect(got).toEqual([new Unrelated({ Id: '7' }), new Base({ Id: '7' })])
    expect(got[0]).toBeInstanceOf(Unrelated)
  })
})

it('a message without handler goes to the error queue at once where that is asked for', async () => {
  const endpoint = await testEndpoint({ messages: [NoHandler], noHandler: 'fail-fast' })

  expect(await endpoint.receive(new NoHandler({ Id: '7' }))).toMatchObject({ status: 'failed', attempts: 1 })
})

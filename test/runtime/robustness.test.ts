import { describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { type Clock, type StandardSchema, MessageInterface, command, defineEndpoint, event, handler, route } from '../../src/index.ts'
import { testEndpoint, testWorld } from '../../src/testing/index.ts'
import { startEndpoint } from '../../src/runtime/endpoint.ts'
import { silentLogger } from '../../src/runtime/logger.ts'
import { memoryTransport } from '../../src/transport/memory/transport.ts'

describe('a schema that throws instead of answering with issues', () => {
  let broken = true
  const throwing: StandardSchema<object> = {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: (value: unknown) => {
        if (broken) throw new TypeError('schema is broken')
        return { value: value as object }
      },
    },
  }
  class Work extends command('Shop.Work', throwing) {}

  it('fails a received message at once, like a body that cannot be read', async () => {
    broken = true
    const endpoint = await testEndpoint({ handlers: [handler(Work, () => undefined)] })

    const outcome = await endpoint.receiveRaw({ headers: { 'NServiceBus.EnclosedMessageTypes': 'Shop.Work' }, body: '{}' })

    expect(outcome).toMatchObject({ status: 'failed', attempts: 1, handlersRun: [] })
    expect(endpoint.world.errorQueue[0]?.headers).toMatchObject({
      'NServiceBus.ExceptionInfo.ExceptionType': 'NServiceBus.MessageDeserializationException',
      'NServiceBus.ExceptionInfo.InnerExceptionType': 'Node.NsbError',
      'NServiceBus.ExceptionInfo.StackTrace': expect.stringContaining('Node.TypeError: schema is broken'),
    })
  })

  it('never makes an instance that was not validated', () => {
    broken = true
    expect(() => new Work({})).toThrow(expect.objectContaining({ code: 'NSB_SCHEMA_THREW' }))
    broken = false
    expect(new Work({})).toBeInstanceOf(Work)
  })

  it('is told from an asynchronous one when it is zod, which answers with a promise for both', () => {
    const explodes = z.string().transform((): string => {
      throw new TypeError('schema is broken')
    })
    class Breaking extends command('Shop.Work', z.object({ Id: explodes })) {}
    class Waiting extends command('Shop.Work', z.object({ Id: z.string().refine(() => Promise.resolve(true)) })) {}

    expect(() => new Breaking({ Id: '1' })).toThrow(
      expect.objectContaining({ code: 'NSB_SCHEMA_THREW', message: expect.stringContaining('schema is broken') }),
    )
    expect(() => new Waiting({ Id: '1' })).toThrow(expect.objectContaining({ code: 'NSB_ASYNC_SCHEMA' }))
  })
})

describe('two loaded copies of the library', () => {
  it('understand each other: messages, handlers, definitions and errors of one work in the other', async () => {
    vi.resetModules()
    const other = await import('../../src/index.ts')
    const Shared = z.object({ Id: z.string() })
    class Theirs extends other.command('Shop.Work', Shared) {}
    class Ours extends command('Shop.Work', Shared) {}
    class TheirEvent extends other.event('Shop.Happened', Shared) {}
    class OurEvent extends event('Shop.Happened', Shared) {}
    expect(other.command).not.toBe(command)
    const world = testWorld()
    const seen: string[] = []
    const receiver = other.defineEndpoint('Work', {
      handlers: [
        other.handler(Theirs, async ({ Id }, context) => {
          seen.push(Id)
          await context.publish(new TheirEvent({ Id }))
        }),
        handler(OurEvent, ({ Id }) => void seen.push(`event ${Id}`)),
      ],
    })
    await world.start(receiver as never)
    const sender = await world.start(defineEndpoint('Web', { routes: [route(Theirs, 'Work')] }))

    await sender.send(new Ours({ Id: 'ours' }))
    await sender.send(new Theirs({ Id: 'theirs' }))
    await world.settle()

    expect(seen.toSorted()).toEqual(['event ours', 'event theirs', 'ours', 'theirs'])
    expect(world.errorQueue).toEqual([])
  })

  it("know each other's unrecoverable errors", async () => {
    vi.resetModules()
    const other = await import('../../src/index.ts')
    class Work extends command('Shop.Work', z.object({})) {}
    class NoMoney extends other.UnrecoverableError {}
    const endpoint = await testEndpoint({
      handlers: [
        handler(Work, () => {
          throw new NoMoney('none')
        }),
      ],
    })

    expect(await endpoint.receive(new Work({}))).toMatchObject({ status: 'failed', attempts: 1 })
  })
})

it.each([
  ['back', -3_600_000],
  ['ahead', 3_600_000],
])('a clock that jumps %s does no harm: messages are handled, audited and answered', async (_direction, jump) => {
  let now = Date.UTC(2026, 0, 2)
  const timers = new Set<() => void>()
  const clock: Clock = {
    now: () => (now += jump),
    after: (_, then) => {
      timers.add(then)
      return () => timers.delete(then)
    },
  }
  class Work extends command('Shop.Work', z.object({})) {}
  const transport = memoryTransport({ clock })
  const durations: number[] = []
  const endpoint = await startEndpoint(
    defineEndpoint('Sales', {
      handlers: [handler(Work, (_, context) => context.reply(7))],
      routes: [route(Work, 'Sales')],
      instance: 'a1',
      auditQueue: 'audit',
    }),
    { transport, clock, logger: silentLogger, observe: ({ durationMs }) => durations.push(durationMs) },
  )

  expect(await endpoint.request(new Work({}), 'int')).toBe(7)
  await endpoint.stop()

  expect(durations.every((duration) => duration >= 0)).toBe(true)
  expect(timers.size).toBe(0)
})

it('parents that are undefined, as circular imports leave them, are named in the error', () => {
  const Parent = undefined as never
  for (const declare of [
    () => event('Shop.Happened', z.object({}), { implements: [Parent] }),
    () => MessageInterface('Shop.IHappened', { implements: [Parent] }),
  ])
    expect(declare).toThrow(
      expect.objectContaining({
        code: 'NSB_NOT_A_MESSAGE',
        message: expect.stringMatching(/^'Shop\.I?Happened' lists something in 'implements' that is no message type: undefined\.$/),
        suggestions: expect.arrayContaining([expect.stringContaining('Circular imports')]),
      }),
    )
})

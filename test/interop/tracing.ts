import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, vi } from 'vitest'
import { type MessageHandlerContext, defineEndpoint, handler, route, startEndpoint } from '../../src/index.ts'
import { silentLogger } from '../../src/runtime/logger.ts'
import type { EndpointEvent } from '../../src/runtime/engine.ts'
import { formatTimeSpan } from '../../src/message/wire-formats.ts'
import type { OutgoingMessage, Transport, TransactionMode } from '../../src/transport/transport.ts'
import { CountAttempt, FlakyOrder, MoveOrder, OrderPlaced, PrintLabel, ShipOrder, SplitOrder, sampleOrderId } from '../support/shop.ts'

interface Operation {
  readonly type: string
  readonly destination: string
  readonly consistency: string
  readonly delay?: string | undefined
  readonly retries?: string | undefined
}

interface Delivery {
  handlersInvoked: string[]
  created: string[]
  dispatched: Operation[]
  outcome: unknown
  dropped: string[]
}

/** A recorded trace. */
export interface RecordedTrace {
  readonly command: string
  readonly settings: { readonly immediateRetries: number; readonly delayedRetries: number; readonly delayIncreaseSeconds: number }
  readonly deliveries: readonly {
    readonly handlersInvoked: string[]
    readonly dispatched: readonly {
      readonly type: string
      readonly destination: string
      readonly consistency: string
      readonly delay?: string
      readonly retryHeaders: Record<string, string>
    }[]
    readonly outcome: unknown
    readonly droppedOperations: string[]
  }[]
  readonly messagesSeenOnTheWire?: readonly { readonly exchange: string; readonly type: string; readonly bodyText: string }[]
  readonly otherMessagesProcessed: readonly { readonly type: string; readonly handlersInvoked: string[] }[]
}

export const recordedTrace = (name: string): RecordedTrace =>
  JSON.parse(readFileSync(join(import.meta.dirname, '../fixtures/wire/dispatch', `${name}.json`), 'utf8')) as RecordedTrace

export const sorted = <T>(items: readonly T[]): T[] => items.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))

class InvalidOperation extends Error {
  override name = 'System.InvalidOperationException'
}

/** Lets `Shop.Server` handle the recorded command, and tells what happened, delivery by delivery. */
async function trace(carrier: Transport, mode: TransactionMode, { command, settings }: RecordedTrace, mainType: string) {
  const deliveries: Delivery[] = []
  const others: { type: string; handlersInvoked: string[] }[] = []
  let current: Delivery | undefined
  let attempts = 0
  const created = (type: string, destination: string): void => void current?.created.push(`${type} -> ${destination}`)
  const failTimes = (JSON.parse(/\{.*\}/.exec(command)?.[0] ?? '{}') as { FailTimes?: number }).FailTimes ?? 0
  const fail = (what: string): void => {
    attempts += 1
    if (attempts <= failTimes) throw new InvalidOperation(`${what} failure ${attempts} of ${failTimes}`)
  }
  const first = async (message: ShipOrder, context: MessageHandlerContext): Promise<void> => {
    created('PrintLabel', 'Shop.Server')
    await context.sendLocal(new PrintLabel({ OrderId: message.OrderId, Attempt: attempts + 1 }))
    created('OrderPlaced', 'event:Shop.Messages.OrderPlaced')
    await context.publish(new OrderPlaced({ OrderId: message.OrderId, Total: 0, Status: 2 }))
    created('CountAttempt', 'Shop.Server')
    await context.send(new CountAttempt({ OrderId: message.OrderId, Attempt: attempts + 1 }), { requireImmediateDispatch: true })
  }
  const definition = defineEndpoint('Shop.Server', {
    handlers: [
      handler(ShipOrder, first, { name: 'ShipOrderFirstHandler' }),
      handler(ShipOrder, () => fail('Second handler'), { name: 'ShipOrderSecondHandler' }),
      handler(
        MoveOrder,
        async (message, context) => {
          created('PrintLabel', 'Shop.Server')
          await context.sendLocal(new PrintLabel({ OrderId: message.OrderId, Attempt: attempts + 1 }))
          fail('First handler')
        },
        { name: 'MoveOrderFirstHandler' },
      ),
      handler(
        MoveOrder,
        async (message, context) => {
          created('OrderPlaced', 'event:Shop.Messages.OrderPlaced')
          await context.publish(new OrderPlaced({ OrderId: message.OrderId, Total: 0, Status: 2 }))
        },
        { name: 'MoveOrderSecondHandler' },
      ),
      handler(FlakyOrder, () => fail('Flaky'), { name: 'FlakyOrderHandler' }),
      handler(
        SplitOrder,
        async (message, context) => {
          for (const Attempt of [1, 2, 3]) {
            created('PrintLabel', 'Shop.Server')
            await context.sendLocal(new PrintLabel({ OrderId: message.OrderId, Attempt }))
          }
        },
        { name: 'SplitOrderHandler' },
      ),
      handler(PrintLabel, () => undefined, { name: 'PrintLabelHandler' }),
      handler(CountAttempt, () => undefined, { name: 'CountAttemptHandler' }),
    ],
    routes: [route(CountAttempt, 'Shop.Server')],
    transactionMode: mode,
    concurrency: 1,
    recoverability: {
      immediateRetries: settings.immediateRetries,
      delayedRetries: settings.delayedRetries,
      delayIncreaseMs: settings.delayIncreaseSeconds * 1000,
    },
  })
  const note = (outgoing: readonly OutgoingMessage[], consistency: string): void =>
    void current?.dispatched.push(...outgoing.map((message) => operation(message, consistency)))
  const observe = (event: EndpointEvent): void => {
    const handlersInvoked = event.handlersRun.map((each) => each.name)
    if (event.types[0] !== `Shop.Messages.${mainType}`) others.push({ type: event.types[0]?.split('.').at(-1) ?? '', handlersInvoked })
    else Object.assign(deliveries.at(-1) ?? {}, { handlersInvoked, outcome: outcomeOf(event) })
  }
  const transport = watched(carrier, {
    begin: (type) => {
      if (!type.startsWith(`Shop.Messages.${mainType},`)) return
      current = { handlersInvoked: [], created: [], dispatched: [], outcome: undefined, dropped: [] }
      deliveries.push(current)
    },
    isolated: (outgoing) => note(outgoing, 'Isolated'),
    batch: (outgoing) => note(outgoing, 'Default'),
    end: () => {
      if (!current) return
      const left = current.dispatched.map(({ destination, type }) => `${type} -> ${destination}`)
      current.dropped = current.created.filter((each) => {
        const at = left.indexOf(each)
        if (at >= 0) left.splice(at, 1)
        return at < 0
      })
      current = undefined
    },
  })
  const endpoint = await startEndpoint(definition, { transport, logger: silentLogger, observe })
  const given = { OrderId: sampleOrderId, FailTimes: failTimes }
  const messages = {
    ShipOrder: () => new ShipOrder(given),
    FlakyOrder: () => new FlakyOrder(given),
    MoveOrder: () => new MoveOrder(given),
    SplitOrder: () => new SplitOrder({ OrderId: sampleOrderId }),
  }
  const message = messages[mainType as keyof typeof messages]()
  await endpoint.sendLocal(message)
  return { deliveries, others, stop: () => endpoint.stop() }
}

function watched(
  transport: Transport,
  told: {
    begin(type: string): void
    isolated(outgoing: readonly OutgoingMessage[]): void
    batch(outgoing: readonly OutgoingMessage[]): void
    end(): void
  },
): Transport {
  return new Proxy(transport, {
    get(target, property) {
      if (property === 'dispatch')
        return async (outgoing: readonly OutgoingMessage[]) => {
          told.isolated(outgoing)
          await target.dispatch(outgoing)
        }
      if (property === 'receive')
        return (options: Parameters<Transport['receive']>[0], decide: Parameters<Transport['receive']>[1]) =>
          target.receive(options, async (message, signal) => {
            told.begin(message.headers['NServiceBus.EnclosedMessageTypes'] ?? '')
            const verdict = await decide(message, signal)
            if (verdict.kind === 'consume') told.batch(verdict.outgoing)
            told.end()
            return verdict
          })
      const value = Reflect.get(target, property, target) as unknown
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value
    },
  })
}

function operation({ deliverAt, headers, to }: OutgoingMessage, consistency: string): Operation {
  const destination = 'address' in to ? to.address : 'event' in to ? `event:${to.event.fullName}` : to.exactQueue
  const delayMs =
    deliverAt === undefined
      ? undefined
      : Date.parse(`${headers['NServiceBus.DeliverAt']?.slice(0, 19).replace(' ', 'T')}Z`) -
        Date.parse(`${headers['NServiceBus.Retries.Timestamp']?.slice(0, 19).replace(' ', 'T')}Z`)
  return {
    type: headers['NServiceBus.EnclosedMessageTypes']?.split(',', 1)[0]?.split('.').at(-1) ?? '',
    destination,
    consistency,
    ...(delayMs !== undefined && { delay: formatTimeSpan(delayMs) }),
    ...(headers['NServiceBus.Retries'] !== undefined && { retries: headers['NServiceBus.Retries'] }),
  }
}

function outcomeOf({ message, outcome }: EndpointEvent): unknown {
  if (outcome.kind !== 'failed') return { completed: true }
  const names = { retryNow: 'ImmediateRetry', retryLater: 'DelayedRetry', moveToError: 'MoveToError', discard: 'Discard' }
  const { action, error } = outcome
  return {
    failed: `${(error as Error).name}: ${(error as Error).message}`,
    immediateProcessingFailures: message.attempt,
    delayedDeliveriesPerformed: Number(message.headers['NServiceBus.Retries'] ?? 0),
    action: names[action.kind],
    ...(action.kind === 'retryLater' && { delay: formatTimeSpan(action.delayMs) }),
  }
}

/** That the same happens on a transport of ours as in the recorded endpoint; ids, times and the order inside one batch are left out. */
export async function expectSameTrace(carrier: Transport, mode: TransactionMode, golden: RecordedTrace, mainType: string): Promise<void> {
  const { deliveries, others, stop } = await trace(carrier, mode, golden, mainType)
  // Not expect.poll: it knows one running test only, and these run beside each other.
  await vi.waitFor(
    () =>
      expect([deliveries.length, deliveries.at(-1)?.outcome !== undefined, others.length]).toEqual([
        golden.deliveries.length,
        true,
        golden.otherMessagesProcessed.length,
      ]),
    { timeout: 20_000 },
  )
  await stop()

  expect(
    deliveries.map(({ dispatched, dropped, handlersInvoked, outcome }) => ({
      handlersInvoked,
      outcome,
      dispatched: sorted(dispatched),
      dropped: sorted(dropped),
    })),
  ).toEqual(
    golden.deliveries.map(({ dispatched, droppedOperations, handlersInvoked, outcome }) => ({
      handlersInvoked,
      outcome,
      dispatched: sorted(
        dispatched.map(
          ({ consistency, delay, destination, retryHeaders, type }): Operation => ({
            type,
            destination,
            consistency,
            ...(delay !== undefined && { delay }),
            ...(retryHeaders['NServiceBus.Retries'] !== undefined && { retries: retryHeaders['NServiceBus.Retries'] }),
          }),
        ),
      ),
      dropped: sorted(droppedOperations),
    })),
  )
  expect(sorted(others)).toEqual(sorted(golden.otherMessagesProcessed))
}

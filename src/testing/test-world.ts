import { definitionOf } from '../message/declaration.ts'
import { Header } from '../message/headers.ts'
import { newCombId } from '../message/ids.ts'
import { NsbError } from '../message/nsb-error.ts'
import { parseDuration } from '../message/wire-formats.ts'
import type { Duration } from '../runtime/context.ts'
import { kindsBy } from '../runtime/conventions.ts'
import { type EndpointDefinition, type EndpointOptions, defineEndpoint } from '../runtime/definition.ts'
import { contentOf } from '../runtime/content.ts'
import { type RunningEndpoint, startEndpoint } from '../runtime/endpoint.ts'
import type { EndpointEvent } from '../runtime/engine.ts'
import type { Handler } from '../runtime/handlers.ts'
import { type Logger, silentLogger } from '../runtime/logger.ts'
import { jsonSerializer } from '../serialization/json.ts'
import { MemoryNetwork, memoryTransport } from '../transport/memory/transport.ts'
import type { Headers, IncomingMessage, OutgoingMessage, Transport, Verdict } from '../transport/transport.ts'
import { readCaptured } from './captured.ts'
import { VirtualClock } from './virtual-clock.ts'

/** A message that left an endpoint. */
export interface DispatchedMessage {
  readonly id: string
  /** A queue, or `event:` and the full name. */
  readonly to: string
  /** Full name of the first type of the header; undefined for control messages. */
  readonly type: string | undefined
  readonly headers: Headers
  readonly body: Uint8Array
  /** The parsed body; undefined when it is empty or no JSON. */
  readonly data: unknown
  readonly deliverAt: Date | undefined
}

/** What became of one message, over all its attempts so far. */
export interface Outcome {
  /** `retried`: a delayed retry is waiting, see {@link TestWorld.advance}. */
  readonly status: 'ok' | 'failed' | 'retried' | 'discarded' | 'waiting'
  readonly attempts: number
  /** Names, in order, over all attempts. */
  readonly handlersRun: readonly string[]
  /** Left the endpoint while it was processed: immediate dispatches of every attempt, the batch of the successful one. */
  readonly dispatched: readonly DispatchedMessage[]
  readonly audit: DispatchedMessage | undefined
  /** What was thrown last. */
  readonly error: unknown
}

/** Endpoints in memory, with the real pipeline and a clock that stands still. */
export interface TestWorld {
  readonly clock: VirtualClock
  /** All that left any endpoint or was sent into the world, in order. */
  readonly dispatched: readonly DispatchedMessage[]
  /** Failed messages, those in all error queues of the endpoints. */
  readonly errorQueue: readonly DispatchedMessage[]
  /** A transport on the same network. */
  transport(): Transport
  start(definition: EndpointDefinition): Promise<TestEndpoint>
  /** Runs until nothing is left to do without the clock moving. */
  settle(): Promise<void>
  /** Moves the clock, `10_000` or `'10s'` on, and lets everything that comes due happen. */
  advance(by: Duration): Promise<void>
  stop(): Promise<void>
}

export interface TestEndpoint extends RunningEndpoint {
  readonly world: TestWorld
  /** Puts a message into the endpoint's queue, as a .NET endpoint would send it, and settles. */
  receive(message: object, headers?: Headers): Promise<Outcome>
  receive<T>(type: { new (input: T): object; readonly prototype: object }, data: T, headers?: Headers): Promise<Outcome>
  /** The same with exact bytes, such as recorded ones. */
  receiveRaw(message: { readonly headers: Headers; readonly body: Uint8Array | string }): Promise<Outcome>
  /** The same with a captured message, a line of `nsb errors export`: a production failure as a test case. */
  receiveCaptured(line: string): Promise<Outcome>
  /** What has become of a message by now. */
  outcome(messageId: string): Outcome
}

export interface WorldOptions {
  /** Where the clock stands, in ms since 1970; default: the real time. */
  readonly now?: number
  readonly logger?: Logger
}

/** An empty world. */
export function testWorld(options: WorldOptions = {}): TestWorld {
  return new World(options)
}

/**
 * One endpoint in a world of its own.
 *
 * @param definition a definition, or its options; the name is then `Test`
 */
export async function testEndpoint<const H extends readonly Handler[]>(
  definition: EndpointDefinition | EndpointOptions<H>,
  options?: WorldOptions,
): Promise<TestEndpoint> {
  return testWorld(options).start('name' in definition ? definition : defineEndpoint('Test', definition))
}

class World implements TestWorld {
  readonly clock: VirtualClock
  readonly dispatched: DispatchedMessage[] = []
  readonly #network = new MemoryNetwork()
  readonly #logger: Logger
  readonly #endpoints: RunningEndpoint[] = []
  readonly #errorQueues = new Set<string>()
  #inHand = 0

  constructor(options: WorldOptions) {
    this.clock = new VirtualClock(options.now)
    this.#logger = options.logger ?? silentLogger
  }

  get errorQueue(): readonly DispatchedMessage[] {
    return this.dispatched.filter((message) => this.#errorQueues.has(message.to))
  }

  transport(): Transport {
    return memoryTransport({ clock: this.clock, network: this.#network })
  }

  async start(definition: EndpointDefinition): Promise<TestEndpoint> {
    const journal = new Journal(definition.auditQueue)
    const kindOf = kindsBy(definition.conventions)
    const transport = this.#watched(this.transport(), journal)
    this.#errorQueues.add(definition.errorQueue ?? 'error')
    const running = await startEndpoint(definition, {
      transport,
      clock: this.clock,
      logger: this.#logger,
      observe: (event) => journal.note(event),
    })
    this.#endpoints.push(running)
    const receiveRaw: TestEndpoint['receiveRaw'] = async ({ body, headers }) => {
      const id = headers[Header.MessageId] || newCombId(this.clock.now())
      const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body
      await this.transport().dispatch([
        {
          id,
          headers: headers[Header.MessageId] ? headers : { ...headers, [Header.MessageId]: id },
          body: bytes,
          to: { address: definition.name },
        },
      ])
      await this.settle()
      return journal.outcome(id)
    }
    const receive = (first: object, second?: unknown, third?: Headers): Promise<Outcome> => {
      const isType = definitionOf(first) !== undefined
      const message = isType ? new (first as unknown as new (input: unknown) => object)(second) : first
      const content = contentOf(message)
      if (content.kind !== 'message') throw new NsbError({ code: 'NSB_NOT_A_MESSAGE', message: 'Only messages can be received.' })
      const headers = {
        [Header.ContentType]: jsonSerializer.contentType,
        [Header.EnclosedMessageTypes]: content.definition.enclosedTypes,
        [Header.MessageIntent]: kindOf(content.definition) === 'event' ? 'Publish' : 'Send',
      }
      return receiveRaw({
        headers: { ...headers, ...(isType ? third : (second as Headers | undefined)) },
        body: jsonSerializer.serialize(message),
      })
    }
    return Object.defineProperties(
      {
        world: this,
        receive,
        receiveRaw,
        receiveCaptured: async (line: string) => receiveRaw(readCaptured(line)),
        outcome: (id: string) => journal.outcome(id),
      },
      Object.getOwnPropertyDescriptors(running),
    ) as unknown as TestEndpoint
  }

  async settle(): Promise<void> {
    // Two quiet turns: what a decision set off may itself put a message into a queue. Where nothing is taken although messages wait, a
    // receiver pauses after an error, and goes on when the clock does.
    for (let quiet = 0, untaken = 0; quiet < 2 && untaken < 20; ) {
      await new Promise((resolve) => setImmediate(resolve))
      const depths = await Promise.all(this.#endpoints.map(async (endpoint) => (await this.transport().inspect(endpoint.name))?.depth ?? 0))
      // What the rate limit holds goes on when the clock does, and what is behind it in the queue too.
      const held = this.#endpoints.reduce((sum, endpoint) => sum + endpoint.rateLimited, 0)
      quiet = this.#inHand === held && (held > 0 || depths.every((depth) => depth === 0)) ? quiet + 1 : 0
      untaken = this.#inHand === held ? untaken + 1 : 0
    }
  }

  async advance(by: Duration): Promise<void> {
    await this.clock.advance(typeof by === 'number' ? by : parseDuration(by), () => this.settle())
    await this.settle()
  }

  async stop(): Promise<void> {
    await Promise.all(this.#endpoints.map((endpoint) => endpoint.stop()))
  }

  #watched(transport: Transport, journal: Journal): Transport {
    const seen = (outgoing: readonly OutgoingMessage[], during: string | undefined): void => {
      const dispatched = outgoing.map(describe)
      this.dispatched.push(...dispatched)
      if (during !== undefined) journal.dispatched(during, dispatched)
    }
    return {
      transactionModes: transport.transactionModes,
      defaultConcurrency: transport.defaultConcurrency,
      can: transport.can,
      createQueues: (receiving, sending) => transport.createQueues(receiving, sending),
      dispatch: async (outgoing) => {
        await transport.dispatch(outgoing)
        seen(outgoing, outgoing[0]?.headers[Header.RelatedTo])
      },
      receive: (options, decide) => {
        // What was decided last is what happened, and only once it was carried out.
        const verdicts = new WeakMap<IncomingMessage, Verdict>()
        const decided = (message: IncomingMessage, verdict: Verdict): Verdict => {
          verdicts.set(message, verdict)
          return verdict
        }
        return transport.receive(
          {
            ...options,
            onDispatchFailed: async (message, error) => decided(message, await options.onDispatchFailed(message, error)),
            onSettled: (message) => {
              const verdict = verdicts.get(message)
              if (verdict?.kind === 'consume') seen(verdict.outgoing, message.id)
              options.onSettled(message)
            },
          },
          async (message, signal) => {
            this.#inHand += 1
            try {
              return decided(message, await decide(message, signal))
            } finally {
              this.#inHand -= 1
            }
          },
        )
      },
      subscribe: (subscriber, event) => transport.subscribe(subscriber, event),
      unsubscribe: (subscriber, event) => transport.unsubscribe(subscriber, event),
      close: () => transport.close(),
      queues: (prefix) => transport.queues(prefix),
      inspect: (queue) => transport.inspect(queue),
      hold: (queue, options) => transport.hold(queue, options),
      tap: (queue, onSeen, events) => transport.tap(queue, onSeen, events),
      createBoundedQueue: (queue, bounds) => transport.createBoundedQueue(queue, bounds),
      createQueueLike: (queue, like) => transport.createQueueLike(queue, like),
      removeIfEmpty: (queue) => transport.removeIfEmpty(queue),
      temporaryQueue: (prefix, expiresAfterMs) => transport.temporaryQueue(prefix, expiresAfterMs),
      purge: (queue) => transport.purge(queue),
    }
  }
}

/** What happened to each message of one endpoint. */
class Journal {
  readonly #events = new Map<string, EndpointEvent[]>()
  readonly #dispatched = new Map<string, DispatchedMessage[]>()
  readonly #auditQueue: string | undefined

  constructor(auditQueue: string | undefined) {
    this.#auditQueue = auditQueue
  }

  note(event: EndpointEvent): void {
    const events = this.#events.get(event.message.id)
    if (events) events.push(event)
    else this.#events.set(event.message.id, [event])
  }

  dispatched(id: string, messages: readonly DispatchedMessage[]): void {
    this.#dispatched.set(id, [...(this.#dispatched.get(id) ?? []), ...messages])
  }

  outcome(id: string): Outcome {
    const events = this.#events.get(id) ?? []
    const dispatched = this.#dispatched.get(id) ?? []
    const isAudit = (message: DispatchedMessage): boolean => message.to === this.#auditQueue && message.id === id
    const failures = events.flatMap(({ outcome }) => (outcome.kind === 'failed' ? [outcome] : []))
    return {
      status: statusOf(events.at(-1)?.outcome),
      attempts: events.length,
      handlersRun: events.flatMap(({ handlersRun }) => handlersRun.map((handler) => handler.name)),
      dispatched: dispatched.filter((message) => !isAudit(message)),
      audit: dispatched.find(isAudit),
      error: failures.at(-1)?.error,
    }
  }
}

function statusOf(outcome: EndpointEvent['outcome'] | undefined): Outcome['status'] {
  if (outcome?.kind === 'handled') return 'ok'
  if (outcome?.kind !== 'failed') return 'waiting'
  return ({ retryNow: 'waiting', retryLater: 'retried', moveToError: 'failed', discard: 'discarded' } as const)[outcome.action.kind]
}

function describe(outgoing: OutgoingMessage): DispatchedMessage {
  const { body, deliverAt, headers, id, to } = outgoing
  return {
    id,
    to: 'address' in to ? to.address : 'exactQueue' in to ? to.exactQueue : `event:${to.event.fullName}`,
    type: headers[Header.EnclosedMessageTypes]?.split(/[,;]/, 1)[0],
    headers,
    body,
    data: parsed(body),
    deliverAt,
  }
}

function parsed(body: Uint8Array): unknown {
  if (body.length === 0) return undefined
  try {
    return jsonSerializer.deserialize(body)
  } catch {
    return undefined
  }
}

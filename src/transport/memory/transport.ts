import { availableParallelism } from 'node:os'
import { randomBytes } from 'node:crypto'
import type { EventType } from '../../message/event-type.ts'
import { NsbError } from '../../message/nsb-error.ts'
import { type Clock, systemClock } from '../clock.ts'
import { guardedOptions } from '../guarded.ts'
import type {
  Decide,
  HoldOptions,
  Holding,
  IncomingMessage,
  OutgoingMessage,
  QueueFacts,
  ReceiveOptions,
  Receiving,
  Subscriber,
  TemporaryQueue,
  Transport,
} from '../transport.ts'
import { MemoryHolding } from './holding.ts'
import { MemoryNetwork } from './network.ts'
import { type MemoryQueue, type StoredMessage, incoming } from './queue.ts'
import { MemoryReceiver } from './receiver.ts'

export { MemoryNetwork }

export interface MemoryOptions {
  /** For delays and expiry; default: the system's. */
  readonly clock?: Clock
  /** Transports on one network see each other's messages; default: a network of its own. */
  readonly network?: MemoryNetwork
}

/**
 * Messages in memory: the reference implementation of the seam. Queues come into being when something is sent to them; a copy
 * keeps its place when it is put back.
 */
export function memoryTransport(options: MemoryOptions = {}): Transport {
  return new MemoryTransport(options.network ?? new MemoryNetwork(), options.clock ?? systemClock)
}

class MemoryTransport implements Transport {
  readonly transactionModes = ['sendsAtomicWithReceive', 'receiveOnly', 'none'] as const
  readonly defaultConcurrency = Math.max(2, availableParallelism())
  readonly can = { tap: true, lookWithoutTrace: false, newestFirst: false }
  readonly #network: MemoryNetwork
  readonly #clock: Clock
  readonly #open = new Set<Receiving>()
  readonly #holdings = new Set<Holding>()

  constructor(network: MemoryNetwork, clock: Clock) {
    this.#network = network
    this.#clock = clock
  }

  async createQueues(receiving: readonly string[], sending: readonly string[] = []): Promise<void> {
    for (const queue of [...receiving, ...sending]) this.#network.ensure(queue, this.#clock.now())
  }

  async dispatch(outgoing: readonly OutgoingMessage[]): Promise<void> {
    this.#network.dispatch(outgoing, this.#clock.now())
  }

  async receive(options: ReceiveOptions, decide: Decide): Promise<Receiving> {
    const receiver: MemoryReceiver = new MemoryReceiver(this.#network, guardedOptions(options), decide, this.#clock, () =>
      this.#open.delete(receiver),
    )
    this.#open.add(receiver)
    return receiver
  }

  async subscribe(subscriber: Subscriber, event: EventType): Promise<void> {
    this.#network.subscribe(subscriber, event.fullName)
  }

  async unsubscribe(subscriber: Subscriber, event: EventType): Promise<void> {
    this.#network.unsubscribe(subscriber, event.fullName)
  }

  async queues(prefix = ''): Promise<readonly QueueFacts[]> {
    const now = this.#clock.now()
    return this.#network
      .queues(now)
      .filter(({ name }) => name.startsWith(prefix))
      .map((queue) => factsOf(queue, now))
      .toSorted((a, b) => (a.queue < b.queue ? -1 : 1))
  }

  async inspect(name: string): Promise<QueueFacts | undefined> {
    const queue = this.#network.find(name, this.#clock.now())
    return queue && factsOf(queue, this.#clock.now())
  }

  async hold(name: string, options: HoldOptions): Promise<Holding> {
    const queue = this.#network.existing(name, this.#clock.now())
    if (options.purpose === 'change') refuseWhenShared(queue, options.overrule)
    const now = (): number => this.#clock.now()
    const holding: MemoryHolding = new MemoryHolding(
      factsOf(queue, now()),
      queue,
      options,
      now,
      (outgoing) => this.#network.dispatch(outgoing, now()),
      () => this.#holdings.delete(holding),
    )
    this.#holdings.add(holding)
    return holding
  }

  async tap(name: string, seen: (message: IncomingMessage) => void): Promise<{ stop(): Promise<void> }> {
    const queue = this.#network.ensure(name, this.#clock.now())
    const show = (stored: StoredMessage): void => seen({ ...incoming(stored, name), attempt: 1 })
    const tap: Receiving = {
      inHand: 0,
      stop: async () => {
        queue.taps.delete(show)
        this.#open.delete(tap)
      },
    }
    queue.taps.add(show)
    this.#open.add(tap)
    return tap
  }

  createBoundedQueue(queue: string): Promise<void> {
    return this.createQueues([queue])
  }

  createQueueLike(queue: string): Promise<void> {
    return this.createQueues([queue])
  }

  async removeIfEmpty(name: string): Promise<boolean> {
    const now = this.#clock.now()
    const queue = this.#network.find(name, now)
    if (queue && (queue.depth(now) > 0 || queue.nextDue !== undefined || queue.consumers > 0 || queue.locked)) return false
    this.#network.remove(name)
    return true
  }

  async temporaryQueue(prefix: string, expiresAfterMs: number): Promise<TemporaryQueue> {
    const address = `${prefix}.${randomBytes(8).toString('hex')}`
    this.#network.ensure(address, this.#clock.now(), this.#clock.now() + expiresAfterMs)
    return { address, goesByItself: false, remove: async () => this.#network.remove(address) }
  }

  async purge(queue: string): Promise<number> {
    return this.#network.existing(queue, this.#clock.now()).clear(this.#clock.now())
  }

  async close(): Promise<void> {
    await Promise.all([...this.#holdings].map((holding) => holding.giveBack()))
    await Promise.all([...this.#open].map((open) => open.stop()))
  }
}

function factsOf(queue: MemoryQueue, now: number): QueueFacts {
  return {
    queue: queue.name,
    depth: queue.depth(now),
    consumers: queue.consumers,
    kind: 'memory',
    deliveryLimit: 'unlimited',
    looksLeft: 'unlimited',
  }
}

function refuseWhenShared(queue: MemoryQueue, overrule: readonly string[]): void {
  const refuse = (code: string, why: string, suggestion: string): void => {
    if (overrule.includes(code)) return
    throw new NsbError({ code, message: `Queue '${queue.name}' is not changed: ${why}.`, suggestions: [suggestion] })
  }
  if (queue.locked) refuse('NSB_QUEUE_LOCKED', 'another operation is changing it', 'Wait until it is done')
  if (queue.consumers > 0)
    refuse('NSB_QUEUE_HAS_CONSUMER', `${queue.consumers} receiver(s) take messages from it`, 'Stop them, or use --force')
}

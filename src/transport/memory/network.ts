import { Header } from '../../message/headers.ts'
import { newGuid } from '../../message/ids.ts'
import { NsbError } from '../../message/nsb-error.ts'
import { namesOf } from '../hierarchy.ts'
import { QueueNotFoundError } from '../queue-not-found.ts'
import type { Destination, OutgoingMessage, Subscriber } from '../transport.ts'
import { MemoryQueue, type StoredMessage } from './queue.ts'

/** What several memory transports share: the queues and who subscribed to what. It has no clock; every call brings the time. */
export class MemoryNetwork {
  readonly #queues = new Map<string, MemoryQueue>()
  /** event name -> endpoint -> queue */
  readonly #subscriptions = new Map<string, Map<string, string>>()
  #sequence = 0

  queues(now: number): readonly MemoryQueue[] {
    for (const [name, queue] of this.#queues) if ((queue.expiresAt ?? Number.POSITIVE_INFINITY) <= now) this.#queues.delete(name)
    return [...this.#queues.values()]
  }

  find(name: string, now: number): MemoryQueue | undefined {
    const queue = this.#queues.get(name)
    if (queue?.expiresAt === undefined || queue.expiresAt > now) return queue
    this.#queues.delete(name)
    return undefined
  }

  /** @throws {QueueNotFoundError} */
  existing(name: string, now: number): MemoryQueue {
    const queue = this.find(name, now)
    if (queue) return queue
    throw new QueueNotFoundError(
      name,
      this.queues(now).map((other) => other.name),
      'in this network',
    )
  }

  ensure(name: string, now: number, expiresAt?: number): MemoryQueue {
    if (name === '')
      throw new NsbError({ code: 'NSB_BAD_ADDRESS', message: `'' is not an address: it is empty.`, suggestions: ['Name a queue'] })
    const found = this.find(name, now)
    if (found) return found
    const queue = new MemoryQueue(name, expiresAt)
    this.#queues.set(name, queue)
    return queue
  }

  remove(name: string): void {
    this.#queues.delete(name)
  }

  subscribe(subscriber: Subscriber, eventName: string): void {
    const subscribers = this.#subscriptions.get(eventName) ?? new Map<string, string>()
    this.#subscriptions.set(eventName, subscribers.set(subscriber.endpoint, subscriber.queue))
  }

  unsubscribe(subscriber: Subscriber, eventName: string): void {
    this.#subscriptions.get(eventName)?.delete(subscriber.endpoint)
  }

  /** All of the batch, or nothing when a destination is refused. */
  dispatch(outgoing: readonly OutgoingMessage[], now: number): void {
    const targets = outgoing.map((message) => this.#targets(message.to, now))
    for (const [index, message] of outgoing.entries())
      for (const queue of targets[index] as readonly MemoryQueue[]) queue.add(this.#store(message, now), now)
  }

  #targets(to: Destination, now: number): readonly MemoryQueue[] {
    if ('address' in to) return [this.ensure(to.address, now)]
    if ('exactQueue' in to) return [this.existing(to.exactQueue, now)]
    const addresses = namesOf(to.event).flatMap((name) => [...(this.#subscriptions.get(name)?.values() ?? [])])
    return [...new Set(addresses)].map((address) => this.ensure(address, now))
  }

  #store(message: OutgoingMessage, now: number): StoredMessage {
    const nativeId = message.nativeId ?? newGuid()
    const headers = { ...message.headers }
    return {
      nativeId,
      id: headers[Header.MessageId] || nativeId,
      headers,
      // Buffer.slice would share the memory.
      body: new Uint8Array(message.body),
      sequence: this.#sequence++,
      enqueuedAt: now,
      dueAt: message.deliverAt?.getTime(),
      expiresAt: message.expiresAfterMs === undefined ? undefined : now + message.expiresAfterMs,
      deliveries: 0,
      givenBack: 0,
    }
  }
}

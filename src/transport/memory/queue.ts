import type { Headers, IncomingMessage } from '../transport.ts'
import { Ordered } from './ordered.ts'

/** One copy of a message in a queue. */
export interface StoredMessage {
  readonly nativeId: string
  readonly id: string
  readonly headers: Headers
  readonly body: Uint8Array
  /** Place in the queue; it keeps it when it is put back. One that was delayed comes behind those that can be seen. */
  sequence: number
  readonly enqueuedAt: number
  readonly dueAt: number | undefined
  readonly expiresAt: number | undefined
  deliveries: number
  givenBack: number
}

/** A queue: what waits, what is due later, and who wants to know. */
export class MemoryQueue {
  readonly name: string
  /** Removed at that time; undefined: stays. */
  readonly expiresAt: number | undefined
  readonly #waiting = new Ordered<StoredMessage>(({ sequence }) => sequence)
  readonly #delayed = new Ordered<StoredMessage>(({ dueAt }) => dueAt as number)
  #lastSequence = -1
  /** When the next message expires. */
  #nextExpiry = Number.POSITIVE_INFINITY
  /** Called when something became visible or is due at a new time. */
  readonly wakers = new Set<() => void>()
  readonly taps = new Set<(message: StoredMessage) => void>()
  consumers = 0
  locked = false

  constructor(name: string, expiresAt?: number) {
    this.name = name
    this.expiresAt = expiresAt
  }

  add(message: StoredMessage, now: number): void {
    if (message.dueAt !== undefined && message.dueAt > now) this.#delayed.add(message)
    else this.#show(message)
    this.#wake()
  }

  /** Makes a message that was taken visible again, at its old place. */
  putBack(message: StoredMessage): void {
    this.#wait(message)
    this.#wake()
  }

  take(now: number): StoredMessage | undefined {
    this.refresh(now)
    return this.#waiting.takeFirst()
  }

  /** The message that would be taken next. */
  first(now: number): StoredMessage | undefined {
    this.refresh(now)
    return this.#waiting.first
  }

  depth(now: number): number {
    this.refresh(now)
    return this.#waiting.size
  }

  waiting(now: number): readonly StoredMessage[] {
    this.refresh(now)
    return this.#waiting.all
  }

  /** When the next delayed message is due. */
  get nextDue(): number | undefined {
    return this.#delayed.first?.dueAt
  }

  clear(now: number): number {
    const depth = this.depth(now)
    this.#waiting.keep(() => false)
    return depth
  }

  /** Shows what is due and drops what has expired: nothing happens here unless somebody looks. */
  refresh(now: number): void {
    while ((this.nextDue ?? Number.POSITIVE_INFINITY) <= now) this.#show(this.#delayed.takeFirst() as StoredMessage)
    if (this.#nextExpiry > now) return
    this.#nextExpiry = Number.POSITIVE_INFINITY
    this.#waiting.keep(({ expiresAt = Number.POSITIVE_INFINITY }) => {
      if (expiresAt > now) this.#nextExpiry = Math.min(this.#nextExpiry, expiresAt)
      return expiresAt > now
    })
  }

  #show(message: StoredMessage): void {
    message.sequence = Math.max(message.sequence, this.#lastSequence + 1)
    this.#lastSequence = message.sequence
    this.#wait(message)
    for (const seen of this.taps) seen(message)
  }

  #wait(message: StoredMessage): void {
    this.#waiting.add(message)
    this.#nextExpiry = Math.min(this.#nextExpiry, message.expiresAt ?? Number.POSITIVE_INFINITY)
  }

  #wake(): void {
    for (const wake of this.wakers) wake()
  }
}

export function incoming(stored: StoredMessage, queue: string): IncomingMessage {
  return {
    id: stored.id,
    nativeId: stored.nativeId,
    headers: stored.headers,
    body: stored.body,
    queue,
    attempt: stored.deliveries,
  }
}

import type { Headers, IncomingMessage } from '../transport.ts'

/** One copy of a message in a queue. */
export interface StoredMessage {
  readonly nativeId: string
  readonly id: string
  readonly headers: Headers
  readonly body: Uint8Array
  /** Place in the queue; it keeps it when it is put back. */
  readonly sequence: number
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
  /** In order of `sequence`. */
  readonly #waiting: StoredMessage[] = []
  #anyExpires = false
  /** In order of `dueAt`. */
  readonly #delayed: StoredMessage[] = []
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
    if (message.expiresAt !== undefined) this.#anyExpires = true
    if (message.dueAt !== undefined && message.dueAt > now)
      insert(this.#delayed, message, (other) => (other.dueAt as number) > (message.dueAt as number))
    else this.#show(message)
    this.#wake()
  }

  /** Makes a message that was taken visible again, at its old place. */
  putBack(message: StoredMessage): void {
    insert(this.#waiting, message, (other) => other.sequence > message.sequence)
    this.#wake()
  }

  take(now: number): StoredMessage | undefined {
    this.refresh(now)
    return this.#waiting.shift()
  }

  waiting(now: number): readonly StoredMessage[] {
    this.refresh(now)
    return this.#waiting
  }

  /** When the next delayed message is due. */
  get nextDue(): number | undefined {
    return this.#delayed[0]?.dueAt
  }

  clear(now: number): number {
    this.refresh(now)
    return this.#waiting.splice(0).length
  }

  /** Shows what is due and drops what has expired: nothing happens here unless somebody looks. */
  refresh(now: number): void {
    while (this.#delayed[0] && (this.#delayed[0].dueAt as number) <= now) this.#show(this.#delayed.shift() as StoredMessage)
    if (!this.#anyExpires) return
    for (let index = this.#waiting.length - 1; index >= 0; index--)
      if (((this.#waiting[index] as StoredMessage).expiresAt ?? Number.POSITIVE_INFINITY) <= now) this.#waiting.splice(index, 1)
  }

  #show(message: StoredMessage): void {
    this.#waiting.push(message)
    for (const seen of this.taps) seen(message)
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

/** Inserts before the first element that is later; most are added at the end. */
function insert(list: StoredMessage[], message: StoredMessage, isLater: (other: StoredMessage) => boolean): void {
  let index = list.length
  while (index > 0 && isLater(list[index - 1] as StoredMessage)) index--
  list.splice(index, 0, message)
}

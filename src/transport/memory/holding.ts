import { NsbError } from '../../message/nsb-error.ts'
import type { HeldMessage, HoldOptions, Holding, OutgoingMessage, QueueFacts } from '../transport.ts'
import { type MemoryQueue, type StoredMessage, incoming } from './queue.ts'

/** Takes messages page by page; nobody else sees them until they are given back. */
export class MemoryHolding implements Holding {
  readonly facts: QueueFacts
  readonly #queue: MemoryQueue
  readonly #options: HoldOptions
  readonly #now: () => number
  readonly #dispatch: (outgoing: readonly OutgoingMessage[]) => void
  readonly #ended: () => void
  readonly #snapshot: readonly StoredMessage[]
  readonly #held = new Map<HeldMessage, StoredMessage>()
  #givenBack: ReturnType<Holding['giveBack']> | undefined

  constructor(
    facts: QueueFacts,
    queue: MemoryQueue,
    options: HoldOptions,
    now: () => number,
    dispatch: (outgoing: readonly OutgoingMessage[]) => void,
    ended: () => void,
  ) {
    this.facts = facts
    this.#queue = queue
    this.#options = options
    this.#now = now
    this.#dispatch = dispatch
    this.#ended = ended
    this.#snapshot = queue.waiting(now())
    if (options.purpose === 'change') queue.locked = true
  }

  async *pages(): AsyncIterable<readonly HeldMessage[]> {
    let remaining = this.#snapshot.length
    while (remaining > 0 && !this.#options.signal.aborted && !this.#givenBack) {
      const page: HeldMessage[] = []
      const size = Math.min(this.#options.page, this.#options.max - this.#held.size, remaining)
      while (page.length < size) {
        const stored = this.#takeOfSnapshot()
        if (!stored) break
        const message = held(stored, this.#queue.name)
        this.#held.set(message, stored)
        page.push(message)
      }
      if (page.length === 0) return
      remaining -= page.length
      yield page
    }
  }

  async consume(message: HeldMessage, outgoing: readonly OutgoingMessage[]): Promise<void> {
    const stored = this.#held.get(message)
    if (this.#options.purpose === 'look' || !stored || this.#givenBack)
      throw new NsbError({
        code: 'NSB_NOT_HELD',
        message: `Message '${message.id}' of queue '${this.#queue.name}' cannot be consumed: ${this.#options.purpose === 'look' ? 'the holding only looks' : 'it is not held any more'}.`,
      })
    this.#held.delete(message)
    try {
      this.#dispatch(outgoing)
      await this.#options.beforeRemove([message])
    } catch (error) {
      if (this.#givenBack) this.#queue.putBack(stored)
      else this.#held.set(message, stored)
      throw error
    }
  }

  giveBack(): ReturnType<Holding['giveBack']> {
    this.#givenBack ??= Promise.resolve(this.#giveBack())
    return this.#givenBack
  }

  #giveBack(): Awaited<ReturnType<Holding['giveBack']>> {
    const last = this.#snapshot.at(-1)?.sequence ?? -1
    for (const stored of this.#held.values()) {
      stored.givenBack++
      this.#queue.putBack(stored)
    }
    const returned = this.#held.size
    this.#held.clear()
    if (this.#options.purpose === 'change') this.#queue.locked = false
    this.#ended()
    return { returned, rescued: [], newerArrivals: this.#queue.waiting(this.#now()).filter((stored) => stored.sequence > last).length }
  }

  #takeOfSnapshot(): StoredMessage | undefined {
    const last = this.#snapshot.at(-1)?.sequence ?? -1
    const first = this.#queue.first(this.#now())
    return first && first.sequence <= last ? this.#queue.take(this.#now()) : undefined
  }
}

function held(stored: StoredMessage, queue: string): HeldMessage {
  return {
    ...incoming(stored, queue),
    attempt: stored.deliveries + 1,
    native: {},
    givenBack: stored.givenBack,
    enqueuedAt: stored.enqueuedAt,
    unreadable: undefined,
  }
}

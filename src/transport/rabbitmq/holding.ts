import { NsbError, errorText } from '../../message/nsb-error.ts'
import type { Clock } from '../clock.ts'
import type { HeldMessage, HoldOptions, Holding, OutgoingMessage, QueueFacts } from '../transport.ts'
import type { BrokerConnection } from './connection.ts'
import { giveBackInOrder, inOrder } from './giving-back.ts'
import { type Held, HeldMessages } from './held-messages.ts'
import { LooksLeft } from './looks-left.ts'
import type { Publisher } from './publisher.ts'
import { QueueChannel, largestPage } from './queue-channel.ts'
import type { HeldLimits } from './queue-limits.ts'
import { Reading } from './reading.ts'
import { Rescue } from './rescue.ts'
import { untilSettled } from './visible-again.ts'

/** Copies of messages at their limit that are on their way at the same time. */
const rescuedTogether = 100
/** Rounds of taking what came while the rest was being taken. */
const restRounds = 5

export interface RabbitHoldingOptions {
  /** Of this holding alone: its end would give everything back in disorder. */
  readonly connection: BrokerConnection
  readonly publisher: Publisher
  readonly clock: Clock
  readonly facts: QueueFacts
  readonly limits: HeldLimits
  readonly hold: HoldOptions
  /** Which broker it is, without a login. */
  readonly broker: string
  /** Where messages are kept of which no copy can be made; undefined: nowhere. */
  readonly stateFolder: string | undefined
  readonly warn: (warning: string) => void
  /** The messages have hardly any look left: NSB_LOOKS_EXHAUSTED is about to be thrown. */
  exhausted(): void
  /** Nobody knows whether everything is back. */
  notGivenBack(): void
  ended(): Promise<void>
}

interface Removal {
  readonly message: HeldMessage
  readonly held: Held
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * Messages taken from a broker queue and not acknowledged. Reading is delivering there: a look costs each message one of the
 * deliveries it has, and what is given back has to be given back carefully to come out in its old order.
 */
export class RabbitHolding implements Holding {
  readonly facts: QueueFacts
  readonly #options: RabbitHoldingOptions
  readonly #queue: QueueChannel
  readonly #messages: HeldMessages
  readonly #reading: Reading
  readonly #rescue: Rescue
  #removals: Removal[] = []
  #removing = false
  #givenBack: ReturnType<Holding['giveBack']> | undefined

  private constructor(options: RabbitHoldingOptions, queue: QueueChannel, messages: HeldMessages, reading: Reading) {
    this.facts = options.facts
    this.#options = options
    this.#queue = queue
    this.#messages = messages
    this.#reading = reading
    const { clock, publisher, stateFolder, warn } = options
    this.#rescue = new Rescue({ publisher, clock, queue: options.facts.queue, broker: options.broker, stateFolder, warn })
  }

  static async open(options: RabbitHoldingOptions): Promise<RabbitHolding> {
    const { clock, connection, facts, hold, limits, warn } = options
    const { overrule, takesAll } = hold
    const looks = new LooksLeft({ queue: facts.queue, limits, overrule, takesAll, warn, exhausted: () => options.exhausted() })
    const messages = new HeldMessages({ queue: facts.queue, clock, looks, hold, giveBacksCount: limits.giveBacksCount })
    const acknowledges = hold.purpose === 'change'
    const queue = await QueueChannel.open({ connection, clock, queue: facts.queue, acknowledges, changed: () => messages.changed() })
    return new RabbitHolding(options, queue, messages, new Reading({ name: facts.queue, queue, messages, looks, hold, depth: facts.depth }))
  }

  /** @throws {NsbError} NSB_LOOKS_EXHAUSTED: one look more would cost messages their last delivery but one */
  pages(): AsyncIterable<readonly HeldMessage[]> {
    return this.#reading.pages()
  }

  // Thousands are under way at once: one promise for each is what its caller waits for, and no async function keeps the message alive.
  consume(message: HeldMessage, outgoing: readonly OutgoingMessage[]): Promise<void> {
    const held = this.#messages.of(message)
    if (this.#options.hold.purpose === 'look' || held?.state !== 'held' || this.#givenBack) return Promise.reject(this.#notHeld(message))
    if (this.#queue.lost) return Promise.reject(this.#queue.lost)
    this.#messages.leave(held)
    return new Promise((resolve, reject) => {
      const stay = (error: unknown): void => {
        this.#messages.stay(held)
        reject(error as Error)
      }
      this.#options.publisher.dispatch(outgoing).then(() => {
        this.#removals.push({ message, held, resolve, reject: stay })
        if (!this.#removing) void this.#removeAll()
      }, stay)
      this.#messages.empty(message, held)
    })
  }

  #notHeld({ id }: HeldMessage): NsbError {
    return new NsbError({
      code: 'NSB_NOT_HELD',
      message: `Message '${id}' of queue '${this.facts.queue}' cannot be consumed: ${this.#options.hold.purpose === 'look' ? 'the holding only looks' : 'it is not held any more'}.`,
    })
  }

  giveBack(): ReturnType<Holding['giveBack']> {
    this.#givenBack ??= this.#giveBack()
    this.#reading.end()
    return this.#givenBack
  }

  /** What was confirmed while a group is journalled forms the next group. */
  async #removeAll(): Promise<void> {
    this.#removing = true
    await Promise.resolve()
    while (this.#removals.length > 0) {
      const group = this.#removals.toSorted((a, b) => inOrder(a.held, b.held))
      this.#removals = []
      try {
        await this.#options.hold.beforeRemove(group.map(({ message }) => message))
        this.#queue.throwIfLost()
      } catch (error) {
        for (const { reject } of group) reject(error)
        continue
      }
      for (const { held, reject, resolve } of group) {
        const gone = (): void => {
          this.#messages.gone(held)
          resolve()
        }
        const acknowledged = this.#queue.acknowledge(held)
        if (acknowledged === undefined) gone()
        else acknowledged.then(gone, reject)
      }
    }
    this.#removing = false
  }

  async #giveBack(): ReturnType<Holding['giveBack']> {
    const [messages, reading] = [this.#messages, this.#reading]
    await reading.settled()
    while (messages.leaving > 0) await messages.change()
    await this.#queue.endStream().catch(() => undefined)
    const returned = messages.size
    const rescued: HeldMessage[] = []
    let newerArrivals = 0
    let isInterrupted = false
    try {
      this.#queue.throwIfLost()
      this.#queue.flush()
      const waiting = await this.#queue.depth()
      newerArrivals = Math.max(0, waiting + reading.neverShown - Math.max(0, this.facts.depth - reading.read))
      await this.#rescueAll(rescued)
      await this.#release(rescued)
      if (this.#options.limits.kind === 'quorum' && reading.read > returned)
        await untilSettled(this.#queue, this.facts.queue, this.#othersConsuming)
    } catch (error) {
      // That ends the channel, and with it the broker gives everything back.
      isInterrupted = true
      this.#options.notGivenBack()
      const { queue } = this.facts
      this.#options.warn(
        `Giving back the messages of '${queue}' was interrupted, so that not all are known to be back: the broker gives back what is missing when it ends the connection, in its own order. ${errorText(error)}`,
      )
    }
    await this.#queue.close()
    await this.#options.ended()
    return { returned, rescued, newerArrivals, ...(isInterrupted ? { interrupted: true } : {}) }
  }

  get #othersConsuming(): number {
    return typeof this.facts.consumers === 'number' ? this.facts.consumers : 0
  }

  /** Publishes copies of what the broker would drop; only then are the originals removed. */
  async #rescueAll(rescued: HeldMessage[]): Promise<void> {
    const waiting = this.#messages.takeAtLimit()
    for (let from = 0; from < waiting.length; from += rescuedTogether) {
      const group = waiting.slice(from, from + rescuedTogether)
      const safe = await Promise.all(group.map(({ copy, message }) => this.#rescue.rescue(copy, message)))
      this.#queue.throwIfLost()
      for (const [index, { held, message }] of group.entries()) {
        if (!safe[index]) continue
        void this.#queue.acknowledge(held)
        this.#messages.delete(held)
        rescued.push(message)
      }
    }
    this.#queue.flush()
  }

  async #release(rescued: HeldMessage[]): Promise<void> {
    const { kind, limit } = this.#options.limits
    // There, what is given back comes last: the rest has to be behind it again.
    if (kind === 'quorum' && typeof limit !== 'number' && this.#messages.size > 0) {
      await this.#takeRest()
      await this.#rescueAll(rescued)
    }
    await giveBackInOrder(this.#queue, this.#messages.all, {
      name: this.facts.queue,
      limits: this.#options.limits,
      others: this.#othersConsuming,
      onlyLooks: this.#options.hold.purpose === 'look',
      warn: this.#options.warn,
    })
    this.#messages.clear()
  }

  async #takeRest(): Promise<void> {
    const { max, page } = this.#options.hold
    for (let round = 0; round < restRounds; round++) {
      const waiting = await this.#queue.depth()
      if (waiting === 0) return
      if (waiting > max - this.#messages.size) {
        this.#options.warn(
          `${waiting} messages of '${this.facts.queue}' were not held; those that were are now behind them. Hold all of them to keep the order: --max-hold ${waiting + this.#messages.size}`,
        )
        return
      }
      for (let left = waiting; left > 0; ) {
        const count = await this.#queue.take(Math.min(left, page, largestPage), (taken) => this.#messages.keep(taken))
        if (count === 0) return
        left -= count
      }
    }
  }
}

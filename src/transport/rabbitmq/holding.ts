import type { ConsumeMessage, Message } from 'amqplib'
import { Header } from '../../message/headers.ts'
import { NsbError, errorText } from '../../message/nsb-error.ts'
import { parseTimestamp } from '../../message/wire-formats.ts'
import type { Clock } from '../clock.ts'
import type { HeldMessage, HoldOptions, Holding, OutgoingMessage, QueueFacts } from '../transport.ts'
import type { BrokerConnection } from './connection.ts'
import { Native, headersOf } from './native-headers.ts'
import type { Publisher } from './publisher.ts'
import { QueueChannel, type Taken, silenceMs } from './queue-channel.ts'
import { type HeldLimits, type QueueLimits, assumedLimit } from './queue-limits.ts'
import { nativeOf, rawProperties } from './raw.ts'
import { giveBackInOrder, inOrder } from './giving-back.ts'
import { type Copy, Rescue } from './rescue.ts'

/** Copies of messages at their limit that are on their way at the same time. */
const rescuedTogether = 100
/** Rounds of taking what came while the rest was being taken. */
const restRounds = 5
/** A broker honours a prefetch up to this; 0 would mean 2,000 on a quorum queue. */
const largestPage = 65_535
/** So many of a stream are in memory, unless more should be on their way; and so many beside those. */
const keptAhead = 1000
const fewestAhead = 250
/** Of pages it is fewer: giving so many back at once is what a broker is quickest with. */
const keptAheadInPages = 500
/** With so few looks left a queue is not read without being told to. */
const fewestLooks = 2

export interface RabbitHoldingOptions {
  /** Of this holding alone: its end would give everything back in disorder. */
  readonly connection: BrokerConnection
  readonly publisher: Publisher
  readonly clock: Clock
  readonly facts: QueueFacts
  readonly limits: HeldLimits
  readonly hold: HoldOptions
  /** Where messages are kept whole of which only a cut copy can be made; undefined: nowhere. */
  readonly stateFolder: string | undefined
  readonly warn: (warning: string) => void
  /** The messages have hardly any look left: NSB_LOOKS_EXHAUSTED is about to be thrown. */
  exhausted(): void
  ended(): Promise<void>
}

/** One message that is held. Its body and headers are its reader's to let go. */
interface Held extends Omit<Taken, 'raw'> {
  state: 'held' | 'leaving'
}

/** A property of the message itself: thousands of messages in a WeakMap keep the garbage collector busy. */
const heldAs = Symbol('held as')

interface TakenMessage extends HeldMessage {
  readonly [heldAs]: Held
  headers: HeldMessage['headers']
  body: HeldMessage['body']
  native: HeldMessage['native']
}

const nothing = Object.freeze({})
const noBody = new Uint8Array()

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
  readonly #rescue: Rescue
  readonly #held = new Set<Held>()
  /** What has to be published again instead of being given back, and is therefore kept whole. */
  readonly #atLimit = new Map<Held, { readonly copy: Copy; readonly message: HeldMessage }>()
  #read = 0
  /** Came with a stream and were not read: they are newer, or the reading ended before. */
  #neverShown = 0
  #removals: Removal[] = []
  #removing = false
  readonly #underWay = new Set<Promise<unknown>>()
  #givenBack: ReturnType<Holding['giveBack']> | undefined
  /** Messages that are being consumed. */
  #leaving = 0
  /** Something has come or gone. */
  #changed = (): void => {}
  #warned = false

  private constructor(options: RabbitHoldingOptions, queue: QueueChannel) {
    this.facts = options.facts
    this.#options = options
    this.#queue = queue
    const { clock, publisher, stateFolder, warn } = options
    this.#rescue = new Rescue({ publisher, clock, queue: options.facts.queue, stateFolder, warn })
  }

  static async open(options: RabbitHoldingOptions): Promise<RabbitHolding> {
    const { clock, connection, facts, warn } = options
    let changed = (): void => {}
    const queue = await QueueChannel.open({ connection, clock, queue: facts.queue, warn, changed: () => changed() })
    const holding = new RabbitHolding(options, queue)
    changed = () => holding.#changed()
    return holding
  }

  /** @throws {NsbError} NSB_LOOKS_EXHAUSTED: one look more would cost messages their last delivery but one */
  async *pages(): AsyncIterable<readonly HeldMessage[]> {
    const { ahead, max, page, signal } = this.#options.hold
    if (ahead !== undefined) yield* this.#stream()
    while (this.#read < this.facts.depth && !signal.aborted && !this.#givenBack) {
      const size = Math.min(page, largestPage, max - this.#held.size, this.facts.depth - this.#read)
      if (size <= 0 || (yield* this.#take(size)) === 0) return
    }
  }

  /** A page at once, or without bodies as they come: while some are looked at the broker sends the next. @returns how many there were */
  async *#take(size: number): AsyncGenerator<readonly HeldMessage[], number, undefined> {
    const { signal, withoutBodies = false } = this.#options.hold
    let arrived: HeldMessage[] = []
    let isOver = false
    let wake = (): void => {}
    const taking = this.#track(
      this.#queue.take(size, (taken) => {
        arrived.push(this.#hold(taken))
        this.#read += 1
        wake()
      }),
    ).finally(() => {
      isOver = true
      wake()
    })
    // Whoever stops asking does not wait for it; giving back does.
    taking.catch(() => undefined)
    try {
      if (!withoutBodies) await taking
      while (!signal.aborted && !this.#givenBack) {
        if (arrived.length > 0) {
          const messages = arrived
          arrived = []
          this.#checkBudget(messages)
          yield messages
        } else if (isOver) break
        else
          await new Promise<void>((resolve) => {
            wake = resolve
          })
      }
    } finally {
      this.#queue.endTake()
    }
    return taking
  }

  /**
   * A consumer that the broker keeps filled. When much of what it brings stays, pages follow, each ordered while a half of the one before
   * is still to be read. Ends when nothing more comes, or all that may be held is held and none of it leaves.
   */
  async *#stream(): AsyncIterable<readonly HeldMessage[]> {
    const { max, page, signal } = this.#options.hold
    const arrived: Taken[] = []
    let [isPaged, isOver] = [false, false]
    let next: Promise<void> | undefined
    const begin = async (room: number): Promise<void> => {
      await this.#queue.endStream()
      // What the stream before it could still bring is all there is.
      if (room <= 0) return
      const consumer = await this.#queue.openStream(room, arrived)
      if (!isPaged) return
      await this.#queue.endStream()
      isOver = consumer.taken === 0
    }
    try {
      while (this.#read < this.facts.depth && !signal.aborted && !this.#givenBack) {
        this.#queue.throwIfLost()
        const room = this.#room(arrived.length, isPaged)
        if (!next && !isOver && room > 0 && this.#isNextsTurn(arrived.length, room)) {
          isPaged ||= this.#isMuchStaying(arrived.length)
          next = this.#track(begin(this.#room(arrived.length, isPaged))).finally(() => {
            next = undefined
            this.#changed()
          })
          // What goes wrong ends the channel.
          next.catch(() => undefined)
        }
        const messages = arrived.splice(0, Math.min(page, this.facts.depth - this.#read)).map((taken) => this.#hold(taken))
        if (messages.length > 0) {
          this.#read += messages.length
          this.#checkBudget(messages)
          yield messages
        } else if (!next && this.#leaving === 0 && (!this.#queue.streaming || this.#held.size >= max)) return
        else if (!(await this.#change()) && !next) return
      }
    } finally {
      await next?.catch(() => undefined)
      await this.#track(this.#queue.endStream())
      this.#neverShown += arrived.length
      for (const taken of arrived.splice(0)) this.#keep(taken)
    }
  }

  /** How many a consumer may bring that is opened when the one before has brought all it may. */
  #room(arrived: number, isPaged: boolean): number {
    const { ahead = 0, max } = this.#options.hold
    const { room = 0, unsettled = 0 } = this.#queue.streaming ?? {}
    const coming = arrived + room - unsettled
    const most = Math.min(max - this.#held.size - coming, largestPage)
    if (!isPaged) return Math.min(most, Math.max(ahead + fewestAhead, keptAhead))
    // A page is not open to what comes meanwhile: it could be on its way to the consumer when that is cancelled, and lose its place.
    return Math.min(most, Math.max(ahead + fewestAhead, keptAheadInPages), this.facts.depth - this.#read - coming)
  }

  /** What a consumer brought and stays held takes the place of what it could bring: the next one follows while it can still bring a half. */
  #isNextsTurn(arrived: number, room: number): boolean {
    if (this.#read + arrived >= this.facts.depth) return false
    const consumer = this.#queue.streaming
    if (consumer === undefined) return 2 * arrived <= room
    return 2 * consumer.staying >= consumer.room && (2 * room >= consumer.room || consumer.staying >= consumer.room)
  }

  /** A message that is removed makes room for one only, and the broker sends them one by one where others stay between them. */
  #isMuchStaying(arrived: number): boolean {
    const consumer = this.#queue.streaming
    return consumer !== undefined && 4 * consumer.staying >= consumer.taken - arrived
  }

  /** @returns false: nothing has come and nothing has gone for a second */
  #change(): Promise<boolean> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(silenceMs, () => {
        this.#changed = (): void => {}
        resolve(this.#leaving > 0)
      })
      this.#changed = (): void => {
        this.#changed = (): void => {}
        cancel()
        resolve(true)
      }
    })
  }

  // Thousands are under way at once: one promise for each is what its caller waits for, and no async function keeps the message alive.
  consume(message: HeldMessage, outgoing: readonly OutgoingMessage[]): Promise<void> {
    const held = this.#heldOf(message)
    if (this.#options.hold.purpose === 'look' || held?.state !== 'held' || this.#givenBack) return Promise.reject(this.#notHeld(message))
    if (this.#queue.lost) return Promise.reject(this.#queue.lost)
    held.state = 'leaving'
    held.consumer.staying -= 1
    this.#leaving += 1
    return new Promise((resolve, reject) => {
      const stay = (error: unknown): void => {
        held.state = 'held'
        held.consumer.staying += 1
        this.#left()
        reject(error as Error)
      }
      this.#options.publisher.dispatch(outgoing).then(() => {
        this.#removals.push({ message, held, resolve, reject: stay })
        if (!this.#removing) void this.#removeAll()
      }, stay)
      if (this.#options.hold.mayEmpty === true && !this.#atLimit.has(held)) empty(message as TakenMessage)
    })
  }

  /** undefined: it is not one of these, or has left. */
  #heldOf(message: HeldMessage): Held | undefined {
    const held = heldAs in message ? (message as TakenMessage)[heldAs] : undefined
    return held && this.#held.has(held) ? held : undefined
  }

  #left(): void {
    this.#leaving -= 1
    this.#changed()
  }

  #notHeld({ id }: HeldMessage): NsbError {
    return new NsbError({
      code: 'NSB_NOT_HELD',
      message: `Message '${id}' of queue '${this.facts.queue}' cannot be consumed: ${this.#options.hold.purpose === 'look' ? 'the holding only looks' : 'it is not held any more'}.`,
    })
  }

  giveBack(): ReturnType<Holding['giveBack']> {
    this.#givenBack ??= this.#giveBack()
    this.#queue.endTake()
    this.#changed()
    return this.#givenBack
  }

  /** Giving back waits for it. */
  #track<T>(work: Promise<T>): Promise<T> {
    const settled: Promise<unknown> = work.catch(() => undefined).then(() => this.#underWay.delete(settled))
    this.#underWay.add(settled)
    return work
  }

  #hold({ consumer, raw, tag }: Taken): HeldMessage {
    const { queue } = this.facts
    const count = countOf(raw)
    // Who only looks needs it of what no endpoint wrote, since what a broker says of a dead letter is nowhere else.
    const isKnown = this.#options.hold.withoutBodies === true && raw.properties.headers?.[Header.FailedQ] !== undefined
    const native = isKnown ? undefined : nativeOf(raw)
    const copy = this.#mustBeRescued(count) ? { content: raw.content, properties: rawProperties(raw) } : undefined
    const headers = headersOf(raw.properties, native !== undefined && native['headers'] === undefined)
    const nativeId = typeof raw.properties.messageId === 'string' ? raw.properties.messageId : ''
    const held: Held = { consumer, tag, state: 'held' }
    consumer.staying += 1
    const message: TakenMessage = {
      id: headers[Header.MessageId] || nativeId,
      nativeId,
      headers,
      body: raw.content,
      queue,
      attempt: count + 1,
      native: native ?? {},
      givenBack: count,
      enqueuedAt: enqueuedAt(raw),
      unreadable: undefined,
      [heldAs]: held,
    }
    this.#held.add(held)
    if (copy) this.#atLimit.set(held, { copy, message })
    return message
  }

  /** Held only to be given back. */
  #keep(taken: Taken): void {
    const { consumer, raw, tag } = taken
    if (this.#mustBeRescued(countOf(raw))) this.#hold(taken)
    else this.#held.add({ consumer, tag, state: 'held' })
  }

  #mustBeRescued(count: number): boolean {
    const { kind, limit } = this.#options.limits
    if (kind === 'classic' || limit === 'unlimited') return false
    // Of a limit that nobody tells only the strictest can be believed, and a policy may be stricter still.
    return limit === 'unknown' ? count >= 2 : count >= limit
  }

  #checkBudget(messages: readonly HeldMessage[]): void {
    const { hold, limits, warn } = this.#options
    if (limits.kind === 'classic' || limits.limit === 'unlimited') return
    const limit = limits.limit === 'unknown' ? assumedLimit : limits.limit
    const left = limit - messages.reduce((most, message) => Math.max(most, message.givenBack), 0)
    const { queue } = this.facts
    if (left < fewestLooks && !hold.overrule.includes('NSB_LOOKS_EXHAUSTED')) {
      this.#options.exhausted()
      throw looksExhausted(queue, limits, left)
    }
    if (left >= 5 || this.#warned) return
    this.#warned = true
    warn(`Messages of queue '${queue}' can be looked at ${Math.max(0, left)} more time(s) before the broker drops them. ${raiseLimit}.`)
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
          this.#held.delete(held)
          this.#atLimit.delete(held)
          this.#left()
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
    await Promise.all(this.#underWay)
    while (this.#leaving > 0) await this.#change()
    await this.#queue.endStream().catch(() => undefined)
    const returned = this.#held.size
    const rescued: HeldMessage[] = []
    let newerArrivals = 0
    let isInterrupted = false
    try {
      this.#queue.throwIfLost()
      this.#queue.flush()
      const waiting = await this.#queue.depth()
      newerArrivals = Math.max(0, waiting + this.#neverShown - Math.max(0, this.facts.depth - this.#read))
      await this.#rescueAll(rescued)
      await this.#release(rescued)
      if (this.#options.limits.kind === 'quorum' && this.#read > returned) await this.#queue.untilSettled(this.#othersConsuming)
    } catch (error) {
      // That ends the channel, and with it the broker gives everything back.
      isInterrupted = true
      const { queue } = this.facts
      this.#options.warn(
        `Giving back the messages of '${queue}' was interrupted: the broker gives them back, in its own order. ${errorText(error)}`,
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
    const waiting = [...this.#atLimit].filter(([held]) => this.#held.has(held))
    this.#atLimit.clear()
    for (let from = 0; from < waiting.length; from += rescuedTogether) {
      const group = waiting.slice(from, from + rescuedTogether)
      const safe = await Promise.all(group.map(([, { copy, message }]) => this.#rescue.rescue(copy, message)))
      this.#queue.throwIfLost()
      for (const [index, [held, { message }]] of group.entries()) {
        if (!safe[index]) continue
        void this.#queue.acknowledge(held)
        this.#held.delete(held)
        rescued.push(message)
      }
    }
    this.#queue.flush()
  }

  async #release(rescued: HeldMessage[]): Promise<void> {
    const { kind, limit } = this.#options.limits
    // There, what is given back comes last: the rest has to be behind it again.
    if (kind === 'quorum' && typeof limit !== 'number' && this.#held.size > 0) {
      await this.#takeRest()
      await this.#rescueAll(rescued)
    }
    await giveBackInOrder(this.#queue, [...this.#held], kind === 'quorum' && limit !== 'unlimited')
    this.#held.clear()
  }

  async #takeRest(): Promise<void> {
    const { max, page } = this.#options.hold
    for (let round = 0; round < restRounds; round++) {
      const waiting = await this.#queue.depth()
      if (waiting === 0) return
      if (waiting > max - this.#held.size) {
        this.#options.warn(
          `${waiting} messages of '${this.facts.queue}' were not held; those that were are now behind them. Hold all of them to keep the order: --max-hold ${waiting + this.#held.size}`,
        )
        return
      }
      for (let left = waiting; left > 0; ) {
        const count = await this.#queue.take(Math.min(left, page, largestPage), (taken) => this.#keep(taken))
        if (count === 0) return
        left -= count
      }
    }
  }
}

/** Its copy has what it needs, and the broker has the message. */
function empty(message: TakenMessage): void {
  message.headers = nothing
  message.body = noBody
  message.native = nothing
}

const raiseLimit = 'Raise the limit with a policy: rabbitmqctl set_policy'

/** @param left looks that are left; undefined: as few as when it was looked at last */
export function looksExhausted(queue: string, { limit: known }: QueueLimits, left: number | undefined): NsbError {
  const limit = typeof known === 'number' ? known : assumedLimit
  return new NsbError({
    code: 'NSB_LOOKS_EXHAUSTED',
    message: `Queue '${queue}' is not read: ${left === undefined ? 'its messages have been given back almost as often as they may be' : `its messages were given back ${limit - left} times`}, and after ${limit} the broker drops them.`,
    suggestions: [raiseLimit, 'Or read it all the same: --force; what is at its limit then moves to the end of the queue'],
    details: { queue, limit, ...(left === undefined ? {} : { looksLeft: left }) },
  })
}

/** Of a first delivery the broker says nothing: a count is then one that the message has brought from another queue. */
function countOf({ fields, properties }: ConsumeMessage): number {
  if (!fields.redelivered) return 0
  return Math.max(atLeastZero(properties.headers?.[Native.DeliveryCount]), atLeastZero(properties.headers?.[Native.AcquiredCount]))
}

const atLeastZero = (count: unknown): number => (typeof count === 'number' && count > 0 ? count : 0)

/** A queue does not say when a message came; the failure that put it there does. */
function enqueuedAt({ properties }: Message): number {
  const failed: unknown = properties.headers?.[Header.TimeOfFailure]
  const sent: unknown = properties.headers?.[Header.TimeSent]
  return (
    (typeof failed === 'string' ? parseTimestamp(failed) : undefined) ?? (typeof sent === 'string' ? parseTimestamp(sent) : undefined) ?? 0
  )
}

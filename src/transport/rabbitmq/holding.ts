import type { Channel, ConsumeMessage, Message } from 'amqplib'
import { Header } from '../../message/headers.ts'
import { NsbError, errorText } from '../../message/nsb-error.ts'
import { parseTimestamp } from '../../message/wire-formats.ts'
import type { Clock } from '../clock.ts'
import type { HeldMessage, HoldOptions, Holding, OutgoingMessage, QueueFacts } from '../transport.ts'
import { Acknowledgements } from './acknowledgements.ts'
import type { BrokerConnection } from './connection.ts'
import { Native, headersOf } from './native-headers.ts'
import type { Publisher } from './publisher.ts'
import { type QueueLimits, assumedLimit } from './queue-limits.ts'
import { nativeOf, rawProperties } from './raw.ts'

/** Nothing came for so long: there is no more. */
const silenceMs = 1000
/** A queue that shows nothing of what was given back within this time is being consumed by somebody. */
const visibleWithinMs = 2000
const barrierPollMs = 1
/** Quorum queues with a limit keep the order of up to so many that are given back at once. */
const keepsOrder = 16
/** A broker honours a prefetch up to this; 0 would mean 2,000 on a quorum queue. */
const largestPage = 65_535
/** With so few looks left a queue is not read without being told to. */
const fewestLooks = 2

export interface RabbitHoldingOptions {
  /** Of this holding alone: its end would give everything back in disorder. */
  readonly connection: BrokerConnection
  readonly publisher: Publisher
  readonly clock: Clock
  readonly facts: QueueFacts
  readonly limits: QueueLimits
  readonly hold: HoldOptions
  readonly warn: (warning: string) => void
  ended(): Promise<void>
}

/** One message that is held. Its body and headers are its reader's to let go. */
interface Held {
  readonly tag: number
  /** What was taken together: giving back across two of these disturbs the order at the seam. */
  readonly take: number
  /** Give-backs it has behind it, as the queue has counted them. */
  readonly count: number
  state: 'held' | 'leaving'
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
  readonly #channel: Channel
  readonly #acknowledgements: Acknowledgements
  /** By delivery tag, in the order of the queue. */
  readonly #held = new Map<number, Held>()
  readonly #messages = new WeakMap<HeldMessage, Held>()
  /** What has to be published again instead of being given back, and is therefore kept whole. */
  readonly #atLimit = new Map<number, { readonly raw: Message; readonly message: HeldMessage }>()
  #read = 0
  #takes = 0
  #lost: NsbError | undefined
  #removals: Removal[] = []
  #removing = false
  readonly #underWay = new Set<Promise<unknown>>()
  #givenBack: ReturnType<Holding['giveBack']> | undefined

  private constructor(options: RabbitHoldingOptions, channel: Channel) {
    this.facts = options.facts
    this.#options = options
    this.#channel = channel
    this.#acknowledgements = new Acknowledgements(channel)
    channel.on('error', () => undefined)
    channel.on('close', () => this.#acknowledgements.end())
    options.connection.onLost((error) => {
      this.#lost = error
    })
  }

  static async open(options: RabbitHoldingOptions): Promise<RabbitHolding> {
    return new RabbitHolding(options, await (await options.connection.open()).createChannel())
  }

  /** @throws {NsbError} NSB_LOOKS_EXHAUSTED: one look more would cost messages their last delivery but one */
  async *pages(): AsyncIterable<readonly HeldMessage[]> {
    const { max, page, signal } = this.#options.hold
    while (this.#read < this.facts.depth && !signal.aborted && !this.#givenBack) {
      const size = Math.min(page, largestPage, max - this.#held.size, this.facts.depth - this.#read)
      if (size <= 0) return
      const messages = (await this.#take(size)).map((message) => this.#hold(message))
      if (messages.length === 0) return
      if (this.#read === messages.length) this.#checkBudget(messages)
      yield messages
    }
  }

  consume(message: HeldMessage, outgoing: readonly OutgoingMessage[]): Promise<void> {
    const consuming = this.#consume(message, outgoing)
    const settled: Promise<unknown> = consuming.catch(() => undefined).then(() => this.#underWay.delete(settled))
    this.#underWay.add(settled)
    return consuming
  }

  giveBack(): ReturnType<Holding['giveBack']> {
    this.#givenBack ??= this.#giveBack()
    return this.#givenBack
  }

  /** Takes up to so many with a consumer that is cancelled when they are there; what a cancelled consumer took stays held. */
  async #take(size: number): Promise<readonly ConsumeMessage[]> {
    this.#throwIfLost()
    this.#takes += 1
    const { clock, connection } = this.#options
    const messages: ConsumeMessage[] = []
    let end = (): void => {}
    const full = new Promise<void>((resolve) => {
      end = resolve
    })
    let cancelSilence = clock.after(silenceMs, end)
    connection.onLost(end)
    await this.#channel.prefetch(size)
    const { consumerTag } = await this.#channel.consume(this.facts.queue, (message) => {
      if (message === null) return end()
      messages.push(message)
      cancelSilence()
      if (messages.length >= size) return end()
      cancelSilence = clock.after(silenceMs, end)
    })
    await full
    cancelSilence()
    this.#throwIfLost()
    // Deliveries that cross the cancellation are ours too.
    await this.#channel.cancel(consumerTag)
    return messages
  }

  #hold(raw: ConsumeMessage): HeldMessage {
    const { queue } = this.facts
    const tag = raw.fields.deliveryTag
    const count = countOf(raw)
    const headers = headersOf(raw.properties)
    const nativeId = typeof raw.properties.messageId === 'string' ? raw.properties.messageId : ''
    const message: HeldMessage = {
      id: headers[Header.MessageId] || nativeId,
      nativeId,
      headers,
      body: raw.content,
      queue,
      attempt: count + 1,
      native: nativeOf(raw),
      givenBack: count,
      enqueuedAt: enqueuedAt(raw),
      unreadable: undefined,
    }
    const held: Held = { tag, take: this.#takes, count, state: 'held' }
    this.#read += 1
    this.#held.set(tag, held)
    this.#messages.set(message, held)
    if (this.#mustBeRescued(count)) this.#atLimit.set(tag, { raw, message })
    return message
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
    const queue = this.facts.queue
    const way = 'Raise the limit with a policy: rabbitmqctl set_policy'
    if (left < fewestLooks && !hold.overrule.includes('NSB_LOOKS_EXHAUSTED'))
      throw new NsbError({
        code: 'NSB_LOOKS_EXHAUSTED',
        message: `Queue '${queue}' is not read: its messages were given back ${limit - left} times, and after ${limit} the broker drops them.`,
        suggestions: [way, 'Or read it all the same: --force; what is at its limit then moves to the end of the queue'],
        details: { queue, limit, looksLeft: left },
      })
    if (left < 5) warn(`Messages of queue '${queue}' can be looked at ${left} more time(s) before the broker drops them. ${way}.`)
  }

  async #consume(message: HeldMessage, outgoing: readonly OutgoingMessage[]): Promise<void> {
    const held = this.#messages.get(message)
    if (this.#options.hold.purpose === 'look' || !held || held.state !== 'held' || this.#givenBack)
      throw new NsbError({
        code: 'NSB_NOT_HELD',
        message: `Message '${message.id}' of queue '${this.facts.queue}' cannot be consumed: ${this.#options.hold.purpose === 'look' ? 'the holding only looks' : 'it is not held any more'}.`,
      })
    this.#throwIfLost()
    held.state = 'leaving'
    try {
      await this.#options.publisher.dispatch(outgoing)
      await new Promise<void>((resolve, reject) => {
        this.#removals.push({ message, held, resolve, reject })
        if (!this.#removing) void this.#removeAll()
      })
    } catch (error) {
      held.state = 'held'
      throw error
    }
  }

  /** What was confirmed while a group is journalled forms the next group. */
  async #removeAll(): Promise<void> {
    this.#removing = true
    await Promise.resolve()
    while (this.#removals.length > 0) {
      const group = this.#removals.toSorted((a, b) => a.held.tag - b.held.tag)
      this.#removals = []
      try {
        await this.#options.hold.beforeRemove(group.map(({ message }) => message))
        this.#throwIfLost()
      } catch (error) {
        for (const { reject } of group) reject(error)
        continue
      }
      for (const { held, message, resolve } of group) {
        this.#acknowledgements.addTag(held.tag)
        this.#held.delete(held.tag)
        this.#atLimit.delete(held.tag)
        this.#messages.delete(message)
        resolve()
      }
    }
    this.#removing = false
  }

  async #giveBack(): ReturnType<Holding['giveBack']> {
    await Promise.all(this.#underWay)
    const returned = this.#held.size
    const rescued: HeldMessage[] = []
    let newerArrivals = 0
    try {
      if (this.#lost) this.#options.warn(`${this.#lost.message} The broker gives back what was held, at the place it chooses.`)
      else {
        this.#acknowledgements.flush()
        await this.#rescue(rescued)
        newerArrivals = await this.#release()
      }
    } catch (error) {
      // With the end of the channel the broker gives everything back; that is all that is left to do.
      this.#options.warn(`Giving back the messages of '${this.facts.queue}' was interrupted: ${errorText(error)}`)
    }
    await this.#channel.close().catch(() => undefined)
    await this.#options.ended()
    return { returned, rescued, newerArrivals }
  }

  /** Publishes a copy of what the broker would drop; only then is the original removed. */
  async #rescue(rescued: HeldMessage[]): Promise<void> {
    const { publisher, warn } = this.#options
    for (const [tag, { raw, message }] of this.#atLimit) {
      if (!this.#held.has(tag)) continue
      try {
        await publisher.dispatchRaw({
          route: { exchange: '', routingKey: this.facts.queue },
          content: raw.content,
          properties: rawProperties(raw),
          to: { exactQueue: this.facts.queue },
        })
        this.#acknowledgements.addTag(tag)
        this.#held.delete(tag)
        rescued.push(message)
      } catch (error) {
        warn(`Message '${message.id}' of '${this.facts.queue}' is at its delivery limit, and no copy could be made: ${errorText(error)}`)
        throw error
      }
    }
    this.#acknowledgements.flush()
  }

  /** @returns how many messages came after the snapshot */
  async #release(): Promise<number> {
    const { kind, limit } = this.#options.limits
    const waiting = await this.#depth()
    const newer = Math.max(0, waiting - Math.max(0, this.facts.depth - this.#read))
    // There, what is given back comes last: the rest has to be behind it again.
    if (kind === 'quorum' && typeof limit !== 'number' && this.#held.size > 0) await this.#takeRest(waiting)
    const most = kind === 'quorum' && limit !== 'unlimited' ? keepsOrder : largestPage
    for (const group of groupsOf([...this.#held.values()], most)) {
      const before = await this.#depth()
      // Everything before it is settled, so "up to" means this group.
      this.#nack((group.at(-1) as Held).tag)
      await this.#untilDepth(before + group.length)
    }
    this.#held.clear()
    return newer
  }

  async #takeRest(waiting: number): Promise<void> {
    const room = this.#options.hold.max - this.#held.size
    if (waiting > room) {
      this.#options.warn(
        `${waiting} messages of '${this.facts.queue}' were not held; those that were are now behind them. Hold all of them to keep the order: --max-hold ${waiting + this.#held.size}`,
      )
      return
    }
    for (let left = waiting; left > 0; ) {
      const messages = await this.#take(Math.min(left, largestPage))
      if (messages.length === 0) return
      left -= messages.length
      for (const raw of messages)
        this.#held.set(raw.fields.deliveryTag, { tag: raw.fields.deliveryTag, take: this.#takes, count: countOf(raw), state: 'held' })
    }
  }

  #nack(upTo: number): void {
    this.#channel.nack({ fields: { deliveryTag: upTo } } as Message, true, true)
  }

  async #depth(): Promise<number> {
    return (await this.#channel.checkQueue(this.facts.queue)).messageCount
  }

  /** Waits until what was given back can be seen, and no longer than it makes sense: a consumer may take it at once. */
  async #untilDepth(depth: number): Promise<void> {
    const end = performance.now() + visibleWithinMs
    while ((await this.#depth()) < depth && performance.now() < end)
      await new Promise<void>((resolve) => this.#options.clock.after(barrierPollMs, resolve))
  }

  #throwIfLost(): void {
    if (this.#lost) throw this.#lost
  }
}

/** In the order of the queue, at most so many together, and never of two takes. */
function groupsOf(held: readonly Held[], most: number): readonly (readonly Held[])[] {
  const groups: Held[][] = []
  for (const each of held.toSorted((a, b) => a.tag - b.tag)) {
    const group = groups.at(-1)
    if (group && group.length < most && group[0]?.take === each.take) group.push(each)
    else groups.push([each])
  }
  return groups
}

function countOf({ properties }: Message): number {
  const counts = [properties.headers?.[Native.DeliveryCount], properties.headers?.[Native.AcquiredCount]] as readonly unknown[]
  return counts.reduce<number>((most, count) => (typeof count === 'number' && count > most ? count : most), 0)
}

/** A queue does not say when a message came; the failure that put it there does. */
function enqueuedAt({ properties }: Message): number {
  const failed: unknown = properties.headers?.[Header.TimeOfFailure]
  const sent: unknown = properties.headers?.[Header.TimeSent]
  return (
    (typeof failed === 'string' ? parseTimestamp(failed) : undefined) ?? (typeof sent === 'string' ? parseTimestamp(sent) : undefined) ?? 0
  )
}

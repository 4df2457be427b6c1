import type { ConsumeMessage, Message } from 'amqplib'
import { Header } from '../../message/headers.ts'
import { parseTimestamp } from '../../message/wire-formats.ts'
import type { Clock } from '../clock.ts'
import type { HeldMessage, HoldOptions } from '../transport.ts'
import type { LooksLeft } from './looks-left.ts'
import { Native, headersOf } from './native-headers.ts'
import { type Taken, silenceMs } from './queue-channel.ts'
import { nativeOf, rawProperties } from './raw.ts'
import type { Copy } from './rescue.ts'

/** One message that is held. Its body and headers are its reader's to let go. */
export interface Held extends Omit<Taken, 'raw'> {
  state: 'held' | 'leaving'
}

/** A message that the broker would drop if it were given back: it is published again instead, and therefore kept whole. */
export interface AtLimit {
  readonly held: Held
  readonly copy: Copy
  readonly message: HeldMessage
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

export interface HeldMessagesOptions {
  readonly queue: string
  readonly clock: Clock
  readonly looks: LooksLeft
  readonly hold: Pick<HoldOptions, 'mayEmpty' | 'withoutBodies'>
  readonly giveBacksCount: boolean
}

/** The messages of one queue that are held, and those of them that leave it. */
export class HeldMessages {
  readonly #options: HeldMessagesOptions
  readonly #held = new Set<Held>()
  readonly #atLimit = new Map<Held, AtLimit>()
  #leaving = 0
  #changed = (): void => {}

  constructor(options: HeldMessagesOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#held.size
  }

  get all(): readonly Held[] {
    return [...this.#held]
  }

  /** Messages that are being consumed. */
  get leaving(): number {
    return this.#leaving
  }

  /** For whoever reads: it can be consumed. */
  hold({ consumer, raw, tag }: Taken): HeldMessage {
    const { hold, looks, queue } = this.#options
    const count = this.#failedDeliveries(raw)
    // Who only looks needs it of what no endpoint wrote, since what a broker says of a dead letter is nowhere else.
    const isKnown = hold.withoutBodies === true && raw.properties.headers?.[Header.FailedQ] !== undefined
    const native = isKnown ? undefined : nativeOf(raw)
    const copy = looks.isAtLimit(count) ? { content: raw.content, properties: rawProperties(raw) } : undefined
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
    if (copy) this.#atLimit.set(held, { held, copy, message })
    return message
  }

  /** Only to be given back. */
  keep(taken: Taken): void {
    const { consumer, raw, tag } = taken
    if (this.#options.looks.isAtLimit(this.#failedDeliveries(raw))) this.hold(taken)
    else this.#held.add({ consumer, tag, state: 'held' })
  }

  /** undefined: it is not one of these, or has left. */
  of(message: HeldMessage): Held | undefined {
    const held = heldAs in message ? (message as TakenMessage)[heldAs] : undefined
    return held && this.#held.has(held) ? held : undefined
  }

  /** It is being consumed. */
  leave(held: Held): void {
    held.state = 'leaving'
    held.consumer.staying -= 1
    this.#leaving += 1
  }

  /** Consuming it has failed. */
  stay(held: Held): void {
    held.state = 'held'
    held.consumer.staying += 1
    this.#left()
  }

  /** It was consumed. */
  gone(held: Held): void {
    this.#held.delete(held)
    this.#atLimit.delete(held)
    this.#left()
  }

  /** Its copy is on its way with all it needs, and the broker has the message. */
  empty(message: HeldMessage, held: Held): void {
    if (this.#options.hold.mayEmpty !== true || this.#atLimit.has(held)) return
    const taken = message as TakenMessage
    taken.headers = nothing
    taken.body = noBody
    taken.native = nothing
  }

  /** What has to be published again, each told once. */
  takeAtLimit(): readonly AtLimit[] {
    const waiting = [...this.#atLimit.values()].filter(({ held }) => this.#held.has(held))
    this.#atLimit.clear()
    return waiting
  }

  /** Its copy is safe, and it is not held any more. */
  delete(held: Held): void {
    this.#held.delete(held)
  }

  /** They were given back. */
  clear(): void {
    this.#held.clear()
  }

  /** Of a first delivery the broker says nothing: a count is then one that the message has brought from another queue. */
  #failedDeliveries({ fields, properties }: ConsumeMessage): number {
    if (!fields.redelivered) return 0
    const failed = atLeastZero(properties.headers?.[Native.DeliveryCount])
    // Newer brokers always tell how often they gave it out, and the failures only if there were any: a higher count was brought along.
    return this.#options.giveBacksCount ? failed : Math.min(failed, atLeastZero(properties.headers?.[Native.AcquiredCount]))
  }

  #left(): void {
    this.#leaving -= 1
    this.changed()
  }

  /** Something has come or gone. */
  changed(): void {
    this.#changed()
  }

  /** @returns false: nothing has come and nothing has gone for a second */
  change(): Promise<boolean> {
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

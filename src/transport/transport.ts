/**
 * The seam between the runtime and what carries messages. A transport sees bytes and headers only; all it is told about a
 * message it processed is a {@link Verdict}. The cases in `src/testing/transport-contract` say what every transport must hold.
 */

import type { EventType } from '../message/event-type.ts'
import type { NsbError } from '../message/nsb-error.ts'

export type { EventType }

/** Header names and values as they are on the wire; names are compared case-sensitively, order is that of writing. */
export type Headers = Readonly<Record<string, string>>

/** A message as a receiver gets it. */
export interface IncomingMessage {
  /** `NServiceBus.MessageId`, or the native id when that header is absent or empty. */
  readonly id: string
  /** The transport's own id of this copy. Folders and memory make a new one for every copy that is sent; a broker keeps that of the message. */
  readonly nativeId: string
  readonly headers: Headers
  readonly body: Uint8Array
  readonly queue: string
  /** 1 on the first delivery; best effort across processes. */
  readonly attempt: number
}

/** Where an outgoing message goes. */
export type Destination =
  /** An endpoint's queue, reached the way endpoints send to each other. */
  | { readonly address: string }
  /** That queue and no other; refused when it does not exist. What replay uses. */
  | { readonly exactQueue: string }
  /** Every subscriber of the event or of anything it is assignable to, once each. */
  | { readonly event: EventType }

export interface OutgoingMessage {
  readonly id: string
  readonly headers: Headers
  readonly body: Uint8Array
  readonly to: Destination
  /** Replay and import choose it; otherwise the transport makes a new one. Never that of a message that exists. */
  readonly nativeId?: string
  /** Of the message it is a copy of: {@link HeldMessage.native}, kept as far as this transport knows such properties. */
  readonly native?: Readonly<Record<string, unknown>>
  /**
   * It is moved rather than sent: `headers` and `native` are those of a held message of this kind of transport, and every property and
   * header value keeps its type, but for an expiration. Refused when it cannot be written as it is.
   */
  readonly unchanged?: true
  /** Never delivered earlier; the receiver may see it up to a second later. */
  readonly deliverAt?: Date
  /** The message vanishes when nobody has taken it for this long. */
  readonly expiresAfterMs?: number
}

/** The answer to an incoming message: "send these, then it is done", or "leave it for another time". */
export type Verdict =
  | { readonly kind: 'consume'; readonly outgoing: readonly OutgoingMessage[] }
  /** `attempted: false`: nobody tried to handle it, so it does not count as an attempt. */
  | { readonly kind: 'putBack'; readonly attempted?: false }

export type Decide = (message: IncomingMessage, signal: AbortSignal) => Promise<Verdict>

export type TransactionMode = 'none' | 'receiveOnly' | 'sendsAtomicWithReceive'

export interface ReceiveOptions {
  readonly queue: string
  /** Where a message goes that cannot even be read. */
  readonly errorQueue: string
  /** Messages decided on at the same time. */
  readonly concurrency: number
  readonly transactionMode: TransactionMode
  /**
   * The batch of a `consume` verdict could not be dispatched, and the message is still there. The answer replaces the verdict.
   * Fails that one too, or is it rejected, the message is put back, the error is reported, and the receiver pauses for a second.
   */
  onDispatchFailed(message: IncomingMessage, error: unknown): Promise<Verdict>
  /** The last verdict on the message was carried out. */
  onSettled(message: IncomingMessage): void
  /** A message that could not be read was moved to the error queue; no decision was asked for. */
  onPoison(poison: PoisonMessage): void
  onCriticalError(error: unknown): void
}

/** What is known of a message that could not be read. */
export interface PoisonMessage {
  readonly nativeId: string
  readonly queue: string
  readonly reason: string
}

export interface Receiving {
  /** Messages taken and not settled yet, those that cannot be read yet included. */
  readonly inHand: number
  /**
   * Takes no new message, waits for those in hand, then resolves; further calls wait for the same end.
   * After `graceMs` (default: no limit) the decisions' signal is aborted, and what then rejects is put back.
   */
  stop(options?: { readonly graceMs?: number }): Promise<void>
}

export interface Subscriber {
  readonly endpoint: string
  readonly queue: string
}

export interface Transport extends Operations {
  /** What it offers; the first is its default. */
  readonly transactionModes: readonly [TransactionMode, ...TransactionMode[]]
  /** Messages decided on at the same time when the endpoint does not say. */
  readonly defaultConcurrency: number
  /** @param sending addresses that are only sent to: created as well, so that an empty one can be told from a missing one */
  createQueues(receiving: readonly string[], sending?: readonly string[]): Promise<void>
  /** Resolves when the messages are safe. Rejects, or keeps them: never drops. */
  dispatch(outgoing: readonly OutgoingMessage[]): Promise<void>
  /** Delivers until stopped. A rejected decision counts as `putBack`, is reported, and makes the receiver pause for a second. */
  receive(options: ReceiveOptions, decide: Decide): Promise<Receiving>
  subscribe(subscriber: Subscriber, event: EventType): Promise<void>
  unsubscribe(subscriber: Subscriber, event: EventType): Promise<void>
  close(): Promise<void>
}

export interface QueueFacts {
  readonly queue: string
  /** Messages waiting; those in hand or due later are not counted. */
  readonly depth: number
  readonly consumers: number | 'unknown'
  /** A `stream` can be seen, and not held. */
  readonly kind: 'memory' | 'folder' | 'classic' | 'quorum' | 'stream'
  /** Failed deliveries that a message survives; with the next one the broker drops it. */
  readonly deliveryLimit: number | 'unlimited' | 'unknown'
  /** Give-backs before the broker drops a message: its limit, or any number where giving back is no failed delivery. */
  readonly looksLeft: number | 'unlimited' | 'unknown'
}

export interface HeldMessage extends IncomingMessage {
  /** Typed properties beside the headers: moved and exported verbatim. */
  readonly native: Readonly<Record<string, unknown>>
  readonly givenBack: number
  /** When the copy was put into the queue, in ms since 1970: the order of the queue. */
  readonly enqueuedAt: number
  /** Set when the headers could not be read; they are then empty, and the body is the raw text. */
  readonly unreadable: string | undefined
  /** Why it stays where it is, whatever is asked for: it cannot even be read, so its body is empty, and `unreadable` says the same. */
  readonly leftAlone?: NsbError | undefined
}

export interface HoldOptions {
  /** `change` locks where a lock is needed, and refuses next to a consumer. */
  readonly purpose: 'look' | 'change'
  /** Codes of safety rules that were refused and are overruled now (`--force`). */
  readonly overrule: readonly string[]
  /** Where another nsb has the queue in hand: wait for it, as long as for any answer. Default: true. */
  readonly waits?: boolean
  /** Bodies in memory at once. */
  readonly page: number
  /** Messages held at once. */
  readonly max: number
  /**
   * Of those who ask for it one has the queue at a time, until it is given back; another one waits, for as long as the transport waits for
   * anything. A broker's holding is always alone. Default: false.
   */
  readonly alone?: boolean
  /**
   * With `change`: messages are consumed as they come, and so many should be on their way. Where taking a page costs round trips, one
   * consumer then brings them, for as long as most of them leave. Default: a page is taken when it is asked for.
   */
  readonly ahead?: number
  /** With `change`: all that is read is consumed, so that the last look which a message has may be spent on it. Default: false. */
  readonly takesAll?: boolean
  /** Pages begin at the end of the queue; only where {@link Operations.can} says `newestFirst`. Default: false, the order of the queue. */
  readonly newestFirst?: boolean
  /**
   * With `look`: of a message that an endpoint says failed (`NServiceBus.FailedQ`) neither body nor `native` is wanted. A transport that
   * saves nothing by that may give them all the same, others give empty ones. Where a look leaves a trace bodies are given: they are kept.
   */
  readonly withoutBodies?: boolean
  /**
   * With `change`: of a message that was given to {@link Holding.consume} only its ids are wanted from then on. A transport that holds it
   * elsewhere may empty it, since thousands may be on their way. Default: false.
   */
  readonly mayEmpty?: boolean
  /** Aborted: no new page; the caller still gives back. */
  readonly signal: AbortSignal
  /** Copies are safe, originals still held: the journal. In groups, in order. Rejects: none of the group is removed. */
  beforeRemove(group: readonly HeldMessage[]): void | Promise<void>
}

/** Messages taken to be looked at, still safe in their queue, then consumed or given back. */
export interface Holding {
  /** Of the snapshot; later arrivals are not shown. */
  readonly facts: QueueFacts
  /** Queue order, or its reverse; nothing is read before a page is asked for, and dropping a page frees its bodies, not the hold. */
  pages(): AsyncIterable<readonly HeldMessage[]>
  /** Dispatched, confirmed, beforeRemove, removed. Rejects with the message still held. Calls may overlap. */
  consume(message: HeldMessage, outgoing: readonly OutgoingMessage[]): Promise<void>
  /** The rest is visible again in its old order; a message at the limit is moved to the tail. Once, always. */
  giveBack(): Promise<{
    readonly returned: number
    readonly rescued: readonly HeldMessage[]
    readonly newerArrivals: number
    /** It could not be done in order, and what was removed last may be in the queue again. */
    readonly interrupted?: true
  }>
}

export interface TemporaryQueue {
  readonly address: string
  /** It needs nobody to remove it, and what is sent to a queue that was removed fails for its sender: leave it. */
  readonly goesByItself: boolean
  remove(): Promise<void>
}

/** What befalls a tap while it is watched. */
export interface TapEvents {
  /** Nothing is shown from now on, and what comes until {@link resumed} never will be. */
  interrupted(reason: unknown): void
  resumed(): void
  /** It cannot go on, and shows nothing any more. */
  ended(reason: unknown): void
}

/** How a queue that nobody may ever read keeps itself small. */
export interface QueueBounds {
  /** Messages older than that go. */
  readonly messagesExpireAfterMs: number
  /** With more than so many the oldest go. */
  readonly mostMessages: number
}

/** The operator's half. */
export interface Operations {
  readonly can: {
    /** New messages of a queue can be seen without touching it. */
    readonly tap: boolean
    /** A look changes neither the queue nor any counter, and needs no lock. */
    readonly lookWithoutTrace: boolean
    /** {@link HoldOptions.newestFirst}, without holding what is not shown. */
    readonly newestFirst: boolean
  }
  /** @param prefix only those whose names begin like that */
  queues(prefix?: string): Promise<readonly QueueFacts[]>
  /** undefined: no such queue. */
  inspect(queue: string): Promise<QueueFacts | undefined>
  hold(queue: string, options: HoldOptions): Promise<Holding>
  /**
   * Shows every message that reaches the queue from now on, and makes nothing for it.
   *
   * @param events default: what befalls it is a warning
   * @throws {NsbError} NSB_NO_TAP where it does not, or this queue is reached in a way that cannot be seen
   */
  tap(queue: string, seen: (message: IncomingMessage) => void, events?: TapEvents): Promise<{ stop(): Promise<void> }>
  /**
   * Creates a queue for messages that may be lost, such as replies that nobody awaits. A broker keeps to the bounds; folders and memory
   * keep everything.
   */
  createBoundedQueue(queue: string, bounds: QueueBounds): Promise<void>
  /** Creates a queue whose messages are as safe as those of another one, for {@link Destination.exactQueue} alone. */
  createQueueLike(queue: string, like: string): Promise<void>
  /** Removes a queue. @returns false: it stays, since messages are in it or somebody has it in hand */
  removeIfEmpty(queue: string): Promise<boolean>
  /** Outlives its maker by `expiresAfterMs` at least, then goes by itself or with a later call. */
  temporaryQueue(prefix: string, expiresAfterMs: number): Promise<TemporaryQueue>
  /** Removes what waits, and says how many messages that were. */
  purge(queue: string): Promise<number>
}

import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { errorText } from '../../message/nsb-error.ts'
import { type Clock, systemClock } from '../clock.ts'
import { guarded, guardedOptions } from '../guarded.ts'
import type {
  Decide,
  EventType,
  HoldOptions,
  Holding,
  IncomingMessage,
  OutgoingMessage,
  QueueFacts,
  ReceiveOptions,
  Receiving,
  Subscriber,
  TapEvents,
  TemporaryQueue,
  Transport,
} from '../transport.ts'
import { FolderSnapshot, countMessages } from './folder-snapshot.ts'
import { LearningHolding } from './holding.ts'
import { checkAddress, errorCode, nativeIdOf } from './layout.ts'
import { acquireOwner } from './owner.ts'
import { LearningReceiver } from './receiver.ts'
import { hasTransactions, recover } from './recovery.ts'
import { Sending } from './sending.ts'
import { storageErrorOf } from './storage-error.ts'
import { StorageFolder, checkStorage, removeFile } from './storage.ts'
import { Subscriptions } from './subscriptions.ts'
import { FolderTap } from './tap.ts'
import { makeTemporaryQueue } from './temporary.ts'
import type { FaultPoint, TransactionRoom } from './transaction.ts'

export interface LearningOptions {
  /** The folder that holds the queue folders; made when it is missing. */
  readonly storage: string
  readonly clock?: Clock
  /** Refuse messages over 64 KiB, as .NET does; default: true. */
  readonly restrictPayloadSize?: boolean
  /** Told about what was skipped; default: a process warning. */
  readonly warn?: (warning: string) => void
  /** Called between the steps of a transaction; for tests that end the process there. */
  readonly at?: (place: FaultPoint) => void
}

/**
 * Queues as folders and messages as files, in the format of NServiceBus's learning transport, so that .NET endpoints can share the
 * folder. Delivers oldest first; a copy keeps its place when it is put back.
 */
export function learningTransport(options: LearningOptions): Transport {
  return new LearningTransport(options)
}

class LearningTransport implements Transport {
  readonly transactionModes = ['sendsAtomicWithReceive', 'receiveOnly', 'none'] as const
  readonly defaultConcurrency = 1
  readonly can = { tap: true, lookWithoutTrace: true, newestFirst: true }
  readonly #storage: StorageFolder
  readonly #clock: Clock
  readonly #warn: (warning: string) => void
  readonly #subscriptions: Subscriptions
  readonly #sending: Sending
  readonly #at: (place: FaultPoint) => void
  readonly #receivers = new Set<Receiving>()
  readonly #holdings = new Set<Holding>()
  readonly #taps = new Set<FolderTap>()
  #owner: ReturnType<typeof acquireOwner> | undefined

  constructor(options: LearningOptions) {
    this.#storage = new StorageFolder(checkStorage(resolve(options.storage)))
    this.#clock = options.clock ?? systemClock
    this.#warn = guarded(options.warn ?? ((warning): void => process.emitWarning(warning, 'NsbWarning')))
    this.#subscriptions = new Subscriptions(this.#storage, this.#clock, this.#warn)
    this.#sending = new Sending(this.#storage, this.#subscriptions, this.#clock, options.restrictPayloadSize ?? true)
    this.#at = options.at ?? ((): void => {})
  }

  async createQueues(receiving: readonly string[], sending: readonly string[] = []): Promise<void> {
    this.#using(() => {
      for (const queue of [...receiving, ...sending]) this.#storage.createQueue(queue)
    })
  }

  async dispatch(outgoing: readonly OutgoingMessage[]): Promise<void> {
    try {
      this.#sending.write(await this.#sending.copiesOf(outgoing))
    } catch (error) {
      throw storageErrorOf(error, this.#storage.path)
    }
  }

  async receive(options: ReceiveOptions, decide: Decide): Promise<Receiving> {
    const receiver: LearningReceiver = this.#using(
      () => new LearningReceiver(this.#room(), guardedOptions(options), decide, this.#clock, () => this.#receivers.delete(receiver)),
    )
    this.#receivers.add(receiver)
    return receiver
  }

  async subscribe(subscriber: Subscriber, event: EventType): Promise<void> {
    this.#using(() => this.#subscriptions.add(subscriber, event))
  }

  async unsubscribe(subscriber: Subscriber, event: EventType): Promise<void> {
    this.#using(() => this.#subscriptions.remove(subscriber, event))
  }

  async queues(prefix = ''): Promise<readonly QueueFacts[]> {
    const names = this.#storage.queueNames().filter((queue) => queue.startsWith(prefix))
    return names.map((queue) => this.#factsOf(queue, countMessages(this.#storage.queuePath(queue))))
  }

  async inspect(queue: string): Promise<QueueFacts | undefined> {
    return this.#storage.exists(checkAddress(queue)) ? this.#factsOf(queue, countMessages(this.#storage.queuePath(queue))) : undefined
  }

  async hold(queue: string, options: HoldOptions): Promise<Holding> {
    this.#storage.checkExists(queue)
    if (hasTransactions(this.#storage, queue))
      recover(this.#storage, this.#room().owner, queue, this.#clock.now(), (error) =>
        this.#warn(`A transaction of queue '${queue}' could not be finished, and waits for the next time: ${errorText(error)}`),
      )
    const snapshot = this.#snapshotOf(queue)
    const holding: LearningHolding = new LearningHolding(
      this.#storage,
      () => this.#room(),
      this.#factsOf(queue, snapshot.length),
      snapshot,
      options,
      () => this.#holdings.delete(holding),
    )
    this.#holdings.add(holding)
    return holding
  }

  async tap(queue: string, seen: (message: IncomingMessage) => void, events?: TapEvents): Promise<{ stop(): Promise<void> }> {
    const tap = new FolderTap(this.#storage, checkAddress(queue), seen, this.#clock, this.#warn, events)
    this.#taps.add(tap)
    return {
      stop: async () => {
        tap.stop()
        this.#taps.delete(tap)
      },
    }
  }

  createBoundedQueue(queue: string): Promise<void> {
    return this.createQueues([queue])
  }

  createQueueLike(queue: string): Promise<void> {
    return this.createQueues([queue])
  }

  async removeIfEmpty(queue: string): Promise<boolean> {
    return this.#using(() => this.#storage.removeQueueIfEmpty(checkAddress(queue)))
  }

  async temporaryQueue(prefix: string, expiresAfterMs: number): Promise<TemporaryQueue> {
    return this.#using(() => makeTemporaryQueue(this.#storage, prefix, expiresAfterMs, this.#clock.now()))
  }

  async purge(queue: string): Promise<number> {
    let removed = 0
    const snapshot = this.#snapshotOf(queue)
    for (let rank = 0; rank < snapshot.length; rank++) {
      const fileName = snapshot.nameAt(rank)
      if (!removeFile(snapshot.pathOf(fileName))) continue
      removeFile(this.#storage.bodyPath(queue, nativeIdOf(fileName)))
      removed++
    }
    return removed
  }

  async close(): Promise<void> {
    for (const tap of this.#taps) tap.stop()
    this.#taps.clear()
    await Promise.all([...this.#holdings].map((holding) => holding.giveBack()))
    await Promise.all([...this.#receivers].map((receiver) => receiver.stop()))
    this.#owner?.release()
    this.#owner = undefined
  }

  #room(): TransactionRoom {
    this.#owner ??= this.#using(() => acquireOwner(this.#storage))
    return {
      storage: this.#storage,
      sending: this.#sending,
      owner: this.#owner.owner,
      at: this.#at,
      warn: this.#warn,
      restore: () => this.#subscriptions.restore(),
    }
  }

  /** @throws {StorageError} when the operating system refuses what `act` needs */
  #using<T>(act: () => T): T {
    try {
      return act()
    } catch (error) {
      throw storageErrorOf(error, this.#storage.path)
    }
  }

  /** @throws {QueueNotFoundError} */
  #snapshotOf(queue: string): FolderSnapshot {
    this.#storage.checkExists(queue)
    try {
      return new FolderSnapshot(this.#storage.queuePath(queue))
    } catch (error) {
      // It went meanwhile.
      if (errorCode(error) === 'ENOENT') this.#storage.checkExists(queue)
      throw error
    }
  }

  #factsOf(queue: string, depth: number): QueueFacts {
    // A receiver makes `.pending`; a queue without it has never had one.
    const hadReceiver = statSync(`${this.#storage.queuePath(queue)}/.pending`, { throwIfNoEntry: false }) !== undefined
    return { queue, depth, consumers: hadReceiver ? 'unknown' : 0, kind: 'folder', deliveryLimit: 'unlimited', looksLeft: 'unlimited' }
  }
}

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
import { leftAloneBy } from './folders-in.ts'
import { LearningHolding } from './holding.ts'
import { checkAddress, errorCode } from './layout.ts'
import { LeftAlone, LeftAloneError } from './left-alone.ts'
import { type Owner, acquireOwner } from './owner.ts'
import { lookAt } from './plain-file.ts'
import { lockQueue } from './lock.ts'
import { purge } from './purge.ts'
import { LearningReceiver } from './receiver.ts'
import { hasLeftovers, recover } from './recovery.ts'
import { Sending } from './sending.ts'
import { storageErrorOf } from './storage-error.ts'
import { StorageFolder, checkStorage } from './storage.ts'
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
  /** How long somebody else is waited for who has a queue alone; default: 30 s. */
  readonly timeoutMs?: number
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
  readonly #timeoutMs: number
  readonly #receivers = new Set<Receiving>()
  readonly #holdings = new Set<Holding>()
  readonly #taps = new Set<FolderTap>()
  readonly #leftAlone = new LeftAlone()
  #owner: ReturnType<typeof acquireOwner> | undefined

  constructor(options: LearningOptions) {
    this.#storage = new StorageFolder(checkStorage(resolve(options.storage)))
    this.#clock = options.clock ?? systemClock
    this.#warn = guarded(options.warn ?? ((warning): void => process.emitWarning(warning, 'NsbWarning')))
    this.#subscriptions = new Subscriptions(this.#storage, this.#clock, this.#warn, this.#leftAlone)
    this.#sending = new Sending(
      this.#storage,
      this.#subscriptions,
      this.#clock,
      options.restrictPayloadSize ?? true,
      () => this.#ownOwner().prefix,
    )
    this.#at = options.at ?? ((): void => {})
    this.#timeoutMs = options.timeoutMs ?? 30_000
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
    const names = this.#using(() => this.#storage.queueNames()).filter((queue) => queue.startsWith(prefix))
    return names.flatMap((queue) => {
      try {
        return [this.#countedFacts(queue)]
      } catch (error) {
        const named = leftAloneBy(this.#storage.queuePath(queue), error, [])
        if (!(named instanceof LeftAloneError)) throw storageErrorOf(error, this.#storage.path)
        this.#leaveAlone(named)
        return []
      }
    })
  }

  async inspect(queue: string): Promise<QueueFacts | undefined> {
    checkAddress(queue)
    return this.#using(() => (this.#storage.exists(queue) ? this.#countedFacts(queue) : undefined))
  }

  async hold(queue: string, options: HoldOptions): Promise<Holding> {
    const unlock = options.alone === true ? await this.#lock(queue, options) : undefined
    try {
      return this.#holdNow(queue, options, unlock)
    } catch (error) {
      unlock?.()
      throw error
    }
  }

  #holdNow(queue: string, options: HoldOptions, unlock: (() => void) | undefined): Holding {
    return this.#using(() => {
      this.#storage.checkExists(queue)
      this.#finishLeftovers(queue)
      const snapshot = this.#snapshotOf(queue)
      const holding: LearningHolding = new LearningHolding(
        this.#storage,
        () => this.#room(),
        this.#factsOf(queue, snapshot.length),
        snapshot,
        options,
        () => {
          unlock?.()
          this.#holdings.delete(holding)
        },
      )
      this.#holdings.add(holding)
      return holding
    })
  }

  async #lock(queue: string, { overrule, signal }: HoldOptions): Promise<(() => void) | undefined> {
    if (overrule.includes('NSB_QUEUE_LOCKED')) return undefined
    const [storage, clock, timeoutMs, warn] = [this.#storage, this.#clock, this.#timeoutMs, this.#warn]
    try {
      storage.checkExists(queue)
      return await lockQueue({ storage, owner: this.#ownOwner(), queue, clock, timeoutMs, signal, warn })
    } catch (error) {
      throw storageErrorOf(error, storage.path)
    }
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
    return this.#using(() => {
      if (this.#storage.exists(checkAddress(queue))) this.#finishLeftovers(queue)
      return this.#storage.removeQueueIfEmpty(queue)
    })
  }

  async temporaryQueue(prefix: string, expiresAfterMs: number): Promise<TemporaryQueue> {
    return this.#using(() => makeTemporaryQueue(this.#storage, prefix, expiresAfterMs, this.#clock.now()))
  }

  async purge(queue: string): Promise<number> {
    return this.#using(() => {
      this.#storage.checkExists(queue)
      this.#finishLeftovers(queue)
      return purge(this.#storage, this.#ownOwner().prefix, queue, this.#snapshotOf(queue))
    })
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
    return {
      storage: this.#storage,
      sending: this.#sending,
      owner: this.#ownOwner(),
      leftAlone: this.#leftAlone,
      at: this.#at,
      warn: this.#warn,
      restore: () => this.#subscriptions.restore(),
    }
  }

  #ownOwner(): Owner {
    this.#owner ??= this.#using(() => acquireOwner(this.#storage))
    return this.#owner.owner
  }

  /**
   * Before messages are counted, or looked at: what a process had in hand when it died is among those that wait, or is gone. Whoever may
   * only read counts what can be seen.
   */
  #finishLeftovers(queue: string): void {
    const tell = (error: unknown): void => {
      if (error instanceof LeftAloneError) this.#leaveAlone(error)
      else
        this.#warn(
          `What a process that died left in queue '${queue}' could not be finished, and waits for the next time: ${errorText(error)}`,
        )
    }
    const [storage, now] = [this.#storage, this.#clock.now()]
    try {
      if (!hasLeftovers({ storage, owner: this.#owner?.owner, queue, now })) return
      recover({ storage, owner: this.#ownOwner(), queue, now, failed: tell })
    } catch (error) {
      tell(storageErrorOf(error, storage.path))
    }
  }

  #leaveAlone(error: LeftAloneError): void {
    if (this.#leftAlone.isNews(error)) this.#warn(error.message)
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
    this.#storage.checkFolders(queue)
    try {
      const snapshot = new FolderSnapshot(this.#storage.queuePath(queue))
      for (const error of snapshot.strange) this.#leaveAlone(error)
      return snapshot
    } catch (error) {
      // It went meanwhile.
      if (errorCode(error) === 'ENOENT') this.#storage.checkExists(queue)
      throw error
    }
  }

  #countedFacts(queue: string): QueueFacts {
    this.#finishLeftovers(queue)
    return this.#factsOf(queue, countMessages(this.#storage.queuePath(queue), this.#leftAlone.of(queue)))
  }

  #factsOf(queue: string, depth: number): QueueFacts {
    // A receiver makes `.pending`; a queue without it has never had one.
    const hadReceiver = lookAt(`${this.#storage.queuePath(queue)}/.pending`) !== undefined
    return { queue, depth, consumers: hadReceiver ? 'unknown' : 0, kind: 'folder', deliveryLimit: 'unlimited', looksLeft: 'unlimited' }
  }
}

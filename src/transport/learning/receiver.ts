import { statSync } from 'node:fs'
import type { Clock } from '../clock.ts'
import { Header } from '../../message/headers.ts'
import { MessagesInHand, type Taken, lostInModeNone } from '../in-hand.ts'
import type { Decide, IncomingMessage, OutgoingMessage, ReceiveOptions, Receiving } from '../transport.ts'
import { Attempts } from './attempts.ts'
import { releaseDue } from './delayed.ts'
import { FolderSnapshot, sendTime } from './folder-snapshot.ts'
import { checkAddress, errorCode } from './layout.ts'
import type { Reading } from './reading.ts'
import { killerCopy, killerReason, mostKills, poisonCopy } from './poison.ts'
import { recover } from './recovery.ts'
import { storageErrorOf } from './storage-error.ts'
import { StorageOutage } from './storage-outage.ts'
import { StorageWatch, removedError } from './storage-watch.ts'
import type { Copy } from './storage.ts'
import { OwnershipLostError, Transaction, type TransactionRoom } from './transaction.ts'
import { FolderWatcher } from './watcher.ts'

const idlePollMs = 75
const chores = { everyMs: 1000, recoveryEvery: 60 }
/** Unreadable metadata may be a copy that is still being written across file systems. */
const unreadable = { lookAgainMs: 100, tries: 12 }
/** With that many files waiting, a call for each change of the folder costs more than it saves. */
const busyFrom = 16
/** Handlers that only compute would otherwise keep timers and signals waiting. */
const turnMs = 10

/** Takes one file after the other, oldest first, and puts back what was not consumed. */
export class LearningReceiver implements Receiving {
  readonly #room: TransactionRoom
  readonly #clock: Clock
  readonly #options: ReceiveOptions
  readonly #folder: string
  readonly #inHand: MessagesInHand
  readonly #attempts: Attempts
  readonly #storageWatch: StorageWatch
  readonly #outage: StorageOutage
  readonly #watcher: FolderWatcher
  readonly #ended: () => void
  /** The last listing, and the oldest of it that was not taken yet. */
  #snapshot: FolderSnapshot | undefined
  #next = 0
  /** Names of files that were put back; taken again before the others. */
  #putBack: string[] = []
  /** Messages whose file cannot be read yet, and what cancels the next look. */
  readonly #unreadable = new Map<Transaction, () => void>()
  #cancelPoll: (() => void) | undefined
  #cancelChores: (() => void) | undefined
  #ticks = 0
  #turnStarted = 0
  #nextTurn: NodeJS.Immediate | undefined
  #stopped: Promise<void> | undefined
  readonly #stopsReceiving: () => void

  constructor(room: TransactionRoom, options: ReceiveOptions, decide: Decide, clock: Clock, ended: () => void) {
    this.#room = room
    this.#clock = clock
    this.#options = options
    this.#ended = ended
    this.#folder = room.storage.queuePath(checkAddress(options.queue))
    checkAddress(options.errorQueue)
    room.storage.createReceiverFolders(options.queue)
    this.#attempts = new Attempts(room.storage, options.queue)
    this.#storageWatch = new StorageWatch(room.storage, options.queue)
    this.#outage = new StorageOutage(room.storage, clock, (error) => options.onCriticalError(error))
    this.#recover()
    this.#nameOthers()
    this.#stopsReceiving = room.owner.receives(options.queue)
    this.#inHand = new MessagesInHand({ ...options, onCriticalError: (error) => this.#outage.report(error) }, decide, clock, () =>
      this.#takeAll(),
    )
    this.#watcher = new FolderWatcher(this.#folder, () => this.#wake())
    this.#doChores()
    this.#wake()
  }

  get inHand(): number {
    return this.#inHand.size + this.#unreadable.size
  }

  stop(options: { readonly graceMs?: number } = {}): Promise<void> {
    const ended = this.#inHand.stop(options.graceMs)
    if (this.#stopped) return this.#stopped
    this.#watcher.close()
    this.#cancelPoll?.()
    this.#cancelChores?.()
    clearImmediate(this.#nextTurn)
    for (const [transaction, cancel] of this.#unreadable) {
      cancel()
      this.#attempt(() => transaction.putBack())
    }
    this.#unreadable.clear()
    this.#stopped = ended.then(() => {
      this.#attempt(this.#stopsReceiving)
      this.#ended()
    })
    return this.#stopped
  }

  /** Competing for one queue is how endpoints are scaled out, and also what happens when one was started twice by mistake. */
  #nameOthers(): void {
    const others = this.#room.owner.othersReceiving(this.#options.queue, this.#clock.now())
    if (others.length === 0) return
    const named = others.map(({ host, pid }) => `process ${pid} on ${host}`).join(', ')
    this.#room.warn(
      `Queue '${this.#options.queue}' is received from already, by ${named}. The messages are shared: each is handled by one of them.`,
    )
  }

  #wake(): void {
    if (this.#nextTurn || this.#stopped) return
    this.#nextTurn = setImmediate(() => {
      this.#nextTurn = undefined
      this.#turnStarted = performance.now()
      this.#takeAll()
    })
  }

  #takeAll(): void {
    if (this.#stopped) return
    try {
      if (this.#outage.lasts && !this.#inHand.full) this.#endOutage()
      while (!this.#inHand.full) {
        if (performance.now() - this.#turnStarted > turnMs) return this.#wake()
        const fileName = this.#putBack.pop() ?? this.#nextName() ?? this.#list()
        if (fileName === undefined) return this.#idle()
        this.#take(fileName)
      }
    } catch (error) {
      this.#outage.report(error)
      this.#inHand.pause()
    }
  }

  /** @throws while it lasts */
  #endOutage(): void {
    const { storage, warn } = this.#room
    this.#restoreIfReplaced()
    const isNews = this.#outage.tryAgain()
    // What could neither be finished nor put back meanwhile.
    this.#recover()
    if (isNews) warn(`The storage folder '${storage.path}' can be used again; queue '${this.#options.queue}' is received from.`)
  }

  #restoreIfReplaced(): boolean {
    if (!this.#storageWatch.wasReplaced()) return false
    this.#restore()
    this.#storageWatch.accept()
    this.#outage.tell(removedError(this.#room.storage.path, this.#options.queue))
    return true
  }

  #restore(): void {
    const { owner, restore, storage } = this.#room
    this.#watcher.close()
    storage.createReceiverFolders(this.#options.queue)
    owner.touch(this.#clock.now())
    restore()
    this.#snapshot = undefined
    this.#putBack = []
  }

  #recover(): number {
    const { owner, storage } = this.#room
    return recover(storage, owner, this.#options.queue, this.#clock.now(), (error) => this.#outage.tell(error))
  }

  #nextName(): string | undefined {
    const snapshot = this.#snapshot
    if (snapshot !== undefined && this.#next < snapshot.length) return snapshot.nameAt(this.#next++)
    this.#snapshot = undefined
    return undefined
  }

  #list(): string | undefined {
    try {
      this.#snapshot = new FolderSnapshot(this.#folder)
      this.#next = 0
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
      if (!this.#restoreIfReplaced()) this.#restore()
    }
    this.#attempts.refresh()
    if (this.#snapshot !== undefined && this.#snapshot.length >= busyFrom) this.#watcher.close()
    return this.#nextName()
  }

  #idle(): void {
    this.#cancelPoll?.()
    this.#cancelPoll = this.#clock.after(idlePollMs, () => this.#wake())
    // What came between the listing and the watch would wait for the poll.
    if (this.#watcher.open()) this.#wake()
  }

  #doChores(): void {
    this.#cancelChores = this.#clock.after(chores.everyMs, () => this.#doChores())
    const now = this.#clock.now()
    this.#attempt(() => {
      // Asked for in the same way once the outage ends.
      if (this.#outage.lasts) return
      this.#restoreIfReplaced()
      this.#attempts.refresh()
      let found = releaseDue(this.#room.storage, this.#options.queue, now)
      if (++this.#ticks % chores.recoveryEvery === 0) {
        this.#room.owner.touch(now)
        found += this.#recover()
      }
      if (found > 0) this.#wake()
    })
  }

  #take(fileName: string): void {
    const transaction = Transaction.claim(this.#room, this.#options.queue, fileName)
    if (!transaction) return
    let reading: Reading
    try {
      reading = transaction.read()
    } catch (error) {
      transaction.putBack()
      throw error
    }
    this.#begin(transaction, reading)
  }

  #begin(transaction: Transaction, reading: Reading): void {
    if (reading.kind === 'unreadable') return this.#lookAgain(transaction, unreadable.tries)
    if (reading.kind === 'gone') return this.#attempt(() => transaction.putBack())
    if (reading.timeToBeReceivedMs !== undefined && this.#hasExpired(transaction, reading.timeToBeReceivedMs))
      return this.#attempt(() => transaction.discard())
    const earlier = this.#attempts.of(transaction.fileName)
    if (earlier.killed >= mostKills)
      return this.#attempt(() =>
        this.#toErrorQueue(
          transaction,
          killerCopy(reading, this.#origin(transaction), this.#options.errorQueue, this.#clock.now()),
          killerReason,
          false,
        ),
      )
    if (this.#options.transactionMode === 'none') transaction.discard()
    const message: IncomingMessage = {
      id: reading.headers[Header.MessageId] || transaction.nativeId,
      nativeId: transaction.nativeId,
      headers: reading.headers,
      body: reading.body,
      queue: this.#options.queue,
      attempt: 1 + earlier.failed + earlier.killed,
    }
    this.#inHand.settle(new Delivery(this, transaction, message))
  }

  /** Carries out `consume`. */
  consume(transaction: Transaction, message: IncomingMessage, outgoing: readonly OutgoingMessage[]): void | Promise<void> {
    if (outgoing.length > 0) return this.#consumeAndSend(transaction, message, outgoing)
    try {
      this.#remove(transaction, message)
    } catch (error) {
      throw this.#blame(error)
    }
  }

  /** Carries out `putBack`. */
  putBack(transaction: Transaction, message: IncomingMessage, attempted: boolean): void {
    if (this.#options.transactionMode === 'none') lostInModeNone(message)
    if (attempted) this.#attempts.failed(transaction.fileName, message.attempt)
    transaction.putBack()
    this.#putBack.push(transaction.fileName)
  }

  async #consumeAndSend(transaction: Transaction, message: IncomingMessage, outgoing: readonly OutgoingMessage[]): Promise<void> {
    try {
      const copies = await this.#room.sending.copiesOf(outgoing)
      if (this.#options.transactionMode === 'sendsAtomicWithReceive') this.#stage(transaction, copies)
      else this.#room.sending.write(copies)
      this.#remove(transaction, message)
    } catch (error) {
      throw this.#blame(error)
    }
  }

  #blame(error: unknown): unknown {
    // In mode `none` there is no message to put back.
    return this.#options.transactionMode === 'none' ? storageErrorOf(error, this.#room.storage.path) : this.#outage.blame(error)
  }

  #remove(transaction: Transaction, message: IncomingMessage): void {
    if (this.#options.transactionMode !== 'none') this.#commit(transaction, { hasFailed: message.attempt > 1 })
    else if (message.attempt > 1) this.#attempts.forget(transaction.fileName)
  }

  #stage(transaction: Transaction, copies: readonly Copy[]): void {
    try {
      transaction.stage(copies)
    } catch (error) {
      // Another verdict would not find the message either; the commit says so.
      if (!(error instanceof OwnershipLostError)) throw error
    }
  }

  /** Throws when nothing has happened yet; what fails later is reported, and finished by recovery. */
  #commit(transaction: Transaction, options: { readonly keepBody?: boolean; readonly hasFailed: boolean }): void {
    try {
      transaction.commit()
    } catch (error) {
      if (error instanceof OwnershipLostError) return this.#outage.report(error)
      transaction.unstage()
      throw error
    }
    // Before the last trace of the message is gone, so that recovery does it after a crash.
    if (options.hasFailed) this.#attempts.forget(transaction.fileName)
    this.#attempt(() => transaction.complete(options))
  }

  #hasExpired(transaction: Transaction, timeToBeReceivedMs: number): boolean {
    const stat = statSync(transaction.path, { throwIfNoEntry: false })
    return stat !== undefined && sendTime(stat) + timeToBeReceivedMs < this.#clock.now()
  }

  /** Looks again later, without keeping others waiting; in the end it is poison. */
  #lookAgain(transaction: Transaction, triesLeft: number): void {
    const cancel = this.#clock.after(unreadable.lookAgainMs, () => {
      this.#unreadable.delete(transaction)
      this.#attempt(() => {
        const reading = transaction.read()
        if (reading.kind === 'unreadable' && triesLeft > 1) return this.#lookAgain(transaction, triesLeft - 1)
        if (reading.kind === 'unreadable') return this.#moveToErrorQueue(transaction, reading)
        transaction.putBack()
        this.#wake()
      })
    })
    this.#unreadable.set(transaction, cancel)
  }

  #moveToErrorQueue(transaction: Transaction, reading: Extract<Reading, { kind: 'unreadable' }>): void {
    const copy = poisonCopy(reading, this.#origin(transaction), this.#options.errorQueue, this.#clock.now())
    this.#toErrorQueue(transaction, copy, reading.reason, reading.headers === undefined)
  }

  #origin({ fileName, nativeId }: Transaction): Parameters<typeof poisonCopy>[1] {
    return { queue: this.#options.queue, nativeId, fileName }
  }

  #toErrorQueue(transaction: Transaction, copy: Copy, reason: string, keepBody: boolean): void {
    try {
      transaction.stage([copy])
      this.#commit(transaction, { keepBody, hasFailed: true })
      this.#options.onPoison({ nativeId: transaction.nativeId, queue: this.#options.queue, reason })
    } catch (error) {
      transaction.putBack()
      this.#inHand.pause()
      throw error
    }
  }

  #attempt(act: () => void): void {
    try {
      act()
    } catch (error) {
      this.#outage.report(error)
    }
  }
}

/** One message in hand. */
class Delivery implements Taken {
  readonly #receiver: LearningReceiver
  readonly #transaction: Transaction
  readonly message: IncomingMessage

  constructor(receiver: LearningReceiver, transaction: Transaction, message: IncomingMessage) {
    this.#receiver = receiver
    this.#transaction = transaction
    this.message = message
  }

  consume(outgoing: readonly OutgoingMessage[]): void | Promise<void> {
    return this.#receiver.consume(this.#transaction, this.message, outgoing)
  }

  putBack(attempted: boolean): void {
    this.#receiver.putBack(this.#transaction, this.message, attempted)
  }
}

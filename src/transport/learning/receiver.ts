import type { Clock } from '../clock.ts'
import { Header } from '../../message/headers.ts'
import { MessagesInHand } from '../in-hand.ts'
import type { Decide, IncomingMessage, ReceiveOptions, Receiving } from '../transport.ts'
import { Attempts } from './attempts.ts'
import { releaseDue } from './delayed.ts'
import { sendTime } from './folder-snapshot.ts'
import { checkAddress, errorCode } from './layout.ts'
import { LeftAloneError } from './left-alone.ts'
import { lookAt } from './plain-file.ts'
import type { Reading } from './reading.ts'
import { killerCopy, killerReason, mostKills, poisonCopy } from './poison.ts'
import { recover } from './recovery.ts'
import { StorageOutage } from './storage-outage.ts'
import { StorageWatch, removedError } from './storage-watch.ts'
import type { Copy } from './storage.ts'
import { Transaction, type TransactionRoom } from './transaction.ts'
import { Delivery, Verdicts } from './verdicts.ts'
import { WaitingFiles } from './waiting-files.ts'
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
  readonly #waiting: WaitingFiles
  readonly #verdicts: Verdicts
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
    this.#waiting = new WaitingFiles(this.#folder, (fileName) => room.leftAlone.of(options.queue)?.has(fileName) === true)
    this.#attempts = new Attempts(room.storage, options.queue)
    this.#storageWatch = new StorageWatch(room.storage, options.queue)
    this.#outage = new StorageOutage(room.storage, clock, (error) => options.onCriticalError(error))
    this.#verdicts = new Verdicts(room, options.transactionMode, this.#attempts, this.#outage, this.#waiting)
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
      this.#outage.attempt(() => transaction.putBack())
    }
    this.#unreadable.clear()
    this.#stopped = ended.then(() => {
      this.#outage.attempt(this.#stopsReceiving)
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
        const fileName = this.#waiting.next() ?? this.#list()
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
    this.#waiting.forget()
  }

  #recover(): number {
    const { owner, storage } = this.#room
    return recover({ storage, owner, queue: this.#options.queue, now: this.#clock.now(), failed: (error) => this.#tell(error) })
  }

  /** Of what keeps nothing else waiting. */
  #tell(error: unknown): void {
    if (!(error instanceof LeftAloneError)) this.#outage.tell(error)
    else if (this.#room.leftAlone.isNews(error)) this.#options.onCriticalError(error)
  }

  #list(): string | undefined {
    try {
      for (const error of this.#waiting.list()) this.#tell(error)
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
      if (!this.#restoreIfReplaced()) this.#restore()
    }
    this.#attempts.refresh()
    if (this.#waiting.listed >= busyFrom) this.#watcher.close()
    return this.#waiting.next()
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
    this.#outage.attempt(() => {
      // Asked for in the same way once the outage ends.
      if (this.#outage.lasts) return
      this.#restoreIfReplaced()
      this.#attempts.refresh()
      let found = releaseDue(this.#room.storage, this.#options.queue, now, (error) => this.#tell(error))
      if (++this.#ticks % chores.recoveryEvery === 0) {
        this.#room.leftAlone.tryAgain(this.#options.queue)
        this.#room.owner.touch(now)
        found += this.#recover()
      }
      if (found > 0) this.#wake()
    })
  }

  #take(fileName: string): void {
    const transaction = this.#claim(fileName)
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

  #claim(fileName: string): Transaction | undefined {
    try {
      return Transaction.claim(this.#room, this.#options.queue, fileName)
    } catch (error) {
      if (!(error instanceof LeftAloneError)) throw error
      this.#passBy(fileName, error)
      return undefined
    }
  }

  #passBy(fileName: string, error: LeftAloneError): void {
    this.#room.leftAlone.add(this.#options.queue, fileName)
    this.#tell(error)
  }

  #begin(transaction: Transaction, reading: Reading): void {
    if (reading.kind === 'refused') return this.#refuse(transaction, reading)
    if (reading.kind === 'unreadable') return this.#lookAgain(transaction, unreadable.tries)
    if (reading.kind === 'gone') return this.#outage.attempt(() => transaction.putBack())
    if (reading.timeToBeReceivedMs !== undefined && this.#hasExpired(transaction, reading.timeToBeReceivedMs))
      return this.#outage.attempt(() => transaction.discard())
    const earlier = this.#attempts.of(transaction.fileName)
    if (earlier.killed >= mostKills)
      return this.#outage.attempt(() =>
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
    this.#inHand.settle(new Delivery(this.#verdicts, transaction, message))
  }

  #hasExpired(transaction: Transaction, timeToBeReceivedMs: number): boolean {
    const stat = lookAt(transaction.path)
    return stat !== undefined && sendTime(stat) + timeToBeReceivedMs < this.#clock.now()
  }

  /** Nobody may take away what nobody has read. */
  #refuse(transaction: Transaction, { path, why }: Extract<Reading, { kind: 'refused' }>): void {
    this.#outage.attempt(() => {
      transaction.putBack()
      const place = path === transaction.path ? `${this.#folder}/${transaction.fileName}` : path
      this.#passBy(transaction.fileName, new LeftAloneError(place, why))
    })
  }

  /** Looks again later, without keeping others waiting; in the end it is poison. */
  #lookAgain(transaction: Transaction, triesLeft: number): void {
    const cancel = this.#clock.after(unreadable.lookAgainMs, () => {
      this.#unreadable.delete(transaction)
      this.#outage.attempt(() => {
        const reading = transaction.read()
        if (reading.kind === 'unreadable' && triesLeft > 1) return this.#lookAgain(transaction, triesLeft - 1)
        if (reading.kind === 'unreadable') return this.#moveToErrorQueue(transaction, reading)
        if (reading.kind === 'refused') return this.#refuse(transaction, reading)
        transaction.putBack()
        this.#wake()
      })
    })
    this.#unreadable.set(transaction, cancel)
  }

  #moveToErrorQueue(transaction: Transaction, reading: Extract<Reading, { kind: 'unreadable' }>): void {
    const copy = poisonCopy(reading, this.#origin(transaction), this.#options.errorQueue, this.#clock.now())
    // All that is known of it is in the copy; what is in the place of its body is not.
    this.#toErrorQueue(transaction, copy, reading.reason, true)
  }

  #origin({ fileName, nativeId }: Transaction): Parameters<typeof poisonCopy>[1] {
    return { queue: this.#options.queue, nativeId, fileName }
  }

  #toErrorQueue(transaction: Transaction, copy: Copy, reason: string, keepBody: boolean): void {
    try {
      this.#verdicts.moveToErrorQueue(transaction, copy, keepBody)
      this.#options.onPoison({ nativeId: transaction.nativeId, queue: this.#options.queue, reason })
    } catch (error) {
      transaction.putBack()
      this.#inHand.pause()
      throw error
    }
  }
}

import { setImmediate as nextTurn } from 'node:timers/promises'
import { Header } from '../../message/headers.ts'
import { NsbError } from '../../message/nsb-error.ts'
import type { HeldMessage, HoldOptions, Holding, OutgoingMessage, QueueFacts } from '../transport.ts'
import type { FolderSnapshot } from './folder-snapshot.ts'
import { nativeIdOf } from './layout.ts'
import { LeftAloneError } from './left-alone.ts'
import { lookAt } from './plain-file.ts'
import { readMessage } from './reading.ts'
import { Removals } from './removals.ts'
import type { StorageFolder } from './storage.ts'
import type { TransactionRoom } from './transaction.ts'

/** Most messages of a page: few outlive a young collection, so that very many pass in little memory. */
const pageOf = { look: 20, change: 100 } as const
/** Files are read without waiting, and a signal of the user that came meanwhile is seen only between two turns. */
const turnMs = 10

const nothing = new Uint8Array()

/**
 * Reads files where they lie; a message is taken only at the moment it is consumed, and then as a receiver takes it. So looking
 * leaves no trace, and a crash leaves every message either untouched or dealt with.
 */
export class LearningHolding implements Holding {
  readonly facts: QueueFacts
  readonly #storage: StorageFolder
  readonly #options: HoldOptions
  /** Until the messages are given back: the holding may be kept for longer. */
  #snapshot: FolderSnapshot | undefined
  /** Names of their files. Weak, so that the bodies of a page go when its reader lets go of it; empty while only looking, see pageOf. */
  readonly #files = new WeakMap<HeldMessage, string>()
  #held = 0
  readonly #ended: () => void
  readonly #removals: Removals
  #givenBack: ReturnType<Holding['giveBack']> | undefined

  /** @param room made when the first message is consumed, so that looking needs no right to write */
  constructor(
    storage: StorageFolder,
    room: () => TransactionRoom,
    facts: QueueFacts,
    snapshot: FolderSnapshot,
    options: HoldOptions,
    ended: () => void,
  ) {
    this.#storage = storage
    this.facts = facts
    this.#snapshot = snapshot
    this.#options = options
    this.#removals = new Removals(room, facts.queue, (group) => options.beforeRemove(group))
    this.#ended = ended
  }

  async *pages(): AsyncIterable<readonly HeldMessage[]> {
    const { newestFirst, page: pageSize, max, purpose, signal } = this.#options
    const most = Math.min(pageSize, pageOf[purpose])
    const length = this.facts.depth
    let next = 0
    let turnStarted = performance.now()
    while (next < length) {
      if (performance.now() - turnStarted > turnMs) {
        await nextTurn()
        turnStarted = performance.now()
      }
      const snapshot = this.#snapshot
      if (signal.aborted || this.#givenBack || !snapshot) return
      const page: HeldMessage[] = []
      const size = Math.min(most, max - this.#held)
      if (size <= 0) return
      while (page.length < size && next < length) {
        const rank = newestFirst ? length - 1 - next : next
        next++
        const fileName = snapshot.nameAt(rank)
        const message = this.#read(fileName, snapshot.timeAt(rank))
        // Gone: somebody has taken it since the snapshot.
        if (!message) continue
        if (purpose === 'change') this.#files.set(message, fileName)
        this.#held += 1
        page.push(message)
      }
      if (page.length > 0) yield page
    }
  }

  async consume(message: HeldMessage, outgoing: readonly OutgoingMessage[]): Promise<void> {
    const fileName = this.#files.get(message)
    if (this.#options.purpose === 'look' || fileName === undefined || this.#givenBack)
      throw new NsbError({
        code: 'NSB_NOT_HELD',
        message: `Message '${message.id}' of queue '${message.queue}' cannot be consumed: ${this.#options.purpose === 'look' ? 'the holding only looks' : 'it is not held any more'}.`,
      })
    // Nobody may take away what nobody has read.
    if (message.leftAlone) throw message.leftAlone
    this.#files.delete(message)
    this.#held -= 1
    try {
      await this.#removals.remove(message, fileName, outgoing)
    } catch (error) {
      if (lookAt(this.#pathOf(fileName))) {
        this.#files.set(message, fileName)
        this.#held += 1
      }
      throw error
    }
  }

  giveBack(): ReturnType<Holding['giveBack']> {
    this.#givenBack ??= this.#giveBack()
    return this.#givenBack
  }

  async #giveBack(): ReturnType<Holding['giveBack']> {
    await this.#removals.done()
    const newerArrivals = this.#snapshot?.countNewer() ?? 0
    this.#snapshot = undefined
    const returned = this.#held
    this.#held = 0
    this.#ended()
    return { returned, rescued: [], newerArrivals }
  }

  #read(fileName: string, time: number): HeldMessage | undefined {
    const { purpose, withoutBodies } = this.#options
    const reading = readMessage(
      this.#storage,
      this.facts.queue,
      this.#pathOf(fileName),
      fileName,
      purpose === 'look' && withoutBodies === true,
    )
    if (reading.kind === 'gone') return undefined
    const nativeId = nativeIdOf(fileName) || fileName
    const isMessage = reading.kind === 'message'
    const leftAlone = reading.kind === 'refused' ? new LeftAloneError(reading.path, reading.why) : undefined
    // One literal with every field: made with `...`, messages outlive young collections, and a look at 100,000 takes 50 MiB more.
    return {
      id: isMessage ? reading.headers[Header.MessageId] || nativeId : nativeId,
      nativeId,
      headers: isMessage ? reading.headers : {},
      body: isMessage ? reading.body : reading.kind === 'unreadable' ? reading.raw : nothing,
      queue: this.facts.queue,
      attempt: 1,
      native: {},
      givenBack: 0,
      enqueuedAt: time,
      unreadable: isMessage ? undefined : reading.kind === 'unreadable' ? reading.reason : leftAlone?.message,
      leftAlone,
    }
  }

  #pathOf(fileName: string): string {
    return `${this.#storage.queuePath(this.facts.queue)}/${fileName}`
  }
}

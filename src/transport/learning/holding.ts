import { readdirSync, statSync } from 'node:fs'
import { Header } from '../../message/headers.ts'
import { NsbError } from '../../message/nsb-error.ts'
import type { HeldMessage, HoldOptions, Holding, OutgoingMessage, QueueFacts } from '../transport.ts'
import { nativeIdOf } from './layout.ts'
import { type MessageFile, isMessage, readMessage } from './listing.ts'
import { type StorageFolder, listOrEmpty } from './storage.ts'
import { Transaction, type TransactionRoom } from './transaction.ts'

interface Removal {
  readonly message: HeldMessage
  readonly file: MessageFile
  readonly outgoing: readonly OutgoingMessage[]
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

interface Ready extends Removal {
  readonly transaction: Transaction
}

/** Messages of a page when only looking: few outlive a young collection, so that a look at very many stays small. */
const lookPage = 20

/**
 * Reads files where they lie; a message is taken only at the moment it is consumed, and then as a receiver takes it. So looking
 * leaves no trace, and a crash leaves every message either untouched or dealt with.
 */
export class LearningHolding implements Holding {
  readonly facts: QueueFacts
  readonly #storage: StorageFolder
  readonly #room: () => TransactionRoom
  readonly #options: HoldOptions
  readonly #snapshot: readonly MessageFile[]
  // Weak, so that the bodies of a page go when its reader lets go of it; empty while only looking, see lookPage.
  readonly #files = new WeakMap<HeldMessage, MessageFile>()
  #held = 0
  readonly #ended: () => void
  #removals: Removal[] = []
  #removing: Promise<void> | undefined
  #givenBack: ReturnType<Holding['giveBack']> | undefined

  /** @param room made when the first message is consumed, so that looking needs no right to write */
  constructor(
    storage: StorageFolder,
    room: () => TransactionRoom,
    facts: QueueFacts,
    snapshot: readonly MessageFile[],
    options: HoldOptions,
    ended: () => void,
  ) {
    this.#storage = storage
    this.#room = room
    this.facts = facts
    this.#snapshot = snapshot
    this.#options = options
    this.#ended = ended
  }

  async *pages(): AsyncIterable<readonly HeldMessage[]> {
    const files = this.#options.newestFirst ? this.#snapshot.toReversed() : this.#snapshot
    const most = this.#options.purpose === 'look' ? Math.min(this.#options.page, lookPage) : this.#options.page
    let next = 0
    while (next < files.length) {
      if (this.#options.signal.aborted || this.#givenBack) return
      const page: HeldMessage[] = []
      const size = Math.min(most, this.#options.max - this.#held)
      if (size <= 0) return
      while (page.length < size && next < files.length) {
        const file = files[next++] as MessageFile
        const message = this.#read(file)
        // Gone: somebody has taken it since the snapshot.
        if (!message) continue
        if (this.#options.purpose === 'change') this.#files.set(message, file)
        this.#held += 1
        page.push(message)
      }
      if (page.length > 0) yield page
    }
  }

  async consume(message: HeldMessage, outgoing: readonly OutgoingMessage[]): Promise<void> {
    const file = this.#files.get(message)
    if (this.#options.purpose === 'look' || !file || this.#givenBack)
      throw new NsbError({
        code: 'NSB_NOT_HELD',
        message: `Message '${message.id}' of queue '${message.queue}' cannot be consumed: ${this.#options.purpose === 'look' ? 'the holding only looks' : 'it is not held any more'}.`,
      })
    this.#files.delete(message)
    this.#held -= 1
    try {
      await new Promise<void>((resolve, reject) => {
        this.#removals.push({ message, file, outgoing, resolve, reject })
        this.#removing ??= this.#removeAll()
      })
    } catch (error) {
      if (statSync(this.#pathOf(file), { throwIfNoEntry: false })) {
        this.#files.set(message, file)
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
    await this.#removing
    const newerArrivals = this.#newerArrivals()
    const returned = this.#held
    this.#held = 0
    this.#ended()
    return { returned, rescued: [], newerArrivals }
  }

  #newerArrivals(): number {
    const shown = new Set(this.#snapshot.map((file) => file.name))
    const folder = this.#storage.queuePath(this.facts.queue)
    const arrived = listOrEmpty(folder, (path) => readdirSync(path)).filter((name) => !shown.has(name))
    return arrived.filter((name) => isMessage(folder, name)).length
  }

  /** Calls that come while a group is in work form the next group, so that one journal entry can stand for many messages. */
  async #removeAll(): Promise<void> {
    await Promise.resolve()
    while (this.#removals.length > 0) {
      const group = this.#removals
      this.#removals = []
      await this.#removeGroup(group)
    }
    this.#removing = undefined
  }

  /**
   * Copies that are staged are safe only after the commit, so a message with copies is committed before `beforeRemove`; one
   * without copies after it, since its commit is its removal.
   */
  async #removeGroup(group: readonly Removal[]): Promise<void> {
    const ready: Ready[] = []
    for (const removal of group) {
      const claimed = await this.#prepare(removal)
      if (claimed) ready.push(claimed)
    }
    if (ready.length === 0) return
    try {
      await this.#options.beforeRemove(ready.map((removal) => removal.message))
    } catch (error) {
      for (const removal of ready) this.#undo(removal, error)
      return
    }
    for (const removal of ready) {
      try {
        if (removal.outgoing.length === 0) removal.transaction.commit()
        removal.transaction.complete({ keepBody: removal.message.unreadable !== undefined })
        removal.resolve()
      } catch (error) {
        removal.reject(error)
      }
    }
  }

  async #prepare(removal: Removal): Promise<Ready | undefined> {
    let transaction: Transaction | undefined
    try {
      const copies = await this.#room().sending.copiesOf(removal.outgoing)
      transaction = Transaction.claim(this.#room(), this.facts.queue, removal.file.name)
      if (!transaction) throw takenError(removal.message)
      transaction.stage(copies)
      if (removal.outgoing.length > 0) transaction.commit()
      return { ...removal, transaction }
    } catch (error) {
      putBackIfPossible(transaction)
      removal.reject(error)
      return undefined
    }
  }

  #undo(removal: Ready, error: unknown): void {
    try {
      if (removal.outgoing.length > 0) removal.transaction.uncommit()
      removal.transaction.putBack()
      removal.reject(error)
    } catch (second) {
      removal.reject(new AggregateError([error, second], `Message '${removal.message.id}' could not be given back.`))
    }
  }

  #read(file: MessageFile): HeldMessage | undefined {
    const { purpose, withoutBodies } = this.#options
    const reading = readMessage(
      this.#storage,
      this.facts.queue,
      this.#pathOf(file),
      file.name,
      purpose === 'look' && withoutBodies === true,
    )
    if (reading.kind === 'gone') return undefined
    const nativeId = nativeIdOf(file.name) || file.name
    const isMessage = reading.kind === 'message'
    // One literal with every field: made with `...`, messages outlive young collections, and a look at 100,000 takes 50 MiB more.
    return {
      id: isMessage ? reading.headers[Header.MessageId] || nativeId : nativeId,
      nativeId,
      headers: isMessage ? reading.headers : {},
      body: isMessage ? reading.body : reading.raw,
      queue: this.facts.queue,
      attempt: 1,
      native: {},
      givenBack: 0,
      enqueuedAt: file.time,
      unreadable: isMessage ? undefined : reading.reason,
    }
  }

  #pathOf(file: MessageFile): string {
    return `${this.#storage.queuePath(this.facts.queue)}/${file.name}`
  }
}

function takenError(message: HeldMessage): NsbError {
  return new NsbError({
    code: 'NSB_MESSAGE_TAKEN',
    message: `Message '${message.id}' of queue '${message.queue}' was taken by somebody else meanwhile; nothing was done.`,
  })
}

function putBackIfPossible(transaction: Transaction | undefined): void {
  try {
    transaction?.putBack()
  } catch {
    // The first error is the one to report; what could not be put back now is put back by the next recovery.
  }
}

import type { HeldMessage, HoldOptions, OutgoingMessage } from '../transport.ts'
import { NsbError } from '../../message/nsb-error.ts'
import type { Commit } from './committed-name.ts'
import { Transaction, type TransactionRoom } from './transaction.ts'

interface Removal {
  readonly message: HeldMessage
  readonly fileName: string
  readonly outgoing: readonly OutgoingMessage[]
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

interface Ready extends Removal {
  readonly transaction: Transaction
}

/**
 * Takes held messages out of their queue, as a receiver takes them: each is in a transaction of its own, so a crash leaves it either
 * untouched or dealt with. Calls that come while a group is in work form the next group, so that one journal entry can stand for many.
 */
export class Removals {
  readonly #room: () => TransactionRoom
  readonly #queue: string
  readonly #beforeRemove: HoldOptions['beforeRemove']
  #waiting: Removal[] = []
  #working: Promise<void> | undefined

  constructor(room: () => TransactionRoom, queue: string, beforeRemove: HoldOptions['beforeRemove']) {
    this.#room = room
    this.#queue = queue
    this.#beforeRemove = beforeRemove
  }

  /**
   * Sends the copies and removes the message.
   *
   * @throws {NsbError} NSB_MESSAGE_TAKEN, and whatever kept the copies or the message's file from being written
   */
  remove(message: HeldMessage, fileName: string, outgoing: readonly OutgoingMessage[]): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      this.#waiting.push({ message, fileName, outgoing, resolve, reject })
      this.#working ??= this.#removeAll()
    })
  }

  /** Resolves when nothing is in work. */
  async done(): Promise<void> {
    await this.#working
  }

  async #removeAll(): Promise<void> {
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const group = this.#waiting
      this.#waiting = []
      await this.#removeGroup(group)
    }
    this.#working = undefined
  }

  /**
   * Copies are safe once they are sent, so those of a message are sent before `beforeRemove`; the message itself stays in the transaction
   * meanwhile. One without copies is committed after it, since its commit is its removal.
   */
  async #removeGroup(group: readonly Removal[]): Promise<void> {
    const ready: Ready[] = []
    for (const removal of group) {
      const claimed = await this.#prepare(removal)
      if (claimed) ready.push(claimed)
    }
    if (ready.length === 0) return
    try {
      await this.#beforeRemove(ready.map((removal) => removal.message))
    } catch (error) {
      for (const removal of ready) this.#undo(removal, error)
      return
    }
    for (const removal of ready) {
      try {
        if (removal.outgoing.length === 0) removal.transaction.commit(ending(removal))
        removal.transaction.complete(ending(removal))
        removal.resolve()
      } catch (error) {
        // A removal that has begun is finished by the next recovery.
        if (removal.transaction.isCommitted) removal.reject(error)
        else this.#undo(removal, error)
      }
    }
  }

  async #prepare(removal: Removal): Promise<Ready | undefined> {
    let transaction: Transaction | undefined
    try {
      const copies = await this.#room().sending.copiesOf(removal.outgoing)
      transaction = Transaction.claim(this.#room(), this.#queue, removal.fileName)
      if (!transaction) throw takenError(removal.message)
      transaction.stage(copies)
      if (removal.outgoing.length > 0) {
        transaction.commit(ending(removal))
        transaction.send()
      }
      return { ...removal, transaction }
    } catch (error) {
      if (transaction) this.#undo({ ...removal, transaction }, error)
      else removal.reject(error)
      return undefined
    }
  }

  #undo(removal: Ready, error: unknown): void {
    try {
      if (removal.transaction.isCommitted && !removal.transaction.recall()) {
        // Its receiver has it already: it is done, and only the journal does not know.
        removal.transaction.complete(ending(removal))
        return removal.resolve()
      }
      removal.transaction.putBack()
    } catch {
      // The first error is the one to report; what could not be put back now is put back by the next recovery.
      removal.transaction.giveUp()
    }
    removal.reject(error)
  }
}

/** The body of what could not be read is all that is left of it. */
function ending({ message }: Removal): Commit {
  return { keepBody: message.unreadable !== undefined, isUndoable: true }
}

function takenError(message: HeldMessage): NsbError {
  return new NsbError({
    code: 'NSB_MESSAGE_TAKEN',
    message: `Message '${message.id}' of queue '${message.queue}' was taken by somebody else meanwhile; nothing was done.`,
  })
}

import { type Taken, lostInModeNone } from '../in-hand.ts'
import type { IncomingMessage, OutgoingMessage, TransactionMode } from '../transport.ts'
import type { Attempts } from './attempts.ts'
import { storageErrorOf } from './storage-error.ts'
import type { StorageOutage } from './storage-outage.ts'
import type { Copy } from './storage.ts'
import { OwnershipLostError, type Transaction, type TransactionRoom } from './transaction.ts'
import type { WaitingFiles } from './waiting-files.ts'

/** Carries out what was decided about the messages that a receiver has taken. */
export class Verdicts {
  readonly #room: TransactionRoom
  readonly #mode: TransactionMode
  readonly #attempts: Attempts
  readonly #outage: StorageOutage
  readonly #waiting: WaitingFiles

  constructor(room: TransactionRoom, mode: TransactionMode, attempts: Attempts, outage: StorageOutage, waiting: WaitingFiles) {
    this.#room = room
    this.#mode = mode
    this.#attempts = attempts
    this.#outage = outage
    this.#waiting = waiting
  }

  consume(transaction: Transaction, message: IncomingMessage, outgoing: readonly OutgoingMessage[]): void | Promise<void> {
    if (outgoing.length > 0) return this.#consumeAndSend(transaction, message, outgoing)
    try {
      this.#remove(transaction, message)
    } catch (error) {
      throw this.#blame(error)
    }
  }

  /** @param attempted it counts as a failed attempt */
  putBack(transaction: Transaction, message: IncomingMessage, attempted: boolean): void {
    if (this.#mode === 'none') lostInModeNone(message)
    if (attempted) this.#attempts.failed(transaction.fileName, message.attempt)
    transaction.putBack()
    this.#waiting.putBack(transaction.fileName)
  }

  /** Sends the copy instead of the message. Throws when nothing has happened yet; the message is still in the transaction. */
  moveToErrorQueue(transaction: Transaction, copy: Copy, keepBody: boolean): void {
    transaction.stage([copy])
    this.#commit(transaction, { keepBody, hasFailed: true })
  }

  async #consumeAndSend(transaction: Transaction, message: IncomingMessage, outgoing: readonly OutgoingMessage[]): Promise<void> {
    let count = outgoing.length
    try {
      const copies = await this.#room.sending.copiesOf(outgoing)
      count = copies.length
      if (this.#mode === 'sendsAtomicWithReceive') stage(transaction, copies)
      else this.#room.sending.write(copies)
      this.#remove(transaction, message)
    } catch (error) {
      throw this.#blame(error, count)
    }
  }

  #blame(error: unknown, copies = 0): unknown {
    // In mode `none` there is no message to put back.
    return this.#mode === 'none' ? storageErrorOf(error, this.#room.storage.path) : this.#outage.blame(error, filesFor(copies))
  }

  #remove(transaction: Transaction, message: IncomingMessage): void {
    if (this.#mode !== 'none') this.#commit(transaction, { hasFailed: message.attempt > 1 })
    else if (message.attempt > 1) this.#attempts.forget(transaction.fileName)
  }

  /** Throws when nothing has happened yet; what fails later is reported, and finished by recovery. */
  #commit(transaction: Transaction, options: { readonly keepBody?: boolean; readonly hasFailed: boolean }): void {
    try {
      transaction.commit(options)
    } catch (error) {
      if (error instanceof OwnershipLostError) return this.#outage.report(error)
      transaction.unstage()
      throw error
    }
    // Before the last trace of the message is gone, so that recovery does it after a crash.
    if (options.hasFailed) this.#attempts.forget(transaction.fileName)
    this.#outage.attempt(() => transaction.complete(options))
  }
}

/** A body and metadata for each copy, and the list of targets. */
const filesFor = (copies: number): number => 2 * copies + 1

function stage(transaction: Transaction, copies: readonly Copy[]): void {
  try {
    transaction.stage(copies)
  } catch (error) {
    // Another verdict would not find the message either; the commit says so.
    if (!(error instanceof OwnershipLostError)) throw error
  }
}

/** One message in hand. */
export class Delivery implements Taken {
  readonly #verdicts: Verdicts
  readonly #transaction: Transaction
  readonly message: IncomingMessage

  constructor(verdicts: Verdicts, transaction: Transaction, message: IncomingMessage) {
    this.#verdicts = verdicts
    this.#transaction = transaction
    this.message = message
  }

  consume(outgoing: readonly OutgoingMessage[]): void | Promise<void> {
    return this.#verdicts.consume(this.#transaction, this.message, outgoing)
  }

  putBack(attempted: boolean): void {
    this.#verdicts.putBack(this.#transaction, this.message, attempted)
  }
}

import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { NsbError } from '../../message/nsb-error.ts'
import { type Commit, committedName } from './committed-name.ts'
import { leftAloneBy } from './folders-in.ts'
import { errorCode, nativeIdOf } from './layout.ts'
import type { LeftAlone } from './left-alone.ts'
import { type Reading, readMessage } from './reading.ts'
import type { Owner } from './owner.ts'
import type { Sending } from './sending.ts'
import { storageErrorOf } from './storage-error.ts'
import { type Copy, type StorageFolder, moveIfThere, removeFile, removeFolder, removeIfPossible } from './storage.ts'
import { targetOf, targetsFile } from './targets.ts'

/** Places between the steps of a transaction, for tests that end the process there. */
export type FaultPoint = 'claimed' | 'staging' | 'staged' | 'committed' | 'completing' | 'bodyLeft'

/** What a transaction works with. */
export interface TransactionRoom {
  readonly storage: StorageFolder
  readonly sending: Sending
  readonly owner: Owner
  readonly leftAlone: LeftAlone
  readonly at: (place: FaultPoint) => void
  readonly warn: (warning: string) => void
  /** Writes again, into a storage folder that was removed, what this transport had put there beside messages. */
  readonly restore: () => void
}

/**
 * One message in work: its metadata file is in a folder of its own, so that nobody else takes it, beside the outgoing files.
 * Renaming the folder from `.pending` to `.committed` is the commit.
 */
export class Transaction {
  readonly fileName: string
  readonly nativeId: string
  readonly #room: TransactionRoom
  readonly #queue: string
  readonly #id: string
  readonly #pending: string
  /** Empty: it is not committed. */
  #committed = ''
  #staged: readonly Copy[] = []
  #isSent = false
  #stagedFiles: string[] = []

  private constructor(room: TransactionRoom, queue: string, id: string, fileName: string) {
    this.#room = room
    this.#queue = queue
    this.#id = id
    this.fileName = fileName
    this.nativeId = nativeIdOf(fileName)
    this.#pending = `${room.storage.queuePath(queue)}/.pending/${id}`
  }

  /**
   * Takes the message; undefined when somebody else was faster.
   *
   * @throws {LeftAloneError} this user may not move this file
   */
  static claim(
    room: TransactionRoom,
    queue: string,
    fileName: string,
    id = room.owner.newTransactionId(nativeIdOf(fileName)),
  ): Transaction | undefined {
    const transaction = new Transaction(room, queue, id, fileName)
    // Before the folder exists, so that recovery in this process never takes it for a left-over.
    room.owner.active.add(id)
    try {
      makeFolder(transaction.#pending)
      renameSync(`${room.storage.queuePath(queue)}/${fileName}`, `${transaction.#pending}/${fileName}`)
    } catch (error) {
      room.owner.active.delete(id)
      // A transaction of the same message that could not be put back has the name, and is left to the next recovery.
      if (errorCode(error) === 'EEXIST') return Transaction.claim(room, queue, fileName, room.owner.randomId())
      if (errorCode(error) !== 'EROFS') removeFolder(transaction.#pending)
      if (errorCode(error) === 'ENOENT') return undefined
      const folder = room.storage.queuePath(queue)
      throw storageErrorOf(leftAloneBy(`${folder}/${fileName}`, error, [folder, `${folder}/.pending`]), room.storage.path)
    }
    room.at('claimed')
    return transaction
  }

  get isCommitted(): boolean {
    return this.#committed !== ''
  }

  get path(): string {
    return `${this.#pending}/${this.fileName}`
  }

  read(): Reading {
    return readMessage(this.#room.storage, this.#queue, this.path, this.fileName)
  }

  /** Writes the copies where they wait for the commit. On failure nothing of them is left. */
  stage(copies: readonly Copy[]): void {
    if (copies.length === 0) return
    // First, so that whoever finds the transaction half staged knows which bodies belong to it.
    const files = [`${this.#pending}/${targetsFile}`]
    this.#stagedFiles = files
    try {
      writeFileSync(`${this.#pending}/${targetsFile}`, JSON.stringify(copies.map(targetOf)))
      for (const copy of copies) {
        this.#room.sending.writeBody(copy, files)
        this.#room.at('staging')
        const path = `${this.#pending}/${copy.nativeId}.metadata.out`
        files.push(path)
        writeFileSync(path, copy.metadata)
      }
    } catch (error) {
      this.unstage()
      throw errorCode(error) === 'ENOENT' ? this.#lost(error) : storageErrorOf(error, this.#room.storage.path)
    }
    this.#staged = copies
    this.#room.at('staged')
  }

  /** Forgets what was staged; the list of targets last, since it is what the others are found by. */
  unstage(): void {
    for (const file of this.#stagedFiles.toReversed()) removeIfPossible(file)
    this.#staged = []
    this.#stagedFiles = []
  }

  /**
   * From here on the copies will arrive and the message will go, whatever happens to this process; of a commit that is undoable once the
   * first copy is out.
   *
   * @throws {OwnershipLostError} when the folder was taken away, as a starting .NET endpoint does; the copies are dropped
   */
  commit({ isUndoable = false, keepBody = false }: Partial<Commit> = {}): void {
    this.#committed = this.#committedPath(committedName(this.#id, this.nativeId, { isUndoable, keepBody }))
    try {
      renameSync(this.#pending, this.#committed)
    } catch (error) {
      this.#commitOtherwise(error)
    }
    this.#room.owner.active.add(this.#committedName)
    this.#room.at('committed')
  }

  /** Sends the copies on their way. */
  send(): void {
    const { storage } = this.#room
    for (const copy of this.#staged)
      if (!moveIfThere(storage, this.#outgoing(copy), storage.metadataPath(copy))) throw this.#lost(undefined)
    this.#isSent = true
    this.#room.at('completing')
  }

  /**
   * Takes back what {@link send} has sent, and undoes {@link commit}.
   *
   * @returns false: somebody has taken a copy already, so all of them stay sent
   */
  recall(): boolean {
    const { owner, storage } = this.#room
    const recalled: Copy[] = []
    for (const copy of this.#staged) {
      if (moveIfThere(storage, storage.metadataPath(copy), this.#outgoing(copy))) recalled.push(copy)
      else if (!existsSync(this.#outgoing(copy))) {
        for (const each of recalled) storage.move(this.#outgoing(each), storage.metadataPath(each))
        return false
      }
    }
    renameSync(this.#committed, this.#pending)
    if (this.#committedName !== this.#id) owner.active.delete(this.#committedName)
    this.#committed = ''
    this.#isSent = false
    return true
  }

  /** Sends the copies on their way, unless they are, and removes the message; its body too, unless the commit says that it stays. */
  complete({ keepBody = false }: Partial<Commit> = {}): void {
    const { storage, owner } = this.#room
    // Whatever goes wrong from here on is finished by the next recovery.
    owner.active.delete(this.#id)
    owner.giveUp(this.#committedName)
    if (!this.#isSent) this.send()
    // The metadata before its body, since .NET cannot bear one without the other; the folder last, so that a crash before leaves a trace.
    if (!removeFile(`${this.#committed}/${this.fileName}`)) throw this.#lost(undefined)
    this.#room.at('bodyLeft')
    if (!keepBody) removeFile(storage.bodyPath(this.#queue, this.nativeId))
    if (this.#staged.length > 0) removeFile(`${this.#committed}/${targetsFile}`)
    removeFolder(this.#committed)
    owner.givenUp.delete(this.#committedName)
  }

  /** Removes the message without a word, such as an expired one. */
  discard(): void {
    try {
      this.commit()
    } catch (error) {
      this.#room.owner.giveUp(this.#id)
      throw error
    }
    this.complete()
  }

  /** Returns the message to its queue, with the file time it had. */
  putBack(): void {
    const { storage, owner } = this.#room
    owner.active.delete(this.#id)
    this.unstage()
    try {
      // A queue folder that is gone is not made again for it: the message has gone with it.
      renameSync(this.path, `${storage.queuePath(this.#queue)}/${this.fileName}`)
    } catch (error) {
      if (errorCode(error) === 'ENOENT') throw this.#lost(error)
      owner.giveUp(this.#id)
      throw storageErrorOf(error, storage.path)
    }
    removeFolder(this.#pending)
  }

  get #committedName(): string {
    return this.#committed.slice(this.#committed.lastIndexOf('/') + 1)
  }

  #committedPath(name: string): string {
    return `${this.#room.storage.queuePath(this.#queue)}/.committed/${name}`
  }

  #outgoing(copy: Copy): string {
    return `${this.#committed}/${copy.nativeId}.metadata.out`
  }

  /** Leaves what is left of it to the next recovery. */
  giveUp(): void {
    const { owner } = this.#room
    owner.active.delete(this.#id)
    owner.giveUp(this.isCommitted ? this.#committedName : this.#id)
  }

  #commitOtherwise(error: unknown): void {
    const { owner, storage } = this.#room
    const code = errorCode(error)
    try {
      if (code === 'ENOENT') mkdirIfMissing(`${storage.queuePath(this.#queue)}/.committed`)
      // A left-over that could not be removed has the name.
      else if (code === 'ENOTEMPTY' || code === 'EEXIST') this.#committed = this.#committedPath(owner.randomId())
      else throw error
      renameSync(this.#pending, this.#committed)
    } catch (second) {
      this.#committed = ''
      if (errorCode(second) !== 'ENOENT') throw storageErrorOf(second, storage.path)
      owner.active.delete(this.#id)
      this.unstage()
      throw this.#lost(second)
    }
  }

  #lost(cause: unknown): OwnershipLostError {
    return new OwnershipLostError(this.nativeId, this.#queue, cause)
  }
}

/** Another process took the message out of our hands, so it will be processed again. */
export class OwnershipLostError extends NsbError {
  constructor(nativeId: string, queue: string, cause: unknown) {
    super({
      code: 'NSB_OWNERSHIP_LOST',
      message:
        `Message '${nativeId}' of queue '${queue}' was taken away while it was in work; what it sent was dropped, and it will be processed again. ` +
        `A .NET endpoint that starts on the same queue does that.`,
      suggestions: ['Do not start a second .NET instance of an endpoint on one learning storage'],
      cause,
    })
  }
}

/** Also the folder above it, but not the queue: where that is missing, there is no message either. */
function makeFolder(path: string): void {
  try {
    mkdirSync(path)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
    mkdirIfMissing(path.slice(0, path.lastIndexOf('/')))
    mkdirSync(path)
  }
}

function mkdirIfMissing(path: string): void {
  try {
    mkdirSync(path)
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error
  }
}

export function removeTree(path: string): void {
  rmSync(path, { recursive: true, force: true })
}

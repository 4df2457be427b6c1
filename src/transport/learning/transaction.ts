import { mkdirSync, readFileSync, renameSync, rmSync, rmdirSync, writeFileSync } from 'node:fs'
import { NsbError } from '../../message/nsb-error.ts'
import { delayedFolderOf, errorCode, isFolderName, nativeIdOf } from './layout.ts'
import { type Reading, readMessage } from './listing.ts'
import type { Owner } from './owner.ts'
import type { Sending } from './sending.ts'
import { type Copy, type StorageFolder, removeFile, removeFolder } from './storage.ts'

/** Places between the steps of a transaction, for tests that end the process there. */
export type FaultPoint = 'claimed' | 'staged' | 'committed'

/** What a transaction works with. */
export interface TransactionRoom {
  readonly storage: StorageFolder
  readonly sending: Sending
  readonly owner: Owner
  at(place: FaultPoint): void
}

/** Where the outgoing files of a transaction go; .NET does not write it, so it cannot roll forward. */
export const targetsFile = 'targets.json'

interface Target {
  readonly nativeId: string
  readonly queue: string
  readonly due: string | undefined
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
  readonly #committed: string
  #staged: readonly Copy[] = []
  #stagedFiles: string[] = []

  private constructor(room: TransactionRoom, queue: string, id: string, fileName: string) {
    this.#room = room
    this.#queue = queue
    this.#id = id
    this.fileName = fileName
    this.nativeId = nativeIdOf(fileName)
    const folder = room.storage.queuePath(queue)
    this.#pending = `${folder}/.pending/${id}`
    this.#committed = `${folder}/.committed/${id}`
  }

  /** Takes the message; undefined when somebody else was faster. */
  static claim(room: TransactionRoom, queue: string, fileName: string): Transaction | undefined {
    const id = room.owner.newTransactionId()
    const transaction = new Transaction(room, queue, id, fileName)
    // Before the folder exists, so that recovery in this process never takes it for a left-over.
    room.owner.active.add(id)
    try {
      makeFolder(transaction.#pending)
      renameSync(`${room.storage.queuePath(queue)}/${fileName}`, `${transaction.#pending}/${fileName}`)
    } catch (error) {
      removeFolder(transaction.#pending)
      room.owner.active.delete(id)
      if (errorCode(error) === 'ENOENT') return undefined
      throw error
    }
    room.at('claimed')
    return transaction
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
    const files: string[] = []
    try {
      for (const copy of copies) {
        this.#room.sending.writeBody(copy, files)
        const path = `${this.#pending}/${copy.nativeId}.metadata.out`
        files.push(path)
        writeFileSync(path, copy.metadata)
      }
      const path = `${this.#pending}/${targetsFile}`
      files.push(path)
      writeFileSync(path, JSON.stringify(copies.map(targetOf)))
    } catch (error) {
      for (const file of files) removeFile(file)
      throw errorCode(error) === 'ENOENT' ? this.#lost(error) : error
    }
    this.#staged = copies
    this.#stagedFiles = files
    this.#room.at('staged')
  }

  /** Forgets what was staged. */
  unstage(): void {
    for (const file of this.#stagedFiles) removeFile(file)
    this.#staged = []
    this.#stagedFiles = []
  }

  /**
   * From here on the copies will arrive and the message will go, whatever happens to this process.
   *
   * @throws {OwnershipLostError} when the folder was taken away, as a starting .NET endpoint does; the copies are dropped
   */
  commit(): void {
    try {
      renameSync(this.#pending, this.#committed)
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
      this.#commitIntoNewFolder()
    }
    this.#room.at('committed')
  }

  /** Undoes {@link commit}, as long as {@link complete} has not begun. */
  uncommit(): void {
    renameSync(this.#committed, this.#pending)
  }

  /** Sends the copies on their way and removes the message. */
  complete({ keepBody = false }: { readonly keepBody?: boolean } = {}): void {
    const { storage, owner } = this.#room
    // Whatever goes wrong from here on is finished by the next recovery.
    owner.active.delete(this.#id)
    for (const copy of this.#staged) {
      const from = `${this.#committed}/${copy.nativeId}.metadata.out`
      if (!moveIfThere(storage, from, storage.metadataPath(copy))) throw this.#lost(undefined)
    }
    if (!removeFile(`${this.#committed}/${this.fileName}`)) throw this.#lost(undefined)
    if (this.#staged.length > 0) removeFile(`${this.#committed}/${targetsFile}`)
    removeFolder(this.#committed)
    if (!keepBody) removeFile(storage.bodyPath(this.#queue, this.nativeId))
  }

  /** Removes the message without the commit step; for what leaves no trace, such as an expired one. */
  discard(): void {
    if (!removeFile(this.path)) throw this.#lost(undefined)
    rmdirSync(this.#pending)
    this.#room.owner.active.delete(this.#id)
    removeFile(this.#room.storage.bodyPath(this.#queue, this.nativeId))
  }

  /** Returns the message to its queue, with the file time it had. */
  putBack(): void {
    const { storage, owner } = this.#room
    owner.active.delete(this.#id)
    this.unstage()
    if (!moveIfThere(storage, this.path, `${storage.queuePath(this.#queue)}/${this.fileName}`)) throw this.#lost(undefined)
    removeFolder(this.#pending)
  }

  #commitIntoNewFolder(): void {
    mkdirSync(this.#committed.slice(0, this.#committed.lastIndexOf('/')), { recursive: true })
    try {
      renameSync(this.#pending, this.#committed)
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
      this.#room.owner.active.delete(this.#id)
      this.unstage()
      throw this.#lost(error)
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

/** The outgoing files named in a transaction folder: where each goes. Entries that are not ours to trust are left out. */
export function readTargets(storage: StorageFolder, folder: string): ReadonlyMap<string, string> | undefined {
  let parsed: unknown
  try {
    parsed = JSON.parse(readFileSync(`${folder}/${targetsFile}`, 'utf8'))
  } catch (error) {
    if (error instanceof SyntaxError || errorCode(error) === 'ENOENT') return undefined
    throw error
  }
  if (!Array.isArray(parsed)) return undefined
  return new Map(parsed.filter(isTarget).map((target) => [target.nativeId, pathOf(storage, target)]))
}

function isTarget(value: unknown): value is Target {
  if (typeof value !== 'object' || value === null || !('nativeId' in value) || !('queue' in value)) return false
  if (typeof value.nativeId !== 'string' || typeof value.queue !== 'string') return false
  if (!isFolderName(value.nativeId) || !isFolderName(value.queue)) return false
  const due = 'due' in value ? value.due : undefined
  return due === undefined || (typeof due === 'string' && /^\d{14}$/.test(due))
}

function pathOf(storage: StorageFolder, target: Target): string {
  const path = storage.metadataPath({ ...target, deliverAt: undefined })
  if (target.due === undefined) return path
  const slash = path.lastIndexOf('/')
  return `${path.slice(0, slash)}/.delayed/${target.due}${path.slice(slash)}`
}

function targetOf(copy: Copy): Target {
  return { nativeId: copy.nativeId, queue: copy.queue, due: copy.deliverAt && delayedFolderOf(copy.deliverAt) }
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
    mkdirSync(path, { recursive: true })
  }
}

/** False when the file is gone; a missing target folder is made. */
export function moveIfThere(storage: StorageFolder, from: string, to: string): boolean {
  try {
    storage.move(from, to)
    return true
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false
    throw error
  }
}

export function removeTree(path: string): void {
  rmSync(path, { recursive: true, force: true })
}

import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync, realpathSync, utimesSync } from 'node:fs'
import { errorCode } from './layout.ts'
import { type Marker, type Ownership, Owners, ownersFolder, writeMarker } from './ownership.ts'
import { type StorageFolder, makeFolders, removeFile, removeIfPossible } from './storage.ts'

export const guid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Digits of a prefix. */
export const prefixLength = 8

/**
 * This process as the owner of transactions in one storage. Its transaction ids begin with its prefix, and one marker file
 * `.nsb/owners/<prefix>` says which process that is, so that others can tell whether what they find is abandoned.
 */
export class Owner {
  readonly prefix: string
  /** Transactions in work. One with our prefix that is not here was given up, and is recovered like a dead process's. */
  readonly active = new Set<string>()
  /** Folders of transactions that could not be ended. */
  readonly givenUp = new Set<string>()
  readonly #storage: StorageFolder
  readonly #folder: string
  /** Queues that this process receives from, one for each receiver. */
  #queues: readonly string[] = []

  constructor(storage: StorageFolder) {
    this.#storage = storage
    this.#folder = ownersFolder(storage)
    let prefix = randomBytes(prefixLength / 2).toString('hex')
    while (existsSync(`${this.#folder}/${prefix}`)) prefix = randomBytes(prefixLength / 2).toString('hex')
    this.prefix = prefix
    this.#write()
  }

  /**
   * An id that tells whose transaction it is, and, when the message's id is a GUID, of which message: all but its first 8 digits
   * are those of the message. So recovery finds the body of a message whose metadata file is gone already.
   */
  newTransactionId(nativeId: string): string {
    const id = this.prefix + nativeId.slice(prefixLength)
    return guid.test(nativeId) && !this.active.has(id) ? id : this.randomId()
  }

  randomId(): string {
    return this.prefix + randomUUID().slice(prefixLength)
  }

  /** Says in the marker that this process receives from the queue; the returned function takes it back. */
  receives(queue: string): () => void {
    this.#queues = [...this.#queues, queue]
    this.#write()
    return () => {
      const index = this.#queues.indexOf(queue)
      this.#queues = this.#queues.filter((_, each) => each !== index)
      this.#write()
    }
  }

  /** Other living processes of ours that receive from the queue. .NET endpoints leave no marker. */
  othersReceiving(queue: string, now: number): readonly Marker[] {
    const owners = new Owners(this.#storage, now)
    return owners
      .prefixes()
      .filter((prefix) => prefix !== this.prefix && owners.ownershipOf(prefix) === 'alive')
      .flatMap((prefix) => owners.markerOf(prefix) ?? [])
      .filter((marker) => marker.queues?.includes(queue))
  }

  /** Says that this process still lives, for hosts that cannot look it up. */
  touch(now: number): void {
    try {
      utimesSync(`${this.#folder}/${this.prefix}`, now / 1000, now / 1000)
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
      this.#write()
    }
  }

  /** While a transaction is left over, the marker is what lets others finish it after this process has ended. */
  release(): void {
    // On a disk that is read-only now it stays, and counts as a dead process's.
    if (this.active.size + this.givenUp.size === 0) removeIfPossible(`${this.#folder}/${this.prefix}`)
  }

  /** Nobody works on the transaction any more, and something of it is left: the next recovery finishes it. */
  giveUp(transactionId: string): void {
    this.active.delete(transactionId)
    this.givenUp.add(transactionId)
  }

  /** Whether a transaction of this process is in work, or was given up. */
  ownershipOf(transactionId: string): Extract<Ownership, 'ours' | 'givenUp'> {
    return this.active.has(transactionId) ? 'ours' : 'givenUp'
  }

  forget(prefix: string): void {
    removeFile(`${this.#folder}/${prefix}`)
  }

  #write(): void {
    writeMarker(this.#storage, this.prefix, this.#queues)
  }
}

const owners = new Map<string, { readonly owner: Owner; users: number }>()

/** This process's owner for the storage, shared by all its transports; the marker goes with the last user. */
export function acquireOwner(storage: StorageFolder): { readonly owner: Owner; release(): void } {
  makeFolders(storage.path)
  const key = realpathSync(storage.path)
  const shared = owners.get(key) ?? { owner: new Owner(storage), users: 0 }
  owners.set(key, shared)
  shared.users++
  return {
    owner: shared.owner,
    release() {
      if (--shared.users > 0) return
      owners.delete(key)
      shared.owner.release()
    },
  }
}

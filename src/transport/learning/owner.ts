import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync, readFileSync, readdirSync, realpathSync, statSync, utimesSync } from 'node:fs'
import { hostname } from 'node:os'
import { errorCode, ownFolder } from './layout.ts'
import { StorageFolder, listOrEmpty, makeFolders, removeFile, removeIfPossible } from './storage.ts'

/** Who a transaction folder belongs to, as far as can be told. */
export type Ownership =
  | 'ours'
  /** Of this process, but nobody works on it any more: settling it failed. */
  | 'givenUp'
  | 'alive'
  | 'dead'
  | 'unknown'

interface Marker {
  readonly pid: number
  readonly host: string
  /** Clock ticks since boot when the process started; tells a process from a later one with the same pid. undefined: not known. */
  readonly processStart?: string | undefined
  /** Queues that it receives from. */
  readonly queues?: readonly string[] | undefined
}

export const guid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** A marker of another host counts as dead when its owner has not touched it for this long. */
const staleAfterMs = 15 * 60_000

/**
 * This process as the owner of transactions in one storage. Its transaction ids begin with its prefix, and one marker file
 * `.nsb/owners/<prefix>` says which process that is, so that others can tell whether what they find is abandoned.
 */
export class Owner {
  readonly prefix: string
  /** Transactions in work. One with our prefix that is not here was given up, and is recovered like a dead process's. */
  readonly active = new Set<string>()
  readonly #storage: StorageFolder
  readonly #folder: string
  /** Queues that this process receives from, one for each receiver. */
  #queues: readonly string[] = []

  constructor(storage: StorageFolder) {
    this.#storage = storage
    this.#folder = `${storage.path}/${ownFolder}/owners`
    let prefix = randomBytes(4).toString('hex')
    while (existsSync(`${this.#folder}/${prefix}`)) prefix = randomBytes(4).toString('hex')
    this.prefix = prefix
    this.#write()
  }

  /**
   * An id that tells whose transaction it is, and, when the message's id is a GUID, of which message: all but its first 8 digits
   * are those of the message. So recovery finds the body of a message whose metadata file is gone already.
   */
  newTransactionId(nativeId: string): string {
    const id = this.prefix + nativeId.slice(8)
    return guid.test(nativeId) && !this.active.has(id) ? id : this.randomId()
  }

  randomId(): string {
    return this.prefix + randomUUID().slice(8)
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
  othersReceiving(queue: string, now: number): readonly { readonly pid: number; readonly host: string }[] {
    return listOrEmpty(this.#folder, (folder) => readdirSync(folder))
      .filter((prefix) => prefix !== this.prefix && this.#look(prefix, now) === 'alive')
      .flatMap((prefix) => readMarker(`${this.#folder}/${prefix}`) ?? [])
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

  release(): void {
    // On a disk that is read-only now it stays, and counts as a dead process's.
    removeIfPossible(`${this.#folder}/${this.prefix}`)
  }

  /** Answers for one pass of recovery, reading each marker once. */
  ownershipOf(now: number): (transactionId: string) => Ownership {
    const known = new Map<string, Ownership>()
    return (transactionId) => {
      const prefix = transactionId.slice(0, 8)
      if (prefix === this.prefix) return this.active.has(transactionId) ? 'ours' : 'givenUp'
      const ownership = known.get(prefix) ?? this.#look(prefix, now)
      known.set(prefix, ownership)
      return ownership
    }
  }

  /** Whether the process of a transaction received from the queue, rather than being an operator's. */
  received(transactionId: string, queue: string): boolean {
    return readMarker(`${this.#folder}/${transactionId.slice(0, 8)}`)?.queues?.includes(queue) ?? false
  }

  /** Prefixes whose processes are gone. */
  deadPrefixes(now: number): readonly string[] {
    return listOrEmpty(this.#folder, (folder) => readdirSync(folder)).filter(
      (prefix) => prefix !== this.prefix && this.#look(prefix, now) === 'dead',
    )
  }

  forget(prefix: string): void {
    removeFile(`${this.#folder}/${prefix}`)
  }

  #write(): void {
    makeFolders(this.#folder)
    const marker: Marker = { pid: process.pid, host: hostname(), processStart: processStart(process.pid), queues: this.#queues }
    this.#storage.writeWhole(`${this.#folder}/${this.prefix}`, `${JSON.stringify(marker)}\n`, randomUUID())
  }

  #look(prefix: string, now: number): Ownership {
    if (!/^[0-9a-f]{8}$/.test(prefix)) return 'unknown'
    const path = `${this.#folder}/${prefix}`
    const marker = readMarker(path)
    if (!marker) return 'unknown'
    if (marker.host === hostname()) return isRunning(marker) ? 'alive' : 'dead'
    const stat = statSync(path, { throwIfNoEntry: false })
    return stat && stat.mtimeMs < now - staleAfterMs ? 'dead' : 'alive'
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
      // While a transaction is left over, the marker is what lets others complete it after this process has ended.
      if (shared.owner.active.size === 0) shared.owner.release()
    },
  }
}

function readMarker(path: string): Marker | undefined {
  try {
    const marker: unknown = JSON.parse(readFileSync(path, 'utf8'))
    if (typeof marker !== 'object' || marker === null || !('pid' in marker) || !('host' in marker)) return undefined
    const start = 'processStart' in marker && typeof marker.processStart === 'string' ? marker.processStart : undefined
    const queues = 'queues' in marker && Array.isArray(marker.queues) ? marker.queues.filter((queue) => typeof queue === 'string') : []
    return typeof marker.pid === 'number' && typeof marker.host === 'string'
      ? { pid: marker.pid, host: marker.host, processStart: start, queues }
      : undefined
  } catch (error) {
    if (error instanceof SyntaxError || errorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

function isRunning(marker: Marker): boolean {
  try {
    process.kill(marker.pid, 0)
  } catch (error) {
    if (errorCode(error) === 'ESRCH') return false
  }
  const start = processStart(marker.pid)
  return start === undefined || marker.processStart === undefined || start === marker.processStart
}

/** When a process started, as the kernel counts it; '' when it is dead but not yet reaped; undefined where there is no /proc. */
function processStart(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The second field is the program's name in parentheses and may contain anything, so count from its end.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? '' : fields[19]
  } catch {
    return undefined
  }
}

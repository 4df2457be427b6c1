import { statSync } from 'node:fs'
import { dirname } from 'node:path'
import { StorageError } from './storage-error.ts'
import type { StorageFolder } from './storage.ts'

interface Identity {
  readonly dev: number
  readonly ino: number
  /** The number of a removed folder is soon given to a new one. 0 where the file system does not know. */
  readonly birthtimeMs: number
}

/** Notices that the storage folder was removed or replaced while somebody receives from it. */
export class StorageWatch {
  readonly #storage: StorageFolder
  readonly #queue: string
  #known: Identity | undefined

  constructor(storage: StorageFolder, queue: string) {
    this.#storage = storage
    this.#queue = queue
    this.#known = identityOf(storage.path)
  }

  /**
   * True when it is another folder than at the last look, or none, and may be made again.
   *
   * @throws {StorageError} NSB_STORAGE_GONE when it is on no disk that was there before: an unmounted one would be hidden again, with
   * all that was written meanwhile, once it is back
   */
  wasReplaced(): boolean {
    const now = identityOf(this.#storage.path)
    if (isSame(now, this.#known)) return false
    const dev = now?.dev ?? nearestDevice(this.#storage.path)
    if (this.#known && dev !== this.#known.dev && !this.#storage.exists(this.#queue)) throw this.#gone()
    return true
  }

  /** The folder is there again. */
  accept(): void {
    this.#known = identityOf(this.#storage.path)
  }

  #gone(): StorageError {
    const storage = this.#storage.path
    return new StorageError({
      code: 'NSB_STORAGE_GONE',
      message: `The storage folder '${storage}' is gone with its disk while messages of queue '${this.#queue}' were received.`,
      suggestions: [`Mount the disk again, and see: findmnt -T '${storage}'. The endpoint then goes on by itself`],
      details: { storage, queue: this.#queue },
    })
  }
}

function isSame(a: Identity | undefined, b: Identity | undefined): boolean {
  return a?.dev === b?.dev && a?.ino === b?.ino && a?.birthtimeMs === b?.birthtimeMs
}

function identityOf(path: string): Identity | undefined {
  return statSync(path, { throwIfNoEntry: false })
}

function nearestDevice(path: string): number | undefined {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const found = identityOf(folder)
    if (found || folder === dirname(folder)) return found?.dev
  }
}

/** Told once the folder was made again. */
export function removedError(storage: string, queue: string): StorageError {
  return new StorageError({
    code: 'NSB_STORAGE_REMOVED',
    message:
      `The storage folder '${storage}' was removed or replaced while messages of queue '${queue}' were received. ` +
      `It was made again with this endpoint's queue and subscriptions; the messages in it are gone with it.`,
    suggestions: ['Start the other endpoints of this folder again, so that they subscribe again'],
    details: { storage, queue },
  })
}

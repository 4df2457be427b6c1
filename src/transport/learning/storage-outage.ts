import type { Clock } from '../clock.ts'
import { Outage } from '../in-hand.ts'
import { StorageError, storageErrorOf } from './storage-error.ts'
import type { StorageFolder } from './storage.ts'

/** A batch of more files than these is too much, even where a few could be made. */
const mostFiles = 1000

/** A disk that stays full would otherwise fill the log too. */
const sameAgainAfterMs = 60_000

/** What a receiver knows of whether its storage can be used, and what it tells of it. */
export class StorageOutage {
  readonly #storage: StorageFolder
  readonly #clock: Clock
  readonly #onCriticalError: (error: unknown) => void
  #state: 'none' | 'told' | 'untold' = 'none'
  /** So many files have to be possible for the outage to be over. */
  #files = 1
  /** When each kind of error was told last. */
  readonly #told = new Map<string, number>()

  constructor(storage: StorageFolder, clock: Clock, onCriticalError: (error: unknown) => void) {
    this.#storage = storage
    this.#clock = clock
    this.#onCriticalError = onCriticalError
  }

  /** The storage could not be used; nothing is to be taken before {@link tryAgain} has succeeded. */
  get lasts(): boolean {
    return this.#state !== 'none'
  }

  /** For what nobody waits for: {@link report} hears of its error. */
  attempt(act: () => void): void {
    try {
      act()
    } catch (error) {
      this.report(error)
    }
  }

  /** Tells of the error; one of the storage begins an outage. */
  report(error: unknown): void {
    const told = storageErrorOf(error, this.#storage.path)
    const isTold = this.tell(told)
    if (told instanceof StorageError && this.#state !== 'told') this.#state = isTold ? 'told' : 'untold'
  }

  /** Tells of the error, of each kind of storage error once a minute at most. @returns whether it was told */
  tell(error: unknown): boolean {
    const told = storageErrorOf(error, this.#storage.path)
    const now = this.#clock.now()
    if (told instanceof StorageError) {
      if (now - (this.#told.get(told.code) ?? Number.NEGATIVE_INFINITY) < sameAgainAfterMs) return false
      this.#told.set(told.code, now)
    }
    this.#onCriticalError(told)
    return true
  }

  /**
   * What to reject a verdict with that could not be carried out: an {@link Outage} when the storage as a whole refuses; otherwise the
   * message is to blame, whose batch may be too much, or one of whose destinations may refuse.
   *
   * @param files that the verdict needed: what it had written is gone again, so that there is room for some
   */
  blame(error: unknown, files: number): unknown {
    const refused = storageErrorOf(error, this.#storage.path)
    if (!(refused instanceof StorageError)) return refused
    const needed = Math.min(files, mostFiles)
    try {
      this.#storage.probe(needed)
      return refused
    } catch {
      this.#files = Math.max(this.#files, needed)
      return new Outage(refused)
    }
  }

  /** @returns whether people should hear that the storage can be used again @throws what the system says while it cannot */
  tryAgain(): boolean {
    this.#storage.probe(this.#files)
    const wasTold = this.#state === 'told'
    this.#state = 'none'
    this.#files = 1
    return wasTold
  }
}

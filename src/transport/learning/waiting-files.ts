import { FolderSnapshot } from './folder-snapshot.ts'

/** The files of a queue that a receiver takes one after the other, oldest first. */
export class WaitingFiles {
  readonly #folder: string
  #snapshot: FolderSnapshot | undefined
  /** The oldest of the listing that was not taken yet. */
  #rank = 0
  /** Names of files that were put back; they are taken again before the others, the last one first. */
  #putBack: string[] = []

  constructor(folder: string) {
    this.#folder = folder
  }

  /** Messages in the last listing. */
  get listed(): number {
    return this.#snapshot?.length ?? 0
  }

  /** undefined: look again with {@link list}. */
  next(): string | undefined {
    const putBack = this.#putBack.pop()
    if (putBack !== undefined) return putBack
    const snapshot = this.#snapshot
    if (snapshot !== undefined && this.#rank < snapshot.length) return snapshot.nameAt(this.#rank++)
    this.#snapshot = undefined
    return undefined
  }

  /** @throws ENOENT when there is no such queue */
  list(): void {
    this.#snapshot = undefined
    this.#snapshot = new FolderSnapshot(this.#folder)
    this.#rank = 0
  }

  putBack(fileName: string): void {
    this.#putBack.push(fileName)
  }

  /** The folder is another one now. */
  forget(): void {
    this.#snapshot = undefined
    this.#putBack = []
  }
}

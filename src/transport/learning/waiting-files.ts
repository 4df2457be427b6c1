import { FolderSnapshot } from './folder-snapshot.ts'
import type { LeftAloneError } from './left-alone.ts'

/** The files of a queue that a receiver takes one after the other, oldest first. */
export class WaitingFiles {
  readonly #folder: string
  readonly #isPassedBy: (fileName: string) => boolean
  #snapshot: FolderSnapshot | undefined
  /** The oldest of the listing that was not taken yet. */
  #rank = 0
  /** Names of files that were put back; they are taken again before the others, the last one first. */
  #putBack: string[] = []

  /** @param isPassedBy files that are not taken */
  constructor(folder: string, isPassedBy: (fileName: string) => boolean) {
    this.#folder = folder
    this.#isPassedBy = isPassedBy
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
    while (snapshot !== undefined && this.#rank < snapshot.length) {
      const fileName = snapshot.nameAt(this.#rank++)
      if (!this.#isPassedBy(fileName)) return fileName
    }
    this.#snapshot = undefined
    return undefined
  }

  /** @returns what is no message @throws ENOENT when there is no such queue */
  list(): readonly LeftAloneError[] {
    this.#snapshot = undefined
    this.#snapshot = new FolderSnapshot(this.#folder)
    this.#rank = 0
    return this.#snapshot.strange
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

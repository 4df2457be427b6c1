import { type FSWatcher, watch } from 'node:fs'

/** Wakes somebody when a folder changes, as far as the system tells; whoever uses it polls as well. */
export class FolderWatcher {
  readonly #path: string
  readonly #changed: (name: string | undefined) => void
  #watcher: FSWatcher | undefined

  /** @param changed given the name of the entry, where the system says it */
  constructor(path: string, changed: (name: string | undefined) => void) {
    this.#path = path
    this.#changed = changed
  }

  /** False when it was open already. */
  open(): boolean {
    if (this.#watcher) return false
    try {
      this.#watcher = watch(this.#path, (_, name) => this.#changed(name ?? undefined))
      this.#watcher.on('error', () => this.close())
    } catch {
      // No more watches, or a file system without them: polling has to do.
      return false
    }
    return true
  }

  close(): void {
    this.#watcher?.close()
    this.#watcher = undefined
  }
}

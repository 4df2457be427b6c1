/** Whether an endpoint is to take messages now; somebody else says so. */
export class Pause {
  #paused = false
  readonly #waiting = new Set<() => void>()

  get paused(): boolean {
    return this.#paused
  }

  set(paused: boolean): void {
    this.#paused = paused
    for (const look of this.#waiting) look()
  }

  /** Resolves when it is as wanted, or when nobody waits for it any longer. */
  until(paused: boolean, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (this.#paused !== paused && !signal.aborted) return
        this.#waiting.delete(look)
        signal.removeEventListener('abort', look)
        resolve()
      }
      this.#waiting.add(look)
      signal.addEventListener('abort', look)
      look()
    })
  }
}

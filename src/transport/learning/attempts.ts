const remembered = 10_000

/** How often messages that were put back have been delivered; in memory, for as many as fit. */
export class Attempts {
  readonly #counts = new Map<string, number>()

  next(nativeId: string): number {
    return this.#counts.size === 0 ? 1 : (this.#counts.get(nativeId) ?? 0) + 1
  }

  failed(nativeId: string, attempt: number): void {
    this.#counts.delete(nativeId)
    this.#counts.set(nativeId, attempt)
    if (this.#counts.size <= remembered) return
    for (const oldest of this.#counts.keys()) {
      this.#counts.delete(oldest)
      break
    }
  }

  done(nativeId: string): void {
    if (this.#counts.size > 0) this.#counts.delete(nativeId)
  }
}

/** Lines on stdout, as fast as their reader takes them: what is not read yet is not held in memory. */
export class LineOutput {
  readonly #signal: AbortSignal

  constructor(signal: AbortSignal) {
    this.#signal = signal
  }

  /** Resolves when there is room for more, or when nobody will read it. */
  async write(text: string): Promise<void> {
    if (this.#signal.aborted || process.stdout.write(text)) return
    await new Promise<void>((resolve) => {
      const done = (): void => {
        process.stdout.off('drain', done)
        this.#signal.removeEventListener('abort', done)
        resolve()
      }
      process.stdout.on('drain', done)
      this.#signal.addEventListener('abort', done)
    })
  }
}

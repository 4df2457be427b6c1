/** Characters and bytes that wait for a reader who is slow, or has stopped reading. */
const mostWaiting = 16 * 1024 * 1024

/**
 * Lines of stdout that nobody has to read: handlers go on, and memory does not grow. What there was no room for is counted.
 *
 * @param told said in the place of the lines that are missing
 */
export class BoundedOutput {
  readonly #told: (missing: number) => string
  readonly #stream: Pick<NodeJS.WriteStream, 'write' | 'writableLength'>
  #missing = 0

  constructor(told: (missing: number) => string, stream: Pick<NodeJS.WriteStream, 'write' | 'writableLength'> = process.stdout) {
    this.#told = told
    this.#stream = stream
  }

  line(text: string): void {
    if (this.#stream.writableLength > mostWaiting) {
      this.#missing++
      return
    }
    if (this.#missing > 0) this.#stream.write(`${this.#told(this.#missing)}\n`)
    this.#missing = 0
    this.#stream.write(`${text}\n`)
  }
}

/** Deeper ones are hardly read by a person, and every level makes each line longer. */
const deepest = 256
/** In characters, beside those of a text that is large anyway. */
const mostGrowth = 64 * 1024
const mostTimes = 8

/**
 * A text that is laid out over several lines, two blanks for each level. It becomes no more than some times as long: a body of a megabyte
 * may be nested so that indented it has hundreds.
 */
export class LaidOut {
  readonly #parts: string[] = []
  #room: number
  #isRefused = false

  constructor(original: string) {
    this.#room = mostTimes * original.length + mostGrowth
  }

  get isEmpty(): boolean {
    return this.#parts.length === 0
  }

  /** undefined: it is too deep, or would grow too long. */
  get text(): string | undefined {
    return this.#isRefused ? undefined : this.#parts.join('')
  }

  add(text: string): void {
    this.#room -= text.length
    if (this.#room < 0) this.#isRefused = true
    if (!this.#isRefused) this.#parts.push(text)
  }

  newLine(depth: number): void {
    if (depth > deepest) this.#isRefused = true
    else this.add(`\n${'  '.repeat(depth)}`)
  }
}

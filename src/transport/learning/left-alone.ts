import { NsbError } from '../../message/nsb-error.ts'

/** What is not touched, since nobody can read it, or it is nothing that belongs there: it stays where it is, and the others go on. */
export class LeftAloneError extends NsbError {
  readonly path: string

  /** @param why in words that follow the path, such as `is a named pipe` */
  constructor(path: string, why: string, cause?: unknown) {
    super({
      code: 'NSB_FILE_LEFT_ALONE',
      message: `'${path}' ${why}. It is left where it is.`,
      suggestions: [`Look at it: ls -ld '${path}'`, 'Remove it, or make it something that this user may read'],
      details: { path },
      cause,
    })
    this.path = path
  }
}

const remembered = 10_000

/** What one process has left alone in a storage, so that each is named once. */
export class LeftAlone {
  readonly #named = new Set<string>()
  /** Names of message files, by queue. */
  readonly #messages = new Map<string, Set<string>>()

  /** @returns whether it was not named before */
  isNews({ path }: LeftAloneError): boolean {
    if (this.#named.has(path)) return false
    if (this.#named.size >= remembered) this.#named.clear()
    this.#named.add(path)
    return true
  }

  /** A receiver passes the message by until {@link tryAgain}. */
  add(queue: string, fileName: string): void {
    const messages = this.#messages.get(queue) ?? new Set()
    this.#messages.set(queue, messages.add(fileName))
  }

  /** Message files of a queue that a receiver of this process passes by. */
  of(queue: string): ReadonlySet<string> | undefined {
    return this.#messages.get(queue)
  }

  /** Somebody may have mended them. */
  tryAgain(queue: string): void {
    this.#messages.delete(queue)
  }
}

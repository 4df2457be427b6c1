import { NsbError } from '../message/nsb-error.ts'
import { Exit } from './exit-codes.ts'

type Cause = 'SIGINT' | 'SIGTERM' | 'EPIPE'

const exitCodes: Readonly<Record<Cause, number>> = { SIGINT: Exit.interrupted, SIGTERM: Exit.terminated, EPIPE: Exit.done }

/** What ends a command early: Ctrl-C, SIGTERM, or a reader of its output that went away. */
export class Interruption {
  readonly #abort = new AbortController()
  #graceful = false
  #cause: Cause | undefined

  start(): void {
    process.on('SIGINT', this.#onSigint)
    process.on('SIGTERM', this.#onSigterm)
    for (const stream of [process.stdout, process.stderr]) stream.on('error', this.#onBrokenPipe)
  }

  /** Output may still break, so its listeners stay. */
  stop(): void {
    process.off('SIGINT', this.#onSigint)
    process.off('SIGTERM', this.#onSigterm)
  }

  /** Whoever reads it is given the time to clean up; otherwise the process ends at once. A second signal always ends it. */
  get signal(): AbortSignal {
    this.#graceful = true
    return this.#abort.signal
  }

  /** undefined: there was none. */
  get exitCode(): number | undefined {
    return this.#cause === undefined ? undefined : exitCodes[this.#cause]
  }

  /** Nobody reads what would be said. */
  get isBrokenPipe(): boolean {
    return this.#cause === 'EPIPE'
  }

  readonly #onSigint = (): void => this.#interrupt('SIGINT')
  readonly #onSigterm = (): void => this.#interrupt('SIGTERM')
  readonly #onBrokenPipe = (error: NodeJS.ErrnoException): void => {
    if (error.code !== 'EPIPE') throw error
    this.#interrupt('EPIPE')
  }

  #interrupt(cause: Cause): void {
    const again = this.#cause !== undefined
    this.#cause ??= cause
    if (cause === 'EPIPE' && again) return
    if (again || !this.#graceful) process.exit(exitCodes[cause])
    this.#abort.abort(new NsbError({ code: cause === 'SIGTERM' ? 'NSB_TERMINATED' : 'NSB_INTERRUPTED', message: 'Interrupted.' }))
  }
}

import { NsbError } from '../message/nsb-error.ts'
import { Exit } from './exit-codes.ts'
import { reportUnwritable } from './unwritable-output.ts'

type Cause = 'SIGINT' | 'SIGTERM' | 'EPIPE' | 'unwritable'

const exitCodes: Readonly<Record<Cause, number>> = {
  SIGINT: Exit.interrupted,
  SIGTERM: Exit.terminated,
  EPIPE: Exit.done,
  unwritable: Exit.cannotReach,
}

/** What ends a command early: Ctrl-C, SIGTERM, a reader of its output that went away, or a full disk that it prints to. */
export class Interruption {
  readonly #abort = new AbortController()
  #graceful = false
  #cause: Cause | undefined

  start(): void {
    process.on('SIGINT', this.#onSigint)
    process.on('SIGTERM', this.#onSigterm)
    // That of the command line ends at once, and that of oclif throws what is no broken pipe.
    for (const stream of [process.stdout, process.stderr]) stream.removeAllListeners('error')
    process.stdout.on('error', this.#onBrokenStdout)
    process.stderr.on('error', this.#onBrokenOutput)
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

  /** The same for what is told of an end, and has nothing to clean up. */
  get interrupted(): AbortSignal {
    return this.#abort.signal
  }

  /** undefined: there was none. */
  get exitCode(): number | undefined {
    return this.#cause === undefined ? undefined : exitCodes[this.#cause]
  }

  /** Nobody reads what would be said, or it was said already that nothing more can be. */
  get isOutputGone(): boolean {
    return this.#cause === 'EPIPE' || this.#cause === 'unwritable'
  }

  readonly #onSigint = (): void => this.#interrupt('SIGINT')
  readonly #onSigterm = (): void => this.#interrupt('SIGTERM')
  readonly #onBrokenOutput = (error: NodeJS.ErrnoException): void => this.#interrupt(error.code === 'EPIPE' ? 'EPIPE' : 'unwritable')
  readonly #onBrokenStdout = (error: NodeJS.ErrnoException): void => {
    if (error.code !== 'EPIPE' && !this.isOutputGone) reportUnwritable(error)
    this.#onBrokenOutput(error)
  }

  #interrupt(cause: Cause): void {
    const again = this.#cause !== undefined
    this.#cause ??= cause
    if ((cause === 'EPIPE' || cause === 'unwritable') && again) return
    if (again || !this.#graceful) process.exit(exitCodes[cause])
    // It may come when the command is over and its exit code is set.
    if (cause === 'unwritable') process.exitCode = exitCodes[cause]
    this.#abort.abort(new NsbError({ code: cause === 'SIGTERM' ? 'NSB_TERMINATED' : 'NSB_INTERRUPTED', message: 'Interrupted.' }))
  }
}

/** What every deliberate error of nsb carries; the command line prints it from these fields. */
export interface NsbErrorOptions {
  /** Stable and readable, such as `NSB_NO_HANDLER`; listed in docs/errors.md. */
  readonly code: string
  /** What happened, with the actual values, and why. */
  readonly message: string
  /** What to do next: commands or code to type. */
  readonly suggestions?: readonly string[]
  readonly cause?: unknown
  /** Machine-readable facts for `--json`. */
  readonly details?: Readonly<Record<string, unknown>>
}

export class NsbError extends Error {
  readonly code: string
  readonly suggestions: readonly string[]
  readonly details: Readonly<Record<string, unknown>>

  constructor(options: NsbErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = new.target.name
    this.code = options.code
    this.suggestions = options.suggestions ?? []
    this.details = options.details ?? {}
  }
}

/** The text of anything that was thrown; never throws itself, whatever the value does. */
export function errorText(error: unknown): string {
  try {
    return error instanceof Error ? String(error.message) : String(error)
  } catch {
    return 'something that has no text'
  }
}

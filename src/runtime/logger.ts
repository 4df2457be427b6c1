import { guarded } from '../transport/guarded.ts'

/** Where the runtime writes. Texts are one line; `error` is what was thrown. */
export interface Logger {
  debug(text: string): void
  info(text: string, error?: unknown): void
  warn(text: string, error?: unknown): void
  error(text: string, error?: unknown): void
}

/** The same logger, whose failure ends nothing. */
export function guardedLogger(logger: Logger): Logger {
  return {
    debug: guarded((text) => logger.debug(text)),
    info: guarded((text, error) => logger.info(text, error)),
    warn: guarded((text, error) => logger.warn(text, error)),
    error: guarded((text, error) => logger.error(text, error)),
  }
}

/** Warnings and errors on stderr, nothing else: what a library does when nobody says otherwise. */
export const stderrLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: (text, error) => write('warn', text, error),
  error: (text, error) => write('error', text, error),
}

export const silentLogger: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }

function write(level: string, text: string, error: unknown): void {
  const cause = error === undefined ? '' : ` ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`
  process.stderr.write(`${level} nsb: ${text}${cause}\n`)
}

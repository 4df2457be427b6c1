import { NsbError } from '../message/nsb-error.ts'
import { noColours } from './colour.ts'
import { errorLines, reportedError } from './report-error.ts'

/** Says on stderr why stdout takes nothing more: a full disk, a terminal that is gone. */
export function reportUnwritable(error: Error): void {
  const problem = new NsbError({
    code: 'NSB_CANNOT_ACCESS',
    message: `The output cannot be written: ${error.message}.`,
    suggestions: ['Make room where it goes, or send it elsewhere: > <file>'],
    cause: error,
  })
  process.stderr.write(`${errorLines(reportedError(problem), noColours, false)}\n`)
}

/** A summary, rather than a list. */
const longestSaid = 4000

/** What a command has done is worth knowing where stdout did not take it. @param error undefined: it did */
export function sayElsewhere(text: string, error: NodeJS.ErrnoException | null | undefined): void {
  // Whoever closed it does not want to read it.
  if (!error || error.code === 'EPIPE' || text.length > longestSaid) return
  process.stderr.write(`${text}\n`)
}

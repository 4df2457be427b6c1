import { createReadStream, statSync } from 'node:fs'
import { NsbError } from '../../../message/nsb-error.ts'
import type { Transport } from '../../../transport/transport.ts'
import { Journal } from '../journal/journal.ts'
import type { ReadJournal } from '../journal/read-journal.ts'
import { type ImportOptions, type ImportPlace, type ImportReport, cannotRead, importLines, presentIn } from './import.ts'
import { readLines } from './read-lines.ts'

/** What the journal of an `import` keeps. */
export interface ImportRecord extends Omit<ImportPlace, 'queue'> {
  readonly to?: string
  /** undefined: the lines came from stdin. */
  readonly file?: ImportedFile
  readonly verifyHash: boolean
  readonly allowDuplicates: boolean
  readonly window: number
}

export interface ImportedFile {
  readonly path: string
  readonly bytes: number
  /** In ms since 1970. */
  readonly changedAt: number
}

export interface ResumeImportOptions extends Pick<ImportOptions, 'signal' | 'clock' | 'everyItem' | 'progress'> {
  readonly overrule: readonly string[]
  readonly maxHold: number
}

export interface ResumedImport extends ImportReport {
  /** Imported before it was interrupted. */
  readonly importedBefore: number
  /** Sent when it was interrupted, and nobody knows whether they arrived; those that are not in the queue were sent once more. */
  readonly uncertain: number
}

export function importedFile(path: string): ImportedFile {
  try {
    const { mtimeMs, size } = statSync(path)
    return { path, bytes: size, changedAt: mtimeMs }
  } catch (error) {
    throw cannotRead(path, error)
  }
}

/**
 * Goes on with an import that was interrupted, and ends its journal.
 *
 * @param journal that nobody runs any more
 * @throws {NsbError} NSB_CANNOT_RESUME when the lines are not there any more as they were: they came from stdin, or the file has changed. The
 * journal is then over.
 */
export async function resumeImport(transport: Transport, journal: ReadJournal, options: ResumeImportOptions): Promise<ResumedImport> {
  const { operation, queue } = journal.head
  const record = journal.head.options as unknown as ImportRecord
  const uncertain = journal.selected - journal.safeCount
  const resumed = Journal.resume(journal.path, journal.selected)
  try {
    const path = unchangedFile(record.file)
    if (path === undefined) {
      resumed.end({ importedBefore: journal.safeCount, uncertain })
      throw cannotResume(operation, journal.safeCount, uncertain, record)
    }
    const report = await importLines(transport, readLines(createReadStream(path)), {
      ...options,
      operation,
      journal: resumed,
      queue: record.replay ? record.to : queue,
      replay: record.replay,
      redirects: record.redirects,
      verifyHash: record.verifyHash,
      window: record.window,
      present: record.allowDuplicates || record.replay ? undefined : await presentIn(transport, queue, options),
      isDone: (line) => journal.safe.has(String(line)),
    })
    const { failed, imported, rejected, skipped, stoppedBy } = report
    if (stoppedBy === undefined && !options.signal.aborted) resumed.end({ imported, skipped, rejected, failed, uncertain })
    return Object.assign(report, { importedBefore: journal.safeCount, uncertain })
  } finally {
    resumed.close()
  }
}

/** undefined: it is not there as it was. */
function unchangedFile(file: ImportedFile | undefined): string | undefined {
  if (file === undefined) return undefined
  const now = statSync(file.path, { throwIfNoEntry: false })
  return now?.size === file.bytes && now.mtimeMs === file.changedAt ? file.path : undefined
}

function cannotResume(operation: string, imported: number, uncertain: number, { file, replay }: ImportRecord): NsbError {
  const why = file === undefined ? 'its lines came from stdin' : `'${file.path}' is not what it was`
  return new NsbError({
    code: 'NSB_CANNOT_RESUME',
    message: `Import ${operation} cannot go on: ${why}. ${imported} messages were imported, and of ${uncertain} more nobody knows whether they were. It is over now.`,
    suggestions: [
      replay
        ? 'Import the lines once more; what was sent before is then sent twice'
        : 'Import the lines once more: what is in the queue is skipped',
    ],
    details: { operation, imported, uncertain },
  })
}

import { createReadStream, statSync } from 'node:fs'
import { NsbError } from '../../../message/nsb-error.ts'
import type { Transport } from '../../../transport/transport.ts'
import { refuseNamedPipe } from '../../named-pipe.ts'
import { readLines } from '../../read-lines.ts'
import { Journal } from '../journal/journal.ts'
import type { ReadJournal } from '../journal/read-journal.ts'
import { type ResumeOptions, type ResumeReport, badJournal } from '../resume.ts'
import { KeySet } from '../journal/key-set.ts'
import { linesOf } from './find-archived.ts'
import { type ImportPlace, type ImportReport, cannotRead, importLines, presentIn } from './import.ts'

/** What the journal of an `import` keeps. */
export interface ImportRecord extends Omit<ImportPlace, 'queue'> {
  readonly to?: string
  /** undefined: the lines came from stdin. */
  readonly file?: ImportedFile
  /** Only lines that this operation has written. */
  readonly only?: string
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

export function importedFile(path: string): ImportedFile {
  try {
    refuseNamedPipe(path)
    const { mtimeMs, size } = statSync(path)
    return { path, bytes: size, changedAt: mtimeMs }
  } catch (error) {
    throw cannotRead(path, error)
  }
}

/**
 * Goes on with an import that was interrupted, and ends its journal. Taken back, nothing more is imported.
 *
 * @throws {NsbError} NSB_CANNOT_RESUME when the lines are not there any more as they were: they came from stdin, or the file has changed. The
 * journal is then over. NSB_BAD_JOURNAL, NSB_JOURNAL_UNWRITABLE, NSB_HOLD_TOO_SMALL
 */
export async function resumeImport(transport: Transport, journal: ReadJournal, options: ResumeOptions): Promise<ResumeReport> {
  const { operation, queue } = journal.head
  const record = recordOf(journal)
  const before = journal.safeCount
  const { uncertain } = journal
  const resumed = Journal.resume(journal.path, journal.selected)
  let report: ImportReport | undefined
  let isOver = true
  try {
    if (!options.undo) {
      const path = unchangedFile(record.file)
      if (path === undefined) {
        resumed.end({ imported: before, uncertain })
        throw cannotResume(operation, before, uncertain, record)
      }
      report = await goOn(transport, journal, resumed, path, record, options)
      isOver = report.stoppedBy === undefined && !options.signal.aborted
    }
    if (isOver) resumed.end({ imported: before + (report?.imported ?? 0), uncertain })
  } finally {
    resumed.close()
  }
  const failed = (report?.failed ?? 0) + (report?.rejected ?? 0)
  return {
    operation,
    command: 'import',
    queue,
    undone: options.undo,
    removed: 0,
    sentAgain: 0,
    mayArriveTwice: uncertain,
    sentFirst: report?.imported ?? 0,
    failed,
    leftInQueue: (await transport.inspect(queue))?.depth ?? 0,
    newerArrivals: 0,
    items: [],
    isOver,
    problem: report?.stoppedBy,
    waited: false,
    note: noteOf(before, uncertain, report),
    more: { import: { importedBefore: before, ...counts(report), ...(report !== undefined && { items: report.items }) } },
  }
}

function counts(report: ImportReport | undefined): object {
  if (report === undefined) return {}
  const { failed, imported, rejected, skipped } = report
  return { imported, skipped, rejected, failed }
}

function noteOf(before: number, uncertain: number, report: ImportReport | undefined): string {
  const twice = uncertain === 0 ? '' : ` Of ${uncertain} nobody knows whether they had been sent`
  if (report === undefined) return `Nothing more was imported; ${before} had been.${twice === '' ? '' : `${twice}.`}`
  const { failed, imported, rejected, skipped } = report
  const others = `skipped ${skipped}${rejected > 0 ? `, rejected ${rejected}` : ''}${failed > 0 ? `, failed ${failed}` : ''}`
  return `Imported ${imported}, ${others}; ${before} had been imported.${twice === '' ? '' : `${twice}: those may be there twice.`}`
}

async function goOn(
  transport: Transport,
  journal: ReadJournal,
  resumed: Journal,
  path: string,
  record: ImportRecord,
  options: ResumeOptions,
): Promise<ImportReport> {
  const { operation, queue } = journal.head
  const { allowDuplicates, only, redirects, replay, to, verifyHash, window } = record
  const present = allowDuplicates || replay ? undefined : await presentIn(transport, queue, options)
  const lines = readLines(createReadStream(path))
  try {
    return await importLines(transport, only === undefined ? lines : linesOf(only, lines), {
      operation,
      journal: resumed,
      queue: replay ? to : queue,
      replay,
      redirects,
      verifyHash,
      window,
      present: allowDuplicates ? undefined : (present?.keys ?? new KeySet()),
      everyItem: false,
      signal: options.signal,
      clock: options.clock,
      progress: () => undefined,
      isDone: (line) => journal.safe.has(String(line)),
    })
  } finally {
    await present?.release()
  }
}

function recordOf({ head: { operation, options } }: ReadJournal): ImportRecord {
  const record = options as unknown as ImportRecord
  const { allowDuplicates, file, only, redirects, replay, to, verifyHash, window } = record
  const isRecord =
    [allowDuplicates, replay, verifyHash].every((each) => typeof each === 'boolean') &&
    typeof redirects === 'object' &&
    Number.isSafeInteger(window) &&
    [only, to].every((each) => each === undefined || typeof each === 'string') &&
    (file === undefined || typeof file.path === 'string')
  if (!isRecord) throw badJournal(operation)
  return record
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

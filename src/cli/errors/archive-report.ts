import { NsbError, errorText } from '../../message/nsb-error.ts'
import type { ArchiveReport } from '../../toolkit/errors/archive/archive.ts'
import type { ImportReport } from '../../toolkit/errors/archive/import.ts'
import { Exit } from '../exit-codes.ts'

interface About {
  readonly profile: string
  readonly queue: string
}

export interface ArchiveOutcome extends About {
  /** Where the messages are now; undefined: nowhere, or on stdout. */
  readonly file: string | undefined
  readonly report: ArchiveReport
}

/** `nsb.errors.archive/1`: `archived`, or `deleted` where nothing is kept. */
export function archiveDocument({ file, report, ...about }: ArchiveOutcome): object {
  return {
    schema: 'nsb.errors.archive/1',
    ...about,
    operation: report.operation,
    ...(file !== undefined && { file }),
    selected: report.selected,
    [file === undefined ? 'deleted' : 'archived']: report.done,
    ...rest(report),
  }
}

/** `nsb.errors.export/1` */
export function exportDocument({ file, report, ...about }: ArchiveOutcome, removes: boolean): object {
  return {
    schema: 'nsb.errors.export/1',
    ...about,
    ...(removes && { operation: report.operation }),
    ...(file !== undefined && { file }),
    selected: report.selected,
    exported: report.done,
    ...(removes && { removed: report.done }),
    ...rest(report),
  }
}

function rest({ duplicates, failed, items, leftInQueue, newerArrivals }: ArchiveReport): object {
  return { failed, ...(duplicates > 0 && { duplicates }), leftInQueue, newerArrivals, items }
}

/** `selected 120, archived 118, failed 2, left in queue 45, operation 01J…` */
export function archiveSummary(word: string, report: ArchiveReport, operation: string | undefined): string {
  return [
    `selected ${report.selected}`,
    `${word} ${report.done}`,
    ...(report.failed > 0 ? [`failed ${report.failed}`] : []),
    ...(report.duplicates > 0 ? [`duplicates ${report.duplicates}`] : []),
    `left in queue ${report.leftInQueue}`,
    ...(report.newerArrivals > 0 ? [`newer arrivals ${report.newerArrivals}`] : []),
    ...(operation === undefined ? [] : [`operation ${operation}`]),
  ].join(', ')
}

/**
 * Is it over, or can it be resumed? What was safe in the file and could not be removed is finished later. A message that failed for a reason of
 * its own was not begun with, and where the file or the journal failed nothing was removed that is not safe.
 */
export function isRemovalOver({ interrupted, stoppedBy }: Pick<ArchiveReport, 'interrupted' | 'stoppedBy'>): boolean {
  const isOfFile =
    stoppedBy instanceof NsbError && (stoppedBy.code === 'NSB_ARCHIVE_UNWRITABLE' || stoppedBy.code === 'NSB_JOURNAL_UNWRITABLE')
  return !interrupted && (stoppedBy === undefined || isOfFile)
}

/** Why it ended early, and how it is finished. @param resume the command line for that; undefined: nothing was removed */
export function endedEarly(
  report: Pick<ArchiveReport, 'interrupted' | 'stoppedBy' | 'unread'>,
  { isAborted, queue, resume }: { readonly isAborted: boolean; readonly queue: string; readonly resume: string | undefined },
): readonly string[] {
  const texts: string[] = []
  if (report.stoppedBy !== undefined) texts.push(`stopped: ${errorText(report.stoppedBy)} The rest stays in the queue`)
  else if (isAborted) texts.push('interrupted: what was not dealt with is in the error queue still')
  else if (report.unread > 0) texts.push(`${report.unread} messages were not read: as many as may be held do not match (--max-hold)`)
  if (resume === undefined) return texts
  if (report.interrupted) texts.push(`the last ones may be in '${queue}' still: ${resume} removes them`)
  else if (!isRemovalOver(report)) texts.push(`it is not finished: ${resume}`)
  return texts
}

/** Of what was left out, unless that was said before. */
export function duplicatesNote({ duplicates }: ArchiveReport, removes: boolean): string | undefined {
  if (duplicates === 0) return undefined
  const which = `${duplicates} duplicate${duplicates > 1 ? 's' : ''} of other entries`
  return removes
    ? `${which} stayed in the error queue: run it again for them`
    : `${which} ${duplicates > 1 ? 'were' : 'was'} left out; --duplicates selects them`
}

export function archiveExitCode({ failed, interrupted, stoppedBy, unread }: ArchiveReport): number {
  return interrupted || failed > 0 || unread > 0 || stoppedBy !== undefined ? Exit.partly : Exit.done
}

/** `nsb.errors.import/1` */
export function importDocument(
  about: { readonly profile: string; readonly queue?: string },
  operation: string,
  report: ImportReport,
  dryRun: boolean,
): object {
  const { failed, imported, items, read, rejected, skipped, stoppedBy } = report
  return {
    schema: 'nsb.errors.import/1',
    ...about,
    ...(dryRun ? { dryRun } : { operation }),
    ...(stoppedBy !== undefined && { stopped: true }),
    read,
    imported,
    skipped,
    rejected,
    failed,
    items,
  }
}

/** `read 120, imported 118, skipped 1, rejected 1, operation 01J…` */
export function importSummary({ failed, imported, read, rejected, skipped }: ImportReport, operation: string | undefined): string {
  return [
    `read ${read}`,
    operation === undefined ? `would import ${imported}` : `imported ${imported}`,
    `skipped ${skipped}`,
    ...(rejected > 0 ? [`rejected ${rejected}`] : []),
    ...(failed > 0 ? [`failed ${failed}`] : []),
    ...(operation === undefined ? [] : [`operation ${operation}`]),
  ].join(', ')
}

export function importExitCode({ failed, rejected, stoppedBy }: ImportReport): number {
  return failed > 0 || rejected > 0 || stoppedBy !== undefined ? Exit.partly : Exit.done
}

import { archiveBeforeRemoving, removeSelected } from '../../toolkit/errors/archive/archive.ts'
import { ArchiveFile } from '../../toolkit/errors/archive/archive-file.ts'
import { archiveOf, archivePath } from '../../toolkit/errors/archive/archive-folder.ts'
import { type SelectionOptions, select } from '../../toolkit/errors/archive/selection.ts'
import { waitUntilFree } from '../../toolkit/errors/hold.ts'
import { Journal, thisProcess } from '../../toolkit/errors/journal/journal.ts'
import { newOperationId } from '../../toolkit/errors/operation-id.ts'
import type { HoldOptions } from '../../transport/transport.ts'
import { printableLine } from '../printable.ts'
import { Progress } from '../progress.ts'
import { archiveSummary, endedEarly, isRemovalOver } from './archive-report.ts'
import type { DialogueParts } from './interactive.ts'

/**
 * Asks, and then moves the oldest messages that match into the archive of the day, as errors archive does. Nothing is held while it asks.
 *
 * @param options whose limit is how many are asked for
 * @returns how many are dealt with
 * @throws {NsbError} those of a confirmation, a selection and an archive
 */
export async function archiveInDialogue(parts: DialogueParts, options: SelectionOptions, typed: string | undefined): Promise<number> {
  const { beforeChange, confirm, journalPlace, note, out, queue, signal, transport, warning } = parts
  const { limit = 0 } = options
  const { stateFolder, ...place } = await journalPlace()
  const path = archivePath(stateFolder, archiveOf(place), queue, Date.now())
  await waitUntilFree(transport, queue, options)
  await confirm(`Move ${limit} message${limit === 1 ? '' : 's'} to '${printableLine(path)}'?`, { typed, signal })

  let beforeRemove: HoldOptions['beforeRemove'] = () => undefined
  const needs = { purpose: 'change', mustCount: false, streams: true } as const
  const selection = await select(transport, options, { ...needs, beforeRemove: (group) => beforeRemove(group) })
  const progress = new Progress({ write: (text) => process.stderr.write(text), terminal: true, now: Date.now })
  let journal: Journal | undefined
  let opening: Promise<ArchiveFile> | undefined
  let isBegun = false
  try {
    await beforeChange()
    const operation = newOperationId(Date.now())
    const head = { schema: 'nsb.operation/1', operation, command: 'archive', ...place, queue } as const
    journal = Journal.begin(stateFolder, {
      ...head,
      startedAt: new Date().toISOString(),
      owner: thisProcess(),
      options: { file: path },
    })
    // A file that gets no message is not made.
    const file = (): Promise<ArchiveFile> => (opening ??= ArchiveFile.open(path, { isOwn: true }))
    const begun = (): void => void (isBegun = true)
    beforeRemove = archiveBeforeRemoving({ operation, queue, journal, file, kind: selection.facts.kind, clock: Date.now, begun })
    const report = await removeSelected(transport, selection, {
      operation,
      queue,
      result: 'archived',
      everyItem: false,
      signal,
      progress: (step) => progress.show({ doing: 'archiving', ...step }),
    })
    progress.end()
    if (isRemovalOver(report)) journal.end({ selected: report.selected, archived: report.done })
    const resume = parts.placed(`nsb errors resume ${operation}`)
    for (const text of endedEarly(report, { isAborted: signal.aborted, queue, resume })) warning(text)
    note(`in ${printableLine(path)}; errors import brings them back`)
    out(archiveSummary('archived', report, operation))
    signal.throwIfAborted()
    return report.selected === 0 ? limit : report.done
  } catch (error) {
    if (!isBegun) journal?.end({ selected: 0 })
    throw error
  } finally {
    await selection.release()
    journal?.close()
    await opening?.then((opened) => opened.close()).catch(() => undefined)
  }
}

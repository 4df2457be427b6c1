import { createReadStream } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { BadLineError } from '../../../message/bad-line.ts'
import { readSaved, readSavedLine } from '../../../message/saved-message.ts'
import type { HoldOptions, Operations, QueueFacts } from '../../../transport/transport.ts'
import { readLines } from '../../read-lines.ts'
import { checkHold, holdErrors, holdIfThere } from '../hold.ts'
import { Journal } from '../journal/journal.ts'
import { KeySet } from '../journal/key-set.ts'
import { hasKey, keyOf } from '../journal/message-key.ts'
import type { ReadJournal } from '../journal/read-journal.ts'
import { type ResumeOptions, type ResumeReport, badJournal } from '../resume.ts'
import { readHeld } from '../replay/sending-back.ts'
import { archiveBeforeRemoving } from './archive.ts'
import { ArchiveFile } from './archive-file.ts'
import { archiveFolder, archiveOf } from './archive-folder.ts'

/** What the journal of `archive` and of `export --remove` keeps. */
export interface ArchiveOptions {
  /** undefined: the messages are deleted. */
  readonly file?: string
}

/** How an interrupted archive ended. */
interface ArchiveEnd {
  /** Messages that were in the file already, and are gone from the queue now. */
  removed: number
  /** Messages that were begun with, and are in the file and gone from the queue now; or deleted, where nothing is kept. */
  archived: number
  /** They are still in the queue. */
  failed: number
  newerArrivals: number
  /** The connection ended: a broker may not have got it that the last ones were removed. */
  interrupted: boolean
}

const page = 500

/**
 * Finishes an `archive` or `export --remove` that was interrupted, and ends its journal: what is in the file is removed from the queue, what
 * was begun with is archived and removed. What was not begun with stays in the queue. Taken back, nothing more is removed.
 *
 * @throws {NsbError} NSB_QUEUE_NOT_FOUND, NSB_BAD_JOURNAL, NSB_ARCHIVE_UNWRITABLE, NSB_JOURNAL_UNWRITABLE, NSB_HOLD_TOO_SMALL, and what a holding that changes the
 * queue refuses; it can be resumed again
 */
export async function resumeArchive(operations: Operations, journal: ReadJournal, options: ResumeOptions): Promise<ResumeReport> {
  const { command, operation, queue } = journal.head
  const { file } = journal.head.options as ArchiveOptions
  if (file !== undefined && typeof file !== 'string') throw badJournal(operation)
  const resumed = Journal.resume(journal.path, journal.selected)
  const end: ArchiveEnd = { removed: 0, archived: 0, failed: 0, newerArrivals: 0, interrupted: false }
  try {
    if (options.undo) await letGo(operations, queue, options)
    else await finish(operations, journal, resumed, file, options, end)
    if (isOver(end)) resumed.end({ removed: end.removed, archived: end.archived })
  } finally {
    resumed.close()
  }
  const uncertain = journal.selected - journal.keys.size
  const leftInQueue = (await operations.inspect(queue))?.depth ?? 0
  const inBoth = options.undo && file !== undefined ? Math.min(journal.selected, leftInQueue) : 0
  return {
    operation,
    command,
    queue,
    undone: options.undo,
    removed: end.removed,
    sentAgain: 0,
    mayArriveTwice: 0,
    sentFirst: 0,
    failed: end.failed,
    leftInQueue,
    newerArrivals: end.newerArrivals,
    items: [],
    isOver: isOver(end),
    problem: undefined,
    waited: false,
    note: options.undo ? undoneNote(file, inBoth) : noteOf(end, file, uncertain),
    more: { archive: { ...(file !== undefined && { file }), archived: end.archived, uncertain, ...(options.undo && { inBoth }) } },
  }
}

const isOver = ({ failed, interrupted }: ArchiveEnd): boolean => failed === 0 && !interrupted

function undoneNote(file: string | undefined, inBoth: number): string {
  if (file === undefined) return 'Nothing more was removed.'
  const both = inBoth === 0 ? '' : ` Up to ${inBoth} are in it and in the queue.`
  return `Nothing more was removed. What is in '${file}' and gone from the queue comes back with errors import.${both}`
}

function noteOf({ archived, failed, removed }: ArchiveEnd, file: string | undefined, uncertain: number): string {
  const counts =
    file === undefined
      ? `Deleted ${archived} that had been begun with.`
      : `Removed ${removed} that were safe in '${file}', archived ${archived} that had been begun with.`
  const unknown = uncertain === 0 ? '' : ` ${uncertain} have no time of failure: each of them is in the file, in the queue, or in both.`
  return `${counts}${failed > 0 ? ` Failed ${failed}.` : ''}${unknown}`
}

/** What a process that died had in its hands goes back into the queue; who still works on it is not disturbed. */
async function letGo(operations: Operations, queue: string, { overrule, signal }: ResumeOptions): Promise<void> {
  const nothing = { page: 1, max: 1, beforeRemove: () => undefined } as const
  await (await holdIfThere(operations, queue, { purpose: 'change', overrule, signal, ...nothing }))?.giveBack()
}

async function finish(
  operations: Operations,
  journal: ReadJournal,
  resumed: Journal,
  path: string | undefined,
  { clock, maxHold, overrule, signal }: ResumeOptions,
  end: ArchiveEnd,
): Promise<void> {
  const { operation, queue } = journal.head
  let beforeRemove: HoldOptions['beforeRemove'] = () => undefined
  const holding = await holdErrors(operations, queue, {
    purpose: 'change',
    overrule,
    page,
    max: maxHold,
    signal,
    beforeRemove: (group) => beforeRemove(group),
  })
  let file: ArchiveFile | undefined
  try {
    checkHold(holding.facts, { maxHold, overrule })
    const { kind } = holding.facts
    const opened = path === undefined ? undefined : await ArchiveFile.open(path, { isOwn: isInOwnFolder(path, journal) })
    file = opened
    const inFile = path === undefined ? new KeySet() : await keysIn(path, operation, kind)
    beforeRemove = archiveBeforeRemoving({
      operation,
      queue,
      journal: resumed,
      file: opened && (() => Promise.resolve(opened)),
      kind,
      clock,
      isArchived: (key) => inFile.has(key),
    })
    const seen = new KeySet()
    for await (const messages of holding.pages()) {
      const begun = messages.flatMap((message) => {
        const key = keyOf(message, readHeld(message), kind)
        // Of a failure that lies there twice one copy was meant.
        return key !== undefined && (hasKey(journal.keys, key) || inFile.has(key)) && seen.add(key) ? [{ message, key }] : []
      })
      await Promise.all(
        begun.map(({ key, message }) =>
          holding.consume(message, []).then(
            () => (inFile.has(key) ? end.removed++ : end.archived++),
            () => end.failed++,
          ),
        ),
      )
    }
    signal.throwIfAborted()
  } finally {
    const { interrupted = false, newerArrivals } = await holding.giveBack()
    Object.assign(end, { interrupted, newerArrivals })
    await file?.close()
  }
}

/** Is it where archives are, rather than a file that somebody named? */
function isInOwnFolder(path: string, { head, path: journalPath }: ReadJournal): boolean {
  return dirname(path) === resolve(archiveFolder(dirname(dirname(journalPath)), archiveOf(head), head.queue))
}

/** Which messages of this operation are whole in the file. */
async function keysIn(path: string, operation: string, kind: QueueFacts['kind']): Promise<KeySet> {
  const keys = new KeySet()
  for await (const { problem, text } of readLines(createReadStream(path))) {
    if (problem !== undefined || !text.includes(operation)) continue
    const key = keyOfLine(text, operation, kind)
    if (key !== undefined) keys.add(key)
  }
  return keys
}

function keyOfLine(text: string, operation: string, kind: QueueFacts['kind']): string | undefined {
  try {
    const saved = readSavedLine(text, { verifyHash: true })
    return saved.operation === operation ? keyOf(saved, readSaved(saved), kind) : undefined
  } catch (error) {
    if (error instanceof BadLineError) return undefined
    throw error
  }
}

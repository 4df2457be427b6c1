import { createReadStream } from 'node:fs'
import { BadLineError, readSaved, readSavedLine } from '../../../message/saved-message.ts'
import type { HoldOptions, Operations, QueueFacts } from '../../../transport/transport.ts'
import { checkHold, holdIfThere } from '../hold.ts'
import { Journal } from '../journal/journal.ts'
import { KeySet } from '../journal/key-set.ts'
import { keyOf } from '../journal/message-key.ts'
import type { ReadJournal } from '../journal/read-journal.ts'
import { readHeld } from '../sending-back.ts'
import { archiveBeforeRemoving } from './archive.ts'
import { ArchiveFile } from './archive-file.ts'
import { readLines } from './read-lines.ts'

/** What the journal of `archive` and of `export --remove` keeps. */
export interface ArchiveOptions {
  /** undefined: the messages are deleted. */
  readonly file?: string
}

export interface ResumeArchiveOptions {
  readonly overrule: readonly string[]
  readonly maxHold: number
  readonly signal: AbortSignal
  readonly clock: () => number
}

export interface ResumedArchive {
  /** Messages that were in the file already, and are gone from the queue now. */
  readonly removed: number
  /** Messages that were begun with, and are in the file and gone from the queue now; or deleted, where nothing is kept. */
  readonly archived: number
  /** They are still in the queue. */
  readonly failed: number
  /** Begun with, and without a time of failure: nobody can tell whether they are in the file, in the queue, or in both. */
  readonly uncertain: number
  readonly file: string | undefined
  readonly leftInQueue: number
}

const page = 500

/**
 * Finishes an `archive` or `export --remove` that was interrupted, and ends its journal: what is in the file is removed from the queue, what
 * was begun with is archived and removed. What was not begun with stays in the queue.
 *
 * @param journal that nobody runs any more
 * @throws {NsbError} NSB_ARCHIVE_UNWRITABLE, NSB_JOURNAL_UNWRITABLE, and what a holding that changes the queue refuses; it can be resumed again
 */
export async function resumeArchive(operations: Operations, journal: ReadJournal, options: ResumeArchiveOptions): Promise<ResumedArchive> {
  const { operation, queue } = journal.head
  const { file: path } = journal.head.options as ArchiveOptions
  const { clock, maxHold, overrule, signal } = options
  const uncertain = journal.selected - journal.keys.size
  let beforeRemove: HoldOptions['beforeRemove'] = () => undefined
  const holding = await holdIfThere(operations, queue, {
    purpose: 'change',
    overrule,
    page,
    max: maxHold,
    signal,
    beforeRemove: (group) => beforeRemove(group),
  })
  const resumed = Journal.resume(journal.path, journal.selected)
  let file: ArchiveFile | undefined
  let [removed, archived, failed] = [0, 0, 0]
  try {
    if (holding !== undefined) {
      checkHold(holding.facts, { maxHold, overrule })
      const { kind } = holding.facts
      const inFile = path === undefined ? new KeySet() : await keysIn(path, operation, kind)
      const opened = path === undefined ? undefined : await ArchiveFile.open(path)
      file = opened
      const isArchived = (key: string): boolean => inFile.has(key)
      beforeRemove = archiveBeforeRemoving({
        operation,
        queue,
        journal: resumed,
        file: opened && (() => Promise.resolve(opened)),
        kind,
        clock,
        isArchived,
      })
      const done = new KeySet()
      for await (const messages of holding.pages()) {
        const begun = messages.flatMap((message) => {
          const key = keyOf(message, readHeld(message), kind)
          // Of a failure that lies there twice one copy was meant.
          return key !== undefined && (journal.keys.has(key) || inFile.has(key)) && done.add(key) ? [{ message, key }] : []
        })
        await Promise.all(
          begun.map(({ key, message }) =>
            holding.consume(message, []).then(
              () => (inFile.has(key) ? removed++ : archived++),
              () => failed++,
            ),
          ),
        )
      }
      signal.throwIfAborted()
    }
  } catch (error) {
    resumed.close()
    throw error
  } finally {
    await holding?.giveBack()
    await file?.close()
  }
  const leftInQueue = (await operations.inspect(queue))?.depth ?? 0
  const outcome = { removed, archived, failed, uncertain, leftInQueue }
  if (failed > 0) resumed.close()
  else resumed.end(outcome)
  return { ...outcome, file: path }
}

/** Which messages of this operation are whole in the file. */
async function keysIn(path: string, operation: string, kind: QueueFacts['kind']): Promise<KeySet> {
  const keys = new KeySet()
  try {
    for await (const { problem, text } of readLines(createReadStream(path))) {
      if (problem !== undefined || !text.includes(operation)) continue
      const key = keyOfLine(text, operation, kind)
      if (key !== undefined) keys.add(key)
    }
  } catch (error) {
    // It was not even made.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
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

import { readFailure } from '../../../message/failure.ts'
import type { HeldMessage, Holding, Operations } from '../../../transport/transport.ts'
import { checkHold, holdErrors, holdIfThere } from '../hold.ts'
import { Journal } from '../journal/journal.ts'
import { hasKey, keyOf } from '../journal/message-key.ts'
import type { ReadJournal } from '../journal/read-journal.ts'
import { replayPage } from '../replay/plan.ts'
import { type ResumeOptions, type ResumeReport, badJournal } from '../resume.ts'
import type { EditOptions } from './send-edited.ts'

/**
 * How an interrupted edit ended:
 *
 * - `notSent`: it stopped before the copy was sent, and the original is where it was
 * - `removed`: the copy was sent; its original was still there, and is gone now
 * - `gone`: the original was gone already, so there was nothing left to do
 * - `uncertain`: it stopped while the copy was being sent, or the original cannot be told from another message; it is where it was
 */
type EditEnd = 'notSent' | 'removed' | 'gone' | 'uncertain'

/**
 * Finishes an edit that was interrupted, and ends its journal; taking it back is the same. Sends nothing, ever: what was edited is not in the
 * journal, and a copy that may have been sent must not be sent again.
 *
 * @throws {NsbError} NSB_QUEUE_NOT_FOUND, NSB_BAD_JOURNAL, NSB_JOURNAL_UNWRITABLE, NSB_HOLD_TOO_SMALL, and what a holding that changes the queue refuses; it can
 * be resumed again
 */
export async function resumeEdit(transport: Operations, journal: ReadJournal, options: ResumeOptions): Promise<ResumeReport> {
  const { operation, queue } = journal.head
  const edit = readOptions(journal)
  const { end, isOver } = journal.selected === 0 ? notBegun : await finish(transport, journal, edit, options)
  const resumed = Journal.resume(journal.path, journal.selected)
  if (isOver) resumed.end({ result: end })
  else resumed.close()
  const { messageId, target, uniqueId } = edit
  const item = { uniqueId, target, result: 'failed', error: { code: 'NSB_EDIT_UNCERTAIN', message: textOf(end, edit) } } as const
  return {
    operation,
    command: 'edit',
    queue,
    undone: options.undo,
    removed: end === 'removed' ? 1 : 0,
    sentAgain: 0,
    mayArriveTwice: 0,
    sentFirst: 0,
    failed: end === 'uncertain' ? 1 : 0,
    leftInQueue: (await transport.inspect(queue))?.depth ?? 0,
    newerArrivals: 0,
    items: end === 'uncertain' ? [item] : [],
    isOver,
    problem: undefined,
    waited: false,
    // What is uncertain is said of the message itself.
    ...(end === 'uncertain' ? {} : { note: textOf(end, edit) }),
    more: { edit: { uniqueId, messageId, target, result: end } },
  }
}

const notBegun = { end: 'notSent', isOver: true } as const

function textOf(end: EditEnd, { messageId, target }: EditOptions): string {
  const copy = `The edited copy, message '${messageId}',`
  switch (end) {
    case 'notSent':
      return `${copy} was not sent; the original is in the error queue as it was. Edit it again.`
    case 'removed':
      return `${copy} was sent to '${target}'; the original is removed now.`
    case 'gone':
      return `The original is gone from the error queue, so there was nothing left to do. ${copy} was for '${target}'.`
    case 'uncertain':
      return `${copy} may have been sent to '${target}', and nobody can tell; the original is in the error queue as it was. Look whether the copy arrived before it is edited or replayed again.`
  }
}

function readOptions({ head: { operation, options } }: ReadJournal): EditOptions {
  const { messageId, staysFailed, target, uniqueId } = options as Partial<EditOptions>
  const areTexts = [messageId, target, uniqueId].every((each) => typeof each === 'string')
  if (!areTexts || typeof staysFailed !== 'boolean') throw badJournal(operation)
  return { messageId, staysFailed, target, uniqueId } as EditOptions
}

async function finish(
  transport: Operations,
  journal: ReadJournal,
  edit: EditOptions,
  { maxHold, overrule, signal, undo }: ResumeOptions,
): Promise<{ readonly end: EditEnd; readonly isOver: boolean }> {
  const holding = await (undo ? holdIfThere : holdErrors)(transport, journal.head.queue, {
    purpose: 'change',
    overrule,
    page: replayPage,
    max: maxHold,
    signal,
    beforeRemove: () => undefined,
  })
  if (holding === undefined) return { end: 'gone', isOver: true }
  let end: EditEnd
  let isCertain = false
  try {
    checkHold(holding.facts, { maxHold, overrule })
    end = await finishHeld(holding, journal, edit, signal)
  } finally {
    isCertain = (await holding.giveBack()).interrupted !== true
  }
  // Until it has given back, a broker need not have got it that the original goes.
  return { end, isOver: isCertain || end !== 'removed' }
}

async function finishHeld(holding: Holding, journal: ReadJournal, edit: EditOptions, signal: AbortSignal): Promise<EditEnd> {
  const { isCopyThere, mayBeThere, original } = await find(holding, journal, edit)
  signal.throwIfAborted()
  if (original === undefined) return mayBeThere ? 'uncertain' : 'gone'
  if (journal.safeCount > 0 || isCopyThere) {
    await holding.consume(original, [])
    return 'removed'
  }
  // A folder takes back what was not sent; and what would have been seen in this queue was not sent either.
  return holding.facts.kind === 'folder' || edit.staysFailed ? 'notSent' : 'uncertain'
}

interface Found {
  readonly original: HeldMessage | undefined
  /** It went back into this queue. */
  readonly isCopyThere: boolean
  /** Without a time of failure it cannot be told from another one with its id, which nobody has archived. */
  readonly mayBeThere: boolean
}

async function find(holding: Holding, { keys }: ReadJournal, { messageId, staysFailed, uniqueId }: EditOptions): Promise<Found> {
  let original: HeldMessage | undefined
  let [isCopyThere, mayBeThere] = [false, false]
  for await (const page of holding.pages())
    for (const message of page) {
      const failed = readFailure(message.headers, message.nativeId, message.unreadable !== undefined, message)
      if (staysFailed && failed.messageId === messageId) isCopyThere = true
      const key = keyOf(message, failed, holding.facts.kind)
      if (key !== undefined && hasKey(keys, key)) original ??= message
      if (key === undefined && failed.uniqueId === uniqueId) mayBeThere = true
    }
  return { original, isCopyThere, mayBeThere }
}

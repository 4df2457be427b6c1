import { readFailure } from '../../../message/failure.ts'
import type { HeldMessage, Operations } from '../../../transport/transport.ts'
import { checkHold, holdIfThere } from '../hold.ts'
import { Journal } from '../journal/journal.ts'
import { keyOf } from '../journal/message-key.ts'
import type { ReadJournal } from '../journal/read-journal.ts'
import { replayPage } from '../plan.ts'
import type { EditOptions } from './send-edited.ts'

/**
 * How an interrupted edit ended:
 *
 * - `notSent`: it stopped before the copy was sent, and the original is where it was
 * - `removed`: the copy was sent; its original was still there, and is gone now
 * - `gone`: the original was gone already, so there was nothing left to do
 * - `uncertain`: it stopped while the copy was being sent, or the original cannot be told from another message; it is where it was
 */
export type ResumedEdit = EditOptions & { readonly result: 'notSent' | 'removed' | 'gone' | 'uncertain' }

export interface ResumeEditOptions {
  readonly overrule: readonly string[]
  readonly maxHold: number
  readonly signal: AbortSignal
}

/**
 * Finishes an edit that was interrupted, and ends its journal. Sends nothing, ever: the text that was edited is not in the journal, and a
 * copy that may have been sent must not be sent again.
 *
 * @param journal of an operation with the command `edit`, that nobody runs any more
 * @throws what a holding that changes the queue refuses; the journal is left as it was
 */
export async function resumeEdit(transport: Operations, journal: ReadJournal, options: ResumeEditOptions): Promise<ResumedEdit> {
  const edit = journal.head.options as unknown as EditOptions
  const result = journal.selected === 0 ? 'notSent' : await finish(transport, journal, edit, options)
  Journal.resume(journal.path, journal.selected).end({ result })
  return { ...edit, result }
}

async function finish(
  transport: Operations,
  { head, keys, safeCount }: ReadJournal,
  edit: EditOptions,
  { maxHold, overrule, signal }: ResumeEditOptions,
): Promise<ResumedEdit['result']> {
  const holding = await holdIfThere(transport, head.queue, {
    purpose: 'change',
    overrule,
    page: replayPage,
    max: maxHold,
    signal,
    beforeRemove: () => undefined,
  })
  if (holding === undefined) return 'gone'
  try {
    checkHold(holding.facts, { maxHold, overrule })
    let original: HeldMessage | undefined
    let isSent = safeCount > 0
    let mayBeThere = false
    for await (const page of holding.pages())
      for (const message of page) {
        const failed = readFailure(message.headers, message.nativeId, message.unreadable !== undefined, message)
        // A copy that went back into the queue is there to be seen.
        if (edit.staysFailed && failed.messageId === edit.messageId) isSent = true
        const key = keyOf(message, failed, holding.facts.kind)
        if (key !== undefined && keys.has(key)) original ??= message
        // Without a time of failure it cannot be told from another one with its id, which nobody has archived.
        if (key === undefined && failed.uniqueId === edit.uniqueId) mayBeThere = true
      }
    signal.throwIfAborted()
    if (original === undefined) return mayBeThere ? 'uncertain' : 'gone'
    if (isSent) {
      await holding.consume(original, [])
      return 'removed'
    }
    // A folder takes back what was not sent; and what would have been seen in this queue was not sent either.
    return holding.facts.kind === 'folder' || edit.staysFailed ? 'notSent' : 'uncertain'
  } finally {
    await holding.giveBack()
  }
}

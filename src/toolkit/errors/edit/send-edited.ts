import { type FailedMessage, readFailure } from '../../../message/failure.ts'
import { NsbError, errorText } from '../../../message/nsb-error.ts'
import type { HeldMessage, Holding, Operations } from '../../../transport/transport.ts'
import { ArchiveFile } from '../archive/archive-file.ts'
import { archiveOf, archivePath } from '../archive/archive-folder.ts'
import type { Shown } from '../browse/browse.ts'
import { checkHold } from '../hold.ts'
import { Journal, thisProcess } from '../journal/journal.ts'
import { keyOf } from '../journal/message-key.ts'
import type { JournalPlace } from '../replay/replay-record.ts'
import { replayPage } from '../replay/plan.ts'
import { type Edited, editedMessage } from './edited-message.ts'

/** What the journal of an edit keeps beside the key of the original, so that it can be finished. */
export interface EditOptions {
  /** Of the original. */
  readonly uniqueId: string
  /** Of the copy. */
  readonly messageId: string
  readonly target: string
  /** The copy goes back into the error queue. */
  readonly staysFailed: boolean
}

export interface EditOrder extends Omit<EditOptions, 'uniqueId'> {
  readonly operation: string
  readonly queue: string
  /** As it was looked at; nobody holds it any more. */
  readonly original: Pick<Shown, 'failed' | 'message'>
  readonly edited: Edited
  readonly overrule: readonly string[]
  readonly maxHold: number
  readonly signal: AbortSignal
  readonly journal: JournalPlace
  /** ms since 1970. */
  readonly now: number
  warn(this: void, warning: string): void
}

export interface SentEdit {
  /** The file the original is in. */
  readonly archivedIn: string
  /** Depth of the error queue afterwards. */
  readonly leftInQueue: number | undefined
}

/**
 * Sends the edited copy and removes the original: archive, journal, publish and confirm, journal, remove. A crash loses neither; one
 * between publishing and removing leaves both, and a resume takes the original away.
 *
 * @throws {NsbError} NSB_ARCHIVE_UNWRITABLE, NSB_JOURNAL_UNWRITABLE: nothing was sent; NSB_MESSAGE_TAKEN: the original is not there any more as it was looked at, and nothing was sent; what a holding that
 * changes the queue refuses; what keeps the copy from being sent, the original is still there then
 */
export async function sendEdited(transport: Operations, order: EditOrder): Promise<SentEdit> {
  const { edited, maxHold, original, overrule, queue, signal } = order
  let note = (): void => undefined
  const holding = await transport.hold(queue, {
    purpose: 'change',
    overrule,
    page: replayPage,
    max: maxHold,
    signal,
    // The original goes in the next moment. Keeping it because this cannot be noted would leave two messages for certain.
    beforeRemove: () => note(),
  })
  let archivedIn: string
  let journal: Journal
  let isCertain = false
  try {
    checkHold(holding.facts, order)
    const message = await findAgain(transport, holding, original)
    signal.throwIfAborted()
    if (message === undefined) throw taken(original.failed)
    archivedIn = await archive(message, order)
    const begun = beginJournal(order)
    journal = begun
    try {
      const number = begun.select([keyOf(message, original.failed, holding.facts.kind)])
      note = () => noted(() => begun.safe([number]), order)
      await holding.consume(message, [editedMessage(message, original.failed, edited, order)])
    } catch (error) {
      throw ended(begun, order, error)
    }
  } finally {
    isCertain = (await holding.giveBack()).interrupted !== true
  }
  // Only now a broker has it for certain that the original goes.
  if (isCertain) journal.end({ edited: 1 })
  else {
    journal.close()
    order.warn(`the original may be in '${queue}' still: nsb errors resume ${order.operation} removes it`)
  }
  return { archivedIn, leftInQueue: (await transport.inspect(queue).catch(() => undefined))?.depth }
}

/** All of a broker's queue is held before any of it is given back, or its order would change. */
async function findAgain(
  transport: Operations,
  holding: Holding,
  { failed, message }: EditOrder['original'],
): Promise<HeldMessage | undefined> {
  let found: HeldMessage | undefined
  for await (const page of holding.pages()) {
    found ??= page.find((each) => {
      const { failedAt, uniqueId } = readFailure(each.headers, each.nativeId, each.unreadable !== undefined, each)
      return uniqueId === failed.uniqueId && failedAt === failed.failedAt && Buffer.compare(each.body, message.body) === 0
    })
    if (found !== undefined && transport.can.lookWithoutTrace) break
  }
  return found
}

/** @returns the file, in which the message is safe */
async function archive(message: HeldMessage, { journal, now, operation, queue }: EditOrder): Promise<string> {
  const file = await ArchiveFile.open(archivePath(journal.stateFolder, archiveOf(journal), queue, now, 'edited'), { isOwn: true })
  try {
    await file.add([message], { queue, exportedAt: now, operation })
  } finally {
    await file.close()
  }
  return file.path
}

function beginJournal({ journal: { stateFolder, ...place }, now, operation, original, queue, ...order }: EditOrder): Journal {
  const { messageId, staysFailed, target } = order
  const options: EditOptions = { uniqueId: original.failed.uniqueId, messageId, target, staysFailed }
  return Journal.begin(stateFolder, {
    schema: 'nsb.operation/1',
    operation,
    command: 'edit',
    ...place,
    queue,
    startedAt: new Date(now).toISOString(),
    owner: thisProcess(),
    options: { ...options },
  })
}

function noted(write: () => void, { warn }: EditOrder): void {
  try {
    write()
  } catch (error) {
    warn(errorText(error))
  }
}

/** After these it is not known whether the copy was sent. */
const uncertain: ReadonlySet<string> = new Set([
  'NSB_CHANNEL_CLOSED',
  'NSB_CONNECTION_BROKEN',
  'NSB_CONNECTION_LOST',
  'NSB_NO_CONFIRM',
  'NSB_TRANSPORT_CLOSED',
])

function ended(journal: Journal, { messageId, operation, target }: EditOrder, error: unknown): unknown {
  if (!(error instanceof NsbError) || !uncertain.has(error.code)) {
    journal.end({ failed: error instanceof NsbError ? error.code : 'NSB_UNEXPECTED' })
    return error
  }
  journal.close()
  return new NsbError({
    code: error.code,
    message: `${error.message} The edited copy, message '${messageId}', may have been sent to '${target}'; the original is still in the error queue.`,
    suggestions: [`nsb errors resume ${operation}`, ...error.suggestions],
    cause: error,
    details: { ...error.details, operation, messageId, target },
  })
}

function taken({ messageId, uniqueId }: FailedMessage): NsbError {
  return new NsbError({
    code: 'NSB_MESSAGE_TAKEN',
    message: `Message '${messageId}' was taken by somebody else while it was edited, or has failed again since; nothing was sent.`,
    suggestions: ['nsb errors list'],
    details: { uniqueId },
  })
}

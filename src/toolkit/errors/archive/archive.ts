import { NsbError, errorText } from '../../../message/nsb-error.ts'
import { whyNotSaved } from '../../../message/saved-message.ts'
import type { HeldMessage, Operations, QueueFacts } from '../../../transport/transport.ts'
import type { Journal } from '../journal/journal.ts'
import { keyOf } from '../journal/message-key.ts'
import { readHeld } from '../replay/sending-back.ts'
import type { ArchiveFile } from './archive-file.ts'
import type { SelectedMessage, Selection } from './selection.ts'

/** Where not every message is wanted in the report, so many failed ones are named. */
const mostNamed = 1000

/** What became of one selected message. */
export interface ArchivedMessage {
  readonly uniqueId: string
  result: 'archived' | 'exported' | 'deleted' | 'failed'
  /** Of a failure: the message is still in the queue. */
  error?: { readonly code: string; readonly message: string }
}

export interface ArchiveReport {
  readonly operation: string
  readonly selected: number
  /** Removed from the queue, or exported where nothing is removed. */
  readonly done: number
  readonly failed: number
  /** Further copies of failures; they stayed. */
  readonly duplicates: number
  /** Not read, because as many are held as may be, and none of them leaves. */
  readonly unread: number
  readonly leftInQueue: number
  readonly newerArrivals: number
  /** Without {@link ArchiveRun.everyItem} only failed ones, 1,000 at most. */
  readonly items: readonly ArchivedMessage[]
  /** Why nothing more was begun with. */
  readonly stoppedBy: unknown
  /** The connection ended after the last ones were removed: a broker may not have got it, and have them still. */
  readonly interrupted: boolean
}

export interface ArchiveRun {
  readonly operation: string
  readonly queue: string
  /** What is done with them in the words of the report. */
  readonly result: ArchivedMessage['result']
  readonly everyItem: boolean
  readonly signal: AbortSignal
  readonly progress: (step: { readonly done: number; readonly of: number; readonly failed: number }) => void
}

export interface RemovingOptions {
  readonly operation: string
  readonly queue: string
  readonly journal: Journal
  /** undefined: they are deleted, and kept nowhere. */
  readonly file: (() => Promise<ArchiveFile>) | undefined
  readonly kind: QueueFacts['kind']
  readonly clock: () => number
  /** Archived by this operation already. */
  readonly isArchived?: (key: string) => boolean
  /** The first group is about to be noted: what goes wrong before is a refusal, after which nothing has to be finished. */
  readonly begun?: () => void
}

/** The step before messages leave their queue: each group is noted, then safe in the file, then noted as safe. */
export function archiveBeforeRemoving({ begun, clock, file, isArchived, journal, kind, operation, queue }: RemovingOptions) {
  return async (group: readonly HeldMessage[]): Promise<void> => {
    begun?.()
    const keys = group.map((message) => keyOf(message, readHeld(message), kind))
    const first = journal.select(keys)
    if (file === undefined) return
    const missing = group.filter((_, index) => keys[index] === undefined || isArchived?.(keys[index]) !== true)
    if (missing.length > 0) await (await file()).add(missing, { queue, exportedAt: clock(), operation })
    journal.safe(group.map((_, index) => first + index))
  }
}

/** Removes the selected messages, and gives back the others. What `beforeRemove` of the selection refuses stays in the queue. */
export function removeSelected(operations: Operations, selection: Selection, run: ArchiveRun): Promise<ArchiveReport> {
  return work(operations, selection, run, async (messages, note) => {
    await Promise.all(
      messages.map(({ failed, message }) => {
        const problem = run.result === 'deleted' ? undefined : whyNotSaved(message, failed.uniqueId)
        return (problem === undefined ? selection.holding.consume(message, []) : Promise.reject(problem)).then(
          () => note(failed.uniqueId, undefined),
          (error: unknown) => note(failed.uniqueId, error),
        )
      }),
    )
  })
}

/** Writes the selected messages, and gives all of them back. */
export async function exportSelected(
  operations: Operations,
  selection: Selection,
  run: ArchiveRun,
  write: (messages: readonly HeldMessage[]) => Promise<void>,
): Promise<ArchiveReport> {
  const report = await work(operations, selection, run, async (messages, note) => {
    const problems = messages.map(({ failed, message }) => message.leftAlone ?? whyNotSaved(message, failed.uniqueId))
    await write(messages.flatMap(({ message }, index) => (problems[index] === undefined ? [message] : [])))
    for (const [index, { failed }] of messages.entries()) note(failed.uniqueId, problems[index])
  })
  return { ...report, interrupted: false }
}

async function work(
  operations: Operations,
  selection: Selection,
  { everyItem, operation, progress, queue, result, signal }: ArchiveRun,
  deal: (messages: readonly SelectedMessage[], note: (uniqueId: string, error: unknown) => void) => Promise<void>,
): Promise<ArchiveReport> {
  const items: ArchivedMessage[] = []
  let [selected, done, failed] = [0, 0, 0]
  let stoppedBy: unknown
  const of = selection.count ?? selection.facts.depth
  const note = (uniqueId: string, error: unknown): void => {
    if (error === undefined) done++
    else failed++
    if (error !== undefined && !isOfOneMessage(error)) stoppedBy ??= error
    if (everyItem || (error !== undefined && items.length < mostNamed))
      items.push(error === undefined ? { uniqueId, result } : { uniqueId, result: 'failed', error: errorFields(error) })
    progress({ done: done + failed, of, failed })
  }
  let given: Awaited<ReturnType<Selection['release']>> | undefined
  try {
    for await (const messages of selection.messages()) {
      if (signal.aborted) break
      selected += messages.length
      await deal(messages, note)
      if (stoppedBy !== undefined) break
    }
  } finally {
    given = await selection.release()
  }
  const leftInQueue = (await operations.inspect(queue))?.depth ?? 0
  const { duplicates, unread } = selection
  const { interrupted = false, newerArrivals } = given
  return { operation, selected, done, failed, duplicates, unread, leftInQueue, newerArrivals, items, stoppedBy, interrupted }
}

const ofOneMessage: ReadonlySet<string> = new Set(['NSB_FILE_LEFT_ALONE', 'NSB_MESSAGE_TAKEN', 'NSB_TOO_LARGE_TO_SAVE'])

/** The others go on. */
function isOfOneMessage(error: unknown): boolean {
  return error instanceof NsbError && ofOneMessage.has(error.code)
}

export function errorFields(error: unknown): { readonly code: string; readonly message: string } {
  return { code: error instanceof NsbError ? error.code : 'NSB_UNEXPECTED', message: errorText(error) }
}

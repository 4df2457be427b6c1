import { NsbError } from '../../message/nsb-error.ts'
import type { Transport } from '../../transport/transport.ts'
import type { OperationHead } from './journal/journal.ts'
import { openOperations } from './journal/operations.ts'
import { type ReadJournal, isRunning, operationIds, readJournal } from './journal/read-journal.ts'
import type { Patching } from './edit/patching.ts'
import type { Pacing } from './replay/pace.ts'
import type { PaceRecord } from './replay/replay-record.ts'
import type { ReplayReport, ReplayRun, ReplayedMessage } from './replay/replay.ts'
import { phases } from './replay/staging.ts'

export interface ResumeOptions {
  /** Take it back instead of finishing it, as far as that can be done. */
  readonly undo: boolean
  readonly overrule: readonly string[]
  readonly maxHold: number
  readonly signal: AbortSignal
  readonly clock: () => number
  readonly progress: ReplayRun['progress']
  /** What slows a replay down that was slowed down; undefined: nothing. */
  readonly pacing?: (pace: PaceRecord) => Pacing | undefined
  /** What changes the bodies of a replay that changed them. */
  readonly patching?: Patching | undefined
}

/** What became of an operation that was interrupted. */
export interface ResumeReport {
  readonly operation: string
  /** The errors command that began it. */
  readonly command: string
  readonly queue: string
  readonly undone: boolean
  /** Messages that had been dealt with, and only had to be removed from the queue. */
  readonly removed: number
  /** Messages that had been begun with, and were sent. */
  readonly sentAgain: number
  /** So many messages may be there twice, at most: they had been sent, or imported, before it was interrupted, and nobody could note it. */
  readonly mayArriveTwice: number
  /** Messages that had not been begun with, and were sent. */
  readonly sentFirst: number
  /** Of a staged replay that was taken back: messages that are in the error queue again. */
  readonly movedBack?: number
  /** The queue it goes by way of, and how many messages are in it still. */
  readonly staged?: { readonly queue: string; readonly left: number }
  /** Begun with, and without a time of failure: nobody can tell which they are, so they are left alone, whether they were sent or not. */
  readonly uncertain?: number
  /** They are still in the queue. */
  readonly failed: number
  readonly leftInQueue: number
  readonly newerArrivals: number
  /** Failed ones, 1,000 at most; all that were sent, when their outcome was waited for. */
  readonly items: readonly ReplayedMessage[]
  /** false: it was interrupted again, and can be resumed. */
  readonly isOver: boolean
  /** Why a step could not be noted. */
  readonly problem: unknown
  /** Of a replay, as its own report says it. */
  readonly stopped?: ReplayReport['stopped']
  readonly stoppedAfter?: ReplayReport['stoppedAfter']
  readonly sentUnnoted?: ReplayReport['sentUnnoted']
  /** For the outcome of each message. */
  readonly waited: boolean
  /** What its command says in place of the counts; undefined: they say it. */
  readonly note?: string
  /** What else its command has to say. */
  readonly more?: Readonly<Record<string, unknown>>
}

type Resume = (transport: Transport, journal: ReadJournal, options: ResumeOptions) => Promise<ResumeReport>

/** How an operation is finished or taken back, by the command that began it. */
const resumptions: Readonly<Record<string, () => Promise<Resume>>> = {
  archive: async () => (await import('./archive/resume-archive.ts')).resumeArchive,
  edit: async () => (await import('./edit/resume-edit.ts')).resumeEdit,
  export: async () => (await import('./archive/resume-archive.ts')).resumeArchive,
  import: async () => (await import('./archive/resume-import.ts')).resumeImport,
  replay: async () => (await import('./replay/resume-replay.ts')).resumeReplay,
}

/**
 * Finishes an operation that was interrupted, or takes it back.
 *
 * @param journal as {@link findOperation} gives it
 * @throws {NsbError} NSB_BAD_JOURNAL, and what the command's own resuming gives
 */
export async function resumeOperation(transport: Transport, journal: ReadJournal, options: ResumeOptions): Promise<ResumeReport> {
  const { command, operation } = journal.head
  const load = Object.hasOwn(resumptions, command) ? resumptions[command] : undefined
  if (load === undefined) throw badJournal(operation)
  return (await load())(transport, journal, options)
}

/**
 * How many messages may be there twice when the operation is over, at most: as its journal says, before anything is done. Who resumes it is
 * told at once, because afterwards a process that is killed in between has ended the operation and said nothing.
 */
export function mayBeThereTwice(transport: Transport, { head, phase, selected, uncertain, unknown }: ReadJournal, undo: boolean): number {
  const { command, options } = head
  if (command === 'import') return uncertain
  if (command === 'archive' || command === 'export') return options['file'] === undefined ? 0 : undo ? selected : unknown
  // A folder knows what it has sent.
  if (transport.can.lookWithoutTrace) return 0
  // What was only moved to a staging queue is sent once, even if it is there twice; unless nobody can tell that it is.
  return phase === phases.moving && !undo ? unknown : uncertain + unknown
}

export interface Asked {
  /** An id, or how it begins; undefined: the only one. */
  readonly id: string | undefined
  /** The transport that is open. */
  readonly where: string
  /** As it was named by the user; undefined: it was not. */
  readonly queue: string | undefined
  readonly overrule: readonly string[]
}

/**
 * The operation that is meant, which can be resumed here.
 *
 * @throws {NsbError} NSB_OPERATION_NOT_FOUND, NSB_WHICH_OPERATION, NSB_OPERATION_OVER, NSB_OPERATION_ELSEWHERE, NSB_OPERATION_RUNNING,
 * NSB_BAD_JOURNAL
 */
export async function findOperation(stateFolder: string, { id, overrule, queue, where }: Asked): Promise<ReadJournal> {
  const open = await openOperations(stateFolder)
  const here = open.filter((head) => head.where === where && (queue === undefined || head.queue === queue))
  const meant = id === undefined ? here : open.filter(({ operation }) => operation.startsWith(id.toUpperCase()))
  const [head] = meant
  if (head === undefined) throw await noneOf(stateFolder, id, open)
  if (meant.length > 1) throw whichOperation(id, meant)
  if (head.where !== where || (queue !== undefined && head.queue !== queue)) throw elsewhere(head, where, queue)
  const journal = await readJournal(stateFolder, head.operation)
  if (journal === undefined || journal.end !== undefined) throw badJournal(head.operation)
  if (isRunning(journal.owner) && !overrule.includes('NSB_OPERATION_RUNNING')) throw running(journal)
  return journal
}

/** Operations that can be resumed, and those that run; with what their journals say. */
export async function listOperations(stateFolder: string): Promise<readonly (ReadJournal & { readonly running: boolean })[]> {
  const found: (ReadJournal & { readonly running: boolean })[] = []
  for (const { operation } of await openOperations(stateFolder)) {
    const journal = await readJournal(stateFolder, operation)
    if (journal !== undefined && journal.end === undefined) found.push({ ...journal, running: isRunning(journal.owner) })
  }
  return found
}

async function noneOf(stateFolder: string, id: string | undefined, open: readonly OperationHead[]): Promise<NsbError> {
  const over = id === undefined ? undefined : (await operationIds(stateFolder)).find((each) => each.startsWith(id.toUpperCase()))
  if (over !== undefined && (await readJournal(stateFolder, over))?.end !== undefined)
    return new NsbError({
      code: 'NSB_OPERATION_OVER',
      message: `Operation ${over} is over: there is nothing to resume.`,
      suggestions: ['nsb errors resume --list'],
      details: { operation: over },
    })
  if (over !== undefined) return badJournal(over)
  return new NsbError({
    code: 'NSB_OPERATION_NOT_FOUND',
    message:
      id === undefined
        ? `No operation can be resumed here.${open.length > 0 ? ` ${open.length} elsewhere.` : ''}`
        : `No operation that can be resumed begins with '${id}'. The journal is on the machine, and in the state folder, where it was begun; what may have been sent twice cannot be told without it.`,
    suggestions: ['nsb errors resume --list'],
    details: { id },
  })
}

export function whichOperation(id: string | undefined, meant: readonly OperationHead[]): NsbError {
  const lines = meant.slice(0, 10).map(({ command, operation, queue, startedAt }) => `${operation}  ${command}  ${queue}  ${startedAt}`)
  return new NsbError({
    code: 'NSB_WHICH_OPERATION',
    message: `${id === undefined ? '' : `'${id}' means `}${meant.length} operations ${id === undefined ? 'can be resumed' : ''}:\n${lines.join('\n')}${meant.length > 10 ? '\n…' : ''}`,
    suggestions: ['Name one: nsb errors resume <operation>'],
    details: { operations: meant.map(({ operation }) => operation) },
  })
}

export function elsewhere(
  { command, operation, profile, queue, where: begun }: OperationHead,
  where: string,
  asked: string | undefined,
): NsbError {
  return new NsbError({
    code: 'NSB_OPERATION_ELSEWHERE',
    message: `Operation ${operation} (${command}) is about queue '${queue}' of ${begun}, not '${asked ?? queue}' of ${where}.`,
    suggestions: [`Connect with what it was begun with: --profile ${profile} --error-queue ${queue}`],
    details: { operation, queue, where: begun },
  })
}

function running({ head, owner }: ReadJournal): NsbError {
  return new NsbError({
    code: 'NSB_OPERATION_RUNNING',
    message: `Operation ${head.operation} is still running: process ${owner.pid} on this host.`,
    suggestions: ['Wait for it, or end that process', 'If it is another program by now: --force'],
    details: { operation: head.operation, pid: owner.pid },
  })
}

/** It is no journal of ours, or the part that is needed was damaged. */
export function badJournal(operation: string): NsbError {
  return new NsbError({
    code: 'NSB_BAD_JOURNAL',
    message: `The journal of operation ${operation} cannot be understood, so nothing was done.`,
    suggestions: ['nsb errors list shows what is in the queue; a message that is replayed again may arrive twice'],
    details: { operation },
  })
}

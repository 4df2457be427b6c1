import { Args, Flags } from '@oclif/core'
import { type ArchiveReport, type ArchiveRun, archiveBeforeRemoving, removeSelected } from '../../toolkit/errors/archive/archive.ts'
import type { ArchiveFile } from '../../toolkit/errors/archive/archive-file.ts'
import { type Selection, type SelectionOptions, select } from '../../toolkit/errors/archive/selection.ts'
import { Journal, thisProcess } from '../../toolkit/errors/journal/journal.ts'
import { mostItems } from '../../toolkit/errors/replay/plan.ts'
import type { Criteria } from '../../toolkit/errors/select/select.ts'
import type { HoldOptions, Transport } from '../../transport/transport.ts'
import { boundMemory } from '../bounded-memory.ts'
import { printableLine } from '../printable.ts'
import { Progress } from '../progress.ts'
import { selectionFlags } from '../selection-flags.ts'
import { duplicatesNote, endedEarly, isRemovalOver } from './archive-report.ts'
import { ErrorsCommand, maxHoldFlag, nothingMatched, shortId } from './errors-command.ts'

/** Above that the number has to be typed. */
export const mostWithoutTyping = 100
const mostShown = 20

export const idsArgument = {
  ids: Args.string({ multiple: true, ignoreStdin: true, description: 'ids, at least 4 characters of each' }),
}

/** What selects messages that are archived or exported. */
export const takingFlags = {
  ...selectionFlags,
  limit: Flags.integer({ min: 1, helpValue: '<n>', helpGroup: 'SELECT', summary: 'at most so many' }),
  newest: Flags.boolean({ helpGroup: 'SELECT', summary: 'take the newest first instead of the oldest' }),
  duplicates: Flags.boolean({
    helpGroup: 'SELECT',
    summary: 'the copies of failures that a crash has left in the queue once more',
  }),
  'max-hold': maxHoldFlag,
}

export interface TakingChoice {
  readonly limit?: number | undefined
  readonly newest?: boolean
  readonly duplicates?: boolean
  readonly 'max-hold': number
}

/** How messages are removed. */
export interface Removal {
  readonly command: 'archive' | 'export'
  readonly operation: string
  readonly result: ArchiveRun['result']
  /** Opened for the first message; undefined: they are deleted. */
  readonly file: (() => Promise<ArchiveFile>) | undefined
  readonly path: string | undefined
  question(messages: string): string
  readonly mustType: boolean
}

/** What `archive` and `export` share: messages are selected, made safe in a file, and removed. */
export abstract class ArchiveCommand extends ErrorsCommand {
  protected boundMemory(): void {
    const release = boundMemory()
    this.atEnd(async () => release())
  }

  protected selectionOptions(queue: string, criteria: Criteria, choice: TakingChoice): SelectionOptions {
    return {
      queue,
      criteria,
      limit: choice.limit,
      newest: choice.newest === true,
      duplicates: choice.duplicates === true,
      now: Date.now(),
      overrule: this.overrule,
      maxHold: choice['max-hold'],
      signal: this.signal,
    }
  }

  /** @throws {NsbError} those of {@link nothingMatched}, those of a selection and of a confirmation */
  protected async remove(transport: Transport, options: SelectionOptions, removal: Removal): Promise<ArchiveReport> {
    const { queue } = options
    let beforeRemove: HoldOptions['beforeRemove'] = () => undefined
    const { protect } = await this.connection()
    const isConfirmed = this.globals.yes === true && !protect
    const selection = await select(transport, options, {
      purpose: 'change',
      mustCount: !isConfirmed,
      streams: true,
      beforeRemove: (group) => beforeRemove(group),
    })
    this.atEnd(async () => void (await selection.release()))
    const most = selection.count ?? Math.min(selection.facts.depth, options.limit ?? selection.facts.depth)
    if (most === 0) throw nothingMatched(queue, options.criteria)
    const isSaid = this.#noteDuplicates(selection, options)
    await this.confirmWhileHeld(removal.question(`${most} message${most > 1 ? 's' : ''}`), {
      typed: most > mostWithoutTyping || removal.mustType ? String(most) : undefined,
    })
    await this.noteOpenOperations(queue)
    await this.forgetSnapshot(queue)

    const { operation, result } = removal
    let opening: Promise<ArchiveFile> | undefined
    const { file } = removal
    // A file that gets no message is not made.
    const open = file === undefined ? undefined : (): Promise<ArchiveFile> => (opening ??= file())
    const journal = await this.beginJournal(removal.command, operation, queue, removal.path === undefined ? {} : { file: removal.path })
    let isBegun = false
    const begun = (): void => void (isBegun = true)
    try {
      beforeRemove = archiveBeforeRemoving({ operation, queue, journal, file: open, kind: selection.facts.kind, clock: Date.now, begun })
      const report = await removeSelected(transport, selection, this.runOf(operation, queue, result, most))
      if (isRemovalOver(report)) journal.end({ selected: report.selected, [result]: report.done })
      if (report.selected === 0 && !this.signal.aborted) throw nothingMatched(queue, options.criteria)
      if (report.done === 0 && report.stoppedBy !== undefined) throw report.stoppedBy
      this.showProblems(report, operation, queue)
      if (!isSaid) this.noteLeftOut(report, true)
      return report
    } catch (error) {
      if (!isBegun) journal.end({ selected: 0 })
      throw error
    } finally {
      journal.close()
      await opening?.then((opened) => opened.close()).catch(() => undefined)
    }
  }

  /** @param most so many messages at most */
  protected runOf(operation: string, queue: string, result: ArchiveRun['result'], most: number): ArchiveRun {
    const progress = this.progress()
    this.atEnd(async () => progress?.end())
    const doing = { archived: 'archiving', deleted: 'deleting', exported: 'exporting', failed: '' }[result]
    return {
      operation,
      queue,
      result,
      everyItem: this.jsonEnabled() && most <= mostItems,
      signal: this.signal,
      progress: (step) => (step.done === step.of ? progress?.end() : progress?.show({ doing, ...step })),
    }
  }

  protected async beginJournal(command: string, operation: string, queue: string, options: object): Promise<Journal> {
    const { stateFolder, ...place } = await this.journalled()
    return Journal.begin(stateFolder, {
      schema: 'nsb.operation/1',
      operation,
      command,
      ...place,
      queue,
      startedAt: new Date().toISOString(),
      owner: thisProcess(),
      options: { ...options },
    })
  }

  protected showProblems(report: ArchiveReport, operation: string | undefined, queue: string): void {
    if (this.isOutputGone) return
    const { colour } = this
    for (const { error, result, uniqueId } of report.items.filter((item) => item.result === 'failed').slice(0, mostShown))
      this.note(`${colour.err.failure('✗')} ${printableLine(shortId(uniqueId))}  ${result}  ${printableLine(error?.message ?? '')}`)
    const resume = operation === undefined ? undefined : this.placed(`nsb errors resume ${operation}`, queue)
    for (const text of endedEarly(report, { isAborted: this.signal.aborted, queue, resume })) this.warning(text)
  }

  protected progress(): Progress | undefined {
    const quiet = this.globals['no-progress'] === true || this.globals.quiet === true || process.env['CI'] !== undefined
    return quiet ? undefined : new Progress({ write: (text) => process.stderr.write(text), terminal: process.stderr.isTTY, now: Date.now })
  }

  /** Says of which failures a further copy was left out. */
  protected noteLeftOut(report: ArchiveReport, removes: boolean): void {
    const note = duplicatesNote(report, removes)
    if (note !== undefined) this.warning(note)
  }

  /** @returns whether there was something to say: where nobody has looked, it is known afterwards */
  #noteDuplicates({ count, duplicates }: Selection, options: SelectionOptions): boolean {
    if (count === undefined || duplicates === 0 || options.duplicates) return false
    this.warning(
      `${duplicates} duplicate${duplicates > 1 ? 's' : ''} of other entries will stay in the error queue; --duplicates selects them`,
    )
    return true
  }
}

import { closeSync, fdatasync, fdatasyncSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { NsbError, errorText } from '../../../message/nsb-error.ts'

/** What was asked for: enough to go on with it later, or to take it back. The first line of a journal. */
export interface OperationHead {
  readonly schema: 'nsb.operation/1'
  /** 26 characters that sort by time. */
  readonly operation: string
  /** The errors command that runs it: `replay`, `archive`, `import` … */
  readonly command: string
  /** Which transport it is: an operation goes on where it began. Without credentials. */
  readonly where: string
  readonly profile: string
  /** The name of its archive; undefined: that of the profile, as of old. */
  readonly archive?: string
  /** The queue that messages are taken from, or brought to. */
  readonly queue: string
  /** ISO 8601. */
  readonly startedAt: string
  /** Who runs it. */
  readonly owner: JournalOwner
  /** What the command needs to go on; JSON. */
  readonly options: Readonly<Record<string, unknown>>
}

export interface JournalOwner {
  readonly host: string
  readonly pid: number
}

/**
 * One line of a journal after its head. Messages have numbers, counted from 1 through all `selected` lines of a phase.
 *
 * - `selected`: keys of messages that are dealt with next; `null` is one that would not be known again
 * - `safe`: numbers, or ranges of them, of messages whose copies are safe, so that their originals may be removed
 * - `phase`: the numbers begin anew; what was noted before is over, but for so many messages of which nobody knows (`uncertain`)
 * - `resumed`: somebody goes on with it
 * - `end`: it is over, and how
 */
export type JournalLine =
  | { readonly selected: readonly (string | null)[] }
  | { readonly safe: readonly (number | readonly [first: number, last: number])[] }
  | { readonly phase: string; readonly uncertain?: number }
  | { readonly resumed: JournalOwner }
  | { readonly end: Readonly<Record<string, unknown>> }

const flushEveryMs = 100

/** What the name of a journal ends with while it has no head. */
export const unfinished = '.new'

export const thisProcess = (): JournalOwner => ({ host: hostname(), pid: process.pid })

/** The folder of all journals. */
export const operationsFolder = (stateFolder: string): string => join(stateFolder, 'operations')

/** The journal of an operation. @param operation its whole id, which becomes a file name */
export const journalPath = (stateFolder: string, operation: string): string => join(operationsFolder(stateFolder), `${operation}.ndjson`)

/**
 * What an operation on an error queue has done so far. A line is in the file before the step is taken that it announces, so a killed
 * process loses none. The disk has them 100 ms later, so a machine that dies may lose the last lines, and that costs duplicates only:
 * no line means "not done yet".
 */
export class Journal {
  readonly path: string
  #file: number | undefined
  #selected: number
  #flushed = 0
  #isFlushing = false

  private constructor(path: string, file: number, selected: number) {
    this.path = path
    this.#file = file
    this.#selected = selected
  }

  /** @throws {NsbError} NSB_JOURNAL_UNWRITABLE: without a journal nothing is begun */
  static begin(stateFolder: string, head: OperationHead): Journal {
    const path = journalPath(stateFolder, head.operation)
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
      // There with its head or not at all: an empty one would be that of an operation of which nobody knows what it has done.
      const begun = path + unfinished
      const journal = new Journal(path, openSync(begun, 'wx', 0o600), 0)
      journal.#write(head)
      renameSync(begun, path)
      return journal
    } catch (error) {
      throw unwritable(path, error)
    }
  }

  /**
   * Goes on with a journal that is there.
   *
   * @param selected how many messages were selected in its last phase
   * @throws {NsbError} NSB_JOURNAL_UNWRITABLE
   */
  static resume(path: string, selected: number): Journal {
    try {
      const journal = new Journal(path, openSync(path, 'a', 0o600), selected)
      // The last line may have been cut.
      writeSync(journal.#file as number, '\n')
      journal.#write({ resumed: thisProcess() })
      return journal
    } catch (error) {
      throw unwritable(path, error)
    }
  }

  /**
   * These messages are dealt with next.
   *
   * @returns the number of the first
   * @throws {NsbError} NSB_JOURNAL_UNWRITABLE: none of them may be dealt with
   */
  select(keys: readonly (string | undefined)[]): number {
    const first = this.#selected + 1
    if (keys.length === 0) return first
    this.#tryWrite({ selected: keys.map((key) => key ?? null) })
    this.#selected += keys.length
    return first
  }

  /**
   * The copies of these messages are safe.
   *
   * @throws {NsbError} NSB_JOURNAL_UNWRITABLE: their originals must not be removed
   */
  safe(numbers: readonly number[]): void {
    if (numbers.length > 0) this.#tryWrite({ safe: rangesOf(numbers) })
  }

  /**
   * What comes now is counted anew.
   *
   * @param uncertain messages of the phases before that may be there twice
   * @throws {NsbError} NSB_JOURNAL_UNWRITABLE
   */
  phase(phase: string, uncertain = 0): void {
    this.#tryWrite({ phase, ...(uncertain > 0 && { uncertain }) })
    this.#selected = 0
  }

  /** The operation is over; without this it can be resumed. Not being able to say so is no failure: it can then be resumed for nothing. */
  end(outcome: Readonly<Record<string, unknown>>): void {
    try {
      this.#write({ end: outcome })
    } catch {
      // See above.
    }
    this.close()
  }

  /** It can be resumed. */
  close(): void {
    const file = this.#file
    this.#file = undefined
    if (file === undefined) return
    try {
      fdatasyncSync(file)
    } catch {
      // The lines are in the file, and that is what a resume reads.
    }
    if (!this.#isFlushing) closeSync(file)
  }

  #tryWrite(line: JournalLine): void {
    try {
      this.#write(line)
    } catch (error) {
      throw unwritable(this.path, error)
    }
  }

  #write(line: JournalLine | OperationHead): void {
    const file = this.#file
    if (file === undefined) throw new Error('the journal is closed')
    const bytes = Buffer.from(`${JSON.stringify(line)}\n`)
    // A disk that becomes full takes a part of it.
    for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written)
    this.#flush(file)
  }

  #flush(file: number): void {
    const now = performance.now()
    if (this.#isFlushing || now - this.#flushed < flushEveryMs) return
    this.#isFlushing = true
    this.#flushed = now
    fdatasync(file, () => {
      this.#isFlushing = false
      if (this.#file === undefined) closeSync(file)
    })
  }
}

/** In ascending order, neighbours as ranges. */
function rangesOf(numbers: readonly number[]): readonly (number | readonly [number, number])[] {
  const ranges: [number, number][] = []
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const last = ranges.at(-1)
    if (last !== undefined && number <= last[1] + 1) last[1] = Math.max(last[1], number)
    else ranges.push([number, number])
  }
  return ranges.map(([first, last]) => (first === last ? first : [first, last]))
}

function unwritable(path: string, error: unknown): NsbError {
  return new NsbError({
    code: 'NSB_JOURNAL_UNWRITABLE',
    message: `The journal '${path}' cannot be written: ${errorText(error)}`,
    suggestions: ['Make room there, or keep it elsewhere: NSB_STATE_DIR=<folder>'],
    details: { path },
    cause: error,
  })
}

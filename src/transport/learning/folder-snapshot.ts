import { type Dirent, lstatSync, opendirSync, statSync } from 'node:fs'
import { FileNames } from './file-names.ts'
import { errorCode, metadataEnding, queueFolders } from './layout.ts'
import { LeftAloneError } from './left-alone.ts'
import { lookAt, whatIs } from './plain-file.ts'

/** Entries that are in memory at once as objects. */
const entriesAtOnce = 1000

/** File systems count time in steps, the longest of 2 s: a folder that changed within one may change again without showing it. */
const clockStepMs = 2000

/** So many entries that are no messages are named. */
const mostStrange = 100

const quietly = { throwIfNoEntry: false } as const

/**
 * The entries of a folder in the order of the file system, those of {@link queueFolders} left out; read as they are asked for, since
 * there may be a million.
 *
 * @throws ENOENT when there is no such folder
 */
export function* entriesOf(folder: string): Generator<Dirent, void> {
  const opened = opendirSync(folder, { bufferSize: entriesAtOnce })
  try {
    for (let entry = opened.readSync(); entry !== null; entry = opened.readSync()) if (!queueFolders.has(entry.name)) yield entry
  } finally {
    opened.closeSync()
  }
}

/**
 * Does this entry of a queue's folder stand for a message? Every file does, whatever its name, as for .NET. A link does not: what it leads to
 * is elsewhere.
 */
export function isMessage(folder: string, entry: Dirent): boolean {
  if (entry.isFile()) return true
  return isUnknown(entry) && (lookAt(`${folder}/${entry.name}`)?.isFile() ?? false)
}

/** Not every file system says what its entries are. */
function isUnknown(entry: Dirent): boolean {
  return !(
    entry.isFile() ||
    entry.isDirectory() ||
    entry.isSymbolicLink() ||
    entry.isFIFO() ||
    entry.isSocket() ||
    entry.isCharacterDevice() ||
    entry.isBlockDevice()
  )
}

/** {@link entriesOf}, or none where there is no folder. */
export function* entriesIfAny(folder: string): Generator<Dirent, void> {
  try {
    yield* entriesOf(folder)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
  }
}

/** How many messages wait in a queue; 0 when there is none. @param without names that do not count */
export function countMessages(folder: string, without?: ReadonlySet<string>): number {
  let count = 0
  for (const entry of entriesIfAny(folder)) if (without?.has(entry.name) !== true && isMessage(folder, entry)) count++
  return count
}

/** What .NET calls the creation time on Linux; a rename keeps it. */
export function sendTime(stat: { readonly mtimeMs: number; readonly ctimeMs: number }): number {
  return Math.min(stat.mtimeMs, stat.ctimeMs)
}

/** The messages that waited in a queue at one moment, oldest first, in 28 bytes for each. */
export class FolderSnapshot {
  readonly #folder: string
  readonly #names = new FileNames()
  /** When each was sent, in ms since 1970, by the place of its name. */
  readonly #times: Float64Array
  /** Places of the names, oldest first. */
  readonly #order: Uint32Array
  /** What is no message and seems to be meant as one; the first of many. */
  readonly strange: readonly LeftAloneError[]

  /** When the folder had changed last before it was read; undefined: too short before to tell a later change from that one. */
  readonly #changedAt: number | undefined

  /** @throws ENOENT when there is no such queue */
  constructor(folder: string) {
    this.#folder = folder
    const { mtimeMs } = statSync(folder)
    if (mtimeMs < Date.now() - clockStepMs) this.#changedAt = mtimeMs
    const names = this.#names
    const strange: LeftAloneError[] = []
    const leaveAlone = (name: string, what: string): void => {
      if (strange.length < mostStrange) strange.push(new LeftAloneError(this.pathOf(name), `is ${what}`))
    }
    // All names before the first time, so that what others take and put back meanwhile is not met twice.
    for (const entry of entriesOf(folder))
      if (entry.isFile() || isUnknown(entry)) names.add(entry.name)
      else if (!entry.isDirectory() || entry.name.endsWith(metadataEnding)) leaveAlone(entry.name, whatIs(entry))
    const times = new Float64Array(names.length)
    const places = new Uint32Array(names.length)
    let found = 0
    for (let place = 0; place < names.length; place++) {
      const stat = lstatSync(this.pathOf(names.at(place)), quietly)
      if (!stat) continue
      if (!stat.isFile()) {
        if (!stat.isDirectory()) leaveAlone(names.at(place), whatIs(stat))
        continue
      }
      times[place] = sendTime(stat)
      places[found++] = place
    }
    this.strange = strange
    this.#times = times
    this.#order = sorted(places.subarray(0, found), (a, b) => (times[a] as number) - (times[b] as number) || names.compare(a, b))
  }

  get length(): number {
    return this.#order.length
  }

  /** @param rank 0 is the oldest */
  nameAt(rank: number): string {
    return this.#names.at(this.#order[rank] as number)
  }

  /** When the message was sent, in ms since 1970. */
  timeAt(rank: number): number {
    return this.#times[this.#order[rank] as number] as number
  }

  pathOf(name: string): string {
    return `${this.#folder}/${name}`
  }

  /** How many messages are in the queue now that were not then. */
  countNewer(): number {
    if (this.#changedAt !== undefined && statSync(this.#folder, quietly)?.mtimeMs === this.#changedAt) return 0
    let count = 0
    for (const entry of entriesIfAny(this.#folder)) if (!this.#names.has(entry.name) && isMessage(this.#folder, entry)) count++
    return count
  }
}

/** Merge sort, which changes its argument. Of a typed array with a comparison V8's own needs 16 bytes for each element meanwhile, this 4. */
function sorted(places: Uint32Array, compare: (a: number, b: number) => number): Uint32Array {
  let from = places
  let to: Uint32Array = new Uint32Array(places.length)
  for (let width = 1; width < from.length; width *= 2) {
    for (let start = 0; start < from.length; start += 2 * width) merge(from, to, start, start + width, start + 2 * width, compare)
    ;[from, to] = [to, from]
  }
  return from
}

/** The sorted runs [start, middle) and [middle, end) become one; both may be cut off by the end of the array. */
function merge(
  from: Uint32Array,
  to: Uint32Array,
  start: number,
  middle: number,
  end: number,
  compare: (a: number, b: number) => number,
): void {
  const [lastLeft, lastRight] = [Math.min(middle, from.length), Math.min(end, from.length)]
  let [left, right] = [start, lastLeft]
  for (let at = start; at < lastRight; at++) {
    const takeLeft = left < lastLeft && (right >= lastRight || compare(from[left] as number, from[right] as number) <= 0)
    to[at] = from[takeLeft ? left++ : right++] as number
  }
}

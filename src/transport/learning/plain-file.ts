import { type Stats, closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs'
import { errorCode } from './layout.ts'

/** What is at a path where a file should be. */
export type FileReading =
  | { readonly kind: 'read'; readonly bytes: Buffer }
  | { readonly kind: 'gone' }
  /** A folder, a link, a named pipe … @property what with its article */
  | { readonly kind: 'noFile'; readonly what: string }
  /** There may be a good file, which cannot be read here or now. @property why to be read after the name of the file */
  | { readonly kind: 'refused'; readonly why: string }

/** Opening a link would read what is elsewhere, and opening a named pipe would wait until somebody writes into it. */
const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)

/** Of these no file is to blame. */
const ofTheProcess: ReadonlySet<string | undefined> = new Set([undefined, 'EMFILE', 'ENFILE', 'ENOMEM'])

/**
 * Reads a file of a folder that anybody may have put something into: never follows a link, never waits.
 *
 * @param limit in bytes; a larger one is refused
 * @throws what the system says when it is not about this file
 */
export function readPlainFile(path: string, limit: number): FileReading {
  let file: number
  try {
    file = openSync(path, flags)
  } catch (error) {
    return readingOf(path, error)
  }
  try {
    const stat = fstatSync(file)
    if (!stat.isFile()) return { kind: 'noFile', what: whatIs(stat) }
    if (stat.size > limit) return tooLarge(stat.size, limit)
    return { kind: 'read', bytes: read(file, stat.size) }
  } catch (error) {
    return readingOf(path, error)
  } finally {
    closeSync(file)
  }
}

function read(file: number, size: number): Buffer {
  const bytes = Buffer.allocUnsafe(size)
  let length = 0
  while (length < size) {
    const count = readSync(file, bytes, length, size - length, null)
    if (count === 0) break
    length += count
  }
  return length === size ? bytes : bytes.subarray(0, length)
}

function readingOf(path: string, error: unknown): FileReading {
  const code = errorCode(error)
  if (ofTheProcess.has(code)) throw error
  // A link is ELOOP, or EMLINK, and a socket ENXIO.
  if (code !== 'ENOENT') return lookAtFile(path, Number.POSITIVE_INFINITY) ?? { kind: 'refused', why: whyOf(code) }
  return { kind: 'gone' }
}

/** What is wrong with a file before it is opened; undefined: nothing that can be seen. */
export function lookAtFile(path: string, limit: number, seen: (stat: Stats) => void = () => undefined): FileReading | undefined {
  try {
    const stat = lookAt(path)
    if (!stat) return { kind: 'gone' }
    if (!stat.isFile()) return { kind: 'noFile', what: whatIs(stat) }
    if (stat.size > limit) return tooLarge(stat.size, limit)
    seen(stat)
    return undefined
  } catch (error) {
    return { kind: 'refused', why: whyOf(errorCode(error)) }
  }
}

function tooLarge(size: number, limit: number): FileReading {
  return { kind: 'refused', why: `has ${size} bytes, and at most ${limit} are read` }
}

/** Why a file cannot be used, in words that follow its name. */
export function whyOf(code: string | undefined): string {
  if (code === 'EACCES' || code === 'EPERM') return `may not be read by this user (${code})`
  return `cannot be read (${code ?? 'for an unknown reason'})`
}

/** The entry itself, not what a link points to; undefined: it is not there. @throws what the system says of the folders above it */
export function lookAt(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false })
}

/** The kind of an entry that is no file, with its article. */
export function whatIs(entry: Pick<Stats, 'isDirectory' | 'isFIFO' | 'isSocket' | 'isSymbolicLink'>): string {
  if (entry.isDirectory()) return 'a folder'
  if (entry.isFIFO()) return 'a named pipe'
  if (entry.isSocket()) return 'a socket'
  if (entry.isSymbolicLink()) return 'a link, and links are not followed'
  return 'a device'
}

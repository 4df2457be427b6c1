import { closeSync, constants, openSync, readdirSync, writeSync } from 'node:fs'
import { lookAt, readPlainFile } from './plain-file.ts'
import { type StorageFolder, listOrEmpty, makeFolderFor, removeFolder, removeIfPossible } from './storage.ts'

/** Earlier deliveries of a message that did not consume it. */
export interface EarlierAttempts {
  readonly failed: number
  /** The process died while it had the message in hand. */
  readonly killed: number
}

const none: EarlierAttempts = { failed: 0, killed: 0 }
const marks = { failed: 'f', killed: 'k' } as const
/** A longer file is not read: it need not be ours, and its size is count enough. */
const mostMarks = 1000
/** Never follows a link, and never waits for somebody to read from a pipe. */
const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)
const remembered = 10_000
const leftoversKeepForMs = 3_600_000

/**
 * How often each message of a queue was delivered in vain, by whatever process. Every failure appends one character to a file
 * `.nsb/attempts/<queue>/<name of the metadata file>`, so that neither a crash nor a second process can spoil the count. Messages that
 * never failed have no file, and while no message of the queue has one, asking costs nothing.
 */
export class Attempts {
  readonly #storage: StorageFolder
  readonly #queue: string
  /** What this process has seen itself, for a disk that takes no more marks. */
  readonly #own = new Map<string, number>()
  #someFailed = false

  constructor(storage: StorageFolder, queue: string) {
    this.#storage = storage
    this.#queue = queue
  }

  /** Looks whether any message of the queue has failed, in whatever process. */
  refresh(): void {
    this.#someFailed = lookAt(this.#storage.attemptsPath(this.#queue))?.isDirectory() === true
  }

  of(fileName: string): EarlierAttempts {
    const stored = this.#someFailed ? readAttempts(this.#storage, this.#queue, fileName) : none
    const own = this.#own.size === 0 ? 0 : (this.#own.get(fileName) ?? 0)
    return own > stored.failed + stored.killed ? { failed: own - stored.killed, killed: stored.killed } : stored
  }

  /** @param attempt which one failed; 1 is the first */
  failed(fileName: string, attempt: number): void {
    this.#someFailed = true
    this.#own.delete(fileName)
    this.#own.set(fileName, attempt)
    if (this.#own.size > remembered)
      for (const oldest of this.#own.keys()) {
        this.#own.delete(oldest)
        break
      }
    append(this.#storage, this.#queue, fileName, marks.failed)
  }

  /** The message is consumed. */
  forget(fileName: string): void {
    this.#own.delete(fileName)
    forgetAttempts(this.#storage, this.#queue, fileName)
  }
}

/** Counts an attempt that ended with its process. */
export function noteKilled(storage: StorageFolder, queue: string, fileName: string): void {
  append(storage, queue, fileName, marks.killed)
}

export function forgetAttempts(storage: StorageFolder, queue: string, fileName: string): void {
  removeIfPossible(`${storage.attemptsPath(queue)}/${fileName}`)
}

/** Removes the counts of messages that are not in the queue any more, which others may have consumed, and the folder of the last one. */
export function removeLeftoverAttempts(storage: StorageFolder, queue: string, now: number): void {
  const folder = storage.attemptsPath(queue)
  if (lookAt(folder)?.isDirectory() !== true) return
  const names = listOrEmpty(folder, (path) => readdirSync(path))
  const old = new Set(names.filter((name) => (lookAt(`${folder}/${name}`)?.mtimeMs ?? now) < now - leftoversKeepForMs))
  if (old.size > 0) for (const name of storage.metadataFilesOf(queue)) old.delete(name)
  for (const name of old) forgetAttempts(storage, queue, name)
  removeFolder(folder)
}

function readAttempts(storage: StorageFolder, queue: string, fileName: string): EarlierAttempts {
  const path = `${storage.attemptsPath(queue)}/${fileName}`
  try {
    const stat = lookAt(path)
    if (!stat?.isFile()) return none
    if (stat.size > mostMarks) return { failed: stat.size, killed: 0 }
    const marked = readPlainFile(path, mostMarks)
    const text = marked.kind === 'read' ? marked.bytes.toString('latin1') : ''
    const killed = text.split(marks.killed).length - 1
    return { failed: text.length - killed, killed }
  } catch {
    // A count that cannot be read must not keep a message waiting.
    return none
  }
}

/** One appended character is one system call: it is there or it is not, and those of several processes all count. */
function append(storage: StorageFolder, queue: string, fileName: string, mark: string): void {
  const path = `${storage.attemptsPath(queue)}/${fileName}`
  try {
    let file: number
    try {
      file = openSync(path, flags)
    } catch (error) {
      makeFolderFor(path, error)
      file = openSync(path, flags)
    }
    try {
      writeSync(file, mark)
    } finally {
      closeSync(file)
    }
  } catch {
    // A full disk takes no marks; the message itself matters more than its count.
  }
}

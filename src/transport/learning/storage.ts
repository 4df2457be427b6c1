import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  rmdirSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { dirname, sep } from 'node:path'
import { NsbError } from '../../message/nsb-error.ts'
import { holdsNoFolders } from '../making-folders.ts'
import { QueueNotFoundError } from '../queue-not-found.ts'
import { entriesIfAny } from './folder-snapshot.ts'
import { LeftAloneError } from './left-alone.ts'
import { lookAt } from './plain-file.ts'
import { checkAddress, delayedFolderOf, errorCode, metadataEnding, ownFolder, queueFolders } from './layout.ts'

/** A copy on its way to a queue. */
export interface Copy {
  readonly nativeId: string
  readonly queue: string
  readonly deliverAt: Date | undefined
  readonly metadata: string
  readonly body: Uint8Array
  /** The sender chose the id, so a file of that name may exist. */
  readonly chosenId: boolean
}

/** With less room than for a few of the largest messages a disk counts as full. */
const probeBytes = 256 * 1024

let temporaryFiles = 0

/** Refuses a storage folder in which nothing can be made. @returns the folder itself @throws {NsbError} NSB_BAD_STORAGE */
export function checkStorage(folder: string): string {
  if (!holdsNoFolders(folder)) return folder
  throw new NsbError({
    code: 'NSB_BAD_STORAGE',
    message: `The storage folder is '${folder}', and no folder can be made in /proc.`,
    suggestions: ['Name another one: --storage <dir>, NSB_STORAGE, or learningTransport({ storage })'],
    details: { storage: folder },
  })
}

/** The storage folder: paths, and writing into folders that may not exist yet. */
export class StorageFolder {
  readonly path: string
  readonly #temporary: string

  constructor(path: string) {
    this.path = path
    this.#temporary = `${path}/${ownFolder}/tmp`
  }

  queuePath(queue: string): string {
    return `${this.path}/${queue}`
  }

  bodyPath(queue: string, nativeId: string): string {
    return `${this.path}/${queue}/.bodies/${nativeId}.body.txt`
  }

  /** Where the failed attempts of a queue's messages are counted. */
  attemptsPath(queue: string): string {
    return `${this.path}/${ownFolder}/attempts/${queue}`
  }

  metadataPath(copy: { readonly queue: string; readonly nativeId: string; readonly deliverAt: Date | undefined }): string {
    const folder = this.queuePath(copy.queue)
    return copy.deliverAt === undefined
      ? `${folder}/${copy.nativeId}${metadataEnding}`
      : `${folder}/.delayed/${delayedFolderOf(copy.deliverAt)}/${copy.nativeId}${metadataEnding}`
  }

  /** @throws {LeftAloneError} what is there leads out of the storage folder */
  exists(queue: string): boolean {
    const path = this.queuePath(queue)
    const entry = lookAt(path)
    if (entry?.isSymbolicLink() !== true) return entry?.isDirectory() ?? false
    if (!leadsInto(path, this.path)) throw new LeftAloneError(path, 'is a link that leads out of the storage folder')
    return true
  }

  /** Refuses a queue of which a part is elsewhere: its files would be read, moved and removed there. @throws {LeftAloneError} */
  checkFolders(queue: string): void {
    for (const stage of queueFolders) {
      const path = `${this.queuePath(queue)}/${stage}`
      if (lookAt(path)?.isSymbolicLink() === true) throw new LeftAloneError(path, 'is a link, where a folder belongs')
    }
  }

  /** Names of all queues. */
  queueNames(): readonly string[] {
    return listOrEmpty(this.path, (folder) => readdirSync(folder, { withFileTypes: true }))
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      .map((entry) => entry.name)
      .toSorted()
  }

  /** Names of all metadata files of a queue, those of messages in work or due later included. */
  *metadataFilesOf(queue: string): Generator<string, void> {
    const folder = this.queuePath(queue)
    for (const stage of ['.pending', '.committed', '.delayed'])
      for (const { name } of entriesIfAny(`${folder}/${stage}`))
        for (const file of entriesIfAny(`${folder}/${stage}/${name}`)) yield file.name
    // Listed last: a message that is put back meanwhile is seen in one of the two places.
    for (const file of entriesIfAny(folder)) yield file.name
  }

  /** @throws {QueueNotFoundError} */
  checkExists(queue: string): string {
    checkAddress(queue)
    if (!this.exists(queue)) throw new QueueNotFoundError(queue, this.queueNames(), `in '${this.path}'`)
    return queue
  }

  /** What a sender makes. Without `.pending` it shows that nobody has ever received from it. */
  createQueue(queue: string): void {
    this.exists(checkAddress(queue))
    makeFolders(`${this.queuePath(queue)}/.bodies`)
  }

  /** What a receiver makes. */
  createReceiverFolders(queue: string): void {
    this.checkFolders(checkAddress(queue))
    this.createQueue(queue)
    for (const folder of queueFolders) makeFolders(`${this.queuePath(queue)}/${folder}`)
  }

  /**
   * Removes the folder of a queue and those in it, as far as they are empty: a message, and one that is being written, keeps it.
   *
   * @returns false: something was in it
   */
  removeQueueIfEmpty(queue: string): boolean {
    const folder = this.queuePath(queue)
    if (!this.exists(queue)) return true
    for (const entry of listOrEmpty(folder, (path) => readdirSync(path))) if (!queueFolders.has(entry)) return false
    for (const stage of queueFolders) removeFolder(`${folder}/${stage}`)
    removeFolder(folder)
    if (!this.exists(queue)) return true
    makeFolders(`${folder}/.bodies`)
    return false
  }

  writeBody(copy: Copy): void {
    writeFile(this.bodyPath(copy.queue, copy.nativeId), copy.body, copy.chosenId ? 'wx' : 'w')
  }

  /** Writes where no reader looks, for {@link move} to make it visible at once and whole. @param path not used by anybody else */
  write(path: string, text: string): void {
    try {
      writeFile(path, text, 'w')
    } catch (error) {
      // On a full disk it is empty, and would stay.
      removeIfPossible(path)
      throw error
    }
  }

  /** A file that is there whole or not at all. @param name not used by anybody else */
  writeWhole(to: string, text: string, name: string): void {
    const temporary = `${this.#temporary}/${name}-${temporaryFiles++}`
    this.write(temporary, text)
    try {
      this.move(temporary, to)
    } catch (error) {
      removeIfPossible(temporary)
      throw error
    }
  }

  /** Renames, making the target's folder when it is missing. */
  move(from: string, to: string): void {
    try {
      renameSync(from, to)
    } catch (error) {
      makeFolderFor(to, error)
      renameSync(from, to)
    }
  }

  /** Does what handling messages needs: a folder, a file with content, a rename, and so many files. @throws what the system says */
  probe(files = 1): void {
    const folder = `${this.#temporary}/probe-${process.pid}-${temporaryFiles++}`
    makeFolders(folder)
    try {
      writeFileSync(`${folder}/a`, Buffer.alloc(probeBytes))
      renameSync(`${folder}/a`, `${folder}/b`)
      for (let file = 1; file < files; file++) writeFileSync(`${folder}/${file}`, '')
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }

  /** Temporary files of processes that died while writing. */
  removeStaleTemporaries(now: number): void {
    for (const name of listOrEmpty(this.#temporary, (folder) => readdirSync(folder))) {
      const path = `${this.#temporary}/${name}`
      const stat = lookAt(path)
      if (stat && stat.mtimeMs < now - 86_400_000) rmSync(path, { recursive: true, force: true })
    }
  }
}

/** False when the file is gone; a missing target folder is made. */
export function moveIfThere(storage: StorageFolder, from: string, to: string): boolean {
  try {
    storage.move(from, to)
    return true
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false
    throw error
  }
}

/** Makes the folder only when writing fails without it: asking first would cost a system call for every message. */
function writeFile(path: string, data: string | Uint8Array, flag: string): void {
  const file = openForWriting(path, flag)
  try {
    // A text is written with one call; bytes may take several.
    if (typeof data === 'string') writeFileSync(file, data)
    else for (let written = 0; written < data.length; ) written += writeSync(file, data, written)
  } finally {
    closeSync(file)
  }
}

function openForWriting(path: string, flag: string): number {
  try {
    return openSync(path, flag)
  } catch (error) {
    makeFolderFor(path, error)
    return openSync(path, flag)
  }
}

/** Makes the folder of `path` when it is what was missing. @throws `error` when it is another one */
export function makeFolderFor(path: string, error: unknown): void {
  if (errorCode(error) !== 'ENOENT') throw error
  makeFolders(path.slice(0, path.lastIndexOf('/')))
}

/** Does the link end below the folder? */
function leadsInto(link: string, folder: string): boolean {
  try {
    return realpathSync(link).startsWith(`${realpathSync(folder)}${sep}`)
  } catch {
    return false
  }
}

/** The folder and those above it. */
export function makeFolders(path: string): void {
  try {
    mkdirSync(path, { recursive: true })
  } catch (error) {
    // Node says ENOENT whatever kept it from making one of several, such as a read-only disk, and a file that is gone means something
    // else to our callers. Made one by one, the system says what it is.
    if (errorCode(error) !== 'ENOENT') throw error
    const parent = dirname(path)
    if (parent !== path) makeFolders(parent)
    mkdirSync(path)
  }
}

/** False when it was not there. */
export function removeFile(path: string): boolean {
  try {
    unlinkSync(path)
    return true
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false
    throw error
  }
}

/** For what is only tidied up: whatever goes wrong, the file then stays. */
export function removeIfPossible(path: string): void {
  try {
    removeFile(path)
  } catch {
    // Stays.
  }
}

/** Removes a folder that is expected to be empty; one that is not, or is gone, stays as it is. */
export function removeFolder(path: string): void {
  try {
    rmdirSync(path)
  } catch (error) {
    const code = errorCode(error)
    if (code !== 'ENOENT' && code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error
  }
}

/** The listing, or nothing when there is no such folder. */
export function listOrEmpty<T>(folder: string, list: (folder: string) => readonly T[]): readonly T[] {
  try {
    return list(folder)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return []
    throw error
  }
}

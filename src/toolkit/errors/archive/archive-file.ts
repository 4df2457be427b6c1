import { constants } from 'node:fs'
import { type FileHandle, lstat, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { NsbError, errorText } from '../../../message/nsb-error.ts'
import { type LineFacts, type Saveable, savedLine } from '../../../message/saved-message.ts'
import { makeFolder } from '../../../transport/making-folders.ts'

const newline = 0x0a
/** So much is written, flushed and read again at once. */
const blockBytes = 4 * 1024 * 1024

export interface ArchiveFileOptions {
  /** Default: what is there stays, and lines are added to it. `refuse`: there must be no such file; `replace`: what is there goes. */
  readonly existing?: 'append' | 'refuse' | 'replace'
  /** It is where archives are, which nobody named: neither it nor the folders of its queue and profile may be a link to somewhere else. */
  readonly isOwn?: boolean
}

/**
 * A file of whole messages, one line each, that nobody else may read. A message is safe in it when {@link add} resolves: its line was
 * written, flushed to the disk and read again.
 */
export class ArchiveFile {
  readonly path: string
  /** Messages that are safe in it by this process. */
  count = 0
  readonly #file: FileHandle

  private constructor(path: string, file: FileHandle) {
    this.path = path
    this.#file = file
  }

  /** Makes the folders above it. @throws {NsbError} NSB_FILE_EXISTS, NSB_ARCHIVE_UNWRITABLE */
  static async open(path: string, { existing = 'append', isOwn = false }: ArchiveFileOptions = {}): Promise<ArchiveFile> {
    const { O_APPEND, O_CREAT, O_EXCL, O_RDWR, O_TRUNC } = constants
    const how = { append: 0, refuse: O_EXCL, replace: O_TRUNC }[existing]
    try {
      if (isOwn) await refuseLinks(path)
      await makeFolder(dirname(path), 0o700)
    } catch (error) {
      throw unwritable(path, error)
    }
    let file: FileHandle
    try {
      file = await open(path, O_RDWR | O_CREAT | O_APPEND | how, 0o600)
    } catch (error) {
      throw (error as NodeJS.ErrnoException).code === 'EEXIST' ? fileExists(path) : unwritable(path, error)
    }
    try {
      if (!(await file.stat()).isFile()) throw new Error('it is no file')
      // It may have been there, for others to read.
      await file.chmod(0o600).catch(() => undefined)
      await flushFolder(dirname(path))
      return new ArchiveFile(path, file)
    } catch (error) {
      await file.close()
      throw unwritable(path, error)
    }
  }

  /**
   * Adds a line for each message.
   *
   * @throws {NsbError} NSB_ARCHIVE_UNWRITABLE: none of them may be removed from where it is
   */
  async add(messages: readonly Saveable[], facts: LineFacts): Promise<void> {
    let block: string[] = []
    let size = 0
    for (const message of messages) {
      const line = `${savedLine(message, facts)}\n`
      block.push(line)
      size += line.length
      if (size < blockBytes) continue
      await this.#append(Buffer.from(block.join('')))
      block = []
      size = 0
    }
    if (size > 0) await this.#append(Buffer.from(block.join('')))
    this.count += messages.length
  }

  async close(): Promise<void> {
    await this.#file.close()
  }

  async #append(lines: Buffer): Promise<void> {
    try {
      const before = await this.#size()
      // A process that died here may have left a part of a line.
      const bytes = (await this.#endsWithLine(before)) ? lines : Buffer.concat([Buffer.of(newline), lines])
      await this.#write(bytes, before)
      await this.#file.datasync()
      // Others may append to it too, so the lines are somewhere from there on.
      if (!hasLines(await this.#read(before), lines)) throw new Error('what was read again is not what was written')
    } catch (error) {
      throw unwritable(this.path, error)
    }
  }

  async #write(bytes: Buffer, before: number): Promise<void> {
    let written = 0
    try {
      while (written < bytes.length) written += (await this.#file.write(bytes, written)).bytesWritten
    } catch (error) {
      // A disk that becomes full takes a part of it.
      if (written > 0 && (await this.#size()) === before + written) await this.#file.truncate(before).catch(() => undefined)
      throw error
    }
  }

  async #size(): Promise<number> {
    return (await this.#file.stat()).size
  }

  async #endsWithLine(size: number): Promise<boolean> {
    if (size === 0) return true
    const last = Buffer.alloc(1)
    await this.#file.read(last, 0, 1, size - 1)
    return last[0] === newline
  }

  async #read(from: number): Promise<Buffer> {
    const bytes = Buffer.alloc(Math.max(0, (await this.#size()) - from))
    for (let read = 0; read < bytes.length; ) {
      const { bytesRead } = await this.#file.read(bytes, read, bytes.length - read, from + read)
      if (bytesRead === 0) return bytes.subarray(0, read)
      read += bytesRead
    }
    return bytes
  }
}

/** Compared where lines begin: a search takes the product of both lengths for some texts. */
function hasLines(bytes: Buffer, lines: Buffer): boolean {
  for (let at = 0; at + lines.length <= bytes.length; ) {
    if (bytes.subarray(at, at + lines.length).equals(lines)) return true
    const end = bytes.indexOf(newline, at)
    if (end < 0) return false
    at = end + 1
  }
  return false
}

async function refuseLinks(path: string): Promise<void> {
  for (const part of [dirname(dirname(path)), dirname(path), path])
    if ((await lstat(part).catch(() => undefined))?.isSymbolicLink()) throw new Error(`'${part}' is a link to somewhere else`)
}

/** Without it a machine that dies may forget a new file, whose messages are gone from their queue. */
async function flushFolder(path: string): Promise<void> {
  const folder = await open(path, 'r').catch(() => undefined)
  // Not every system lets a folder be flushed.
  await folder?.sync().catch(() => undefined)
  await folder?.close()
}

/** A file is not replaced without being told to. */
export function fileExists(path: string): NsbError {
  return new NsbError({
    code: 'NSB_FILE_EXISTS',
    message: `The file '${path}' exists, and nothing was written.`,
    suggestions: ['Name another one', 'Replace it: --force'],
    details: { path },
  })
}

function unwritable(path: string, error: unknown): NsbError {
  return new NsbError({
    code: 'NSB_ARCHIVE_UNWRITABLE',
    message: `The file '${path}' cannot be written: ${errorText(error)}. What is not safe in it stays in the queue.`,
    suggestions: ['Make room there, or name another file', 'Keep archives elsewhere: NSB_STATE_DIR=<folder>'],
    details: { path },
    cause: error,
  })
}

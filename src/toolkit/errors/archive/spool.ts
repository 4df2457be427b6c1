import { type FileHandle, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { NsbError, errorText } from '../../../message/nsb-error.ts'
import { makeFolder } from '../../../transport/making-folders.ts'

/**
 * All that came from an input that is read only once, in a file that nobody else may read. Its name goes as soon as it is open, so that no
 * end of the process leaves it behind.
 */
export class Spool {
  readonly #file: FileHandle
  readonly #path: string
  #reading: Readable | undefined

  private constructor(file: FileHandle, path: string) {
    this.#file = file
    this.#path = path
  }

  /**
   * Reads the input to its end.
   *
   * @param folder made where it is missing
   * @throws {NsbError} NSB_ARCHIVE_UNWRITABLE; and what the input throws
   */
  static async of(input: AsyncIterable<Uint8Array>, folder: string, name: string): Promise<Spool> {
    const spool = await Spool.#open(folder, name)
    try {
      for await (const chunk of input) await spool.#add(chunk)
      return spool
    } catch (error) {
      await spool.close()
      throw error
    }
  }

  static async #open(folder: string, name: string): Promise<Spool> {
    const path = join(folder, name)
    try {
      await makeFolder(folder, 0o700)
      const spool = new Spool(await open(path, 'wx+', 0o600), path)
      // Where an open file keeps its name, it goes when it is closed.
      await rm(path).catch(() => undefined)
      return spool
    } catch (error) {
      throw unwritable(path, error)
    }
  }

  async #add(chunk: Uint8Array): Promise<void> {
    try {
      await this.#file.appendFile(chunk)
    } catch (error) {
      throw unwritable(this.#path, error)
    }
  }

  /** From its beginning. */
  read(): Readable {
    this.#reading = this.#file.createReadStream({ start: 0, autoClose: false })
    return this.#reading
  }

  async close(): Promise<void> {
    // A file is not closed while somebody reads it.
    this.#reading?.destroy()
    await this.#file.close()
    await rm(this.#path, { force: true }).catch(() => undefined)
  }
}

function unwritable(path: string, error: unknown): NsbError {
  return new NsbError({
    code: 'NSB_ARCHIVE_UNWRITABLE',
    message: `The input cannot be kept in '${path}' until its end has come: ${errorText(error)}. Nothing was imported.`,
    suggestions: ['Make room there, or keep it elsewhere: NSB_STATE_DIR=<folder>', 'Or import from a file: nsb errors import <file>'],
    details: { path },
    cause: error,
  })
}

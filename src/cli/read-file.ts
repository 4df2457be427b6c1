import { readFile } from 'node:fs/promises'
import { NsbError, errorText } from '../message/nsb-error.ts'
import { refuseNamedPipe } from '../toolkit/named-pipe.ts'

/** The bytes of a file that the user named. @throws {NsbError} NSB_FILE_NOT_READABLE */
export async function readNamedFile(path: string): Promise<Buffer> {
  try {
    refuseNamedPipe(path)
    return await readFile(path)
  } catch (error) {
    throw new NsbError({
      code: 'NSB_FILE_NOT_READABLE',
      message: `'${path}' cannot be read: ${(error as NodeJS.ErrnoException).code ?? errorText(error)}.`,
      suggestions: ['Give the path relative to the working directory'],
      cause: error,
    })
  }
}

import { readFile, stat } from 'node:fs/promises'
import { NsbError, errorText } from '../message/nsb-error.ts'

/** The bytes of a file that the user named. @throws {NsbError} NSB_FILE_NOT_READABLE */
export async function readNamedFile(path: string): Promise<Buffer> {
  try {
    await refuseNamedPipe(path)
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

/** Opening a pipe that nobody writes into waits for ever, and no signal ends that. Those of a shell, such as `<(jq …)`, have a writer. */
export async function refuseNamedPipe(path: string): Promise<void> {
  if (/^\/(dev\/fd|proc)\//.test(path) || !(await stat(path)).isFIFO()) return
  throw new Error(`it is a named pipe; read it with cat: cat '${path}' | nsb … -`)
}

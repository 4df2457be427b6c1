import { resolve } from 'node:path'
import { NsbError } from '../message/nsb-error.ts'

/** Makes a folder given on the command line the one that everything else is relative to. @throws {NsbError} NSB_NO_SUCH_FOLDER */
export function enterFolder(folder: string): void {
  try {
    process.chdir(resolve(folder))
  } catch (error) {
    throw new NsbError({
      code: 'NSB_NO_SUCH_FOLDER',
      message: `'${folder}' is no folder that can be entered (${(error as NodeJS.ErrnoException).code ?? 'unknown'}).`,
      suggestions: [`Make it: nsb init ${folder}`],
      cause: error,
    })
  }
}

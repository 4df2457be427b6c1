import { readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { NsbError } from '../../message/nsb-error.ts'
import { makeFolder } from '../../transport/making-folders.ts'
import { parseProjectFile } from '../project-file.ts'
import { setInJson } from './edit-json.ts'
import type { Value } from './levels.ts'

/**
 * Writes one setting into a configuration file, which is made when it is missing; whole, or not at all.
 *
 * @returns false when it stood there already
 * @throws {NsbError} NSB_CONFIG_INVALID when the file was or would become invalid; it stays as it is
 */
export async function changeSetting(file: string, path: readonly string[], value: Value): Promise<boolean> {
  const before = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw new NsbError({ code: 'NSB_CONFIG_INVALID', message: `'${file}' cannot be read: ${error.message}`, cause: error })
  })
  const text = before ?? '{}\n'
  parseProjectFile(text, file)
  const after = setInJson(text, path, value)
  parseProjectFile(after, file)
  if (after === before) return false
  await makeFolder(dirname(file), 0o700)
  // A linked file stays a link.
  const target = before === undefined ? file : await realpath(file)
  const mode = before === undefined ? 0o600 : (await stat(target)).mode
  const aside = `${target}.${process.pid}.tmp`
  try {
    await writeFile(aside, after, { mode })
    await rename(aside, target)
  } finally {
    await rm(aside, { force: true })
  }
  return true
}

import { type Dirent, accessSync, constants, readdirSync } from 'node:fs'
import { errorCode } from './layout.ts'
import { LeftAloneError } from './left-alone.ts'
import { lookAt, whatIs } from './plain-file.ts'
import { listOrEmpty } from './storage.ts'

/**
 * Names of the folders in a folder; none where there is no such folder. A link to a folder is none: what is in it is elsewhere.
 *
 * @param strange told of every other entry
 */
export function foldersIn(folder: string, strange: (error: LeftAloneError) => void): readonly string[] {
  return listOrEmpty(folder, (path) => readdirSync(path, { withFileTypes: true })).flatMap((entry) => {
    if (isFolder(folder, entry)) return [entry.name]
    const path = `${folder}/${entry.name}`
    const stat = lookAt(path)
    if (stat) strange(new LeftAloneError(path, `is ${stat.isFile() ? 'a file' : whatIs(stat)}, where only folders belong`))
    return []
  })
}

/** Not every file system says what its entries are. */
function isFolder(folder: string, entry: Dirent): boolean {
  const isKnown = entry.isFile() || entry.isSymbolicLink() || entry.isDirectory()
  return isKnown ? entry.isDirectory() : (lookAt(`${folder}/${entry.name}`)?.isDirectory() ?? false)
}

/**
 * The error of work on an entry of a folder as one that names the entry; as it is when something else is to blame.
 *
 * @param folders that had to be changed for it: where they may not be, the entry is not to blame
 */
export function leftAloneBy(path: string, error: unknown, folders: readonly string[]): unknown {
  const code = errorCode(error)
  if (code !== 'EACCES' && code !== 'EPERM') return error
  return folders.every(mayChange) ? new LeftAloneError(path, `may not be used by this user (${code})`, error) : error
}

/** May entries be made in the folder, and taken out of it? */
export function mayChange(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK)
    return true
  } catch {
    return false
  }
}

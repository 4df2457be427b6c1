import { createReadStream } from 'node:fs'
import { lstat, readdir, rmdir, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { archiveFolder, dayOfArchive, folderName } from './archive-folder.ts'
import { errorFields } from './archive.ts'

/** A file of an archive, all of whose messages were archived before a moment. */
export interface OldArchive {
  readonly path: string
  /** Lines in it. */
  readonly messages: number
  readonly bytes: number
}

export interface PruneReport {
  readonly removed: readonly OldArchive[]
  readonly failed: readonly (OldArchive & { readonly error: { readonly code: string; readonly message: string } })[]
}

const dayMs = 86_400_000
/**
 * Files of whole days that ended before the moment, and that nobody has written to since. The file of the day in which the moment lies
 * stays whole; so do files that were named with `--to-file`, and everything that is no file of a day.
 *
 * @param before ms since 1970
 * @param archive its name
 * @param queues undefined: all of them
 */
export async function oldArchives(
  stateFolder: string,
  archive: string,
  queues: readonly string[] | undefined,
  before: number,
): Promise<readonly OldArchive[]> {
  const folder = archiveFolder(stateFolder, archive)
  if (!(await isFolder(folder))) return []
  const names = queues?.map(folderName) ?? (await listOrEmpty(folder)).filter((name) => !name.startsWith('.')).toSorted()
  const found: OldArchive[] = []
  for (const name of names) {
    if (!(await isFolder(join(folder, name)))) continue
    for (const file of (await listOrEmpty(join(folder, name))).toSorted()) {
      const path = join(folder, name, file)
      if (!(await isOld(path, file, before))) continue
      found.push({ path, messages: await countLines(path), bytes: (await lstat(path)).size })
    }
  }
  return found
}

/** Removes them, unless somebody has written to one meanwhile. */
export async function removeArchives(archives: readonly OldArchive[], before: number): Promise<PruneReport> {
  const removed: OldArchive[] = []
  const failed: PruneReport['failed'][number][] = []
  for (const archive of archives) {
    const { path } = archive
    try {
      if (!(await isOld(path, basename(path), before))) throw new Error('it was changed meanwhile')
      await unlink(path)
      removed.push(archive)
      // Only the folder of a queue that has no archive any more is empty.
      await rmdir(dirname(path)).catch(() => undefined)
    } catch (error) {
      failed.push({ ...archive, error: errorFields(error) })
    }
  }
  return { removed, failed }
}

async function isOld(path: string, name: string, before: number): Promise<boolean> {
  const day = dayOfArchive(name)
  if (day === undefined || !(Date.parse(day) + dayMs <= before)) return false
  const found = await lstat(path).catch(() => undefined)
  return found?.isFile() === true && found.mtimeMs < before
}

/** What is behind a link is somebody else's. */
async function isFolder(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined))?.isDirectory() === true
}

async function countLines(path: string): Promise<number> {
  let lines = 0
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>)
    for (let at = chunk.indexOf(0x0a); at >= 0; at = chunk.indexOf(0x0a, at + 1)) lines++
  return lines
}

async function listOrEmpty(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return []
    throw error
  }
}

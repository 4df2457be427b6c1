import { readdirSync } from 'node:fs'
import { isMessage } from './folder-snapshot.ts'
import { foldersIn, leftAloneBy } from './folders-in.ts'
import { dueOf } from './layout.ts'
import { LeftAloneError } from './left-alone.ts'
import { whatIs } from './plain-file.ts'
import { type StorageFolder, listOrEmpty, moveIfThere, removeFolder } from './storage.ts'

/** A sender may still be writing into a folder that is just due. */
const removeAfterMs = 10_000

/**
 * Moves what is due into the queue. Folders whose name is no time are passed by: they would stop a .NET endpoint's pass.
 *
 * @param failed told of what cannot be moved; it stays, and keeps nothing else waiting
 * @returns how many messages became visible
 */
export function releaseDue(storage: StorageFolder, queue: string, now: number, failed: (error: unknown) => void): number {
  const root = storage.queuePath(queue)
  let released = 0
  for (const name of foldersIn(`${root}/.delayed`, failed)) {
    const due = dueOf(name)
    if (due === undefined || due > now) continue
    const folder = `${root}/.delayed/${name}`
    try {
      released += releaseAll(storage, folder, root, failed)
      if (now - due >= removeAfterMs) removeFolder(folder)
    } catch (error) {
      failed(leftAloneBy(folder, error, [root]))
    }
  }
  return released
}

function releaseAll(storage: StorageFolder, folder: string, root: string, failed: (error: unknown) => void): number {
  let released = 0
  for (const entry of listOrEmpty(folder, (path) => readdirSync(path, { withFileTypes: true }))) {
    const path = `${folder}/${entry.name}`
    try {
      if (!isMessage(folder, entry)) failed(new LeftAloneError(path, `is ${whatIs(entry)}`))
      else if (moveIfThere(storage, path, `${root}/${entry.name}`)) released++
    } catch (error) {
      const named = leftAloneBy(path, error, [root, folder])
      if (!(named instanceof LeftAloneError)) throw error
      failed(named)
    }
  }
  return released
}

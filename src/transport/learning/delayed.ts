import { readdirSync } from 'node:fs'
import { dueOf } from './layout.ts'
import { type StorageFolder, listOrEmpty, removeFolder } from './storage.ts'
import { moveIfThere } from './transaction.ts'

/** A sender may still be writing into a folder that is just due. */
const removeAfterMs = 10_000

/**
 * Moves what is due into the queue. Folders whose name is no time are passed by: they would stop a .NET endpoint's pass.
 *
 * @returns how many messages became visible
 */
export function releaseDue(storage: StorageFolder, queue: string, now: number): number {
  const root = storage.queuePath(queue)
  let released = 0
  for (const name of listOrEmpty(`${root}/.delayed`, (folder) => readdirSync(folder))) {
    const due = dueOf(name)
    if (due === undefined || due > now) continue
    const folder = `${root}/.delayed/${name}`
    for (const file of listOrEmpty(folder, (path) => readdirSync(path)))
      if (moveIfThere(storage, `${folder}/${file}`, `${root}/${file}`)) released++
    if (now - due >= removeAfterMs) removeFolder(folder)
  }
  return released
}

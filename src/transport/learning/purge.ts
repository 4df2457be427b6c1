import type { FolderSnapshot } from './folder-snapshot.ts'
import { leftAloneBy } from './folders-in.ts'
import { nativeIdOf } from './layout.ts'
import { LeftAloneError } from './left-alone.ts'
import { type StorageFolder, moveIfThere, removeFile, removeIfPossible } from './storage.ts'
import { unsentPath } from './unsent.ts'

/**
 * Removes the messages that are in the snapshot still; what may not be removed keeps no other one.
 *
 * @param prefix of this process
 * @returns how many were removed
 * @throws {LeftAloneError} the first that may not be removed, when all others are gone
 */
export function purge(storage: StorageFolder, prefix: string, queue: string, snapshot: FolderSnapshot): number {
  const folder = storage.queuePath(queue)
  let removed = 0
  let kept = 0
  let first: LeftAloneError | undefined
  for (let rank = 0; rank < snapshot.length; rank++) {
    const fileName = snapshot.nameAt(rank)
    const path = snapshot.pathOf(fileName)
    const nativeId = nativeIdOf(fileName)
    // The metadata before the body, and in a place where a process that dies in between leaves word of it.
    const outOfQueue = unsentPath(storage, prefix, queue, nativeId)
    try {
      if (!moveIfThere(storage, path, outOfQueue)) continue
      removed++
      removeIfPossible(storage.bodyPath(queue, nativeId))
      removeFile(outOfQueue)
    } catch (error) {
      const named = leftAloneBy(path, error, [folder])
      if (!(named instanceof LeftAloneError)) throw error
      kept++
      first ??= named
    }
  }
  if (first === undefined) return removed
  throw new LeftAloneError(
    first.path,
    `may not be removed by this user. ${removed} messages were removed from queue '${queue}', and ${kept} were not`,
    first,
  )
}

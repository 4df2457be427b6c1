import { readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** How long a snapshot stands for its queue; then its file goes. */
export const snapshotLifeMs = 10 * 60_000

/** The folder of all that looks keep. */
export const snapshotsFolder = (stateFolder: string): string => join(stateFolder, 'snapshots')

/**
 * Removes what looks have kept for longer than that, whatever queue and transport they were of; also what a look has left that was killed.
 * What cannot be removed stays.
 *
 * @param now ms since 1970
 */
export function removeOldSnapshots(stateFolder: string, now: number): void {
  try {
    for (const path of filesIn(stateFolder)) if (now - statSync(path).mtimeMs >= snapshotLifeMs) rmSync(path, { force: true })
  } catch {
    // Somebody else may have removed it, or nobody may.
  }
}

/** Removes all that looks have kept. @returns how many files that were @throws the error of the system for what cannot be removed */
export function removeSnapshots(stateFolder: string): number {
  const paths = filesIn(stateFolder)
  for (const path of paths) rmSync(path, { force: true })
  return paths.length
}

function filesIn(stateFolder: string): readonly string[] {
  const folder = snapshotsFolder(stateFolder)
  try {
    return readdirSync(folder).map((name) => join(folder, name))
  } catch (error) {
    // No look has kept anything yet.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

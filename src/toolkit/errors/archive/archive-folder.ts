import { hash } from 'node:crypto'
import { join } from 'node:path'

const longestName = 200

/** Where a queue of a profile is archived, unless another file is named. */
export const archiveFolder = (stateFolder: string, profile: string, queue?: string): string =>
  join(stateFolder, 'archive', folderName(profile), ...(queue === undefined ? [] : [folderName(queue)]))

/** The file of a day. @param now ms since 1970; the day is that of UTC */
export const archivePath = (stateFolder: string, profile: string, queue: string, now: number): string =>
  join(archiveFolder(stateFolder, profile, queue), `${new Date(now).toISOString().slice(0, 10)}.ndjson`)

/** Any name as that of one folder: it may be that of a queue somebody else has made. */
export function folderName(name: string): string {
  const encoded = encodeURIComponent(Buffer.from(name).toString()).replaceAll('*', '%2A').replace(/^\./, '%2E')
  return encoded.length > 0 && encoded.length <= longestName ? encoded : hash('sha256', name)
}

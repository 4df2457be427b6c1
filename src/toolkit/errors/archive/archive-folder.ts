import { hash } from 'node:crypto'
import { join } from 'node:path'

const longestName = 200

/**
 * What an archive is called: that of a profile on one connection, so that projects and brokers with profiles of one name stay apart. Before
 * that was so, an archive was called like its profile.
 *
 * @param identity of the connection
 */
export const archiveName = (profile: string, identity: string): string => `${profile}-${hash('sha256', identity).slice(0, 8)}`

/** The archive of a place that may be from before. */
export const archiveOf = ({ archive, profile }: { readonly archive?: string | undefined; readonly profile: string }): string =>
  archive ?? profile

/** Where a queue is archived, unless another file is named. @param archive as {@link archiveName} gives it, or a profile */
export const archiveFolder = (stateFolder: string, archive: string, queue?: string): string =>
  join(stateFolder, 'archive', folderName(archive), ...(queue === undefined ? [] : [folderName(queue)]))

/** What is in a file: messages that were taken out of their queue, or originals of those that were changed and sent. */
export type Archived = 'taken' | 'edited'

/** The file of a day. @param now ms since 1970; the day is that of UTC */
export const archivePath = (stateFolder: string, archive: string, queue: string, now: number, what: Archived = 'taken'): string =>
  join(
    archiveFolder(stateFolder, archive, queue),
    `${new Date(now).toISOString().slice(0, 10)}${what === 'edited' ? '.edited' : ''}.ndjson`,
  )

/** The day of such a file. */
export const dayOfArchive = (name: string): string | undefined => /^(\d{4}-\d\d-\d\d)(?:\.edited)?\.ndjson$/.exec(name)?.[1]

/** Any name as that of one folder: it may be that of a queue somebody else has made. */
export function folderName(name: string): string {
  const encoded = encodeURIComponent(Buffer.from(name).toString()).replaceAll('*', '%2A').replace(/^\./, '%2E')
  return encoded.length > 0 && encoded.length <= longestName ? encoded : hash('sha256', name)
}

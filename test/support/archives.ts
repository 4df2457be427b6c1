import { createHash } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

/** The folder of the archive of a profile on a storage folder. */
export function learningArchive(state: string, storage: string, profile = 'default'): string {
  const identity = createHash('sha256')
    .update(JSON.stringify(['learning', storage]))
    .digest('hex')
    .slice(0, 8)
  return join(state, 'archive', `${profile}-${identity}`)
}

/** The folders of all archives of a profile, whatever they are connected with. */
export function archivesIn(state: string, profile = 'default'): readonly string[] {
  const folder = join(state, 'archive')
  try {
    return readdirSync(folder)
      .filter((name) => new RegExp(`^${profile}(?:-[0-9a-f]{8})?$`).test(name))
      .map((name) => join(folder, name))
  } catch {
    return []
  }
}

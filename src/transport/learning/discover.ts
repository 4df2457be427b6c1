import { readdirSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

/** What the search needs of a file system. */
export interface FolderView {
  /** Names of the plain files in it; none when it cannot be read. */
  files(folder: string): readonly string[]
  isFolder(path: string): boolean
}

export interface FoundStorage {
  readonly path: string
  /** Why this one, to be printed: `found at the solution file /shop/Shop.slnx`. */
  readonly reason: string
}

export interface DiscoverOptions {
  /** Set by the user; blank counts as not set. */
  readonly explicit?: string | undefined
  /** `NSB_STORAGE` is read. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Where the walk to the root starts; the next folder is tried when the first walk finds nothing. Usually the current and the package's. */
  readonly from: string | readonly string[]
  readonly view?: FolderView
}

const folderName = '.learningtransport'

/**
 * Finds the storage folder: explicit, environment, then upwards; in each folder a solution file counts before an existing storage.
 * undefined: nowhere up to the root.
 *
 * @source NServiceBus 10, LearningTransportInfrastructure
 */
export function discoverStorage(options: DiscoverOptions): FoundStorage | undefined {
  const starts = typeof options.from === 'string' ? [options.from] : options.from
  const base = starts[0] ?? '.'
  const explicit = options.explicit?.trim()
  if (explicit) return { path: resolve(base, explicit), reason: 'set explicitly' }
  const fromEnv = options.env?.['NSB_STORAGE']?.trim()
  if (fromEnv) return { path: resolve(base, fromEnv), reason: 'set by NSB_STORAGE' }
  for (const start of starts) {
    const found = walkUp(resolve(start), options.view ?? diskView)
    if (found) return found
  }
  return undefined
}

function walkUp(start: string, view: FolderView): FoundStorage | undefined {
  for (let folder = start; ; folder = dirname(folder)) {
    const path = join(folder, folderName)
    const solution = view.files(folder).find((name) => name.endsWith('.sln') || name.endsWith('.slnx'))
    if (solution !== undefined) return { path, reason: `found at the solution file ${join(folder, solution)}` }
    if (view.isFolder(path)) return { path, reason: `found in ${folder}` }
    if (dirname(folder) === folder) return undefined
  }
}

const diskView: FolderView = {
  files(folder) {
    try {
      return readdirSync(folder, { withFileTypes: true })
        .filter(
          (entry) => entry.isFile() || (entry.isSymbolicLink() && statSync(join(folder, entry.name), { throwIfNoEntry: false })?.isFile()),
        )
        .map((entry) => entry.name)
        .toSorted()
    } catch {
      // A folder that may not be read is passed by, as if it held nothing.
      return []
    }
  },
  isFolder: (path) => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false,
}

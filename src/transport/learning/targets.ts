import { delayedFolderOf, isFolderName } from './layout.ts'
import { readPlainFile } from './plain-file.ts'
import type { Copy, StorageFolder } from './storage.ts'

/** Where the outgoing files of a transaction go; .NET does not write it, so it cannot roll forward. */
export const targetsFile = 'targets.json'

interface Target {
  readonly nativeId: string
  readonly queue: string
  readonly due: string | undefined
  /** The sender chose the id, so a body of that name may be another message's. */
  readonly chosen: boolean
}

/** No batch is so large that its list is longer. */
const longestList = 64 * 1024 * 1024

/**
 * The outgoing files named in a transaction folder: where each goes. Entries that are not ours to trust are left out.
 *
 * @returns undefined: there is no list, or none that can be understood
 */
export function readTargets(storage: StorageFolder, folder: string): ReadonlyMap<string, TargetFile> | undefined {
  const list = readPlainFile(`${folder}/${targetsFile}`, longestList)
  const parsed = list.kind === 'read' ? parseIfJson(list.bytes) : undefined
  if (!Array.isArray(parsed)) return undefined
  return new Map(
    parsed.filter(isTarget).map((target) => [target.nativeId, { path: pathOf(storage, target), chosen: target.chosen === true }]),
  )
}

function parseIfJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
}

/** Where the metadata file of an outgoing message goes. */
export interface TargetFile {
  readonly path: string
  readonly chosen: boolean
}

function isTarget(value: unknown): value is Target {
  if (typeof value !== 'object' || value === null || !('nativeId' in value) || !('queue' in value)) return false
  if (typeof value.nativeId !== 'string' || typeof value.queue !== 'string') return false
  if (!isFolderName(value.nativeId) || !isFolderName(value.queue)) return false
  const due = 'due' in value ? value.due : undefined
  return due === undefined || (typeof due === 'string' && /^\d{14}$/.test(due))
}

function pathOf(storage: StorageFolder, target: Target): string {
  const path = storage.metadataPath({ ...target, deliverAt: undefined })
  if (target.due === undefined) return path
  const slash = path.lastIndexOf('/')
  return `${path.slice(0, slash)}/.delayed/${target.due}${path.slice(slash)}`
}

/** The entry of a copy in {@link targetsFile}. */
export function targetOf(copy: Copy): Target {
  return { nativeId: copy.nativeId, queue: copy.queue, due: copy.deliverAt && delayedFolderOf(copy.deliverAt), chosen: copy.chosenId }
}

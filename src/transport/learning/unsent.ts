import { createHash } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { isFolderName, nativeIdOf, ownFolder } from './layout.ts'
import { prefixLength } from './owner.ts'
import { type StorageFolder, listOrEmpty, removeFile, removeIfPossible } from './storage.ts'

/** Characters that tell the queue. With the prefix they are as long as the ending of a metadata file, so that no name gets too long. */
const queueLength = 5
const rememberedQueues = 1000
const queueKeys = new Map<string, string>()

/** A metadata file that is in no queue: the body beside it, if there is one, belongs to no message. */
export interface Unsent {
  readonly path: string
  /** Of the process that wrote it. */
  readonly prefix: string
  readonly queueKey: string
  readonly nativeId: string
}

const folderOf = (storage: StorageFolder): string => `${storage.path}/${ownFolder}/sending`

/**
 * Where the metadata file of a message is before it is moved into its queue, or once it was taken out of it. It is there before the body
 * and until after it, and its name says whose it is and which body: so a body that a process leaves behind can be told from one that
 * is about to get its metadata file.
 */
export function unsentPath(storage: StorageFolder, prefix: string, queue: string, nativeId: string): string {
  return `${folderOf(storage)}/${prefix}${keyOf(queue)}${nativeId}`
}

/** All that there are. */
export function unsentIn(storage: StorageFolder): readonly Unsent[] {
  const folder = folderOf(storage)
  return listOrEmpty(folder, (path) => readdirSync(path)).map((name) => ({
    path: `${folder}/${name}`,
    prefix: name.slice(0, prefixLength),
    queueKey: name.slice(prefixLength, prefixLength + queueLength),
    nativeId: name.slice(prefixLength + queueLength),
  }))
}

export function unsentTo(storage: StorageFolder, queue: string): readonly Unsent[] {
  const all = unsentIn(storage)
  return all.length === 0 ? all : all.filter(({ queueKey }) => queueKey === keyOf(queue))
}

/** Removes the bodies of what a process has left behind, and then the files that name them. */
export function removeUnsent(storage: StorageFolder, queue: string, unsent: readonly Unsent[]): void {
  if (unsent.length === 0) return
  const bodies = new Set(unsent.map(({ nativeId }) => nativeId).filter(isFolderName))
  // A sender that chose the id may have been killed before it found out that a message has it.
  for (const name of storage.metadataFilesOf(queue)) bodies.delete(nativeIdOf(name))
  for (const nativeId of bodies) removeIfPossible(storage.bodyPath(queue, nativeId))
  for (const { path } of unsent) removeFile(path)
}

function keyOf(queue: string): string {
  const known = queueKeys.get(queue)
  if (known !== undefined) return known
  const key = createHash('sha256').update(queue).digest('hex').slice(0, queueLength)
  if (queueKeys.size >= rememberedQueues) queueKeys.clear()
  queueKeys.set(queue, key)
  return key
}

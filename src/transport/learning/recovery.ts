import { readdirSync, statSync } from 'node:fs'
import { nativeIdOf } from './layout.ts'
import type { Owner, Ownership } from './owner.ts'
import { type StorageFolder, listOrEmpty, removeFile } from './storage.ts'
import { moveIfThere, readTargets, removeTree, targetsFile } from './transaction.ts'

/** A transaction of somebody we cannot look up, such as a .NET endpoint, is left alone for this long. */
const strangersKeepForMs = 15 * 60_000

/**
 * Finishes what dead processes left in the queue: before the commit a message goes back to its queue, after it its outgoing
 * messages are sent and it is removed. A living process's transactions are never touched.
 *
 * @returns how many transactions were finished
 */
export function recover(storage: StorageFolder, owner: Owner, queue: string, now: number): number {
  const folder = storage.queuePath(queue)
  const ownershipOf = owner.ownershipOf(now)
  const isAbandoned = (path: string, id: string): boolean => {
    const ownership = ownershipOf(id)
    return ownership === 'dead' || (ownership === 'unknown' && lastChange(path) < now - strangersKeepForMs)
  }
  let finished = 0
  for (const step of ['.pending', '.committed'] as const)
    for (const id of listOrEmpty(`${folder}/${step}`, (path) => readdirSync(path))) {
      const path = `${folder}/${step}/${id}`
      if (!isAbandoned(path, id)) continue
      if (step === '.committed' && canRollForward(storage, path, ownershipOf(id))) rollForward(storage, queue, path)
      else rollBack(storage, queue, path)
      finished++
    }
  forgetTheDead(storage, owner, now)
  storage.removeStaleTemporaries(now)
  return finished
}

/** Whether there is anything to finish, or somebody at work. */
export function hasTransactions(storage: StorageFolder, queue: string): boolean {
  return ['.pending', '.committed'].some(
    (step) => listOrEmpty(`${storage.queuePath(queue)}/${step}`, (path) => readdirSync(path)).length > 0,
  )
}

/** A committed transaction without a list of targets is .NET's, has sent nothing, or lost the list when the machine went down. */
function canRollForward(storage: StorageFolder, path: string, ownership: Ownership): boolean {
  if (readTargets(storage, path)) return true
  return ownership === 'dead' && !listOrEmpty(path, (folder) => readdirSync(folder)).some((name) => name.endsWith('.metadata.out'))
}

function rollBack(storage: StorageFolder, queue: string, path: string): void {
  for (const name of listOrEmpty(path, (folder) => readdirSync(folder)))
    if (!isOurAddition(name)) moveIfThere(storage, `${path}/${name}`, `${storage.queuePath(queue)}/${name}`)
  for (const target of readTargets(storage, path)?.values() ?? []) removeFile(bodyOf(target))
  removeTree(path)
}

function rollForward(storage: StorageFolder, queue: string, path: string): void {
  for (const [nativeId, target] of readTargets(storage, path) ?? []) moveIfThere(storage, `${path}/${nativeId}.metadata.out`, target)
  for (const name of listOrEmpty(path, (folder) => readdirSync(folder)))
    if (!isOurAddition(name) && removeFile(`${path}/${name}`)) removeFile(storage.bodyPath(queue, nativeIdOf(name)))
  removeTree(path)
}

const isOurAddition = (name: string): boolean => name === targetsFile || name.endsWith('.metadata.out')

/** The body of a copy whose metadata file would have been at `target`, in the queue's root or a delayed folder. */
function bodyOf(target: string): string {
  const slash = target.lastIndexOf('/')
  const delayed = target.indexOf('/.delayed/')
  return `${target.slice(0, delayed < 0 ? slash : delayed)}/.bodies/${nativeIdOf(target.slice(slash + 1))}.body.txt`
}

function lastChange(path: string): number {
  const stat = statSync(path, { throwIfNoEntry: false })
  return stat ? Math.max(stat.mtimeMs, stat.ctimeMs) : Number.POSITIVE_INFINITY
}

/** Removes the markers of dead processes that have nothing left to finish in any queue. */
function forgetTheDead(storage: StorageFolder, owner: Owner, now: number): void {
  const dead = owner.deadPrefixes(now)
  if (dead.length === 0) return
  const inUse = new Set(
    storage
      .queueNames()
      .flatMap((queue) =>
        ['.pending', '.committed'].flatMap((step) => listOrEmpty(`${storage.queuePath(queue)}/${step}`, (path) => readdirSync(path))),
      )
      .map((id) => id.slice(0, 8)),
  )
  for (const prefix of dead) if (!inUse.has(prefix)) owner.forget(prefix)
}

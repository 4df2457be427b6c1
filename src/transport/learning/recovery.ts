import { readdirSync, statSync } from 'node:fs'
import { forgetAttempts, noteKilled, removeLeftoverAttempts } from './attempts.ts'
import { entriesIfAny } from './folder-snapshot.ts'
import { nativeIdOf } from './layout.ts'
import { type Owner, type Ownership, guid } from './owner.ts'
import { type StorageFolder, listOrEmpty, removeFile, removeIfPossible } from './storage.ts'
import { type TargetFile, readTargets, targetsFile } from './targets.ts'
import { moveIfThere, removeTree } from './transaction.ts'

const bodyEnding = '.body.txt'

/** A transaction of somebody we cannot look up, such as a .NET endpoint, is left alone for this long. */
const strangersKeepForMs = 15 * 60_000

/**
 * Finishes what dead processes left in the queue: before the commit a message goes back to its queue, after it its outgoing
 * messages are sent and it is removed. A living process's transactions are never touched.
 *
 * @param failed told of a transaction that could not be finished; it stays for the next time and keeps no other one waiting
 * @returns how many transactions were finished
 */
export function recover(storage: StorageFolder, owner: Owner, queue: string, now: number, failed: (error: unknown) => void): number {
  const folder = storage.queuePath(queue)
  const ownershipOf = owner.ownershipOf(now)
  const isAbandoned = (path: string, ownership: Ownership): boolean =>
    ownership === 'dead' || ownership === 'givenUp' || (ownership === 'unknown' && lastChange(path) < now - strangersKeepForMs)
  let finished = 0
  for (const step of ['.pending', '.committed'] as const)
    for (const id of listOrEmpty(`${folder}/${step}`, (path) => readdirSync(path))) {
      const path = `${folder}/${step}/${id}`
      const ownership = ownershipOf(id)
      if (!isAbandoned(path, ownership)) continue
      try {
        if (step === '.committed' && canRollForward(storage, path, ownership)) rollForward(storage, queue, id)
        else if (ownership === 'dead' && owner.received(id, queue)) rollBackKilled(storage, owner, queue, path)
        else rollBack(storage, queue, path)
        finished++
      } catch (error) {
        failed(error)
      }
    }
  try {
    removeLeftoverAttempts(storage, queue, now)
    forgetTheDead(storage, owner, now)
    storage.removeStaleTemporaries(now)
  } catch (error) {
    failed(error)
  }
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
  return ownership !== 'unknown' && !listOrEmpty(path, (folder) => readdirSync(folder)).some((name) => name.endsWith('.metadata.out'))
}

/** A receiver died with the message in hand, which counts as an attempt. */
function rollBackKilled(storage: StorageFolder, owner: Owner, queue: string, path: string): void {
  // Made our own first: of several processes that find it, one counts, and it has counted before anybody can take the message.
  const own = `${path.slice(0, path.lastIndexOf('/'))}/${owner.randomId()}`
  if (!moveIfThere(storage, path, own)) return
  for (const name of listOrEmpty(own, (folder) => readdirSync(folder))) if (!isOurAddition(name)) noteKilled(storage, queue, name)
  rollBack(storage, queue, own)
}

function rollBack(storage: StorageFolder, queue: string, path: string): void {
  const targets = readTargets(storage, path)
  const names = listOrEmpty(path, (folder) => readdirSync(folder))
  for (const name of names) if (!isOurAddition(name)) moveIfThere(storage, `${path}/${name}`, `${storage.queuePath(queue)}/${name}`)
  const present = new Set(names)
  // A chosen id that was refused belongs to another message; the outgoing file shows that it was not.
  for (const [nativeId, target] of targets ?? [])
    if (!target.chosen || present.has(`${nativeId}.metadata.out`)) removeIfPossible(bodyOf(target))
  removeTree(path)
}

function rollForward(storage: StorageFolder, queue: string, id: string): void {
  const path = `${storage.queuePath(queue)}/.committed/${id}`
  for (const [nativeId, target] of readTargets(storage, path) ?? []) moveIfThere(storage, `${path}/${nativeId}.metadata.out`, target.path)
  const names = listOrEmpty(path, (folder) => readdirSync(folder)).filter((name) => !isOurAddition(name))
  if (names.length === 0) removeBodyLeftBy(storage, queue, id)
  for (const name of names)
    if (removeFile(`${path}/${name}`)) {
      removeFile(storage.bodyPath(queue, nativeIdOf(name)))
      forgetAttempts(storage, queue, name)
    }
  removeTree(path)
}

/** The metadata file is gone already; the transaction's id has all but the first 8 digits of the message's. */
function removeBodyLeftBy(storage: StorageFolder, queue: string, id: string): void {
  if (!guid.test(id)) return
  const ending = `${id.slice(8)}${bodyEnding}`
  const bodies = new Set<string>()
  for (const { name } of entriesIfAny(`${storage.queuePath(queue)}/.bodies`))
    if (name.endsWith(ending)) bodies.add(name.slice(0, -bodyEnding.length))
  if (bodies.size === 0) return
  for (const name of storage.metadataFilesOf(queue)) bodies.delete(nativeIdOf(name))
  for (const nativeId of bodies) removeFile(storage.bodyPath(queue, nativeId))
}

const isOurAddition = (name: string): boolean => name === targetsFile || name.endsWith('.metadata.out')

/** The body of a copy whose metadata file would have been there, in the queue's root or a delayed folder. */
function bodyOf({ path: target }: TargetFile): string {
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

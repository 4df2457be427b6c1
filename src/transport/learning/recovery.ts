import { readdirSync } from 'node:fs'
import { forgetAttempts, noteKilled, removeLeftoverAttempts } from './attempts.ts'
import { mayHaveLeftBody, readCommittedName } from './committed-name.ts'
import { entriesIfAny } from './folder-snapshot.ts'
import { foldersIn, leftAloneBy } from './folders-in.ts'
import { nativeIdOf } from './layout.ts'
import { removeDeadLocks } from './lock.ts'
import { type Owner, prefixLength } from './owner.ts'
import { type Ownership, Owners } from './ownership.ts'
import { lookAt } from './plain-file.ts'
import { type StorageFolder, listOrEmpty, moveIfThere, removeFile, removeIfPossible } from './storage.ts'
import { type TargetFile, readTargets, targetsFile } from './targets.ts'
import { removeTree } from './transaction.ts'
import { type Unsent, removeUnsent, unsentIn, unsentTo } from './unsent.ts'

const bodyEnding = '.body.txt'
const outgoingEnding = '.metadata.out'

/** What is left of somebody we cannot look up, such as a .NET endpoint, is left alone for this long. */
const strangersKeepForMs = 15 * 60_000

/** A transaction that nobody works on any more. */
interface Left {
  readonly step: '.pending' | '.committed'
  readonly id: string
  readonly path: string
  readonly ownership: Ownership
}

interface Leftovers {
  readonly transactions: readonly Left[]
  readonly unsent: readonly Unsent[]
}

export interface RecoveryOptions {
  readonly storage: StorageFolder
  /** undefined: this process has no transactions. */
  readonly owner: Owner | undefined
  readonly queue: string
  readonly now: number
  /** Told of what could not be finished; it stays for the next time and keeps nothing else waiting. */
  readonly failed: (error: unknown) => void
}

/** Have processes that died left anything in the queue? Then its files are neither all that waits in it, nor only that. */
export function hasLeftovers(options: Omit<RecoveryOptions, 'failed'>): boolean {
  const { transactions, unsent } = leftoversIn({ ...options, failed: () => undefined }, new Owners(options.storage, options.now))
  return transactions.length + unsent.length > 0
}

/**
 * Finishes what dead processes left in the queue. Before the commit a message goes back to its queue; after it a receiver's outgoing messages
 * are sent, and it is removed. An operator's goes back as long as none of its copies is out: so a recovery sends nothing that an
 * operator may not want any more. A living process's transactions are never touched.
 *
 * @returns how many transactions were finished
 */
export function recover(options: RecoveryOptions & { readonly owner: Owner }): number {
  const { failed, now, owner, queue, storage } = options
  const owners = new Owners(storage, now)
  const { transactions, unsent } = leftoversIn(options, owners)
  let finished = 0
  for (const left of transactions)
    try {
      finish(options, owners, left)
      owner.givenUp.delete(left.id)
      finished++
    } catch (error) {
      failed(leftAloneBy(left.path, error, [storage.queuePath(queue)]))
    }
  try {
    removeUnsent(storage, queue, unsent)
    removeLeftoverAttempts(storage, queue, now)
    removeDeadLocks(storage, owners, now)
    forgetTheDead(storage, owner, owners)
    storage.removeStaleTemporaries(now)
  } catch (error) {
    failed(error)
  }
  return finished
}

function leftoversIn({ failed, now, owner, queue, storage }: RecoveryOptions, owners: Owners): Leftovers {
  const ownershipOf = (id: string): Ownership =>
    id.slice(0, prefixLength) === owner?.prefix ? owner.ownershipOf(id) : owners.ownershipOf(id.slice(0, prefixLength))
  const isAbandoned = (path: string, ownership: Ownership): boolean =>
    ownership === 'dead' || ownership === 'givenUp' || (ownership === 'unknown' && lastChange(path) < now - strangersKeepForMs)
  const transactions = (['.pending', '.committed'] as const).flatMap((step) => {
    const folder = `${storage.queuePath(queue)}/${step}`
    return foldersIn(folder, failed).flatMap((id): readonly Left[] => {
      const path = `${folder}/${id}`
      const ownership = ownershipOf(id)
      return isAbandoned(path, ownership) ? [{ step, id, path, ownership }] : []
    })
  })
  // Within a turn everything of our own is sent or taken back, so what is left of it could not be.
  const unsent = unsentTo(storage, queue).filter(
    ({ path, prefix }) => prefix !== owner?.prefix && isAbandoned(path, owners.ownershipOf(prefix)),
  )
  return { transactions, unsent }
}

function finish({ owner, queue, storage }: RecoveryOptions & { readonly owner: Owner }, owners: Owners, left: Left): void {
  const { id, ownership, path, step } = left
  if (step === '.pending') {
    const wasReceived = ownership === 'dead' && owners.markerOf(id.slice(0, prefixLength))?.queues?.includes(queue) === true
    if (wasReceived) rollBackKilled(storage, owner, queue, path)
    else rollBack(storage, queue, path)
  } else if (canRollForward(storage, left)) rollForward(storage, queue, left)
  else {
    // Uncommitted first: a process that dies while it goes back must not leave it to be sent.
    const uncommitted = `${storage.queuePath(queue)}/.pending/${owner.randomId()}`
    if (moveIfThere(storage, path, uncommitted)) rollBack(storage, queue, uncommitted)
  }
}

/** A committed transaction without a list of targets is .NET's, has sent nothing, or lost the list when the machine went down. */
function canRollForward(storage: StorageFolder, { id, ownership, path }: Left): boolean {
  const names = namesIn(path)
  const targets = readTargets(storage, path)
  const waiting = names.filter((name) => name.endsWith(outgoingEnding)).length
  const isWhole = names.some((name) => !isOurAddition(name))
  if (isWhole && readCommittedName(id).isUndoable) {
    const isUntouched = targets ? waiting === targets.size : !names.includes(targetsFile)
    if (isUntouched) return false
  }
  return targets !== undefined || (ownership !== 'unknown' && waiting === 0)
}

/** A receiver died with the message in hand, which counts as an attempt. */
function rollBackKilled(storage: StorageFolder, owner: Owner, queue: string, path: string): void {
  // Made our own first: of several processes that find it, one counts, and it has counted before anybody can take the message.
  const own = `${path.slice(0, path.lastIndexOf('/'))}/${owner.randomId()}`
  if (!moveIfThere(storage, path, own)) return
  for (const name of namesIn(own)) if (!isOurAddition(name)) noteKilled(storage, queue, name)
  rollBack(storage, queue, own)
}

function rollBack(storage: StorageFolder, queue: string, path: string): void {
  const targets = readTargets(storage, path)
  const names = namesIn(path)
  for (const name of names) if (!isOurAddition(name)) moveIfThere(storage, `${path}/${name}`, `${storage.queuePath(queue)}/${name}`)
  const present = new Set(names)
  // A chosen id that was refused belongs to another message; the outgoing file shows that it was not.
  for (const [nativeId, target] of targets ?? [])
    if (!target.chosen || present.has(nativeId + outgoingEnding)) removeIfPossible(bodyOf(target))
  removeTree(path)
}

function rollForward(storage: StorageFolder, queue: string, { id, path }: Left): void {
  for (const [nativeId, target] of readTargets(storage, path) ?? [])
    moveIfThere(storage, `${path}/${nativeId}${outgoingEnding}`, target.path)
  const names = namesIn(path).filter((name) => !isOurAddition(name))
  if (names.length === 0) removeBodyLeftBy(storage, queue, id)
  for (const name of names)
    if (removeFile(`${path}/${name}`)) {
      if (!readCommittedName(id).keepBody) removeIfPossible(storage.bodyPath(queue, nativeIdOf(name)))
      forgetAttempts(storage, queue, name)
    }
  removeTree(path)
}

/** The metadata file is gone already. */
function removeBodyLeftBy(storage: StorageFolder, queue: string, id: string): void {
  const bodies = new Set<string>()
  for (const { name } of entriesIfAny(`${storage.queuePath(queue)}/.bodies`)) {
    const nativeId = name.slice(0, -bodyEnding.length)
    if (name.endsWith(bodyEnding) && mayHaveLeftBody(id, nativeId)) bodies.add(nativeId)
  }
  if (bodies.size === 0) return
  for (const name of storage.metadataFilesOf(queue)) bodies.delete(nativeIdOf(name))
  for (const nativeId of bodies) removeIfPossible(storage.bodyPath(queue, nativeId))
}

const namesIn = (folder: string): readonly string[] => listOrEmpty(folder, (path) => readdirSync(path))

const isOurAddition = (name: string): boolean => name === targetsFile || name.endsWith(outgoingEnding)

/** The body of a copy whose metadata file would have been there, in the queue's root or a delayed folder. */
function bodyOf({ path: target }: TargetFile): string {
  const slash = target.lastIndexOf('/')
  const delayed = target.indexOf('/.delayed/')
  return `${target.slice(0, delayed < 0 ? slash : delayed)}/.bodies/${nativeIdOf(target.slice(slash + 1))}.body.txt`
}

function lastChange(path: string): number {
  const stat = lookAt(path)
  return stat ? Math.max(stat.mtimeMs, stat.ctimeMs) : Number.POSITIVE_INFINITY
}

/** Removes the markers of dead processes that have nothing left to finish in any queue. */
function forgetTheDead(storage: StorageFolder, owner: Owner, owners: Owners): void {
  const dead = owners.prefixes().filter((prefix) => prefix !== owner.prefix && owners.ownershipOf(prefix) === 'dead')
  if (dead.length === 0) return
  const inUse = new Set(unsentIn(storage).map(({ prefix }) => prefix))
  for (const queue of storage.queueNames())
    for (const step of ['.pending', '.committed'])
      for (const id of foldersIn(`${storage.queuePath(queue)}/${step}`, () => undefined)) inUse.add(id.slice(0, prefixLength))
  for (const prefix of dead) if (!inUse.has(prefix)) owner.forget(prefix)
}

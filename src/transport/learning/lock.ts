import { linkSync, readdirSync, renameSync } from 'node:fs'
import { randomUUID } from 'node:crypto'
import { NsbError } from '../../message/nsb-error.ts'
import type { Clock } from '../clock.ts'
import { errorCode, ownFolder } from './layout.ts'
import { type Owner, prefixLength } from './owner.ts'
import { Owners } from './ownership.ts'
import { lookAt, readPlainFile } from './plain-file.ts'
import { type StorageFolder, listOrEmpty, makeFolders, removeFile, removeIfPossible } from './storage.ts'

/** How often it is looked whether a lock has gone. */
const pollMs = 100
/** A lock of which nobody knows whose it is. */
const strangersKeepForMs = 15 * 60_000

export interface LockOptions {
  readonly storage: StorageFolder
  readonly owner: Owner
  readonly queue: string
  readonly clock: Clock
  /** It waits at most so long for another one. */
  readonly timeoutMs: number
  /** Aborted: it does not wait any more. */
  readonly signal: AbortSignal
  readonly warn: (warning: string) => void
}

const folderOf = (storage: StorageFolder): string => `${storage.path}/${ownFolder}/locks`

/**
 * Keeps others from a queue who ask for it too: one file for each queue, which names its owner. That of a dead process does not count.
 *
 * @returns gives it back
 * @throws {NsbError} NSB_QUEUE_LOCKED, and the reason of the signal
 */
export async function lockQueue(options: LockOptions): Promise<() => void> {
  const { clock, queue, signal, storage, timeoutMs, warn } = options
  const path = `${folderOf(storage)}/${queue}`
  const until = clock.now() + timeoutMs
  for (let hasWaited = false; ; hasWaited = true) {
    if (make(options, path)) return () => removeIfPossible(path)
    const owners = new Owners(storage, clock.now())
    if (breakIfAbandoned(path, owners, clock.now())) continue
    const whose = ownerOf(path, owners)
    if (clock.now() >= until) throw lockedError(queue, whose)
    if (!hasWaited) warn(`Queue '${queue}' is waited for, ${Math.round(timeoutMs / 1000)} s at most: ${whose} has it in hand.`)
    await pause(clock, pollMs, signal)
    signal.throwIfAborted()
  }
}

/** Removes the locks of dead processes. */
export function removeDeadLocks(storage: StorageFolder, owners: Owners, now: number): void {
  const folder = folderOf(storage)
  for (const name of listOrEmpty(folder, (path) => readdirSync(path))) breakIfAbandoned(`${folder}/${name}`, owners, now)
}

/** Whole or not at all, and never over another one's. @returns whether it is ours now */
function make({ owner, storage }: LockOptions, path: string): boolean {
  makeFolders(folderOf(storage))
  const written = `${storage.path}/${ownFolder}/tmp/${randomUUID()}`
  storage.write(written, owner.prefix)
  try {
    linkSync(written, path)
    return true
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false
    throw error
  } finally {
    removeFile(written)
  }
}

function breakIfAbandoned(path: string, owners: Owners, now: number): boolean {
  const prefix = prefixIn(path)
  const ownership = owners.ownershipOf(prefix)
  const lastChange = lookAt(path)?.mtimeMs ?? now
  if (ownership !== 'dead' && !(ownership === 'unknown' && lastChange < now - strangersKeepForMs)) return false
  // Moved first: what somebody else has put there meanwhile is seen, and goes back.
  const broken = `${path.slice(0, path.lastIndexOf('/'))}/../tmp/${randomUUID()}`
  try {
    renameSync(path, broken)
    if (prefixIn(broken) === prefix) removeFile(broken)
    else renameSync(broken, path)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
  }
  return true
}

function prefixIn(path: string): string {
  const reading = readPlainFile(path, 1024)
  return reading.kind === 'read' ? reading.bytes.toString('latin1').slice(0, prefixLength) : ''
}

function ownerOf(path: string, owners: Owners): string {
  const marker = owners.markerOf(prefixIn(path))
  return marker === undefined ? 'another nsb' : `another nsb, process ${marker.pid} on ${marker.host},`
}

function lockedError(queue: string, whose: string): NsbError {
  return new NsbError({
    code: 'NSB_QUEUE_LOCKED',
    message: `Queue '${queue}' is not read: ${whose} has it in hand.`,
    suggestions: ['Wait until it is done, longer if need be: --timeout 5m', 'Or work beside it: --force'],
    details: { queue },
  })
}

function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      cancel()
      signal.removeEventListener('abort', done)
      resolve()
    }
    const cancel = clock.after(ms, done)
    signal.addEventListener('abort', done)
  })
}

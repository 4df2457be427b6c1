import { closeSync, fstatSync, openSync, readSync, rmSync, statSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type OperationHead, journalPath, operationsFolder, unfinished } from './journal.ts'
import { isFile, isHead, operationIds, recordOf } from './read-journal.ts'

const chunkBytes = 64 * 1024
/** A head has the ids that were typed; longer is nothing we wrote. */
const longestHead = 16 * 1024 * 1024
/** How long the journal of an operation that is over is kept. */
const keptMs = 30 * 24 * 3_600_000

/** What journals say of operations, oldest first. */
export interface KnownOperations {
  /** Begun and not over; those that run now included. */
  readonly open: readonly OperationHead[]
  /** Their journals say nothing that can be read, so what they have done is not known. */
  readonly damaged: readonly { readonly operation: string; readonly path: string }[]
}

/** Of each journal only the two ends are read. */
export async function knownOperations(stateFolder: string): Promise<KnownOperations> {
  const open: OperationHead[] = []
  const damaged: { readonly operation: string; readonly path: string }[] = []
  for (const operation of await operationIds(stateFolder)) {
    const path = journalPath(stateFolder, operation)
    const ends = endsOf(path)
    const head = ends === undefined ? undefined : recordOf(ends.first)
    if (head === undefined || !isHead(head, operation)) damaged.push({ operation, path })
    else if (!isEnd(ends?.last)) open.push(head)
  }
  return { open, damaged }
}

/** Operations that were begun and are not over, oldest first; those that run now included. */
export async function openOperations(stateFolder: string): Promise<readonly OperationHead[]> {
  return (await knownOperations(stateFolder)).open
}

/** Removes journals of operations that have been over for 30 days, or never began. What cannot be removed stays. */
export async function removeOldJournals(stateFolder: string, now: number): Promise<void> {
  const folder = operationsFolder(stateFolder)
  for (const name of await readdir(folder).catch(() => [])) if (name.endsWith(unfinished)) removeIfOld(join(folder, name), now, () => true)
  for (const operation of await operationIds(stateFolder)) {
    const path = journalPath(stateFolder, operation)
    removeIfOld(path, now, () => isEnd(endsOf(path)?.last))
  }
}

function removeIfOld(path: string, now: number, isOver: () => boolean): void {
  try {
    if (now - statSync(path).mtimeMs > keptMs && isOver()) rmSync(path)
  } catch {
    // Somebody else may have removed it.
  }
}

function isEnd(line: string | undefined): boolean {
  return line !== undefined && recordOf(line)?.['end'] !== undefined
}

/** The first and the last line of a file; undefined: it is none or cannot be read, or its first line has no end. */
function endsOf(path: string): { readonly first: string; readonly last: string } | undefined {
  if (!isFile(path)) return undefined
  let file: number
  try {
    file = openSync(path, 'r')
  } catch {
    return undefined
  }
  try {
    const first = firstLine(file)
    const chunk = Buffer.alloc(chunkBytes)
    const { size } = fstatSync(file)
    const tail = chunk.toString('utf8', 0, readSync(file, chunk, 0, chunkBytes, Math.max(0, size - chunkBytes)))
    return first === undefined ? undefined : { first, last: tail.trimEnd().split('\n').at(-1) ?? '' }
  } catch {
    return undefined
  } finally {
    closeSync(file)
  }
}

function firstLine(file: number): string | undefined {
  const chunks: Buffer[] = []
  for (let at = 0; at < longestHead; at += chunkBytes) {
    const chunk = Buffer.alloc(chunkBytes)
    const size = readSync(file, chunk, 0, chunkBytes, at)
    const end = chunk.subarray(0, size).indexOf(0x0a)
    chunks.push(chunk.subarray(0, end < 0 ? size : end))
    if (end >= 0) return Buffer.concat(chunks).toString('utf8')
    if (size < chunkBytes) return undefined
  }
  return undefined
}

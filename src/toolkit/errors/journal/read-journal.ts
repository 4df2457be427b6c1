import { createReadStream, statSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { readLines } from '../../read-lines.ts'
import { type JournalOwner, type OperationHead, journalPath, operationsFolder, thisProcess } from './journal.ts'
import { KeySet } from './key-set.ts'

/** What a journal says. */
export interface ReadJournal {
  readonly head: OperationHead
  readonly path: string
  /** Who went on with it last; the head names who began. */
  readonly owner: JournalOwner
  /** The last phase; undefined: there was none. */
  readonly phase: string | undefined
  /** Of the last phase: messages that were dealt with. */
  readonly selected: number
  /** Of them, those that would be known again. */
  readonly keys: KeySet
  /** How many of them would not be known again. */
  readonly unknown: number
  /** Of them, those whose copies are safe. */
  readonly safe: KeySet
  /** How many are safe, those that would not be known again included. */
  readonly safeCount: number
  /**
   * How many may be done without being noted as safe: of each process that worked on it a window at most, because what one left undone the
   * next one does again. Those that would not be known again are not among them; those of the phases before are.
   */
  readonly uncertain: number
  /** How it ended; undefined: it can be resumed. */
  readonly end: Readonly<Record<string, unknown>> | undefined
}

const idPattern = /^[0-9A-Z]{26}$/

/** A journal by the whole id of its operation; undefined: there is none, or it does not even have a head. */
export async function readJournal(stateFolder: string, operation: string): Promise<ReadJournal | undefined> {
  if (!idPattern.test(operation)) return undefined
  const path = journalPath(stateFolder, operation)
  if (!isFile(path)) return undefined
  let head: OperationHead | undefined
  let owner: JournalOwner | undefined
  let phase: string | undefined
  let [keys, safe] = [new KeySet(), new KeySet()]
  let end: Readonly<Record<string, unknown>> | undefined
  /** By their numbers, until they are safe: few, because messages become safe about in their order. */
  let pending = new Map<number, string | undefined>()
  let [selected, safeCount, unknown] = [0, 0, 0]
  /** Of processes that somebody went on for. */
  let left = 0
  const leftNow = (): number => Math.min([...pending.values()].filter((key) => key !== undefined).length, windowOf(head))
  for await (const { text } of readLines(createReadStream(path))) {
    const line = recordOf(text)
    // A line that was cut announces a step that was not taken.
    if (line === undefined) continue
    if (head === undefined) {
      if (!isHead(line, operation)) return undefined
      head = line
      owner = head.owner
    } else if (Array.isArray(line['selected'])) {
      for (const each of line['selected'] as unknown[]) {
        const key = typeof each === 'string' ? each : undefined
        pending.set(++selected, key)
        if (key === undefined) unknown++
        else keys.add(key)
      }
    } else if (Array.isArray(line['safe'])) {
      for (const [first, last] of (line['safe'] as unknown[]).map(rangeOf))
        for (let number = first; number <= Math.min(last, selected); number++) {
          if (!pending.has(number)) continue
          const key = pending.get(number)
          pending.delete(number)
          safeCount++
          if (key !== undefined) safe.add(key)
        }
    } else if (typeof line['phase'] === 'string') {
      phase = line['phase']
      ;[keys, safe] = [new KeySet(), new KeySet()]
      ;[selected, safeCount, unknown] = [0, 0, 0]
      left = Number.isSafeInteger(line['uncertain']) ? (line['uncertain'] as number) : 0
      pending = new Map()
    } else if (isOwner(line['resumed'])) {
      owner = line['resumed']
      left += leftNow()
      pending = new Map()
    } else if (isRecord(line['end'])) end = line['end']
  }
  if (head === undefined || owner === undefined) return undefined
  return { head, path, owner, phase, selected, keys, unknown, safe, safeCount, uncertain: left + leftNow(), end }
}

/** How many messages its command has under way at once, if it says so. */
function windowOf(head: OperationHead | undefined): number {
  const window = head?.options['window']
  return Number.isSafeInteger(window) && (window as number) > 0 ? (window as number) : Number.POSITIVE_INFINITY
}

/** Opening a pipe would wait until somebody writes into it. */
export function isFile(path: string): boolean {
  try {
    return statSync(path).isFile()
  } catch {
    // What cannot even be looked at is nothing of ours.
    return false
  }
}

/** Ids of all operations that have a journal, oldest first. */
export async function operationIds(stateFolder: string): Promise<readonly string[]> {
  const names = await readdir(operationsFolder(stateFolder)).catch(() => [])
  return names
    .filter((name) => name.endsWith('.ndjson'))
    .map((name) => name.slice(0, -'.ndjson'.length))
    .filter((id) => idPattern.test(id))
    .sort()
}

/** Does the process still live that runs it? Of another host nobody can tell: then it does not. */
export function isRunning({ host, pid }: JournalOwner): boolean {
  const own = thisProcess()
  if (host !== own.host || pid === own.pid) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function rangeOf(value: unknown): readonly [number, number] {
  const [first, last] = Array.isArray(value) ? (value as unknown[]) : [value, value]
  const isRange = Number.isSafeInteger(first) && Number.isSafeInteger(last) && (first as number) > 0
  return isRange ? [first as number, last as number] : [1, 0]
}

type JsonObject = Readonly<Record<string, unknown>>

/** A line of a journal; undefined: it was cut, or is nothing of ours. */
export function recordOf(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isRecord(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isRecord(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isHead(line: JsonObject, operation: string): line is JsonObject & OperationHead {
  const texts = ['command', 'where', 'profile', 'queue', 'startedAt'] as const
  return (
    line['schema'] === 'nsb.operation/1' &&
    line['operation'] === operation &&
    texts.every((name) => typeof line[name] === 'string') &&
    isOwner(line['owner']) &&
    isRecord(line['options'])
  )
}

function isOwner(value: unknown): value is JournalOwner {
  return isRecord(value) && typeof value['host'] === 'string' && Number.isSafeInteger(value['pid']) && (value['pid'] as number) > 0
}

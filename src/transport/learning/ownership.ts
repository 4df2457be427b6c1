import { randomUUID } from 'node:crypto'
import { readFileSync, readdirSync } from 'node:fs'
import { hostname } from 'node:os'
import { errorCode, ownFolder } from './layout.ts'
import { type FileReading, lookAt, readPlainFile } from './plain-file.ts'
import { type StorageFolder, listOrEmpty, makeFolders } from './storage.ts'

/** Who a transaction folder belongs to, as far as can be told. */
export type Ownership =
  | 'ours'
  /** Of this process, but nobody works on it any more: settling it failed. */
  | 'givenUp'
  | 'alive'
  | 'dead'
  | 'unknown'

export interface Marker {
  readonly pid: number
  readonly host: string
  /** Clock ticks since boot when the process started; tells a process from a later one with the same pid. undefined: not known. */
  readonly processStart?: string | undefined
  /** Queues that it receives from. */
  readonly queues?: readonly string[] | undefined
}

const prefixPattern = /^[0-9a-f]{8}$/

/** A marker whose process cannot be looked up counts as dead when nobody has touched it for this long. */
const staleAfterMs = 15 * 60_000

const largestMarker = 1024 * 1024

export const ownersFolder = (storage: StorageFolder): string => `${storage.path}/${ownFolder}/owners`

/** What this process writes into its marker. @param prefix of its transactions */
export function writeMarker(storage: StorageFolder, prefix: string, queues: readonly string[]): void {
  makeFolders(ownersFolder(storage))
  const marker: Marker = { pid: process.pid, host: hostname(), processStart: processStart(process.pid), queues }
  storage.writeWhole(`${ownersFolder(storage)}/${prefix}`, `${JSON.stringify(marker)}\n`, randomUUID())
}

/** The markers of all processes that work in a storage, read once each: answers for one pass of recovery. */
export class Owners {
  readonly #folder: string
  readonly #now: number
  readonly #known = new Map<string, Ownership>()

  constructor(storage: StorageFolder, now: number) {
    this.#folder = ownersFolder(storage)
    this.#now = now
  }

  /** Prefixes of all markers. */
  prefixes(): readonly string[] {
    return listOrEmpty(this.#folder, (folder) => readdirSync(folder))
  }

  /** @param prefix of another process */
  ownershipOf(prefix: string): Ownership {
    const known = this.#known.get(prefix) ?? this.#look(prefix)
    this.#known.set(prefix, known)
    return known
  }

  /** What the process says of itself; undefined: nothing that can be understood. */
  markerOf(prefix: string): Marker | undefined {
    const reading = this.#read(prefix)
    return reading?.kind === 'read' ? parseMarker(reading.bytes) : undefined
  }

  #look(prefix: string): Ownership {
    const reading = this.#read(prefix)
    // That of another user's process, perhaps.
    if (reading?.kind === 'refused') return this.#isTouched(prefix) ? 'alive' : 'dead'
    const marker = reading?.kind === 'read' ? parseMarker(reading.bytes) : undefined
    if (!marker) return 'unknown'
    if (marker.host === hostname()) return isRunning(marker) ? 'alive' : 'dead'
    return this.#isTouched(prefix) ? 'alive' : 'dead'
  }

  #read(prefix: string): FileReading | undefined {
    return prefixPattern.test(prefix) ? readPlainFile(`${this.#folder}/${prefix}`, largestMarker) : undefined
  }

  #isTouched(prefix: string): boolean {
    const stat = lookAt(`${this.#folder}/${prefix}`)
    return stat !== undefined && stat.mtimeMs >= this.#now - staleAfterMs
  }
}

function parseMarker(bytes: Buffer): Marker | undefined {
  try {
    const marker: unknown = JSON.parse(bytes.toString('utf8'))
    if (typeof marker !== 'object' || marker === null || !('pid' in marker) || !('host' in marker)) return undefined
    const start = 'processStart' in marker && typeof marker.processStart === 'string' ? marker.processStart : undefined
    const queues = 'queues' in marker && Array.isArray(marker.queues) ? marker.queues.filter((queue) => typeof queue === 'string') : []
    return typeof marker.pid === 'number' && typeof marker.host === 'string'
      ? { pid: marker.pid, host: marker.host, processStart: start, queues }
      : undefined
  } catch {
    return undefined
  }
}

function isRunning(marker: Marker): boolean {
  try {
    process.kill(marker.pid, 0)
  } catch (error) {
    if (errorCode(error) === 'ESRCH') return false
  }
  const start = processStart(marker.pid)
  return start === undefined || marker.processStart === undefined || start === marker.processStart
}

/** When a process started, as the kernel counts it; '' when it is dead but not yet reaped; undefined where there is no /proc. */
function processStart(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The second field is the program's name in parentheses and may contain anything, so count from its end.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? '' : fields[19]
  } catch {
    return undefined
  }
}

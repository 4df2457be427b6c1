import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Clock } from '../clock.ts'
import type { QueueLimits } from './queue-limits.ts'

/** Messages go and others come: what was so yesterday need not be so. */
const lifeMs = 24 * 60 * 60_000

interface Note {
  readonly queue: string
  readonly limit: QueueLimits['limit']
  /** ms since 1970. */
  readonly at: number
}

/** Queues whose messages have hardly any look left: not one more is spent on finding that out again, by this process or the next. */
export class ExhaustedQueues {
  readonly #notes = new Map<string, Note>()
  readonly #folder: string | undefined
  readonly #broker: string
  readonly #clock: Clock

  /**
   * @param stateFolder undefined: other processes are told nothing
   * @param broker tells queues of one name on several brokers apart
   */
  constructor(stateFolder: string | undefined, broker: string, clock: Clock) {
    this.#folder = stateFolder === undefined ? undefined : join(stateFolder, 'exhausted')
    this.#broker = broker
    this.#clock = clock
  }

  /** @param limit that the queue has now; one that is not known now may be the same */
  async has(queue: string, limit: QueueLimits['limit']): Promise<boolean> {
    const note = this.#notes.get(queue) ?? (await this.#read(queue))
    if (note === undefined) return false
    const age = this.#clock.now() - note.at
    return age >= 0 && age < lifeMs && (limit === 'unknown' || note.limit === limit)
  }

  /** Done when it returns: the process may be about to end. */
  add(queue: string, limit: QueueLimits['limit']): void {
    const note: Note = { queue, limit, at: this.#clock.now() }
    this.#notes.set(queue, note)
    const path = this.#path(queue)
    if (path === undefined) return
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
      writeFileSync(path, JSON.stringify(note), { mode: 0o600 })
    } catch {
      // Then the next process finds it out again, at the price of one more look.
    }
  }

  async delete(queue: string): Promise<void> {
    this.#notes.delete(queue)
    const path = this.#path(queue)
    if (path !== undefined) await rm(path, { force: true }).catch(() => undefined)
  }

  async #read(queue: string): Promise<Note | undefined> {
    const path = this.#path(queue)
    if (path === undefined) return undefined
    try {
      const note: unknown = JSON.parse(await readFile(path, 'utf8'))
      return typeof note === 'object' && note !== null && 'limit' in note && 'at' in note ? (note as Note) : undefined
    } catch {
      return undefined
    }
  }

  #path(queue: string): string | undefined {
    const name = createHash('sha256').update(`${this.#broker}\n${queue}`).digest('hex').slice(0, 32)
    return this.#folder && join(this.#folder, `${name}.json`)
  }
}

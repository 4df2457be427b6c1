import { setTimeout } from 'node:timers/promises'
import { EndpointProcess, type Ended, type ProcessStart } from './endpoint-process.ts'
import type { FromEndpoint, Settled } from './protocol.ts'

/** How long messages in hand may take before a reload aborts them. */
const reloadGraceMs = 5000
/** A start that takes longer hangs; the next change ends it. */
const longestStartMs = 10_000

export interface SupervisorOptions {
  /** Called for each start: the first one, and after each change. */
  start(this: void, isFirst: boolean): ProcessStart
  /** An endpoint that cannot start, or dies, waits for a change instead of ending. */
  readonly waitsForChange: boolean
  readonly told: SupervisorTold
}

export interface SupervisorTold {
  settled(message: Settled): void
  /** There is nothing left to do, or there is again. */
  idle(isIdle: boolean): void
  paused(): void
  /** Resolves on a yes. */
  confirm(question: string, typed: string | undefined): Promise<void>
  reloading(files: readonly string[]): void
  /** The endpoint is stopped until something changes, or for good. */
  broken(ended: Exclude<Ended, { kind: 'ended' }>, waits: boolean): void
}

/** One endpoint in processes of their own, one after the other: with new code comes a new process, so nothing of the old one is left. */
export class Supervisor {
  readonly #options: SupervisorOptions
  #process: EndpointProcess | undefined
  readonly #changes = new Set<string>()
  #restart = false
  #stopped: { readonly graceMs: number } | undefined
  #paused = false
  readonly #waiting = new Set<() => void>()
  #unconfirmed: unknown

  constructor(options: SupervisorOptions) {
    this.#options = options
  }

  /**
   * Runs until stopped, or until the endpoint ends by itself.
   *
   * @returns the exit code
   */
  async run(): Promise<number> {
    for (let isFirst = true; this.#stopped === undefined; isFirst = false) {
      this.#restart = false
      this.#changes.clear()
      const endpoint = new EndpointProcess(this.#options.start(isFirst), (message) => this.#told(message))
      this.#process = endpoint
      if (this.#paused) endpoint.send({ kind: 'pause', paused: true })
      // A start is seen to its end, or changes in quick succession would keep the endpoint from ever starting.
      await Promise.race([
        endpoint.settled,
        this.#until(() => this.#stopped !== undefined),
        setTimeout(longestStartMs, undefined, { ref: false }),
      ])
      let ended = await Promise.race([endpoint.ended, this.#until(() => this.#stopped !== undefined || this.#restart)])
      const asked = ended === undefined
      if (asked && this.#stopped === undefined) this.#announce()
      ended ??= await endpoint.stop(this.#grace())
      this.#process = undefined
      this.#options.told.idle(false)
      if (this.#unconfirmed !== undefined) throw this.#unconfirmed
      // oxlint-disable-next-line typescript/no-unnecessary-condition
      if (this.#stopped !== undefined) {
        if (ended.kind === 'died') this.#options.told.broken(ended, false)
        return ended.kind === 'ended' ? 0 : ended.exitCode || 1
      }
      if (!asked && ended.kind === 'ended') return 0
      if (!asked && ended.kind !== 'ended') {
        const waits = this.#options.waitsForChange && (ended.kind === 'died' || ended.inCode)
        this.#options.told.broken(ended, waits)
        if (!waits) return ended.exitCode === 0 ? 1 : ended.exitCode
        await this.#until(() => this.#stopped !== undefined || this.#restart)
        if (this.#restart) this.#announce()
      }
    }
    return 0
  }

  /** Starts anew with the code as it is now. @param files what has changed; none: somebody wants it */
  reload(files: readonly string[]): void {
    for (const file of files) this.#changes.add(file)
    this.#restart = true
    this.#wake()
  }

  stop(graceMs: number): void {
    this.#stopped ??= { graceMs }
    this.#wake()
  }

  pause(paused: boolean): void {
    this.#paused = paused
    this.#process?.send({ kind: 'pause', paused })
  }

  #grace(): number {
    return this.#stopped?.graceMs ?? reloadGraceMs
  }

  #announce(): void {
    this.#options.told.reloading([...this.#changes])
  }

  #told(message: FromEndpoint): void {
    const { told } = this.#options
    switch (message.kind) {
      case 'settled':
        return told.settled(message)
      case 'idle':
        return told.idle(message.idle)
      case 'paused':
        return told.paused()
      case 'confirm':
        return void told.confirm(message.question, message.typed).then(
          () => this.#process?.send({ kind: 'confirmed' }),
          (error: unknown) => {
            this.#unconfirmed = error
            this.stop(0)
          },
        )
      default:
    }
  }

  /** Resolves, with nothing, as soon as it holds. */
  #until(holds: () => boolean): Promise<undefined> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!holds()) return
        this.#waiting.delete(look)
        resolve(undefined)
      }
      this.#waiting.add(look)
      look()
    })
  }

  #wake(): void {
    for (const look of this.#waiting) look()
  }
}

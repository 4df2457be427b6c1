import type { EndpointEvent } from '../../runtime/engine.ts'

/**
 * Tells when an endpoint has nothing left to do: quiet for a while, no delayed retry of its own under way, and nothing it sent to
 * itself that has not come back.
 */
export class IdleWatch {
  readonly #endpoint: string
  readonly #quietMs: number
  readonly #now: () => number
  readonly #expected = new Set<string>()
  #lastActivity: number

  /** @param now ms on any steady clock */
  constructor(endpoint: string, quietMs: number, now: () => number = () => performance.now()) {
    this.#endpoint = endpoint
    this.#quietMs = quietMs
    this.#now = now
    this.#lastActivity = now()
  }

  note({ message, outcome }: EndpointEvent): void {
    this.#lastActivity = this.#now()
    this.#expected.delete(message.id)
    if (outcome.kind === 'failed' && (outcome.action.kind === 'retryLater' || outcome.action.kind === 'retryNow'))
      this.#expected.add(message.id)
    if (outcome.kind === 'cancelled') this.#expected.add(message.id)
    if (outcome.kind === 'handled')
      for (const { id, to } of outcome.outgoing) if (to === this.#endpoint && id !== message.id) this.#expected.add(id)
  }

  /** Nothing has happened for long enough: time to ask whether anything waits, which takes long where much does. */
  get isQuiet(): boolean {
    return this.#expected.size === 0 && this.#now() - this.#lastActivity >= this.#quietMs
  }

  /** @param depth messages waiting in the queue, or in hand */
  isIdle(depth: number): boolean {
    if (depth > 0) this.#lastActivity = this.#now()
    return depth === 0 && this.isQuiet
  }
}

import type { EndpointEvent } from '../../runtime/engine.ts'
import { delayedRetriesOf } from '../../runtime/recoverability.ts'

/** Ids, each as often as it was added: producers use ids again. */
class Ids {
  readonly #times = new Map<string, number>()

  get isEmpty(): boolean {
    return this.#times.size === 0
  }

  add(id: string): void {
    this.#times.set(id, (this.#times.get(id) ?? 0) + 1)
  }

  /** @returns was it there? */
  remove(id: string): boolean {
    const times = this.#times.get(id)
    if (times === undefined) return false
    if (times === 1) this.#times.delete(id)
    else this.#times.set(id, times - 1)
    return true
  }
}

/**
 * Tells when an endpoint has nothing left to do: quiet for a while, no delayed retry of its own under way, and nothing it sent to
 * itself that has not come back.
 */
export class IdleWatch {
  readonly #endpoint: string
  readonly #quietMs: number
  readonly #now: () => number
  /** Messages that failed and come again, perhaps after a delay in which no queue shows them. */
  readonly #retried = new Ids()
  /** Messages that the endpoint has sent to itself. */
  readonly #sent = new Ids()
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
    const isRetry = message.attempt > 1 || delayedRetriesOf(message.headers) > 0
    if (!isRetry || !this.#retried.remove(message.id)) this.#sent.remove(message.id)
    if (outcome.kind === 'failed' && (outcome.action.kind === 'retryLater' || outcome.action.kind === 'retryNow'))
      this.#retried.add(message.id)
    if (outcome.kind === 'handled')
      for (const { id, to } of outcome.outgoing) if (to === this.#endpoint && id !== message.id) this.#sent.add(id)
  }

  /** Nothing has happened for long enough: time to ask whether anything waits, which takes long where much does. */
  get isQuiet(): boolean {
    return this.#retried.isEmpty && this.#sent.isEmpty && this.#now() - this.#lastActivity >= this.#quietMs
  }

  /** @param depth messages waiting in the queue, or in hand */
  isIdle(depth: number): boolean {
    if (depth > 0) this.#lastActivity = this.#now()
    return depth === 0 && this.isQuiet
  }
}

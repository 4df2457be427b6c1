import type { Clock } from '../transport/clock.ts'

interface Timer {
  readonly at: number
  readonly fire: () => void
}

/** A clock that stands still until it is told to go on; timers fire in order, with the clock at their due time. */
export class VirtualClock implements Clock {
  #now: number
  readonly #timers = new Set<Timer>()

  /** @param now ms since 1970; default: the real time */
  constructor(now: number = Date.now()) {
    this.#now = now
  }

  now(): number {
    return this.#now
  }

  after(ms: number, then: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, ms), fire: then }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  /** When the next timer is due, in ms since 1970. */
  get nextTimer(): number | undefined {
    return this.#timers.size === 0 ? undefined : Math.min(...[...this.#timers].map((timer) => timer.at))
  }

  /**
   * Goes on by `ms`, firing what comes due.
   *
   * @param settle awaited after each timer: lets what it set off run to its end before the clock moves on
   */
  async advance(ms: number, settle: () => Promise<void> = async () => undefined): Promise<void> {
    const end = this.#now + ms
    for (let next = this.#earliest(end); next; next = this.#earliest(end)) {
      this.#timers.delete(next)
      this.#now = Math.max(this.#now, next.at)
      next.fire()
      await settle()
    }
    this.#now = end
  }

  #earliest(end: number): Timer | undefined {
    return [...this.#timers].filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0]
  }
}

import type { Clock } from '../transport/clock.ts'
import type { Logger } from './logger.ts'

/** What to do when every message fails, as it does when a database is down. */
export interface RateLimitSettings {
  /** Failed attempts in a row, of whatever messages, retries included. */
  readonly consecutiveFailures: number
  /** Before each decision on a failed message while the limit is on; default 1 s. */
  readonly waitMs?: number
  /** The limit is on: messages are handled one at a time. */
  readonly onStarted?: () => void | Promise<void>
  /** A message has succeeded, and the limit is off again. */
  readonly onEnded?: () => void | Promise<void>
}

/**
 * Slows one receiver down after consecutive failures, until the first success.
 *
 * @source NServiceBus ConsecutiveFailuresCircuitBreaker, WrappedMessageReceiver
 */
export class RateLimit {
  readonly #settings: RateLimitSettings
  readonly #clock: Clock
  readonly #logger: Logger
  /** Messages that wait for their turn or for the time after a failure; told to go on with true, or that it is over with false. */
  readonly #turns: ((go: boolean) => void)[] = []
  readonly #waits = new Set<() => void>()
  #failures = 0
  #active = 0
  #on = false
  #stopped = false

  readonly #canPutBack: boolean

  /** @param canPutBack false in transaction mode `none`: a message that was taken is then processed, whatever happens */
  constructor(settings: RateLimitSettings, clock: Clock, logger: Logger, canPutBack: boolean) {
    this.#canPutBack = canPutBack
    this.#settings = settings
    this.#clock = clock
    this.#logger = logger
  }

  /** Messages in hand that only wait. */
  get held(): number {
    return this.#turns.length + this.#waits.size
  }

  /** Before a message is processed. @returns false when the endpoint stops before its turn comes: the message is to be put back */
  enter(signal: AbortSignal): true | Promise<boolean> {
    const over = this.#stopped || signal.aborted
    if (!this.#on || this.#active === 0 || (over && !this.#canPutBack)) {
      this.#active += 1
      return true
    }
    if (over) return Promise.resolve(false)
    return new Promise((resolve) => {
      const turn = (go: boolean): void => {
        signal.removeEventListener('abort', giveUp)
        if (go) this.#active += 1
        resolve(go)
      }
      const giveUp = (): void => {
        this.#turns.splice(this.#turns.indexOf(turn), 1)
        turn(!this.#canPutBack)
      }
      signal.addEventListener('abort', giveUp, { once: true })
      this.#turns.push(turn)
    })
  }

  /** After a message that had entered. */
  leave(): void {
    this.#active -= 1
    if (this.#on && this.#active === 0) this.#turns.shift()?.(true)
  }

  succeeded(): void {
    this.#failures = 0
    if (!this.#on) return
    this.#on = false
    this.#notify('onEnded')
    for (const turn of this.#turns.splice(0)) turn(true)
  }

  /** After a failure, before it is decided on. @returns once the wait is over, or cut short by a stop */
  async failed(signal: AbortSignal): Promise<void> {
    this.#failures += 1
    if (this.#failures < this.#settings.consecutiveFailures) return
    if (!this.#on) {
      this.#on = true
      this.#notify('onStarted')
    }
    if (this.#stopped || signal.aborted) return
    await new Promise<void>((resolve) => {
      const end = (): void => {
        cancel()
        signal.removeEventListener('abort', end)
        this.#waits.delete(end)
        resolve()
      }
      const cancel = this.#clock.after(this.#settings.waitMs ?? 1000, end)
      signal.addEventListener('abort', end, { once: true })
      this.#waits.add(end)
    })
  }

  /** Nothing waits any longer: stopping must not take as long as the failures. */
  stop(): void {
    this.#stopped = true
    for (const turn of this.#turns.splice(0)) turn(!this.#canPutBack)
    for (const end of this.#waits) end()
  }

  #notify(callback: 'onStarted' | 'onEnded'): void {
    void (async () => {
      try {
        await this.#settings[callback]?.()
      } catch (error) {
        this.#logger.error(`The rate limit's ${callback} failed:`, error)
      }
    })()
  }
}

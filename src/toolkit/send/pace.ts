import { NsbError } from '../../message/nsb-error.ts'
import { type Clock, systemClock } from '../../transport/clock.ts'

/** A timer that is a little late is made up for; a longer pause is not, or the rest would come all at once. */
const mostMadeUpMs = 100

/** Lets messages begin at a rate: the first at once, each further one an interval after the one before it at the earliest. */
export class Pace {
  readonly perSecond: number
  readonly #clock: Clock
  #next: number | undefined

  constructor(perSecond: number, clock: Clock = systemClock) {
    this.perSecond = perSecond
    this.#clock = clock
  }

  /** Resolves when the next message may begin, or when the signal is aborted. */
  async ready(signal: AbortSignal): Promise<void> {
    for (let ms = this.#missingMs(); ms > 0 && !signal.aborted; ms = this.#missingMs()) await this.#wait(ms, signal)
  }

  /** A message begins now. */
  begin(): void {
    const now = this.#clock.now()
    this.#next = Math.max(this.#next ?? now, now - mostMadeUpMs) + 1000 / this.perSecond
  }

  #missingMs(): number {
    return this.#next === undefined ? 0 : this.#next - this.#clock.now()
  }

  #wait(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        cancel()
        signal.removeEventListener('abort', end)
        resolve()
      }
      const cancel = this.#clock.after(ms, end)
      signal.addEventListener('abort', end)
    })
  }
}

/** Messages per second of a text such as `10/s`, `100/m`, `5000/h` or `10`. @throws {NsbError} NSB_BAD_FLAG */
export function parseRate(text: string): number {
  const [, number, unit = 's'] = /^(\d+(?:\.\d+)?)(?:\/(s|m|h))?$/.exec(text.trim()) ?? []
  const perSecond = Number(number) / { s: 1, m: 60, h: 3600 }[unit as 's' | 'm' | 'h']
  if (perSecond > 0 && Number.isFinite(perSecond)) return perSecond
  throw new NsbError({
    code: 'NSB_BAD_FLAG',
    message: `'${text}' is not a rate.`,
    suggestions: ['Write messages per second, minute or hour: --rate 10/s, --rate 100/m, --rate 5000/h'],
  })
}

/**
 * The moment of a text: ISO 8601, in local time where it names no zone, or `14:30` for the next time the clock shows that.
 *
 * @throws {NsbError} NSB_BAD_FLAG
 */
export function parseMoment(text: string, now: Date): Date {
  const clock = /^(\d\d?):(\d\d)(?::(\d\d))?$/.exec(text.trim())
  if (clock) {
    const [hours, minutes, seconds] = [Number(clock[1]), Number(clock[2]), Number(clock[3] ?? 0)]
    const moment = new Date(now)
    moment.setHours(hours, minutes, seconds, 0)
    if (moment <= now) moment.setDate(moment.getDate() + 1)
    if (hours < 24 && minutes < 60 && seconds < 60) return moment
  } else if (/^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?\s*(Z|[+-]\d\d:?\d\d)?)?$/i.test(text.trim())) {
    // A date alone would be read as UTC.
    const moment = new Date(text.trim().length === 10 ? `${text.trim()}T00:00` : text.trim())
    if (!Number.isNaN(moment.getTime())) return moment
  }
  throw new NsbError({
    code: 'NSB_BAD_FLAG',
    message: `'${text}' is not a time.`,
    suggestions: ['Write ISO 8601: --at 2026-12-24T18:00:00Z', 'or the next time of day: --at 18:00'],
  })
}

import { NsbError } from '../../message/nsb-error.ts'

/** Messages per second of a text such as `10/s`, `100/m` or `10`. @throws {NsbError} NSB_BAD_FLAG */
export function parseRate(text: string): number {
  const [, number, unit = 's'] = /^(\d+(?:\.\d+)?)(?:\/(s|m|h))?$/.exec(text.trim()) ?? []
  const perSecond = Number(number) / { s: 1, m: 60, h: 3600 }[unit as 's' | 'm' | 'h']
  if (perSecond > 0) return perSecond
  throw new NsbError({
    code: 'NSB_BAD_FLAG',
    message: `'${text}' is not a rate.`,
    suggestions: ['Write messages per second or minute: --rate 10/s, --rate 100/m'],
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

import { NsbError } from './nsb-error.ts'

/** A header value is not in the format its name demands; the message quotes it. */
export class MalformedHeaderError extends NsbError {}

const pad = (value: number, length: number): string => String(value).padStart(length, '0')

/**
 * Writes a header timestamp, such as `2025-08-19 23:28:35:060376 Z`.
 *
 * @param ms ms since 1970, fraction allowed; digits below a microsecond are cut, never rounded
 * @source NServiceBus DateTimeOffsetHelper
 */
export function formatTimestamp(ms: number): string {
  // A float of today's size is up to 0.12 µs below the time it stands for; without this a whole microsecond would be cut off.
  const wholeMs = Math.floor(ms + 0.000_13)
  const micros = Math.min(999, Math.max(0, Math.floor((ms - wholeMs) * 1000 + 0.13)))
  const date = new Date(wholeMs)
  return (
    `${pad(date.getUTCFullYear(), 4)}-${pad(date.getUTCMonth() + 1, 2)}-${pad(date.getUTCDate(), 2)} ` +
    `${pad(date.getUTCHours(), 2)}:${pad(date.getUTCMinutes(), 2)}:${pad(date.getUTCSeconds(), 2)}:` +
    `${pad(date.getUTCMilliseconds(), 3)}${pad(micros, 3)} Z`
  )
}

/**
 * Reads a header timestamp as .NET does: 28 characters, digits where digits belong, separators unchecked.
 *
 * @returns ms since 1970 with the microseconds as fraction; undefined when it is not in that format
 */
export function parseTimestamp(text: string): number | undefined {
  const match = /^(\d{4}).(\d\d).(\d\d).(\d\d).(\d\d).(\d\d).(\d{3})(\d{3}).{2}$/.exec(text)
  if (!match) return undefined
  const [year, month, day, hour, minute, second, milli, micro] = match.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  const ms = Date.UTC(year, month - 1, day, hour, minute, second, milli)
  const check = new Date(ms)
  if (check.getUTCMonth() !== month - 1 || check.getUTCDate() !== day || hour > 23 || minute > 59 || second > 59) return undefined
  return ms + micro / 1000
}

/** Reads a header timestamp or ISO 8601, for display; undefined when neither. */
export function parseTimestampLeniently(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const ms = parseTimestamp(text) ?? (/^\d{4}-\d\d-\d\dT/.test(text) ? Date.parse(text) : Number.NaN)
  return Number.isNaN(ms) ? undefined : ms
}

/**
 * Writes a .NET time span in constant ("c") format: `00:01:00`, `1.00:00:00`, `00:00:01.5005000`.
 *
 * @param ms may be negative; precision is 100 ns
 */
export function formatTimeSpan(ms: number): string {
  const ticks = Math.round(Math.abs(ms) * 10_000)
  const fraction = ticks % 10_000_000
  const seconds = Math.floor(ticks / 10_000_000)
  const days = Math.floor(seconds / 86_400)
  const clock = `${pad(Math.floor(seconds / 3600) % 24, 2)}:${pad(Math.floor(seconds / 60) % 60, 2)}:${pad(seconds % 60, 2)}`
  return `${ms < 0 ? '-' : ''}${days > 0 ? `${days}.` : ''}${clock}${fraction > 0 ? `.${pad(fraction, 7)}` : ''}`
}

/**
 * Reads a .NET time span in constant ("c") format, such as `00:00:10` or `1.02:03:04.5000000`.
 *
 * @returns ms, with a fraction where the text has one; negative spans give negative numbers
 * @throws {MalformedHeaderError} when the text is not in that format; the message quotes it
 */
export function parseTimeSpan(text: string): number {
  const match = /^(-)?(?:(\d{1,8})\.)?(\d\d):(\d\d):(\d\d)(?:\.(\d{7}))?$/.exec(text)
  const hours = Number(match?.[3])
  if (!match || hours > 23 || Number(match[4]) > 59 || Number(match[5]) > 59)
    throw new MalformedHeaderError({
      code: 'NSB_MALFORMED_HEADER',
      message: `'${text}' is not a time span of the form [-][d.]hh:mm:ss[.fffffff].`,
    })
  const seconds = Number(match[2] ?? 0) * 86_400 + hours * 3600 + Number(match[4]) * 60 + Number(match[5])
  const ms = seconds * 1000 + Number(match[6] ?? 0) / 10_000
  return match[1] ? -ms : ms
}

/**
 * Reads a duration as people type it: `500ms`, `30s`, `5m`, `2h`, `3d`, or a .NET time span.
 *
 * @throws {NsbError} NSB_BAD_DURATION
 */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text.trim())
  if (match) return Number(match[1]) * { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[match[2] as 'ms' | 's' | 'm' | 'h' | 'd']
  if (/^-?(\d+\.)?\d\d:\d\d:\d\d/.test(text)) return parseTimeSpan(text)
  throw new NsbError({
    code: 'NSB_BAD_DURATION',
    message: `'${text}' is not a duration.`,
    suggestions: ['Write a number with a unit: 500ms, 30s, 5m, 2h, 3d'],
  })
}

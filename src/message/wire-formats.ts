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
  if (text.length !== 28) return undefined
  const year = digitsAt(text, 0, 4)
  const month = digitsAt(text, 5, 2)
  const day = digitsAt(text, 8, 2)
  const hour = digitsAt(text, 11, 2)
  const minute = digitsAt(text, 14, 2)
  const second = digitsAt(text, 17, 2)
  const ms = digitsAt(text, 20, 3)
  const micros = digitsAt(text, 23, 3)
  // What is no number is within no range.
  const inRange = year >= 1 && month >= 1 && month <= 12 && day >= 1 && hour <= 23 && minute <= 59 && second <= 59 && ms >= 0 && micros >= 0
  if (!inRange || day > daysOf(year, month)) return undefined
  const time = Date.UTC(year, month - 1, day, hour, minute, second, ms)
  // Two-digit years would be read as 1900 and later.
  return (year > 99 ? time : new Date(time).setUTCFullYear(year)) + micros / 1000
}

/** A header of every message is read with it, hence no regular expression. @returns NaN when one of them is no digit */
function digitsAt(text: string, start: number, count: number): number {
  let value = 0
  for (let index = start; index < start + count; index++) {
    const digit = text.charCodeAt(index) - 48
    if (!(digit >= 0 && digit <= 9)) return Number.NaN
    value = value * 10 + digit
  }
  return value
}

function daysOf(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
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

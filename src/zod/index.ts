import { z } from 'zod'
import { Decimal } from '../serialization/decimal.ts'

type DecimalInput = Decimal | number | bigint | string

const shown = (value: unknown): string =>
  value === undefined || typeof value === 'bigint'
    ? String(value)
    : typeof value === 'object' && value !== null
      ? 'an object'
      : String(JSON.stringify(value)).slice(0, 40)

/** .NET's `decimal`: what has digits in, an exact {@link Decimal} out, its digits on the wire. At most 28 digits before the point. */
export function decimal() {
  return z
    .custom<DecimalInput>((value) => isDecimal(value), { error: ({ input }) => `must be a decimal number, is ${shown(input)}` })
    .transform((value) => Decimal.of(value))
    .meta({ dotnet: 'System.Decimal', type: 'number' })
}

function isDecimal(value: unknown): boolean {
  const exact = decimalOf(value)
  return exact !== undefined && exact.integerDigits() <= 28
}

/** .NET's `long`: a `bigint` out, its digits on the wire; in: a bigint, a whole number that is exact, or digits. */
export function int64() {
  return z
    .custom<DecimalInput>((value) => int64Of(value) !== undefined, {
      error: ({ input }) => `must be a whole number of 64 bits, is ${shown(input)}`,
    })
    .transform((value) => int64Of(value) as bigint)
    .meta({ dotnet: 'System.Int64', type: 'integer' })
}

function int64Of(value: unknown): bigint | undefined {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) return undefined
  const exact = decimalOf(value)
  if (exact === undefined || !/^-?\d{1,19}$/.test(exact.digits)) return undefined
  const whole = BigInt(exact.digits)
  return BigInt.asIntN(64, whole) === whole ? whole : undefined
}

function decimalOf(value: unknown): Decimal | undefined {
  if (Decimal.is(value)) return value
  if (typeof value !== 'number' && typeof value !== 'bigint' && typeof value !== 'string') return undefined
  try {
    return Decimal.of(value)
  } catch {
    return undefined
  }
}

const timeSpanText = /^-?(?:\d{1,8}\.)?(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,7})?$/
const maxDays = 10_675_199

/** .NET's `TimeSpan`, as text in constant format: `01:02:03`, `1.02:03:04.5670000`. */
export function timeSpan() {
  return z
    .string()
    .regex(timeSpanText, 'must be a time span such as 01:02:03 or 1.02:03:04.5670000')
    .refine((text) => Number(/^-?(\d{1,8})\./.exec(text)?.[1] ?? 0) <= maxDays, `must be at most ${maxDays} days`)
    .meta({ dotnet: 'System.TimeSpan' })
}

const dateTimeOffsetText = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,7})?(?:Z|[+-](?:0\d|1[0-4]):[0-5]\d)$/

/** .NET's `DateTimeOffset`, as ISO 8601 text with its seven digits below the second, which a `Date` would cut to three. */
export function dateTimeOffset() {
  return z
    .string()
    .refine(
      (text) => isRealTime(dateTimeOffsetText.exec(text)?.[1]),
      'must be a time with offset such as 2026-03-01T09:30:15.2501234+01:00',
    )
    .meta({ dotnet: 'System.DateTimeOffset', format: 'date-time' })
}

// Date.parse turns the 30th of February into the 2nd of March; writing it again shows that.
function isRealTime(seconds: string | undefined): boolean {
  const time = Date.parse(`${seconds}Z`)
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(seconds as string)
}

type Numbers<E> = Extract<E[keyof E], number>

/**
 * A .NET enum: its number out and on the wire, as both .NET serializers have it by default; in: the number or the name.
 *
 * @param members a TypeScript numeric enum, or `{ Open: 0, Closed: 1 } as const`
 */
export function enumOf<E extends Readonly<Record<string, string | number>>>(members: E) {
  const byName = new Map(Object.entries(members).filter((member): member is [string, number] => typeof member[1] === 'number'))
  const numbers = new Set<unknown>(byName.values())
  const numberOf = (value: unknown): unknown => (typeof value === 'string' ? byName.get(value) : numbers.has(value) ? value : undefined)
  return z
    .custom<E[keyof E] | keyof E>((value) => numberOf(value) !== undefined, {
      error: ({ input }) => `must be ${[...byName].map(([name, number]) => `${name} (${number})`).join(' or ')}, is ${shown(input)}`,
    })
    .transform((value) => numberOf(value) as Numbers<E>)
    .meta({ dotnet: 'System.Enum', type: 'integer', enum: [...new Set(byName.values())], names: [...byName.keys()] })
}

const isBase64 = (text: string): boolean => text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text)

/** .NET's `byte[]`: a `Uint8Array` out, base64 text on the wire; in: either. */
export function bytes() {
  return z
    .custom<Uint8Array | string>((value) => value instanceof Uint8Array || (typeof value === 'string' && isBase64(value)), {
      error: ({ input }) => `must be bytes or base64 text, is ${shown(input)}`,
    })
    .transform((value) => (typeof value === 'string' ? new Uint8Array(Buffer.from(value, 'base64')) : value))
    .meta({ dotnet: 'System.Byte[]', type: 'string', contentEncoding: 'base64' })
}

import fc from 'fast-check'
import { expect, it } from 'vitest'
import { newCombId } from '../../src/message/ids.ts'
import { NsbError } from '../../src/message/nsb-error.ts'
import { formatTypeName, parseTypeName, shortTypeName } from '../../src/message/type-names.ts'
import {
  MalformedHeaderError,
  formatTimeSpan,
  formatTimestamp,
  parseDuration,
  parseTimeSpan,
  parseTimestamp,
  parseTimestampLeniently,
} from '../../src/message/wire-formats.ts'
import { command } from '../../src/index.ts'
import { BadTypeHeaderError, TypeMap } from '../../src/message/type-map.ts'
import { z } from 'zod'
import { readMetadata, timeToBeReceivedHeader, writeMetadata } from '../../src/transport/learning/metadata.ts'
import { anyText, dictionaryOf, numRuns } from './runs.ts'

const check = <T extends [unknown, ...unknown[]]>(property: fc.IProperty<T>): void => fc.assert(property, { numRuns })

/** Gives a value, or throws an error of this class and no other. */
function throwsOnly(kind: abstract new (...given: never[]) => Error, act: () => unknown): void {
  try {
    act()
  } catch (error) {
    if (!(error instanceof kind)) throw error
  }
}

const lastMs = Date.UTC(9999, 11, 31, 23, 59, 59, 999)

it('a timestamp is read back to the millisecond', () => {
  check(
    fc.property(fc.integer({ min: Date.UTC(1000, 0), max: lastMs }), (ms) => {
      const text = formatTimestamp(ms)
      expect(text).toHaveLength(28)
      expect(parseTimestamp(text)).toBe(ms)
    }),
  )
})

it('a timestamp of these decades is written back with every microsecond', () => {
  const micros = fc.integer({ min: 0, max: 999_999 })
  const second = fc.integer({ min: Date.UTC(2000, 0, 1) / 1000, max: Date.UTC(2037, 0, 1) / 1000 })
  fc.assert(
    fc.property(second, micros, (seconds, fraction) => {
      const text = `${new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ')}:${String(fraction).padStart(6, '0')} Z`
      expect(formatTimestamp(parseTimestamp(text) as number)).toBe(text)
    }),
  )
})

it('any text is a timestamp or none, and never an error', () => {
  check(
    fc.property(fc.oneof(anyText, fc.stringMatching(/^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d:\d{6} Z$/)), (text) => {
      const ms = parseTimestamp(text)
      if (ms !== undefined) expect(ms).toBeLessThanOrEqual(lastMs + 1)
      expect(parseTimestampLeniently(text)).not.toBeNaN()
    }),
  )
})

it('a time span is read back', () => {
  check(
    fc.property(fc.integer({ min: -1e12, max: 1e12 }), fc.nat(9999), (ms, ticks) => {
      const span = ms + (ms < 0 ? -ticks : ticks) / 10_000
      const text = formatTimeSpan(span)
      expect(parseTimeSpan(text)).toBeCloseTo(span, 3)
      expect(formatTimeSpan(parseTimeSpan(text))).toBe(text)
    }),
  )
})

it('any other text is refused as a malformed span or a bad duration', () => {
  check(
    fc.property(fc.oneof(anyText, fc.stringMatching(/^-?(\d+\.)?\d\d:\d\d:\d\d(\.\d{1,8})?$/)), (text) => {
      throwsOnly(MalformedHeaderError, () => parseTimeSpan(text))
      throwsOnly(NsbError, () => parseDuration(text))
    }),
  )
})

it('COMB ids are GUIDs that differ and sort by time', () => {
  const daysAndTime = (id: string): string => id.slice(24)
  check(
    fc.property(fc.integer({ min: 0, max: Date.UTC(2070, 0) }), fc.integer({ min: 4, max: 1e9 }), (ms, later) => {
      const [first, second] = [newCombId(ms), newCombId(ms + later)]
      expect(first).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
      expect(newCombId(ms)).not.toBe(first)
      expect(daysAndTime(first) < daysAndTime(second)).toBe(true)
    }),
  )
})

const identifier = fc.stringMatching(/^[A-Za-z_]\w{0,8}$/)
const fullName = fc.array(identifier, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('.'))

it('a type name is read back with its assembly', () => {
  check(
    fc.property(fullName, fc.option(fullName, { nil: undefined }), (name, assembly) => {
      expect(parseTypeName(formatTypeName(name, assembly, '1.0.0.0'))).toEqual({ fullName: name, assembly })
      expect(name.endsWith(shortTypeName(name))).toBe(true)
    }),
  )
})

const piece = fc.constantFrom('Shop.PlaceOrder', 'Shop.Moved', 'Shop', ', ', ',', ';', '__impl', '`1[[', ']]', ' ', '+', '.')

it('any type header is mapped, or refused as a bad type header', () => {
  class PlaceOrder extends command('Shop.PlaceOrder', z.object({}), { aliases: ['Shop.Moved', '__proto__'] }) {}
  const maps = [new TypeMap([PlaceOrder]), new TypeMap([PlaceOrder], { enclosedTypes: 'merge' })]
  check(
    fc.property(
      fc.oneof(
        anyText,
        fc.array(fc.oneof(piece, anyText), { maxLength: 8 }).map((pieces) => pieces.join('')),
      ),
      (header) => {
        shortTypeName(header)
        for (const types of maps)
          throwsOnly(BadTypeHeaderError, () => {
            for (const { type } of types.map(header).entries) expect([undefined, PlaceOrder]).toContain(type)
          })
      },
    ),
  )
})

it('headers are read back from a metadata file, with U+FFFD for half a surrogate pair', () => {
  const asWritten = (text: string): string => text.replaceAll(/\p{Surrogate}/gu, '\ufffd')
  check(
    fc.property(dictionaryOf(anyText), fc.option(anyText, { nil: undefined }), (headers, timeToBeReceived) => {
      const text = writeMetadata(headers, timeToBeReceived)
      expect(text).toMatch(/^[\x20-\x7e\r\n]*$/)
      const expected = Object.fromEntries(Object.entries(headers).map(([name, value]) => [asWritten(name), asWritten(value)]))
      const read = readMetadata(text)
      expect(read).toEqual({
        headers: expected,
        timeToBeReceived: timeToBeReceived === undefined ? undefined : asWritten(timeToBeReceived),
      })
      if ('headers' in read) expect(Object.keys(read.headers).toSorted()).toEqual(Object.keys(expected).toSorted())
    }),
  )
})

it('any text is a metadata file or has a reason', () => {
  const json = fc.jsonValue({ noUnicodeString: false }).map((value) => JSON.stringify(value))
  check(
    fc.property(
      fc.oneof(
        anyText,
        json,
        dictionaryOf(anyText).map((each) => JSON.stringify(each)),
      ),
      (text) => {
        const read = readMetadata(text)
        if ('reason' in read) expect(read.reason).not.toBe('')
        else for (const value of Object.values(read.headers)) expect(value).toBeTypeOf('string')
        if ('headers' in read) expect(read.headers).not.toHaveProperty([timeToBeReceivedHeader])
      },
    ),
  )
})

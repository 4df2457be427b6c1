import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Header } from '../../src/message/headers.ts'
import { displayTypeOf, failedKinds, isTextBody, narrowTypeOf, readFailure, receivingEndpointOf } from '../../src/message/failure.ts'
import { Decimal } from '../../src/serialization/decimal.ts'
import { parseLossless } from '../../src/serialization/json-parse.ts'
import { parseJson, readJson } from '../../src/serialization/json-read.ts'
import { writeJson } from '../../src/serialization/json-write.ts'
import { NotJsonError } from '../../src/serialization/not-json-error.ts'
import { exceptionTitle } from '../../src/toolkit/errors/select/stack-title.ts'
import { anyText, dictionaryOf, numRuns } from './runs.ts'

const plain = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (_, member: unknown) => (Decimal.is(member) ? member.toNumber() : member)))

/** What an act gives, or undefined when it throws; anything but NotJsonError goes on. */
function parsedOrNot(act: () => unknown): { readonly value: unknown } | undefined {
  try {
    return { value: act() }
  } catch (error) {
    if (error instanceof NotJsonError || error instanceof SyntaxError) return undefined
    throw error
  }
}

it('a value is read back from what is written', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
      const text = writeJson(value)
      expect(text).toMatch(/^[\x20-\x7e]*$/)
      expect(plain(parseJson(text))).toEqual(JSON.parse(JSON.stringify(value)))
    }),
    { numRuns },
  )
})

it('the digits of a decimal are kept', () => {
  const digits = fc.stringMatching(/^-?(0|[1-9]\d{0,30})(\.\d{1,30})?$/)
  fc.assert(
    fc.property(digits, (text) => {
      expect(writeJson(parseJson(writeJson({ Total: Decimal.of(text) })))).toBe(`{"Total":${text}}`)
    }),
    { numRuns },
  )
})

const sign = fc.constantFrom(
  '{',
  '}',
  '[',
  ']',
  '"',
  ':',
  ',',
  '1',
  '.',
  '0',
  '-',
  'e5',
  '\\',
  'u00',
  'true',
  'null',
  ' ',
  '\n',
  '"a"',
  '\u0085',
)

it('any text is parsed as JSON.parse does, or refused as not JSON', () => {
  const signs = fc.array(sign, { maxLength: 14 }).map((pieces) => pieces.join(''))
  fc.assert(
    fc.property(fc.oneof(anyText, signs), (text) => {
      const expected = parsedOrNot(() => JSON.parse(text) as unknown)
      for (const parse of [parseLossless, parseJson]) {
        // A byte order mark is skipped, which JSON.parse does not do.
        if (parse === parseJson && text.startsWith('\ufeff')) continue
        let given: { readonly value: unknown } | undefined
        try {
          given = { value: parse(text) }
        } catch (error) {
          expect(error).toBeInstanceOf(NotJsonError)
        }
        expect(given && { value: plain(given.value) }).toEqual(expected && { value: plain(expected.value) })
      }
    }),
    { numRuns },
  )
})

it('any bytes are a body or refused as not JSON', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (body) => {
      try {
        readJson(body)
      } catch (error) {
        expect(error).toBeInstanceOf(NotJsonError)
      }
    }),
    { numRuns },
  )
})

const headerName = fc.oneof(fc.constantFrom(...Object.values(Header)), anyText)
const line = fc.constantFrom('   at Shop.A.B(String c)', ' in /a.cs:line 1', '\n', '   at ', '(', ')', ',', '.', '$&', 'x')
const stack = fc.array(line, { maxLength: 12 }).map((pieces) => pieces.join(''))

it('any headers are an entry of an error queue', () => {
  fc.assert(
    fc.property(dictionaryOf(headerName, fc.oneof(anyText, stack)), anyText, fc.boolean(), (headers, nativeId, unreadable) => {
      const failure = readFailure(headers, nativeId, unreadable)
      expect(failedKinds).toContain(failure.kind)
      expect(failure.replayed).toBeGreaterThanOrEqual(0)
      if (failure.type !== undefined) expect(displayTypeOf(failure.type).endsWith(narrowTypeOf(failure.type))).toBe(true)
      receivingEndpointOf(headers)
      expect(isTextBody(headers)).toBeTypeOf('boolean')
      expect(['string', 'undefined']).toContain(typeof exceptionTitle(headers))
    }),
    { numRuns },
  )
})

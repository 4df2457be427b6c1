import assert from 'node:assert/strict'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Decimal } from '../../src/serialization/decimal.ts'
import { parseJson } from '../../src/serialization/json-read.ts'
import { writeJson, writeString } from '../../src/serialization/json-write.ts'
import { jsonSerializer } from '../../src/serialization/json.ts'
import { recordedBodies, recordedBody } from './bodies.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const read = (text: string): unknown => jsonSerializer.deserialize(bytes(text))
const text = (body: Uint8Array): string => new TextDecoder('utf-8', { ignoreBOM: true }).decode(body)

describe('bodies recorded from .NET', () => {
  it.each(recordedBodies('system-text-json'))('$name of System.Text.Json is written again byte for byte', ({ body }) => {
    const tree = jsonSerializer.deserialize(body) as object

    assert.equal(text(jsonSerializer.serialize(tree)), text(body))
  })

  it.each(recordedBodies('newtonsoft'))('$name of Newtonsoft reads as the same tree that System.Text.Json wrote', ({ name, body }) => {
    const tree = jsonSerializer.deserialize(body)
    const twin = jsonSerializer.deserialize(recordedBody('system-text-json', name.replace('.json', '')))

    // The only difference between the two writers: the decimal 1 is `1.0` or `1`.
    assert.equal(writeJson(tree).replaceAll(':1.0}', ':1}'), writeJson(twin))
  })

  it('keeps every digit of long and decimal', () => {
    const tree = jsonSerializer.deserialize(recordedBody('newtonsoft', 'kitchen-sink')) as Record<string, unknown>

    assert.equal(String(tree['Long']), '9007199254740993')
    assert.equal(String(tree['Decimal']), '1234567890.1234567890')
    assert.equal(tree['Double'], 0.30000000000000004)
  })
})

describe('the JSON writer', () => {
  it.each([
    ['"quote"', String.raw`"\u0022quote\u0022"`],
    [`&'<>+\``, String.raw`"\u0026\u0027\u003C\u003E\u002B\u0060"`],
    ['\u007f', String.raw`"\u007F"`],
    ['\\ / \n\r\t\b\f', String.raw`"\\ / \n\r\t\b\f"`],
    ['\u0000\u001f', String.raw`"\u0000\u001F"`],
    ['é €\u00a0\u2028', String.raw`"\u00E9 \u20AC\u00A0\u2028"`],
    ['😀', String.raw`"\uD83D\uDE00"`],
    ['lone \ud800 surrogate', String.raw`"lone \uFFFD surrogate"`],
    ['2026-03-01T09:30:15+01:00', '"2026-03-01T09:30:15+01:00"'],
  ])('escapes %j as System.Text.Json does', (value, written) => {
    assert.equal(writeString(value), written)
  })

  it.each([
    [1, '1'],
    [-0, '-0'],
    [0.1, '0.1'],
    [1.5e300, '1.5E+300'],
    [1e-7, '1E-07'],
    [9007199254740993n, '9007199254740993'],
    [Decimal.of('123.40'), '123.40'],
    [new Uint8Array([0, 1, 2, 254, 255]), '"AAEC/v8="'],
    [new Date('2026-03-01T09:30:15.250Z'), '"2026-03-01T09:30:15.25Z"'],
    [new Date('2026-03-01T09:30:00.000Z'), '"2026-03-01T09:30:00Z"'],
    [{ a: undefined, b: [undefined, null], c: {} }, '{"b":[null,null],"c":{}}'],
    [{ toJSON: () => ({ a: 1 }) }, '{"a":1}'],
    [{ 'Clé "1"': 1 }, String.raw`{"Cl\u00E9 \u00221\u0022":1}`],
  ])('writes %o as %s', (value, written) => {
    assert.equal(writeJson(value), written)
  })

  it.each([
    ['NaN', { Lines: [{ Price: Number.NaN }] }, `'/Lines/0/Price': NaN has no JSON form`],
    ['Infinity', { Price: Number.POSITIVE_INFINITY }, `'/Price': Infinity`],
    ['an invalid date', { At: new Date(Number.NaN) }, `'/At': the date is invalid`],
    ['a Map', { Tags: new Map() }, `'/Tags': a Map has no JSON form`],
  ])('refuses %s with its path', (_name, value, part) => {
    expect(() => writeJson(value)).toThrow(part)
    expect(() => writeJson(value)).toThrow(expect.objectContaining({ code: 'NSB_NOT_JSON' }))
  })

  it('refuses a cycle where it closes', () => {
    const order: Record<string, unknown> = { Id: 1 }
    order['Lines'] = [{ Order: order }]

    expect(() => writeJson(order)).toThrow(`'/Lines/0/Order': it refers back to itself`)
  })

  it('refuses a toJSON that returns itself', () => {
    const strange = { toJSON: (): unknown => strange }

    expect(() => writeJson({ strange })).toThrow('/strange')
  })

  it('writes one object twice when it is no cycle', () => {
    const line = { Sku: 'A' }

    assert.equal(writeJson([line, line]), '[{"Sku":"A"},{"Sku":"A"}]')
  })
})

describe('the JSON reader', () => {
  it.each(['1.0', '123.40', '9007199254740993', '-0', '1e5', '1E400', '0.0000001', '0.1000000000000000055511151231257827'])(
    'keeps the digits of %s',
    (digits) => {
      const { value } = read(`{"value":${digits}}`) as { value: Decimal }

      assert.ok(Decimal.is(value))
      assert.equal(value.toString(), digits)
    },
  )

  it.each(['0', '1', '-1', '0.5', '123.45', '9007199254740991', '0.000001', '-0.5'])('gives a plain number for %s', (digits) => {
    assert.equal((read(`[{"value":${digits}}]`) as { value: unknown }).value, Number(digits))
  })

  it('skips one byte order mark, not two', () => {
    assert.deepEqual(read('\ufeff{"a":1}'), { a: 1 })
    expect(() => read('\ufeff\ufeff{"a":1}')).toThrow('line 1, column 1')
  })

  it('takes an array of one as the message, and refuses more', () => {
    assert.deepEqual(read('[{"a":1}]'), { a: 1 })
    expect(() => read('[{"a":1},{"a":2}]')).toThrow('Multiple messages in the same stream are not supported.')
  })

  it('drops $type and unwraps $values', () => {
    const body =
      '{"$type":"Shop.Order, Shop","Lines":{"$type":"System.Collections.Generic.List`1[[Shop.Line, Shop]], mscorlib","$values":[{"$type":"Shop.Line, Shop","Price":1.50}]}}'

    assert.equal(writeJson(read(body)), '{"Lines":[{"Price":1.50}]}')
  })

  it.each([
    '{"__proto__":{"polluted":true},"a":1.0}',
    '{"__proto__":{"polluted":true},"a":1}',
    '{"__proto__":{"polluted":true},"$type":"x"}',
  ])('lets __proto__ in %s change no prototype', (body) => {
    const tree = read(body) as Record<string, unknown>

    assert.equal(Object.getPrototypeOf(tree), Object.prototype)
    assert.equal(tree['polluted'], undefined)
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined)
  })

  it.each([
    ['{"OrderId": not json', 'line 1, column 13: expected a value'],
    ['{"a":1.0,}', 'line 1, column 10: expected a property name'],
    ['{\n  "a": 01\n}', `line 2, column 9: expected ',' or '}', found '1\\u000a}'`],
    ['', 'line 1, column 1: expected a value, found the end of the body'],
    ['{"a":"x', 'expected a string that ends'],
    ['{"a":"\\q"}', 'escapes'],
    ['{"a":"\u001b[31m"}', `\\u001b`],
    ['{"a":1} x', 'expected the end'],
    ["{'a':1}", 'expected a property name'],
  ])('says where %j is wrong', (body, part) => {
    expect(() => read(body)).toThrow(part)
    expect(() => read(body)).toThrow(expect.objectContaining({ code: 'NSB_NOT_JSON' }))
  })

  it('refuses bytes that are not UTF-8', () => {
    expect(() => jsonSerializer.deserialize(new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d]))).toThrow('not valid UTF-8')
  })

  it.each([
    ['[', ']'],
    ['{"a":', '}'],
  ])('refuses %s nested a hundred thousand times without exhausting the stack', (open, close) => {
    expect(() => read(`${open.repeat(100_000)}1${close.repeat(100_000)}`)).toThrow('nested deeper than 256')
  })

  it('reads a megabyte of escapes', () => {
    const value = '\\n"é'.repeat(300_000)

    assert.equal((read(`{"a":1.0,"value":${JSON.stringify(value)}}`) as { value: string }).value, value)
  })
})

describe('reading what was written', () => {
  const numberText = fc
    .tuple(fc.constantFrom('', '-'), fc.nat(99), fc.option(fc.stringMatching(/^\d{1,20}$/)), fc.option(fc.integer({ min: -400, max: 400 })))
    .map(
      ([sign, whole, fraction, exponent]) =>
        `${sign}${whole}${fraction === null ? '' : `.${fraction}`}${exponent === null ? '' : `e${exponent}`}`,
    )

  it('gives every JSON value back', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6, noUnicodeString: false }), (value) => {
        const plain = JSON.parse(JSON.stringify(value), (_key, member: unknown) => (Object.is(member, -0) ? 0 : member)) as unknown

        // Exponents come back as decimals; their value is what counts here.
        const back = JSON.parse(JSON.stringify(parseJson(writeJson(plain)))) as unknown
        assert.deepEqual(back, plain)
      }),
    )
  })

  it('gives the digits of every number back, whatever stands around it', () => {
    fc.assert(
      fc.property(numberText, fc.constantFrom('[@]', '{"a":@}', '{"a": @ ,"b":"x"}', '@', '[1,@,2]', '[\n@\n]'), (digits, around) => {
        const whole = around.replace('@', digits)

        assert.ok(writeJson(parseJson(whole)).includes(digits), `${whole} became ${writeJson(parseJson(whole))}`)
      }),
      { numRuns: 2000 },
    )
  })

  it('agrees with JSON.parse on what is JSON', () => {
    fc.assert(
      fc.property(
        fc.string({
          unit: fc.constantFrom('{', '}', '[', ']', '"', ':', ',', '1', '.', '0', 'e', '-', '\\', 'n', 'true', 'null', ' ', '\n'),
        }),
        (anyText) => {
          const accepted = (parse: (body: string) => unknown): boolean => {
            try {
              parse(anyText)
              return true
            } catch {
              return false
            }
          }

          assert.equal(
            accepted((body) => parseJson(body)),
            accepted((body) => JSON.parse(body) as unknown),
          )
        },
      ),
      { numRuns: 5000 },
    )
  })
})

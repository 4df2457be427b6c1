import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { command, messageSymbol } from '../../src/message/declaration.ts'
import { Decimal } from '../../src/serialization/decimal.ts'
import { parseJson } from '../../src/serialization/json-read.ts'
import { writeJson } from '../../src/serialization/json-write.ts'
import { typed } from '../../src/serialization/typed.ts'
import { bytes, dateTimeOffset, decimal, enumOf, int64, timeSpan } from '../../src/zod/index.ts'

const OrderStatus = { Open: 0, Cancelled: 7 } as const
// What `enum Compiled { Open, Closed = 5 }` compiles to.
const Compiled = { Open: 0, 0: 'Open', Closed: 5, 5: 'Closed' } as const

const everything = z.object({
  Decimal: decimal(),
  Long: int64(),
  Duration: timeSpan(),
  Offset: dateTimeOffset(),
  Status: enumOf(OrderStatus),
  Blob: bytes(),
})

describe('the .NET types inside a message', () => {
  it('come back from the wire as they were written', () => {
    class KitchenSink extends command('Shop.KitchenSink', everything) {}
    const sent = new KitchenSink({
      Decimal: '1234567890.1234567890',
      Long: 9007199254740993n,
      Duration: '1.02:03:04.5670000',
      Offset: '2026-03-01T09:30:15.2501234+05:30',
      Status: 'Cancelled',
      Blob: new Uint8Array([0, 1, 2, 254, 255]),
    })

    const wire = writeJson(sent)

    assert.equal(
      wire,
      '{"Decimal":1234567890.1234567890,"Long":9007199254740993,"Duration":"1.02:03:04.5670000",' +
        '"Offset":"2026-03-01T09:30:15.2501234+05:30","Status":7,"Blob":"AAEC/v8="}',
    )
    assert.deepEqual(typed(KitchenSink[messageSymbol], parseJson(wire)), { value: Object.fromEntries(Object.entries(sent)) })
  })

  it('accept their own output, so that a message can be made of another', () => {
    const first = everything.parse({ Decimal: 1, Long: 2, Duration: '00:00:01', Offset: '2026-03-01T09:30:15Z', Status: 0, Blob: 'AAE=' })

    assert.deepEqual(everything.parse(first), first)
  })

  it('carry the name of the .NET type', () => {
    const names = Object.values(everything.shape).map((schema) => schema.meta()?.['dotnet'])

    assert.deepEqual(names, ['System.Decimal', 'System.Int64', 'System.TimeSpan', 'System.DateTimeOffset', 'System.Enum', 'System.Byte[]'])
  })

  it('have a JSON Schema', () => {
    const { properties } = z.toJSONSchema(everything, { io: 'input', unrepresentable: 'any' })

    expect(properties).toMatchObject({
      Decimal: { type: 'number' },
      Long: { type: 'integer' },
      Duration: { type: 'string' },
      Status: { enum: [0, 7] },
    })
  })

  it('are missing when they are missing', () => {
    const { error } = everything.safeParse({})

    assert.deepEqual(
      error?.issues.map((issue) => issue.path[0]),
      Object.keys(everything.shape),
    )
  })
})

describe('what they accept and refuse', () => {
  it.each([
    [
      'decimal',
      decimal(),
      [1.5, '1.50', 5n, Decimal.of('1e3'), '9'.repeat(28)],
      ['', 'x', '1,5', Number.NaN, null, true, {}, '1'.repeat(30), Decimal.of('1e300')],
    ],
    [
      'int64',
      int64(),
      [1, '7', -(2n ** 63n), 2n ** 63n - 1n, Decimal.of('9007199254740993')],
      [1.5, 2 ** 60, 2n ** 63n, '1.0', 'x', Decimal.of('1e9999999'), null],
    ],
    [
      'timeSpan',
      timeSpan(),
      ['00:00:01', '-1.00:00:00', '1.02:03:04.5670000', '10675199.00:00:00'],
      ['1s', '24:00:00', '00:60:00', '1:00:00', '99999999.00:00:00', 5],
    ],
    [
      'dateTimeOffset',
      dateTimeOffset(),
      ['2026-03-01T09:30:15Z', '2026-03-01T09:30:15.2501234+05:30', '2024-02-29T00:00:00-08:00'],
      ['2026-03-01', '2026-02-30T00:00:00Z', '2026-03-01T09:30:15', '2026-03-01T09:30:15.12345678Z', '', 5],
    ],
    ['enumOf as const', enumOf(OrderStatus), [0, 7, 'Open', 'Cancelled'], [1, 'open', 'constructor', '0', null]],
    ['enumOf an enum', enumOf(Compiled), [0, 5, 'Closed'], [1, '5', 'x']],
    ['bytes', bytes(), ['', 'AAE=', new Uint8Array()], ['A', 'AAE', 'not base64!', 5, []]],
  ] as const)('%s', (_name, schema, good, bad) => {
    for (const value of good) assert.ok(schema.safeParse(value).success, `should accept ${inspect(value)}`)
    for (const value of bad) assert.ok(!schema.safeParse(value).success, `should refuse ${inspect(value)}`)
  })

  it('says what an enum may be', () => {
    assert.equal(enumOf(OrderStatus).safeParse(9).error?.issues[0]?.message, 'must be Open (0) or Cancelled (7), is 9')
  })
})

import { expectTypeOf, test } from 'vitest'
import { z } from 'zod'
import { command } from '../../src/message/declaration.ts'
import type { Decimal } from '../../src/serialization/decimal.ts'
import { bytes, dateTimeOffset, decimal, enumOf, int64, timeSpan } from '../../src/zod/index.ts'

declare enum OrderStatus {
  Open = 0,
  Cancelled = 7,
}
const Colour = { Red: 1, Green: 2 } as const

class KitchenSink extends command(
  'Shop.KitchenSink',
  z.object({
    Total: decimal(),
    Count: int64(),
    For: timeSpan(),
    At: dateTimeOffset(),
    Status: enumOf({} as typeof OrderStatus),
    Colour: enumOf(Colour),
    Blob: bytes(),
  }),
) {}

test('members have the type that comes out of the schema', () => {
  const sink = {} as KitchenSink
  expectTypeOf(sink.Total).toEqualTypeOf<Decimal>()
  expectTypeOf(sink.Count).toEqualTypeOf<bigint>()
  expectTypeOf(sink.For).toEqualTypeOf<string>()
  expectTypeOf(sink.At).toEqualTypeOf<string>()
  expectTypeOf(sink.Status).toEqualTypeOf<OrderStatus>()
  expectTypeOf(sink.Colour).toEqualTypeOf<1 | 2>()
  expectTypeOf(sink.Blob).toExtend<Uint8Array>()
})

test('the constructor takes what goes into the schema', () => {
  type Input = ConstructorParameters<typeof KitchenSink>[0]
  expectTypeOf<Input['Total']>().toEqualTypeOf<Decimal | number | bigint | string>()
  expectTypeOf<Input['Colour']>().toEqualTypeOf<1 | 2 | 'Red' | 'Green'>()
  expectTypeOf<Input['Blob']>().toExtend<Uint8Array | string>()
  expectTypeOf<'Blue'>().not.toExtend<Input['Colour']>()
})

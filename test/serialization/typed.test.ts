import assert from 'node:assert/strict'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { MessageInterface, command, messageSymbol } from '../../src/message/declaration.ts'
import type { StandardSchema } from '../../src/message/standard-schema.ts'
import { Decimal } from '../../src/serialization/decimal.ts'
import { parseJson } from '../../src/serialization/json-read.ts'
import { typed } from '../../src/serialization/typed.ts'
import { decimal } from '../../src/zod/index.ts'

const definitionOf = (schema: StandardSchema) => command('Shop.PlaceOrder', schema)[messageSymbol]
const read = (schema: StandardSchema, text: string) => typed(definitionOf(schema), parseJson(text))

interface Tree {
  readonly Value: number
  readonly Inside: readonly Tree[]
}
const tree: z.ZodType<Tree> = z.object({ Value: z.number(), Inside: z.array(z.lazy(() => tree)) })

describe('a tree with decimals', () => {
  it('gets plain numbers where the schema wants numbers, and keeps the digits where it wants decimals', () => {
    const schema = z.object({ Total: decimal(), Lines: z.array(z.object({ Price: z.number(), Note: z.string() })) })

    assert.deepEqual(read(schema, '{"Total":123.40,"Lines":[{"Price":1.0,"Note":"a"},{"Price":2.50,"Note":"b"}]}'), {
      value: {
        Total: Decimal.of('123.40'),
        Lines: [
          { Price: 1, Note: 'a' },
          { Price: 2.5, Note: 'b' },
        ],
      },
    })
  })

  it('gets plain numbers below a union that refused it', () => {
    const schema = z.object({ Price: z.union([z.object({ Net: z.number() }), z.object({ Gross: z.number() })]) })

    assert.deepEqual(read(schema, '{"Price":{"Gross":1.0}}'), { value: { Price: { Gross: 1 } } })
  })

  it('is validated once when the places are known from an earlier message', () => {
    let validations = 0
    const inner = z.object({ Prices: z.array(z.number()) })
    const counting: StandardSchema = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value) => ((validations += 1), inner['~standard'].validate(value) as { value: unknown }),
      },
    }
    const definition = definitionOf(counting)

    typed(definition, parseJson('{"Prices":[1.0]}'))
    assert.equal(validations, 2)
    assert.deepEqual(typed(definition, parseJson('{"Prices":[2.0,3.50,4.0]}')), { value: { Prices: [2, 3.5, 4] } })

    assert.equal(validations, 3)
  })

  it('keeps digits that a number cannot hold even where another message wanted a number', () => {
    const definition = definitionOf(
      z
        .object({ Amount: z.union([decimal(), z.number()]), Kind: z.string() })
        .refine((value) => value.Kind !== 'plain' || typeof value.Amount === 'number', { path: ['Amount'] }),
    )
    typed(definition, parseJson('{"Amount":1.0,"Kind":"plain"}'))

    const { value } = typed(definition, parseJson('{"Amount":9007199254740993,"Kind":"exact"}')) as { value: { Amount: unknown } }

    assert.equal(String(value.Amount), '9007199254740993')
  })

  it.each<[string, StandardSchema, string, unknown]>([
    [
      'a record',
      z.object({ Rates: z.record(z.string(), z.number()) }),
      '{"Rates":{"EUR":1.0,"USD":2.50}}',
      { Rates: { EUR: 1, USD: 2.5 } },
    ],
    [
      'a tuple',
      z.object({ Pair: z.tuple([z.number(), decimal()], z.number()) }),
      '{"Pair":[1.0,2.0,3.0]}',
      { Pair: [1, Decimal.of('2.0'), 3] },
    ],
    ['a fallback', z.object({ Price: z.number().catch(0) }), '{"Price":1.0}', { Price: 1 }],
    ['a choice of scalars', z.object({ Price: z.union([z.null(), z.literal(1), z.number()]) }), '{"Price":2.0}', { Price: 2 }],
    ['a choice with decimals', z.object({ Price: z.union([z.string(), decimal()]) }), '{"Price":2.0}', { Price: Decimal.of('2.0') }],
    ['what is not declared by name', z.object({}).catchall(z.number()), '{"Price":1.0}', { Price: 1 }],
    [
      'a schema inside itself',
      tree,
      '{"Value":1.0,"Inside":[{"Value":2.0,"Inside":[]}]}',
      { Value: 1, Inside: [{ Value: 2, Inside: [] }] },
    ],
    ['a text made of it', z.object({ Price: z.coerce.string() }), '{"Price":2.50}', { Price: '2.50' }],
  ])('gets plain numbers, or keeps its digits, as %s wants it', (_, schema, text, value) => {
    expect(read(schema, text)).toEqual({ value })
  })

  it('is taken where so many numbers are of one array that as many issues would exhaust the stack', () => {
    const count = 200_000
    const prices = z.union([z.object({ Net: z.number() }), z.object({ Gross: z.number() })])
    const texts: readonly [StandardSchema, string][] = [
      [z.object({ Prices: z.array(z.array(z.number())) }), '1.0'],
      [z.object({ Prices: z.array(z.array(prices)) }), '{"Gross":1.0}'],
    ]

    for (const [schema, text] of texts)
      assert.equal(read(schema, `{"Prices":[[${Array.from({ length: count }, () => text).join(',')}]]}`).issues, undefined)
  })

  it('is taken where a schema shows one issue at a time, after a few rounds', () => {
    let validations = 0
    const oneByOne: StandardSchema = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value) => {
          validations++
          const at = (value as { Prices: unknown[] }).Prices.findIndex((price) => typeof price !== 'number')
          return at < 0 ? { value } : { issues: [{ message: 'no number', path: ['Prices', at] }] }
        },
      },
    }

    assert.equal(read(oneByOne, `{"Prices":[${Array.from({ length: 1000 }, (_, index) => `${index}.0`).join(',')}]}`).issues, undefined)
    expect(validations).toBeLessThan(10)
    validations = 0
    assert.ok(
      read(oneByOne, `{"Prices":[${Array.from({ length: 1000 }, (_, index) => `${index}.12345678901234567890`).join(',')}]}`).issues,
    )
    expect(validations).toBeLessThan(20)
  })

  it('is not changed itself', () => {
    const tree = parseJson('{"Price":1.0}')

    typed(definitionOf(z.object({ Price: z.number() })), tree)

    assert.deepEqual(tree, { Price: Decimal.of('1.0') })
  })

  it('reads as plain numbers for an interface, which has no schema', () => {
    const definition = MessageInterface<{ Total: number }>('Shop.IOrderEvent')[messageSymbol]

    assert.deepEqual(typed(definition, parseJson('{"Total":123.40}')), { value: { Total: 123.4 } })
  })
})

describe('property names', () => {
  const schema = z.object({ OrderId: z.string(), Lines: z.array(z.object({ Sku: z.string() })).optional() })

  it('are taken in another case when the exact ones are refused', () => {
    assert.deepEqual(read(schema, '{"orderId":"7","lines":[{"sku":"A"}]}'), { value: { OrderId: '7', Lines: [{ Sku: 'A' }] } })
  })

  it('are taken in another case inside a record too', () => {
    const bySku = z.object({ Lines: z.record(z.string(), z.object({ Quantity: z.number() })) })

    assert.deepEqual(read(bySku, '{"lines":{"A":{"quantity":1}}}'), { value: { Lines: { A: { Quantity: 1 } } } })
  })

  it('are taken exactly when both are there', () => {
    assert.deepEqual(read(schema, '{"orderid":"other","OrderId":"7"}'), { value: { OrderId: '7' } })
  })

  it('appear in the issues as they stand in the body', () => {
    const { issues } = read(schema, '{"orderId":7}')

    expect(issues).toMatchObject([{ path: ['OrderId'] }])
  })

  it('are left alone for a schema that cannot be read', () => {
    const opaque: StandardSchema = {
      '~standard': { version: 1, vendor: 'test', validate: (value) => schema['~standard'].validate(value) as never },
    }

    assert.ok(read(opaque, '{"orderId":"7"}').issues)
  })

  it('called __proto__ never reach a prototype', () => {
    const result = read(schema, '{"__proto__":{"OrderId":"7"},"lines":[]}')

    assert.ok(result.issues)
    assert.equal(({} as Record<string, unknown>)['OrderId'], undefined)
  })
})

it('a body that is not an object is an issue, not an exception', () => {
  assert.ok(typed(definitionOf(z.object({})), 5).issues)
  assert.ok(typed(definitionOf(z.object({})), [Decimal.of('1.0')]).issues)
})

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

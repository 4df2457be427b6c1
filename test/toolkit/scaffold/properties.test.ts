import assert from 'node:assert/strict'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { command, messageSymbol } from '../../../src/message/declaration.ts'
import { describedProperties } from '../../../src/toolkit/scaffold/described-properties.ts'
import { objectCode, parseProperties, propertyTypes, schemaCode, valueCode } from '../../../src/toolkit/scaffold/properties.ts'
import { bytes, dateTimeOffset, decimal, enumOf, int64, timeSpan } from '../../../src/zod/index.ts'

describe('properties as they are typed', () => {
  it('may be optional in two ways', () => {
    const read = parseProperties(['OrderId:guid', 'Note?:string', 'Count:int?'])

    assert.deepEqual(
      read.map(({ name, type, optional, schema }) => [name, type, optional, schema]),
      [
        ['OrderId', 'guid', false, 'z.guid()'],
        ['Note', 'string', true, 'z.string().nullish()'],
        ['Count', 'int', true, 'z.int32().nullish()'],
      ],
    )
  })

  it.each([
    ['OrderId', 'Write Name:type, such as OrderId:string'],
    ['OrderId:', 'Types: string'],
    ['OrderId:gui', 'Did you mean OrderId:guid?'],
    ['OrderId:constructor', 'Types: string'],
    ['Order-Id:guid', 'Write it as in C#'],
    ['__proto__:string', 'Write it as in C#'],
    [':string', 'Write it as in C#'],
  ])('%j is refused with a suggestion', (text, suggestion) => {
    expect(() => parseProperties([text])).toThrow(
      expect.objectContaining({ code: 'NSB_BAD_PROPERTY', suggestions: [expect.stringContaining(suggestion)] }),
    )
  })

  it('may be lists, and enums whose members are numbered from 0 as in C#', () => {
    const read = parseProperties(['Ids:guid[]', 'Status:enum(Open, Closed)', 'All:enum(Open,Closed)[]', 'At:datetimeoffset'])

    assert.deepEqual(
      read.map(({ schema, helper, sample }) => [schema, helper, sample]),
      [
        ['z.array(z.guid())', undefined, ['0f4c3a52-6d1e-4b7a-9c58-2e7f81d9a001']],
        ['enumOf({ Open: 0, Closed: 1 })', 'enumOf', 0],
        ['z.array(enumOf({ Open: 0, Closed: 1 }))', 'enumOf', [0]],
        ['dateTimeOffset()', 'dateTimeOffset', '2026-03-01T09:30:15+01:00'],
      ],
    )
  })

  it.each([
    ['Quantity:int', 3_000_000_000],
    ['Quantity:short', 40_000],
    ['Quantity:byte', -1],
  ])('%s takes no more than the C# type has room for, such as %d', (text, value) => {
    const schema = parseProperties([text])[0]?.schema
    // oxlint-disable-next-line typescript/no-implied-eval -- the schemas are texts of code
    const made = (new Function('z', `return ${schema}`) as (zod: typeof z) => z.ZodType)(z)

    assert.equal(made.safeParse(value).success, false)
  })

  it.each(['enum', 'enum()', 'enum(Open,Open)', 'enum(1)', 'enum[]'])('%s is refused: its members are needed', (type) => {
    expect(() => parseProperties([`Status:${type}`])).toThrow(
      expect.objectContaining({ code: 'NSB_BAD_PROPERTY', suggestions: [expect.stringContaining("'Status:enum(Open,Closed)'")] }),
    )
  })

  it('are refused when one is given twice', () => {
    expect(() => parseProperties(['A:int', 'A:string'])).toThrow('given twice')
  })

  it.each(Object.entries(propertyTypes))(
    '%s has a schema that accepts its sample and its fallback',
    (_type, { schema, sample, fallback }) => {
      // oxlint-disable-next-line typescript/no-implied-eval -- the schemas are texts of code
      const make = new Function('z', 'decimal', 'int64', 'timeSpan', 'bytes', 'dateTimeOffset', `return ${schema}`) as (
        ...helpers: unknown[]
      ) => z.ZodType
      const made = make(z, decimal, int64, timeSpan, bytes, dateTimeOffset)

      assert.ok(made.safeParse(sample).success)
      assert.ok(made.safeParse(fallback).success)
    },
  )
})

describe('properties of a declared message', () => {
  const schema = z.object({
    OrderId: z.string(),
    Id: z.guid(),
    Count: z.int().min(5).default(6),
    Note: z.string().min(3).nullish(),
    Total: decimal(),
    Big: int64(),
    For: timeSpan(),
    At: z.iso.datetime(),
    Offset: dateTimeOffset(),
    Status: enumOf({ Open: 3, Closed: 4 } as const),
    Blob: bytes(),
    Tags: z.array(z.string()),
    Lines: z.array(z.object({ Sku: z.string(), Note: z.string().optional() })).min(1),
    Kind: z.enum(['a', 'b']),
    Mail: z.email(),
    Either: z.union([z.literal('x'), z.number()]),
  })
  class Everything extends command('Shop.Everything', schema) {}
  const properties = describedProperties(Everything[messageSymbol])

  it('have the types that can be typed, where they are of one', () => {
    assert.deepEqual(Object.fromEntries(properties.map(({ name, type }) => [name, type])), {
      OrderId: 'string',
      Id: 'guid',
      Count: 'int',
      Note: 'string',
      Total: 'decimal',
      Big: 'long',
      For: 'timespan',
      At: 'datetime',
      Offset: 'datetimeoffset',
      Status: undefined,
      Blob: 'bytes',
      Tags: 'string[]',
      Lines: undefined,
      Kind: undefined,
      Mail: undefined,
      Either: undefined,
    })
    assert.deepEqual(
      properties.filter(({ optional }) => optional).map(({ name }) => name),
      ['Count', 'Note'],
    )
  })

  it('have samples and fallbacks that the schema accepts', () => {
    for (const kind of ['sample', 'fallback'] as const) {
      const values = Object.fromEntries(properties.filter(({ optional }) => !optional).map((each) => [each.name, each[kind]]))

      const { error } = schema.safeParse(values)

      assert.equal(error, undefined)
    }
  })

  it('are none for a schema that cannot be read', () => {
    const opaque = { '~standard': { version: 1 as const, vendor: 'test', validate: (value: unknown) => ({ value }) } }

    assert.deepEqual(describedProperties(command('Shop.Opaque', opaque)[messageSymbol]), [])
  })
})

describe('code', () => {
  it.each([
    ["it's", String.raw`'it\'s'`],
    ['a\nb"', String.raw`'a\nb"'`],
    [1n, '1n'],
    [new Uint8Array([1]), 'new Uint8Array([1])'],
    [[{ A: 'x', 'b-c': null }], "[{ A: 'x', 'b-c': null }]"],
    [undefined, 'undefined'],
  ])('of %o is %s', (value, code) => {
    assert.equal(valueCode(value), code)
  })

  it('of a long object takes a line for each member', () => {
    const long = 'x'.repeat(50)

    assert.equal(
      objectCode(
        [
          ['A', long],
          ['B', long],
        ],
        '  ',
      ),
      `{\n    A: ${long},\n    B: ${long},\n  }`,
    )
    assert.equal(objectCode([]), '{}')
  })

  it('of a schema takes one line for one property', () => {
    assert.equal(schemaCode(parseProperties(['A:int'])), '{ A: z.int32() }')
    assert.equal(schemaCode(parseProperties(['A:int', 'B:int'])), '{\n  A: z.int32(),\n  B: z.int32(),\n}')
  })
})

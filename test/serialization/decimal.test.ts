import assert from 'node:assert/strict'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Decimal } from '../../src/serialization/decimal.ts'

describe('a Decimal', () => {
  it.each([
    ['123.40', '123.40'],
    [12.5, '12.5'],
    [-0, '-0'],
    [9007199254740993n, '9007199254740993'],
  ])('made of %s keeps the digits %s', (value, digits) => {
    assert.equal(Decimal.of(value).toString(), digits)
  })

  it.each(['', 'abc', '1,5', '01', '.5', '1.', 'NaN', ' 1'])('refuses %j', (text) => {
    expect(() => Decimal.of(text)).toThrow(expect.objectContaining({ code: 'NSB_BAD_DECIMAL' }))
  })

  it.each([
    ['1.0', '1', true],
    ['1.0', '1e0', true],
    ['100', '1e2', true],
    ['0.0', '-0', true],
    ['0.10', '0.1', true],
    ['1', '-1', false],
    ['10', '1', false],
    ['9007199254740993', '9007199254740992', false],
    ['1e999999999999', '1e999999999998', false],
    [`1e-${'9'.repeat(2000)}`, '0', false],
    [`1e-${'9'.repeat(2000)}`, `1e-${'9'.repeat(2000)}`, true],
    [`0.${'0'.repeat(2000)}1${'0'.repeat(2000)}`, '1e-2001', true],
  ])('%s equals %s: %s', (a, b, equal) => {
    assert.equal(Decimal.of(a).equals(b), equal)
  })

  it('counts as its number in arithmetic, comparison and JSON.stringify', () => {
    const total = Decimal.of('123.40')

    assert.equal(Number(total) * 2, 246.8)
    assert.equal(total.toNumber(), 123.4)
    assert.equal(JSON.stringify({ total }), '{"total":123.4}')
    assert.equal(String(total), '123.40')
  })

  it('differs from another one in a deep comparison when its digits differ', () => {
    assert.notDeepEqual(Decimal.of('1.0'), Decimal.of('1.1'))
    assert.deepEqual(Decimal.of('1.0'), Decimal.of('1.0'))
  })

  it('equals every finite number it was made of', () => {
    fc.assert(fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => assert.ok(Decimal.of(value).equals(value))))
  })
})

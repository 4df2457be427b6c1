import assert from 'node:assert/strict'
import fc from 'fast-check'
import { it } from 'vitest'
import { remover } from '../../../../src/toolkit/errors/select/remover.ts'

it('a text is removed from another one as replaceAll does it, however long it is', () => {
  const pieces = (maxLength: number): fc.Arbitrary<string> => fc.string({ unit: fc.constantFrom('a', 'b'), maxLength })

  fc.assert(
    fc.property(pieces(6), fc.nat(150), fc.array(pieces(300), { maxLength: 4 }), (unit, times, between) => {
      const part = unit.repeat(times)
      const text = between.join(part)

      assert.equal(remover(part)(text), part === '' ? text : text.replaceAll(part, ''))
    }),
    { numRuns: 1000 },
  )
})

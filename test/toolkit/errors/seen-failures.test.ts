import assert from 'node:assert/strict'
import { describe, it } from 'vitest'
import { SeenFailures } from '../../../src/toolkit/errors/seen-failures.ts'

describe('failures that were seen', () => {
  it.each([0, 500, 20_000])('are known again, also when more come than the %i that were expected', (expected) => {
    const seen = new SeenFailures(expected)
    const ids = Array.from({ length: 20_000 }, (_, index) => `id ${index}`)

    assert.deepEqual(
      ids.filter((id) => seen.isDuplicate(id, 5)),
      [],
    )
    assert.equal(ids.filter((id) => seen.isDuplicate(id, 5)).length, ids.length)
    assert.equal(seen.isDuplicate('id 7', 6), false)
  })

  it('without a time are never the same', () => {
    const seen = new SeenFailures()

    assert.deepEqual([seen.isDuplicate('id', undefined), seen.isDuplicate('id', undefined)], [false, false])
  })
})

import assert from 'node:assert/strict'
import { describe, it } from 'vitest'
import { SeenFailures } from '../../../src/toolkit/errors/seen-failures.ts'

const failure = (uniqueId: string, failedAt: number | undefined, contentMark = 1) => ({ uniqueId, failedAt, contentMark })

describe('failures that were seen', () => {
  it.each([0, 500, 20_000])('are known again, also when more come than the %i that were expected', (expected) => {
    const seen = new SeenFailures(expected)
    const ids = Array.from({ length: 20_000 }, (_, index) => `id ${index}`)

    assert.deepEqual(
      ids.filter((id) => seen.isDuplicate(failure(id, 5))),
      [],
    )
    assert.equal(ids.filter((id) => seen.isDuplicate(failure(id, 5))).length, ids.length)
    assert.equal(seen.isDuplicate(failure('id 7', 6)), false)
  })

  it('are not the same because of one id and one moment: producers use ids again', () => {
    const seen = new SeenFailures()

    assert.deepEqual(
      [1, 2, 1].map((contentMark) => seen.isDuplicate(failure('id', 5, contentMark))),
      [false, false, true],
    )
  })

  it('without a time are never the same', () => {
    const seen = new SeenFailures()

    assert.deepEqual([seen.isDuplicate(failure('id', undefined)), seen.isDuplicate(failure('id', undefined))], [false, false])
  })
})

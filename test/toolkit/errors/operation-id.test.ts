import assert from 'node:assert/strict'
import { describe, it } from 'vitest'
import { newOperationId, timeOfOperation } from '../../../src/toolkit/errors/operation-id.ts'

describe('an operation id', () => {
  it('has 26 characters that sort by time and differ', () => {
    const ids = [newOperationId(1), newOperationId(2), newOperationId(1_800_000_000_000)]

    assert.deepEqual(ids.toSorted(), ids)
    for (const id of ids) assert.match(id, /^[0-9A-HJKMNP-TV-Z]{26}$/)
    assert.notEqual(newOperationId(5), newOperationId(5))
    assert.deepEqual(
      [0, 1_800_000_000_000].map((time) => timeOfOperation(newOperationId(time))),
      [0, 1_800_000_000_000],
    )
  })
})

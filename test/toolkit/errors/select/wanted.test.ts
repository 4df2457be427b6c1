import assert from 'node:assert/strict'
import { describe, it } from 'vitest'
import { Wanted } from '../../../../src/toolkit/errors/select/wanted.ts'

describe('wanted failures', () => {
  it('are taken once each, and only those', () => {
    const wanted = new Wanted()
    for (let index = 0; index < 5000; index++) {
      const failure = { uniqueId: `m${index}`, failedAt: index, contentMark: 1 }
      assert.equal(wanted.see(failure), true)
      if (index % 2 === 0) wanted.want(failure)
    }

    const taken = Array.from({ length: 5000 }, (_, index) => wanted.take({ uniqueId: `m${index}`, failedAt: index, contentMark: 1 }))

    assert.ok(taken.every((was, index) => was === (index % 2 === 0)))
    assert.equal(wanted.left, 0)
    assert.equal(wanted.take({ uniqueId: 'm0', failedAt: 0, contentMark: 1 }), false)
  })

  it('are other ones when they failed again, and the same when they are there twice', () => {
    const wanted = new Wanted()

    assert.deepEqual(
      [1, 1, 2].map((failedAt) => wanted.see({ uniqueId: 'm', failedAt, contentMark: 1 })),
      [true, false, true],
    )
  })

  it('are other ones when their content is another: producers use ids again', () => {
    const wanted = new Wanted()

    assert.deepEqual(
      [1, 2, 1].map((contentMark) => wanted.see({ uniqueId: 'm', failedAt: 1, contentMark })),
      [true, true, false],
    )
  })

  it('without a time are each a failure of its own', () => {
    const wanted = new Wanted()
    const failure = { uniqueId: '', failedAt: undefined, contentMark: 1 }
    for (let times = 0; times < 2; times++) {
      assert.equal(wanted.see(failure), true)
      wanted.want(failure)
    }

    assert.deepEqual(
      [1, 2, 3].map(() => wanted.take(failure)),
      [true, true, false],
    )
  })
})

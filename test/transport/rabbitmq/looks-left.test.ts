import assert from 'node:assert/strict'
import { describe, it } from 'vitest'
import { LooksLeft } from '../../../src/transport/rabbitmq/looks-left.ts'
import type { HeldLimits } from '../../../src/transport/rabbitmq/queue-limits.ts'
import type { HeldMessage } from '../../../src/transport/transport.ts'

function looksOf(limits: HeldLimits, overrule: readonly string[] = [], takesAll = false) {
  const [warnings, exhausted]: [string[], string[]] = [[], []]
  const looks = new LooksLeft({
    queue: 'error',
    limits,
    overrule,
    takesAll,
    warn: (text) => warnings.push(text),
    exhausted: () => exhausted.push(''),
  })
  return { looks, warnings, exhausted }
}

const givenBack = (...counts: readonly number[]): readonly HeldMessage[] => counts.map((count) => ({ givenBack: count }) as HeldMessage)
const limited = { kind: 'quorum', limit: 20, giveBacksCount: true } as const

describe('the looks that are left of a queue', () => {
  it('E-12 are warned of once when they become few', () => {
    const { looks, warnings } = looksOf(limited)

    looks.check(givenBack(0, 15))
    looks.check(givenBack(16))
    looks.check(givenBack(17))

    assert.equal(warnings.length, 1)
    assert.match(warnings[0] ?? '', /'error' can be looked at 4 more time\(s\)/)
  })

  it('E-12 end the reading at the last but one, and no policy is promised to help where the queue was made with the limit', () => {
    const { exhausted, looks } = looksOf(limited)

    assert.throws(() => looks.check(givenBack(0, 19)), {
      code: 'NSB_LOOKS_EXHAUSTED',
      suggestions: [
        'Where a policy sets the limit, raise it: rabbitmqctl set_policy; one that the queue was made with stays',
        'With --force, take them out and bring them back, which counts anew: nsb errors export --all --remove --file <file>, nsb errors import <file>',
        'Or read it all the same: --force; what is at its limit then moves to the end of the queue, and is lost if nsb is killed meanwhile (kill -9)',
      ],
    })
    assert.equal(exhausted.length, 1)
  })

  it('E-12 may be spent to the last by what is taken out of the queue, and at the limit nothing is taken that a lost connection would drop', () => {
    const { looks, warnings } = looksOf(limited, [], true)

    looks.check(givenBack(19))

    assert.deepEqual(warnings, [])
    assert.throws(() => looks.check(givenBack(20)), { code: 'NSB_LOOKS_EXHAUSTED' })
  })

  it('E-12 end nothing when that is overruled', () => {
    const { exhausted, looks } = looksOf(limited, ['NSB_LOOKS_EXHAUSTED'])

    looks.check(givenBack(20))

    assert.equal(exhausted.length, 0)
  })

  it('are as many as anybody likes where giving back is no failed delivery, until a lost connection would drop a message', () => {
    const { looks, warnings } = looksOf({ ...limited, giveBacksCount: false })

    looks.check(givenBack(19))

    assert.deepEqual(warnings, [])
    assert.throws(() => looks.check(givenBack(20)), {
      message: "Queue 'error' is not read: its messages were delivered in vain 20 times, and after 20 the broker drops them.",
    })
  })

  it.each([
    [{ kind: 'classic', limit: 'unlimited' }, 1000, false],
    [{ kind: 'quorum', limit: 'unlimited' }, 1000, false],
    [{ kind: 'quorum', limit: 20 }, 19, false],
    [{ kind: 'quorum', limit: 20 }, 20, true],
    [{ kind: 'quorum', limit: 'unknown' }, 1, false],
    [{ kind: 'quorum', limit: 'unknown' }, 2, true],
  ] as const)('E-11 of %o a message that was given back %i times is at its limit: %o', (limits, count, isAtLimit) => {
    assert.equal(looksOf({ ...limits, giveBacksCount: true }).looks.isAtLimit(count), isAtLimit)
  })
})

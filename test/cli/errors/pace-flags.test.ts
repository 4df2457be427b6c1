import assert from 'node:assert/strict'
import { describe, expect, it } from 'vitest'
import { answerOf, batchLine, betweenBatches, chosenPace, roughDuration } from '../../../src/cli/errors/pace-flags.ts'
import type { BatchOutcome } from '../../../src/toolkit/errors/replay/pace.ts'

const someone = { interactive: true, yes: false }
const nobody = { interactive: false, yes: false }
const outcome: BatchOutcome = { number: 2, sent: 10, failed: 0, answered: undefined, sentSoFar: 11 }
const badly: BatchOutcome = { ...outcome, answered: { succeeded: 8, failedAgain: 1, noAnswer: 1 } }

describe('between two batches', () => {
  it.each([
    ['a person is asked', { batch: '10' }, someone, { kind: 'ask' }],
    ['a pause goes before a question', { batch: '10', 'batch-pause': 30_000 }, someone, { kind: 'pause', ms: 30_000 }],
    ['a pause needs nobody', { batch: '10', 'batch-pause': 30_000 }, nobody, { kind: 'pause', ms: 30_000 }],
    ['with --yes it goes on as long as all goes well', { batch: '10' }, { interactive: true, yes: true }, { kind: 'whileWell' }],
  ] as const)('%s', (_title, flags, who, between) => {
    assert.deepEqual(chosenPace(flags, who).between, between)
  })

  it('E-32 where nobody can be asked and nothing answers for them, nothing is begun', () => {
    expect(() => chosenPace({ batch: '10' }, nobody)).toThrow(expect.objectContaining({ code: 'NSB_NEEDS_CONFIRMATION' }))
  })

  it('there is nothing without batches', () => {
    assert.deepEqual(chosenPace({ rate: '600/m' }, nobody), { perSecond: 10, batches: undefined, between: undefined })
  })

  it('is said what became of the last one', () => {
    assert.equal(batchLine({ ...badly, failed: 2 }), 'batch 2: 10 sent, 2 failed, 8 succeeded, 1 failed again, 1 no answer yet')
  })

  it('the answer is yes, no or all, and anything else is asked again', async () => {
    assert.deepEqual(['', ' Y ', 'no', 'ALL', 'a', 'perhaps'].map(answerOf), ['yes', 'yes', 'no', 'all', 'all', undefined])
    const answers = ['perhaps', 'y', 'all']
    const asked: string[] = []
    const ask = (question: string): Promise<string> => {
      asked.push(question)
      return Promise.resolve(answers.shift() ?? 'n')
    }
    const between = betweenBatches({ kind: 'ask' }, { ask, note: () => undefined, pause: () => Promise.resolve() })

    assert.deepEqual([await between(outcome), await between(outcome), await between(outcome)], [true, true, true])
    assert.equal(asked.length, 3)
    assert.match(asked[0] ?? '', /^batch 2: 10 sent\. Continue\? \[Y\/n\/all\]$/)
  })

  it('E-30 a pause is the last one after a batch of which something failed again, not after one that could not be sent', async () => {
    const pauses: number[] = []
    const pause = (ms: number): Promise<void> => Promise.resolve(void pauses.push(ms))
    const between = betweenBatches({ kind: 'pause', ms: 5 }, { ask: () => assert.fail(), note: () => undefined, pause })

    assert.deepEqual([await between(outcome), await between({ ...outcome, failed: 1 }), await between(badly)], [true, true, false])
    assert.deepEqual(pauses, [5, 5])
  })

  it('with --yes a batch that did not go well is the last one', async () => {
    const between = betweenBatches({ kind: 'whileWell' }, { ask: () => assert.fail(), note: () => undefined, pause: () => assert.fail() })

    assert.deepEqual([await between(outcome), await between({ ...outcome, failed: 1 }), await between(badly)], [true, false, false])
  })
})

it('a duration is told roughly', () => {
  assert.deepEqual([3800, 600_001, 7_200_000, 12_000_000].map(roughDuration), ['4 s', '11 min', '2 h', '3 h 20 min'])
})

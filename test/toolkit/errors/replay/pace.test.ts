import assert from 'node:assert/strict'
import { describe, expect, it } from 'vitest'
import {
  type BatchOutcome,
  Pacing,
  type Sender,
  batchSize,
  batchesOf,
  isBetterStaged,
  parseBatches,
  plannedMs,
  wentWell,
} from '../../../../src/toolkit/errors/replay/pace.ts'
import { Pace, parseRate } from '../../../../src/toolkit/send/pace.ts'
import { VirtualClock } from '../../../../src/testing/virtual-clock.ts'

const never = new AbortController().signal
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** When each of so many messages may begin, in ms from the first one. */
async function beginnings(pace: Pace, clock: VirtualClock, count: number): Promise<number[]> {
  const start = clock.now()
  const began: number[] = []
  const sending = (async () => {
    for (let index = 0; index < count; index++) {
      await pace.ready(never)
      pace.begin()
      began.push(Math.round(clock.now() - start))
    }
  })()
  for (await turn(); began.length < count; await turn()) await clock.advance(10, turn)
  await sending
  return began
}

describe('a rate', () => {
  it.each([
    ['20/s', 20],
    ['600/m', 10],
    ['5000/h', 5000 / 3600],
    ['2.5', 2.5],
  ])('is read: %s', (text, perSecond) => {
    assert.equal(parseRate(text), perSecond)
  })

  it.each(['', '0', '0/s', '-1/s', '5/d', 'fast', '1/s/s', '1e9', '9'.repeat(400)])('is refused when it is none: %j', (text) => {
    expect(() => parseRate(text)).toThrow(expect.objectContaining({ code: 'NSB_BAD_FLAG' }))
  })

  it('E-26 lets the first message begin at once and each further one an interval later', async () => {
    const clock = new VirtualClock(0)

    const began = await beginnings(new Pace(5, clock), clock, 20)

    assert.deepEqual(
      began,
      Array.from({ length: 20 }, (_, index) => index * 200),
    )
  })

  it('does not make up for a long pause', async () => {
    const clock = new VirtualClock(0)
    const pace = new Pace(10, clock)
    await beginnings(pace, clock, 2)
    await clock.advance(3_600_000)

    const began = await beginnings(pace, clock, 5)

    assert.deepEqual(began, [0, 0, 100, 200, 300])
  })

  it('ends its wait when it is aborted, and leaves no timer', async () => {
    const clock = new VirtualClock(0)
    const pace = new Pace(parseRate('1/h'), clock)
    pace.begin()
    const abort = new AbortController()
    const waiting = pace.ready(abort.signal)

    abort.abort()
    await waiting

    assert.equal(clock.nextTimer, undefined)
  })
})

describe('batches', () => {
  it.each([
    ['100', [100]],
    ['1,10,100', [1, 10, 100]],
    [' 1, 10 ,rest', [1, 10, Number.POSITIVE_INFINITY]],
  ])('are read: %s', (text, sizes) => {
    assert.deepEqual(parseBatches(text), sizes)
  })

  it.each(['', '0', '1,0', 'rest', '1,rest,5', '1,,2', '-1', '1.5', 'many', '1,restful', '12345678901'])(
    'are refused when they are none: %j',
    (text) => {
      expect(() => parseBatches(text)).toThrow(expect.objectContaining({ code: 'NSB_BAD_FLAG' }))
    },
  )

  it('repeat their last size when nothing says that the rest goes', () => {
    assert.deepEqual(
      [1, 2, 3, 4].map((number) => batchSize(parseBatches('1,10,100'), number)),
      [1, 10, 100, 100],
    )
    assert.equal(batchesOf(parseBatches('1,10,100'), 312), 6)
    assert.equal(batchesOf(parseBatches('1,10,100'), 311), 5)
    assert.equal(batchesOf(parseBatches('1,10,rest'), 1_000_000), 3)
    assert.equal(batchesOf(parseBatches('1,10,rest'), 11), 2)
    assert.equal(batchesOf(parseBatches('50'), 0), 0)
  })

  it('tell with the rate how long it will take', () => {
    const slow = { perSecond: 5, batches: undefined, pauseMs: undefined, waitMs: undefined }
    assert.equal(plannedMs(20, slow), 3800)
    assert.equal(plannedMs(0, slow), 0)
    assert.equal(plannedMs(250, { ...slow, perSecond: undefined, batches: [100], pauseMs: 30_000 }), 60_000)
    assert.equal(plannedMs(250, { ...slow, perSecond: undefined, batches: [100], pauseMs: 30_000, waitMs: 60_000 }), 180_000)
  })
})

describe('what is better staged', () => {
  const slowness = { perSecond: undefined, batches: undefined, pauseMs: undefined, waitMs: undefined }
  const quiet = { asks: false, isHeld: true }

  it.each([
    ['a fast replay of a million', 1_000_000, slowness, quiet, false],
    ['10 minutes', 6001, { ...slowness, perSecond: 10 }, quiet, false],
    ['more than 10 minutes', 6002, { ...slowness, perSecond: 10 }, quiet, true],
    ['more than 10 minutes of pauses', 1000, { ...slowness, batches: [10], pauseMs: 10_000 }, quiet, true],
    ['a question while messages are held', 20, { ...slowness, batches: [10] }, { asks: true, isHeld: true }, true],
    ['a question that is never asked', 10, { ...slowness, batches: [10] }, { asks: true, isHeld: true }, false],
    ['a question while nothing is held', 20, { ...slowness, batches: [10] }, { asks: true, isHeld: false }, false],
    ['outcomes awaited while messages are held', 20, { ...slowness, batches: [10], waitMs: 1000 }, quiet, true],
  ] as const)('%s', (_title, count, how, on, staged) => {
    assert.equal(isBetterStaged(count, how, on), staged)
  })
})

/** Sends so many messages, and says what lay between the batches. */
async function sendAll(
  count: number,
  pacing: Pacing,
  { fails = () => false, answers }: { readonly fails?: (index: number) => boolean; readonly answers?: BatchOutcome['answered'] } = {},
): Promise<number> {
  const sender = {
    tried: 0,
    failed: 0,
    stopped: false,
    finish: () => Promise.resolve(),
    answersOfBatch: () => Promise.resolve(answers),
  } satisfies Sender
  for (let index = 0; index < count; index++) {
    if (!(await pacing.ready(sender))) break
    pacing.begin()
    sender.tried++
    if (fails(index)) sender.failed++
  }
  return sender.tried
}

describe('between batches', () => {
  it('it is told what became of the last one, and nothing is asked after the end', async () => {
    const outcomes: BatchOutcome[] = []
    const between = (outcome: BatchOutcome): Promise<boolean> => Promise.resolve(outcomes.push(outcome) > 0)
    const pacing = new Pacing({ pace: undefined, batches: parseBatches('1,10,100'), between, signal: never })

    assert.equal(await sendAll(111, pacing, { fails: (index) => index === 5 }), 111)

    assert.deepEqual(outcomes, [
      { number: 1, sent: 1, failed: 0, answered: undefined, sentSoFar: 1 },
      { number: 2, sent: 9, failed: 1, answered: undefined, sentSoFar: 10 },
    ])
    assert.deepEqual(outcomes.map(wentWell), [true, false])
  })

  it('a no is the end, and what came after it does not begin', async () => {
    const pacing = new Pacing({ pace: undefined, batches: [10], between: () => Promise.resolve(false), signal: never })

    assert.equal(await sendAll(100, pacing), 10)
    assert.equal(pacing.stoppedAfter?.number, 1)
  })

  it('the outcomes of the batch are awaited before anything is asked', async () => {
    const answers = { succeeded: 0, failedAgain: 1, noAnswer: 0 }
    const outcomes: BatchOutcome[] = []
    const between = (outcome: BatchOutcome): Promise<boolean> => Promise.resolve(outcomes.push(outcome) < 0)
    const pacing = new Pacing({ pace: undefined, batches: [1], between, signal: never })

    await sendAll(2, pacing, { answers })

    assert.deepEqual(outcomes[0]?.answered, answers)
    assert.equal(wentWell(outcomes[0] as BatchOutcome), false)
  })

  it('says how many messages may be taken together', async () => {
    const clock = new VirtualClock(0)
    const options = { between: () => Promise.resolve(true), signal: never }

    assert.equal(new Pacing({ ...options, pace: undefined, batches: undefined }).soon, Number.POSITIVE_INFINITY)
    assert.equal(new Pacing({ ...options, pace: new Pace(20, clock), batches: undefined }).soon, 1200)
    assert.equal(new Pacing({ ...options, pace: new Pace(20, clock), batches: [7] }).soon, 7)
    assert.equal(new Pacing({ ...options, pace: new Pace(parseRate('1/h'), clock), batches: [7] }).soon, 1)
  })
})

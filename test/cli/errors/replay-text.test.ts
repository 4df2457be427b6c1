import { expect, it } from 'vitest'
import { failureLines } from '../../../src/cli/errors/replay-text.ts'
import type { ReplayedMessage } from '../../../src/toolkit/errors/replay/replay.ts'

const failed = (number: number, code: string): ReplayedMessage => ({
  uniqueId: `0000000${number}-rest`,
  target: 'Sales',
  result: 'failed',
  error: { code, message: 'as it is' },
})

it('of many that failed for one reason only the first have lines, with the code that says what to do', () => {
  const items = [1, 2, 3, 4, 5].map((number) => failed(number, 'NSB_DISK_FULL'))
  const again = {
    uniqueId: 'a'.repeat(36),
    target: 'Sales',
    result: 'failedAgain',
    exception: 'System.Exception: no stock\n at X',
  } as const

  expect(failureLines({ items: [...items, failed(6, 'NSB_NO_TARGET'), again] }, 20)).toEqual([
    ...[1, 2, 3].map((number) => `0000000${number}  Sales  NSB_DISK_FULL: as it is`),
    '2 more for that reason',
    '00000006  Sales  NSB_NO_TARGET: as it is',
    'aaaaaaaa  failed again  System.Exception: no stock',
  ])
})

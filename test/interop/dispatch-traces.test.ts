import { describe, it } from 'vitest'
import { learningTransport } from '../../src/transport/learning/transport.ts'
import type { TransactionMode } from '../../src/transport/transport.ts'
import { emptyStorage } from '../support/folders.ts'
import { expectSameTrace, recordedTrace } from './tracing.ts'

// Traces of a real NServiceBus 10.2.8 endpoint, compared with ours.

describe('on the learning transport the same happens as in a real endpoint', () => {
  const cases: readonly [string, TransactionMode, string, string][] = [
    ['second-handler-fails', 'sendsAtomicWithReceive', 'ShipOrder', 'U-4 U-6 U-10'],
    ['second-handler-fails-receiveonly', 'receiveOnly', 'ShipOrder', 'U-6'],
    ['second-handler-fails-none', 'none', 'ShipOrder', 'RC-12'],
    ['flaky-default-retries', 'sendsAtomicWithReceive', 'FlakyOrder', 'RC-1'],
    ['batch-order', 'sendsAtomicWithReceive', 'SplitOrder', 'H-1'],
  ]
  for (const [name, mode, mainType, ids] of cases)
    it(`${ids} in learning-${name}`, async () => {
      await expectSameTrace(learningTransport({ storage: emptyStorage() }), mode, recordedTrace(`learning-${name}`), mainType)
    })
})

import { newOperationId } from '../../src/toolkit/errors/operation-id.ts'
import type { ReplayOptions } from '../../src/toolkit/errors/replay/plan.ts'
import type { ReplayRun } from '../../src/toolkit/errors/replay/replay.ts'

/** What to replay; default: everything in `error`. */
export const replayOptions = (more: Partial<ReplayOptions> = {}): ReplayOptions => ({
  queue: 'error',
  criteria: {},
  all: true,
  to: undefined,
  redirects: {},
  limit: undefined,
  newest: false,
  now: Date.now(),
  overrule: [],
  maxHold: 100_000,
  signal: new AbortController().signal,
  ...more,
})

/** How to replay it; default: without a journal, and every message is told of. */
export const replayRun = (more: Partial<ReplayRun> = {}): ReplayRun => ({
  operation: newOperationId(Date.now()),
  journal: undefined,
  window: 50,
  onError: 'continue',
  waitMs: undefined,
  keepAcknowledgeTo: false,
  sameNativeId: false,
  everyItem: true,
  clock: Date.now,
  progress: () => undefined,
  ...more,
})

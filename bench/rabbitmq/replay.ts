/**
 * Replays everything in the error queue with the toolkit, with a journal or without one, which no command can do. The figure that
 * `globalThis.nsbBenchMs` tells is that of the replay alone: the same in both but for the journal.
 *
 *   node --import tsx bench/rabbitmq/replay.ts journal|none <window>
 */
import { newOperationId } from '../../src/toolkit/errors/operation-id.ts'
import type { ReplayOptions } from '../../src/toolkit/errors/replay/plan.ts'
import { prepareReplay } from '../../src/toolkit/errors/replay/prepare-replay.ts'
import { beginReplayJournal } from '../../src/toolkit/errors/replay/replay-record.ts'
import { openTransport } from '../../src/transport/open.ts'

const [, , kept = '', words = ''] = process.argv
const [stateFolder, connection] = [process.env['NSB_STATE_DIR'], process.env['NSB_BENCH_CONNECTION']]
if (stateFolder === undefined || connection === undefined) throw new Error('NSB_STATE_DIR and NSB_BENCH_CONNECTION are not set.')

const window = Number(words)
const options: ReplayOptions = {
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
}
const manner = { window, onError: 'continue', waitMs: undefined, keepAcknowledgeTo: false, sameNativeId: false } as const
const transport = await openTransport(connection)
const prepared = await prepareReplay(transport, options, { confirmed: true, window })
const operation = newOperationId(Date.now())
const start = performance.now()
const journal =
  kept === 'journal'
    ? beginReplayJournal({ stateFolder, where: 'bench', profile: 'default' }, operation, options, manner, prepared.plan)
    : undefined
await prepared.run({
  ...manner,
  operation,
  journal,
  everyItem: false,
  clock: Date.now,
  progress: () => undefined,
})
Object.assign(globalThis, { nsbBenchMs: performance.now() - start })
await prepared.release()
await transport.close()

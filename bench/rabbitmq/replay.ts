/**
 * Replays everything in the error queue with the toolkit, with a journal or without one, which no command can do. The figure that
 * `globalThis.nsbBenchMs` tells is that of the replay alone: the same in both but for the journal.
 *
 *   node --import tsx bench/rabbitmq/replay.ts journal|none <window>
 */
import { prepareReplay } from '../../src/toolkit/errors/replay/prepare-replay.ts'
import { beginReplayJournal } from '../../src/toolkit/errors/replay/replay-record.ts'
import { openTransport } from '../../src/transport/open.ts'
import { replayOptions, replayRun } from '../../test/support/replay-options.ts'

const [, , kept = '', words = ''] = process.argv
const [stateFolder, connection] = [process.env['NSB_STATE_DIR'], process.env['NSB_BENCH_CONNECTION']]
if (stateFolder === undefined || connection === undefined) throw new Error('NSB_STATE_DIR and NSB_BENCH_CONNECTION are not set.')

const window = Number(words)
const options = replayOptions()
const run = replayRun({ window, everyItem: false })
const transport = await openTransport(connection)
const prepared = await prepareReplay(transport, options, { confirmed: true, window })
const place = { stateFolder, where: 'bench', profile: 'default' }
const start = performance.now()
const journal = kept === 'journal' ? beginReplayJournal(place, run.operation, options, run, prepared.plan) : undefined
await prepared.run({ ...run, journal })
Object.assign(globalThis, { nsbBenchMs: performance.now() - start })
await prepared.release()
await transport.close()

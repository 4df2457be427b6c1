/**
 * Replays everything in an error queue with a journal, and is killed in the middle as by `kill -9`.
 * Arguments: broker or storage folder, error queue, state folder, window, step, at which message or group.
 *
 * Steps, as the specification of a replay counts them: `planned` (1, before anything is noted), `selected` (2, it is noted), `publishing`
 * (3, the copy is on its way), `confirmed` (4, it is safe and that is not noted), `safe` (5, it is noted), `removed` (6, the original is on its way out of the queue).
 */
import { Journal } from '../../../../src/toolkit/errors/journal/journal.ts'
import { prepareReplay } from '../../../../src/toolkit/errors/replay/prepare-replay.ts'
import { beginReplayJournal } from '../../../../src/toolkit/errors/replay/replay-record.ts'
import { Transaction } from '../../../../src/transport/learning/transaction.ts'
import { learningTransport } from '../../../../src/transport/learning/transport.ts'
import { parseConnection } from '../../../../src/transport/rabbitmq/connection-settings.ts'
import { rabbitTransport } from '../../../../src/transport/rabbitmq/transport.ts'
import { replayOptions, replayRun } from '../../../support/replay-options.ts'

const [place, queue, stateFolder, windowText, step, atText] = process.argv.slice(2) as [string, string, string, string, string, string]
const [window, at] = [Number(windowText), Number(atText)]
const counts = new Map<string, number>()

/** Is it now? */
function isDue(reached: string): boolean {
  counts.set(reached, (counts.get(reached) ?? 0) + 1)
  return reached === step && counts.get(reached) === at
}

function killAt(reached: string): void {
  if (isDue(reached)) process.kill(process.pid, 'SIGKILL')
}

// They are called with the right `this` below.
// oxlint-disable-next-line typescript/unbound-method
const { safe, select } = Journal.prototype
Journal.prototype.select = function (keys) {
  killAt('planned')
  const first = select.call(this, keys)
  killAt('selected')
  return first
}
Journal.prototype.safe = function (numbers) {
  killAt('confirmed')
  safe.call(this, numbers)
  killAt('safe')
}
// oxlint-disable-next-line typescript/unbound-method
const { stage } = Transaction.prototype
Transaction.prototype.stage = function (copies) {
  stage.call(this, copies)
  killAt('publishing')
}

const transport = place.startsWith('amqp')
  ? rabbitTransport({
      settings: parseConnection(place).settings,
      warn: () => undefined,
      // It is written in this turn of the event loop, and not confirmed.
      customize: () => void (isDue('publishing') && setImmediate(() => process.kill(process.pid, 'SIGKILL'))),
    })
  : learningTransport({ storage: place })
const options = replayOptions({ queue })
const run = replayRun({ window, everyItem: false, progress: () => killAt('removed') })
const prepared = await prepareReplay(transport, options, { confirmed: true, window })
await prepared.run({
  ...run,
  journal: beginReplayJournal({ stateFolder, where: 'here', profile: 'default' }, run.operation, options, run, prepared.plan),
})
await transport.close()

/**
 * Edits the first message of an error queue, and is killed in the middle as by `kill -9`.
 * Arguments: `learning` or `rabbitmq`, storage folder or address of the broker, error queue, state folder, target, `failed` if it stays in
 * the error queue, and the step: `held`, `selected`, `publishing`, `confirmed`, `noted`, `removed`, or any other for none.
 */
import { showFailed } from '../../../../../src/toolkit/errors/browse/browse.ts'
import { sendEdited } from '../../../../../src/toolkit/errors/edit/send-edited.ts'
import { learningTransport } from '../../../../../src/transport/learning/transport.ts'
import { parseConnection } from '../../../../../src/transport/rabbitmq/connection-settings.ts'
import { rabbitTransport } from '../../../../../src/transport/rabbitmq/transport.ts'
import type { Transport } from '../../../../../src/transport/transport.ts'

type Step = 'held' | 'selected' | 'publishing' | 'confirmed' | 'noted' | 'removed'
const [kind, at, queue, stateFolder, target, stays, step] = process.argv.slice(2) as [string, string, string, string, string, string, Step]
const killAt = (reached: Step): void => {
  if (reached === step) process.kill(process.pid, 'SIGKILL')
}

const transport: Transport =
  kind === 'learning'
    ? learningTransport({ storage: at })
    : rabbitTransport({
        settings: parseConnection(at).settings,
        warn: () => undefined,
        customize: () => void setImmediate(() => killAt('publishing')),
      })
const signal = new AbortController().signal
const look = { queue, criteria: { ids: ['m1'] }, now: 0, overrule: [], maxHold: 100_000, signal }
const original = await showFailed(transport, look, 'm1')

const hold = transport.hold.bind(transport)
transport.hold = async (name, options) => {
  const holding = await hold(name, {
    ...options,
    async beforeRemove(group) {
      killAt('confirmed')
      await options.beforeRemove(group)
      killAt('noted')
    },
  })
  killAt('held')
  const consume = holding.consume.bind(holding)
  holding.consume = async (message, outgoing) => {
    killAt('selected')
    await consume(message, outgoing)
    killAt('removed')
  }
  return holding
}
await sendEdited(transport, {
  operation: '01M7YKY9S5RVCSN2137YSYXDB2',
  queue,
  original,
  edited: { headers: original.message.headers, body: new TextEncoder().encode('{"edited":true}') },
  target,
  staysFailed: stays === 'failed',
  messageId: 'copy',
  overrule: [],
  maxHold: 100_000,
  signal,
  journal: { stateFolder, where: `${kind} here`, profile: 'default' },
  now: Date.now(),
  warn: (warning) => console.error(warning),
})
await transport.close()

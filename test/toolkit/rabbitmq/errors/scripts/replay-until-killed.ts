/**
 * Replays everything in an error queue, and is killed in the middle as by `kill -9`.
 * Arguments: address of the broker, error queue, step (`selected`, `publishing`, `confirmed`, `removed`), at which message.
 */
import { prepareReplay } from '../../../../../src/toolkit/errors/prepare-replay.ts'
import { parseConnection } from '../../../../../src/transport/rabbitmq/connection-settings.ts'
import { rabbitTransport } from '../../../../../src/transport/rabbitmq/transport.ts'

const [url, queue, step, at] = process.argv.slice(2) as [string, string, string, string]
const kill = (): void => void process.kill(process.pid, 'SIGKILL')
let [published, removed] = [0, 0]

const transport = rabbitTransport({
  settings: parseConnection(url).settings,
  warn: () => undefined,
  customize: () => {
    published++
    if (step === 'selected' && published === Number(at)) kill()
    // Those before it are on their way, and not confirmed.
    if (step === 'publishing' && published === Number(at)) setImmediate(kill)
  },
})
const hold = transport.hold.bind(transport)
transport.hold = (name, options) =>
  hold(name, {
    ...options,
    beforeRemove() {
      removed++
      if (step === 'confirmed' && removed === Number(at)) kill()
    },
  })
const options = {
  queue,
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
const prepared = await prepareReplay(transport, options, { confirmed: true, window: 10 })
await prepared.run({
  operation: 'OP',
  journal: undefined,
  window: 10,
  onError: 'continue',
  waitMs: undefined,
  keepAcknowledgeTo: false,
  sameNativeId: false,
  everyItem: false,
  clock: Date.now,
  progress({ done }) {
    if (step === 'removed' && done === Number(at)) kill()
  },
})
await transport.close()

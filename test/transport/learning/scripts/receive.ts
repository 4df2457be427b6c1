/**
 * Receives from a queue: sends `<text>` to `handled` for each message. Arguments: storage, queue, and optionally a fault point at which
 * the process kills itself the hard way, or `deciding`, where it announces the message and waits for ever.
 */
import { learningTransport } from '../../../../src/transport/learning/transport.ts'

const [storage, queue, fault] = process.argv.slice(2) as [string, string, string | undefined]
const transport = learningTransport({
  storage,
  at(place) {
    if (place === fault) process.kill(process.pid, 'SIGKILL')
  },
})
const receiving = await transport.receive(
  {
    queue,
    errorQueue: 'error',
    concurrency: 1,
    transactionMode: 'sendsAtomicWithReceive',
    onDispatchFailed: async () => ({ kind: 'putBack' }),
    onCriticalError: (error) => process.stderr.write(`${String(error)}\n`),
    onSettled: () => undefined,
    onPoison: () => undefined,
  },
  async (message) => {
    if (fault === 'deciding') {
      process.stdout.write('deciding\n')
      await new Promise(() => {})
    }
    const copy = { id: message.id, headers: message.headers, body: message.body }
    return {
      kind: 'consume',
      outgoing: [
        { ...copy, to: { address: 'handled' } },
        ...(fault === undefined ? [] : [{ ...copy, to: { address: 'handled' }, deliverAt: new Date(4e12) }]),
      ],
    }
  },
)
process.once('SIGTERM', () => void receiving.stop().then(() => transport.close()))
process.stdout.write('receiving\n')

/** Puts every message back so many times in all, then ends. Arguments: storage, queue, times. */
import { learningTransport } from '../../../../src/transport/learning/transport.ts'

const [storage, queue, times] = process.argv.slice(2) as [string, string, string]
const transport = learningTransport({ storage })
let left = Number(times)
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
  async () => {
    if (left-- > 0) return { kind: 'putBack' }
    setImmediate(() => {
      void receiving
        .stop()
        .then(() => transport.close())
        .then(() => process.stdout.write('enough\n'))
    })
    return { kind: 'putBack', attempted: false }
  },
)

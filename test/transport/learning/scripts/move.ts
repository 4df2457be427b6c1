/** Moves every message of `error` to `sales` as an operator does. Arguments: storage, and a fault point or `beforeRemove` to die at. */
import { learningTransport } from '../../../../src/transport/learning/transport.ts'

const [storage, fault] = process.argv.slice(2) as [string, string]
const die = (place: string): void => {
  if (place === fault) process.kill(process.pid, 'SIGKILL')
}
const transport = learningTransport({ storage, at: die })
const held = await transport.hold('error', {
  purpose: 'change',
  overrule: [],
  page: 10,
  max: 10,
  signal: new AbortController().signal,
  beforeRemove: () => die('beforeRemove'),
})
for await (const page of held.pages())
  for (const message of page)
    await held.consume(message, [{ id: message.id, headers: message.headers, body: message.body, to: { exactQueue: 'sales' } }])

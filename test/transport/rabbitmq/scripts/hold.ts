/** Holds what is in a queue until it is killed. Arguments: address of the broker, queue. */
import { parseConnection } from '../../../../src/transport/rabbitmq/connection-settings.ts'
import { rabbitTransport } from '../../../../src/transport/rabbitmq/transport.ts'

const [url, queue] = process.argv.slice(2) as [string, string]
const transport = rabbitTransport({ settings: parseConnection(url).settings })
const { signal } = new AbortController()
const holding = await transport.hold(queue, { purpose: 'look', overrule: [], page: 50, max: 1000, signal, beforeRemove: () => {} })
let held = 0
for await (const page of holding.pages()) held += page.length
process.stdout.write(`${held}\n`)
setInterval(() => {}, 1000)

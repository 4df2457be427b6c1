import { until } from '../../../src/testing/transport-contract/support.ts'
import { type ConnectionSettings, parseConnection } from '../../../src/transport/rabbitmq/connection-settings.ts'
import { type OpenedTransport, consume, dispatchInsistently, message, openRabbit, receive, textOf } from './faults-support.ts'

/** Ids are used again, as producers do; and every content is sent so many times, under one id. */
const ids = 50
const copies = 2
/** One of so many handlings fails, so that the message is put back. */
const failsOnceIn = 20

/** What became of messages that went from a sender through a handler to their last queue while everything was disturbed. */
export interface Account {
  readonly messages: number
  /** Copies that did not arrive. */
  readonly lost: number
  /** Arrived more than once, which sending again after an interruption allows. */
  readonly duplicated: number
  /** Arrived, but nobody sent them. */
  readonly strange: number
  /** Dispatches that were rejected, and sent again. */
  readonly failedDispatches: number
  /** Handlings beyond one for each message, without those that failed on purpose. */
  readonly handledAgain: number
  readonly interruptions: number
  readonly faults: number
}

export interface Fire {
  /** How the sender and the handler reach the broker: through what is disturbed. */
  readonly url: string
  /** How the last receiver does. */
  readonly calmUrl: string
  readonly messages: number
  /** Where else the broker is; default: nowhere. */
  readonly hosts?: ConnectionSettings['hosts']
  /** Disturbs once; called again and again until nearly everything has arrived. */
  fault(number: number): Promise<void>
  /** Ends all disturbance. */
  calm(): Promise<void>
}

const together = 50
const mostAhead = 300
const answersWithinMs = 3000
/** A quorum queue may need as long as that to answer after its broker was started. */
const deadlineMs = 90_000

/** Sends each message until it is accepted, handles it by sending one on, and counts what arrives. */
export async function underFire(fire: Fire): Promise<Account> {
  const { calmUrl, messages, url } = fire
  const open = (address: string): OpenedTransport =>
    openRabbit(address, {
      // A broker that has just been started may take a request and never answer it.
      timeoutMs: answersWithinMs,
      ...(fire.hosts && { settings: parseConnection(address).settings.with({ hosts: fire.hosts }) }),
    })
  const [sender, handler, last] = [open(url), open(url), open(calmUrl)]
  await last.createQueues(['In', 'Out'])
  const arrived = new Map<string, number>()
  const collecting = await receive(last, 'Out', async (incoming) => {
    const id = textOf(incoming)
    arrived.set(id, (arrived.get(id) ?? 0) + 1)
    return consume()
  })
  let [handled, failed] = [0, 0]
  await receive(handler, 'In', async (incoming) => {
    handled++
    // As long as it takes, so that what happens meanwhile meets messages in hand.
    await new Promise((resolve) => setTimeout(resolve, 2))
    if (handled % failsOnceIn > 0) return consume(message(textOf(incoming), 'Out'))
    failed++
    return { kind: 'putBack' }
  })

  // What is disturbed is to be in use.
  await sender.dispatch([message('warm', 'In')])
  await until('the queues are in use', () => arrived.has('warm'))
  arrived.clear()
  ;[handled, failed] = [0, 0]
  const arrivals = (): number => [...arrived.values()].reduce((sum, count) => sum + Math.min(copies, count), 0)

  let done = false
  let faults = 0
  const disturbing = (async (): Promise<void> => {
    while (!done) await fire.fault(faults++)
  })()
  let next = 0
  let failedDispatches = 0
  const send = async (): Promise<void> => {
    while (next < messages) {
      // Never far ahead, so that sender and handler are disturbed alike and to the end.
      if (next - copies * arrived.size > mostAhead) await new Promise((resolve) => setTimeout(resolve, 5))
      else {
        const content = Math.floor(next++ / copies)
        failedDispatches += await dispatchInsistently(sender, message(`m${content}`, 'In', { nativeId: `order-${content % ids}` }))
      }
    }
  }
  const arrive = async (count: number): Promise<void> => {
    const end = performance.now() + deadlineMs
    while (arrivals() < count && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 10))
  }
  await Promise.all(Array.from({ length: together }, send))
  await arrive(messages * 0.95)
  done = true
  await disturbing
  await fire.calm()
  await arrive(messages)
  await until(
    'nothing waits any more',
    async () => ((await last.inspect('In'))?.depth ?? 0) + ((await last.inspect('Out'))?.depth ?? 0) === 0,
  )
  await collecting.stop()

  const contents = Array.from({ length: Math.ceil(messages / copies) }, (_, content) => `m${content}`)
  const counts = contents.map((content) => arrived.get(content) ?? 0)
  const total = [...arrived.values()].reduce((sum, count) => sum + count, 0)
  return {
    messages,
    lost: counts.reduce((sum, count) => sum + Math.max(0, copies - count), 0),
    duplicated: counts.reduce((sum, count) => sum + Math.max(0, count - copies), 0),
    strange: total - counts.reduce((sum, count) => sum + count, 0),
    failedDispatches,
    handledAgain: handled - failed - messages,
    interruptions: handler.warnings.filter((warning) => warning.includes('was interrupted')).length,
    faults,
  }
}

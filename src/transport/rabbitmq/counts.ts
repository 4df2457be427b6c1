import type { Channel } from 'amqplib'
import { NsbError } from '../../message/nsb-error.ts'
import type { BrokerConnection } from './connection.ts'

export interface Counts {
  /** Waiting messages. */
  readonly depth: number
  /** Of a quorum queue also those that were cancelled and still hold messages. */
  readonly consumers: number
}

/** A broker asks the leader of a quorum queue, and takes no answer within 250 ms for "no messages and no consumers". */
const leaderAnswersWithinMs = 250
/** What the answers of a line may differ by. */
const jitterMs = 50
/** Every broker has it, and it cannot be removed. */
const anyExchange = 'amq.direct'

/**
 * What a passive declaration says of a queue. "Nothing" is believed only when it came so soon that it was the queue that said it; otherwise
 * it is asked again.
 *
 * @source rabbit_quorum_queue:stat/2, the same from RabbitMQ 3.10 to 4.3
 * @throws {NsbError} NSB_QUEUE_SILENT: the broker answers, and the queue does not; and what ends the channel
 */
export async function askCounts(channel: Channel, queue: string, connection: BrokerConnection): Promise<Counts> {
  const end = performance.now() + connection.timeoutMs
  let lineMs = 0
  for (;;) {
    const begun = performance.now()
    const { consumerCount, messageCount } = await connection.answer(channel.checkQueue(queue))
    const queueMs = performance.now() - begun - lineMs
    if (messageCount + consumerCount > 0 || queueMs < leaderAnswersWithinMs - (lineMs > 0 ? jitterMs : 0))
      return { depth: messageCount, consumers: consumerCount }
    if (performance.now() > end) throw silent(queue, connection)
    lineMs = await lineTime(channel, connection, lineMs)
  }
}

/** How long any answer takes on this line, whatever is asked for. */
async function lineTime(channel: Channel, connection: BrokerConnection, before: number): Promise<number> {
  const begun = performance.now()
  await connection.answer(channel.checkExchange(anyExchange))
  const ms = performance.now() - begun
  return before === 0 ? ms : Math.min(before, ms)
}

function silent(queue: string, { address, timeoutMs }: BrokerConnection): NsbError {
  return new NsbError({
    code: 'NSB_QUEUE_SILENT',
    message: `Queue '${queue}' does not answer: the broker at ${address} does, and has not heard from the queue within ${timeoutMs} ms. What is in it is not known.`,
    suggestions: ['Look at the broker: is a node down, a disk slow?', 'Wait longer: --timeout 5m'],
    details: { queue },
  })
}

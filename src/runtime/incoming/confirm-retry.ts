import { Header } from '../../message/headers.ts'
import { newCombId } from '../../message/ids.ts'
import { formatTimestamp } from '../../message/wire-formats.ts'
import { stampSender } from '../sender-stamp.ts'
import type { Incoming, IncomingStep } from './incoming.ts'

const noBody = new Uint8Array(0)

/**
 * Tells whoever sent a failed message back that it was processed; without it ServicePulse shows the retry as pending for ever.
 *
 * @source NServiceBus RetryAcknowledgementBehavior
 */
export const confirmRetry: IncomingStep = (incoming, next) => {
  const uniqueId = incoming.headers[Header.RetryUniqueMessageId]
  const queue = incoming.headers[Header.RetryAcknowledgementQueue]
  // An empty address is nobody's.
  return uniqueId && queue ? confirmAfter(incoming, next, uniqueId, queue) : next()
}

async function confirmAfter({ batch, engine }: Incoming, next: () => Promise<void>, uniqueId: string, queue: string): Promise<void> {
  await next()
  const now = engine.clock.now()
  const acknowledgement: Record<string, string> = {
    [Header.RetrySuccessful]: formatTimestamp(now),
    [Header.RetryUniqueMessageId]: uniqueId,
    [Header.ControlMessage]: 'True',
  }
  stampSender(acknowledgement, now)
  batch.push({ id: newCombId(now), headers: acknowledgement, body: noBody, to: { address: queue } })
}

import { Header } from '../../message/headers.ts'
import { newCombId } from '../../message/ids.ts'
import { formatTimestamp } from '../../message/wire-formats.ts'
import { stampSender } from '../sender-stamp.ts'
import type { IncomingStep } from './incoming.ts'

const noBody = new Uint8Array(0)

/**
 * Tells whoever sent a failed message back that it was processed; without it ServicePulse shows the retry as pending for ever.
 *
 * @source NServiceBus RetryAcknowledgementBehavior
 */
export const confirmRetry: IncomingStep = async ({ batch, engine, headers }, next) => {
  await next()
  const uniqueId = headers[Header.RetryUniqueMessageId]
  const queue = headers[Header.RetryAcknowledgementQueue]
  if (uniqueId === undefined || queue === undefined) return
  const now = engine.clock.now()
  const acknowledgement: Record<string, string> = {
    [Header.RetrySuccessful]: formatTimestamp(now),
    [Header.RetryUniqueMessageId]: uniqueId,
    [Header.ControlMessage]: 'True',
  }
  stampSender(acknowledgement, now)
  batch.push({ id: newCombId(now), headers: acknowledgement, body: noBody, to: { address: queue } })
}

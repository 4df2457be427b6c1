import { Header } from '../../message/headers.ts'
import { NsbError } from '../../message/nsb-error.ts'
import { formatTimestamp, parseDuration } from '../../message/wire-formats.ts'
import { stampSender } from '../sender-stamp.ts'
import type { Outgoing } from './outgoing.ts'

/** Version, time sent and, for a delayed message, when it is due; what the caller set stays. */
export function senderInfo(outgoing: Outgoing): void {
  const { headers, now } = outgoing
  stampSender(headers, now)
  const dueAt = dueTime(outgoing)
  if (dueAt === undefined) return
  if (outgoing.expiresAfterMs !== undefined)
    throw new NsbError({
      code: 'NSB_DELAYED_AND_EXPIRING',
      message:
        'Postponed delivery of messages with TimeToBeReceived set is not supported. Remove the TimeToBeReceived attribute to postpone messages of this type.',
      suggestions: ['Leave out timeToBeReceived, or the delay'],
    })
  if (headers[Header.TraceParent] !== undefined) headers[Header.StartNewTrace] = 'True'
  headers[Header.DeliverAt] ??= formatTimestamp(dueAt)
  outgoing.deliverAt = new Date(Math.ceil(dueAt))
}

function dueTime({ now, options }: Outgoing): number | undefined {
  const { delayDeliveryWith, doNotDeliverBefore } = options
  if (delayDeliveryWith !== undefined && doNotDeliverBefore !== undefined)
    throw new NsbError({
      code: 'NSB_CONFLICTING_OPTIONS',
      message: 'Both delayDeliveryWith and doNotDeliverBefore are set.',
      suggestions: ['Keep one'],
    })
  if (doNotDeliverBefore !== undefined) return doNotDeliverBefore.getTime()
  if (delayDeliveryWith === undefined) return undefined
  const delayMs = typeof delayDeliveryWith === 'number' ? delayDeliveryWith : parseDuration(delayDeliveryWith)
  if (!(delayMs >= 0))
    throw new NsbError({
      code: 'NSB_BAD_DELAY',
      message: `A delay of ${String(delayDeliveryWith)} is not zero or more.`,
      suggestions: [`delayDeliveryWith: '10s'`],
    })
  return now + delayMs
}

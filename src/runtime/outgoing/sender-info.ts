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
  if (doNotDeliverBefore !== undefined) return checkedTime(doNotDeliverBefore.getTime(), 'doNotDeliverBefore')
  if (delayDeliveryWith === undefined) return undefined
  const delayMs = typeof delayDeliveryWith === 'number' ? delayDeliveryWith : parseDuration(delayDeliveryWith)
  if (!(delayMs >= 0)) throw badDelay(`A delay of ${String(delayDeliveryWith)} is not zero or more.`)
  return checkedTime(now + delayMs, `a delay of ${String(delayDeliveryWith)}`)
}

// The header has room for four digits of a year.
const latestTime = Date.UTC(9999, 11, 31)

function checkedTime(ms: number, what: string): number {
  if (ms >= 0 && ms <= latestTime) return ms
  throw badDelay(`The time of ${what} is not one between 1970 and 9999.`)
}

function badDelay(message: string): NsbError {
  return new NsbError({ code: 'NSB_BAD_DELAY', message, suggestions: [`delayDeliveryWith: '10s'`] })
}

import { Header } from '../../message/headers.ts'
import { formatTimestamp } from '../../message/wire-formats.ts'
import type { OutgoingMessage } from '../../transport/transport.ts'
import { exceptionHeaders } from '../failure-headers.ts'
import { stampSender } from '../sender-stamp.ts'
import { delayedRetriesOf } from '../recoverability.ts'
import type { Incoming } from './incoming.ts'

/** The same message once more, later, to the queue it came from. @source NServiceBus DelayedRetry */
export function delayedCopy({ message }: Incoming, delayMs: number, now: number): OutgoingMessage {
  const headers: Record<string, string> = { ...message.headers }
  headers[Header.Retries] = String(delayedRetriesOf(headers) + 1)
  headers[Header.RetriesTimestamp] = formatTimestamp(now)
  if (headers[Header.TraceParent] !== undefined) headers[Header.StartNewTrace] = 'True'
  stampSender(headers, now)
  // The value of the first delayed send or retry sticks, as in .NET.
  headers[Header.DeliverAt] ??= formatTimestamp(now + delayMs)
  return { id: message.id, headers, body: message.body, to: { address: message.queue }, deliverAt: new Date(Math.ceil(now + delayMs)) }
}

/**
 * The copy for the error queue: the headers as they came, without the retry counters, with everything about the failure.
 *
 * @source NServiceBus MoveToError, FaultMetadataExtractor
 */
export function errorCopy(incoming: Incoming, queue: string, error: unknown, now: number): OutgoingMessage {
  const { engine, handlerFailure, message } = incoming
  const headers: Record<string, string> = { ...message.headers }
  delete headers[Header.Retries]
  delete headers[Header.FLRetries]
  if (!headers[Header.MessageId]) headers[Header.MessageId] = message.id
  if (headers[Header.TraceParent] !== undefined) headers[Header.StartNewTrace] = 'True'
  headers[Header.ProcessingMachine] = engine.host.machine
  headers[Header.ProcessingEndpoint] = engine.name
  headers[Header.HostId] = engine.host.id
  headers[Header.HostDisplayName] = engine.host.displayName
  headers[Header.FailedQ] = message.queue
  Object.assign(headers, exceptionHeaders(error, engine.name))
  headers[Header.TimeOfFailure] = formatTimestamp(now)
  const data = (key: string, value: string): void => {
    headers[Header.ExceptionData + key] = value
  }
  if (handlerFailure) {
    data('Message type', handlerFailure.messageType)
    data('Handler type', handlerFailure.handlerType)
    data('Handler start time', formatTimestamp(handlerFailure.startedAt))
    data('Handler failure time', formatTimestamp(handlerFailure.failedAt))
    data('Handler canceled', handlerFailure.cancelled ? 'True' : 'False')
  }
  data('Message ID', message.id)
  if (message.nativeId !== message.id) data('Transport message ID', message.nativeId)
  data('Pipeline canceled', incoming.signal.aborted ? 'True' : 'False')
  stampSender(headers, now)
  return { id: message.id, headers, body: message.body, to: { address: queue } }
}

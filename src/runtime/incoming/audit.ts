import { Header, mutableHeaders } from '../../message/headers.ts'
import { formatTimestamp } from '../../message/wire-formats.ts'
import { stampSender } from '../sender-stamp.ts'
import type { Incoming, IncomingStep } from './incoming.ts'

/** A copy of what was processed joins the batch, where an audit queue is configured. */
export const audit: IncomingStep = (incoming, next) => {
  const { auditQueue } = incoming.engine
  return auditQueue === undefined ? next() : auditAfter(incoming, next, auditQueue)
}

async function auditAfter(incoming: Incoming, next: () => Promise<void>, auditQueue: string): Promise<void> {
  await next()
  const { batch, engine, headers, message, startedAt } = incoming
  const now = engine.clock.now()
  const copy = mutableHeaders(headers)
  copy[Header.ProcessingStarted] = formatTimestamp(startedAt)
  copy[Header.ProcessingEnded] = formatTimestamp(now)
  copy[Header.HostId] = engine.host.id
  copy[Header.HostDisplayName] = engine.host.displayName
  copy[Header.ProcessingMachine] = engine.host.machine
  copy[Header.ProcessingEndpoint] = engine.name
  if (isServiceControlRetry(headers)) copy[Header.RetryAcknowledgementSent] = 'true'
  stampSender(copy, now)
  batch.push({ id: message.id, headers: copy, body: message.body, to: { address: auditQueue } })
}

/** Sent back by ServiceControl, or by `nsb errors replay --wait`: both headers must be there, and say something. */
export function isServiceControlRetry(headers: Readonly<Record<string, string>>): boolean {
  return Boolean(headers[Header.RetryUniqueMessageId] && headers[Header.RetryAcknowledgementQueue])
}

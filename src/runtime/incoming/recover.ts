import { errorText } from '../../message/nsb-error.ts'
import { formatTimeSpan, parseTimestamp } from '../../message/wire-formats.ts'
import { Header } from '../../message/headers.ts'
import type { Verdict } from '../../transport/transport.ts'
import { isCancellation } from '../errors.ts'
import { type RecoverabilityAction, delayedRetriesOf } from '../recoverability.ts'
import { delayedCopy, errorCopy } from './failed-copies.ts'
import type { Incoming, IncomingStep } from './incoming.ts'

/** The failure path: a throw discards the batch, and the policy decides what becomes of the message. */
export const recover: IncomingStep = async (incoming, next) => {
  try {
    refuseMalformedTimeSent(incoming)
    await next()
    incoming.verdict = { kind: 'consume', outgoing: incoming.batch }
    incoming.rateLimit?.succeeded()
  } catch (error) {
    incoming.error = error
    if (isCancellation(error, incoming.signal)) {
      incoming.verdict = { kind: 'putBack', attempted: false }
      return
    }
    await incoming.rateLimit?.failed(incoming.signal)
    failWith(incoming, error)
  }
}

/** Decides, and turns the decision into a verdict: the original leaves its queue only after its copy is safe. */
export function failWith(incoming: Incoming, error: unknown): void {
  const now = incoming.engine.clock.now()
  const action = decideOn(incoming, error, now)
  incoming.error = error
  incoming.action = action
  incoming.verdict = verdictOf(incoming, action, error, now)
  logAction(incoming, action, error)
}

// Rejecting puts the message back and is reported by the transport: a policy that fails must not lose the message.
function decideOn({ engine, message }: Incoming, error: unknown, now: number): RecoverabilityAction {
  try {
    return engine.decide({
      error,
      messageId: message.id,
      headers: message.headers,
      failedAttempts: message.attempt,
      delayedRetries: delayedRetriesOf(message.headers),
      now,
    })
  } catch (failure) {
    throw new Error(`Failed to execute recoverability policy for message with native ID: ${message.nativeId}`, { cause: failure })
  }
}

function verdictOf(incoming: Incoming, action: RecoverabilityAction, error: unknown, now: number): Verdict {
  switch (action.kind) {
    case 'retryNow':
      return { kind: 'putBack' }
    case 'retryLater':
      return { kind: 'consume', outgoing: [delayedCopy(incoming, action.delayMs, now)] }
    case 'moveToError':
      return { kind: 'consume', outgoing: [errorCopy(incoming, action.queue, error, now)] }
    case 'discard':
      return { kind: 'consume', outgoing: [] }
  }
}

function logAction({ engine, message }: Incoming, action: RecoverabilityAction, error: unknown): void {
  switch (action.kind) {
    case 'retryNow':
      return engine.logger.info(`Immediate Retry is going to retry message '${message.id}' because of an exception:`, error)
    case 'retryLater':
      return engine.logger.warn(
        `Delayed Retry will reschedule message '${message.id}' after a delay of ${formatTimeSpan(action.delayMs)} because of an exception:`,
        error,
      )
    case 'moveToError':
      return engine.logger.error(
        `Moving message '${message.id}' to the error queue '${action.queue}' because processing failed due to an exception:`,
        error,
      )
    case 'discard':
      return engine.logger.info(`Discarding message with id '${message.id}'. Reason: ${action.reason}: ${errorText(error)}`)
  }
}

// .NET parses it for its statistics before any handler runs; a sender that gets it wrong should learn so here and not from .NET.
function refuseMalformedTimeSent({ headers }: Incoming): void {
  const timeSent = headers[Header.TimeSent]
  if (timeSent === undefined || parseTimestamp(timeSent) !== undefined) return
  const error = new Error(`The header NServiceBus.TimeSent is '${timeSent}', which is not of the form yyyy-MM-dd HH:mm:ss:ffffff Z.`)
  error.name = 'System.FormatException'
  throw error
}

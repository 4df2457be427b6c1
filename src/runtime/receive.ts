import type { Decide, IncomingMessage, OutgoingMessage, Verdict } from '../transport/transport.ts'
import { Header } from '../message/headers.ts'
import type { EndpointEvent, Engine, OutgoingSummary } from './engine.ts'
import { failWith } from './incoming/recover.ts'
import type { Incoming, IncomingStep } from './incoming/incoming.ts'
import { incomingStepsWith } from './pipeline.ts'
import type { RateLimit } from './rate-limit.ts'
import { continuedTrace } from './trace.ts'

/** What a transport's receiver is given: one message in, one verdict out; and a second verdict when the first cannot be carried out. */
export interface Receiver {
  readonly decide: Decide
  readonly onDispatchFailed: (message: IncomingMessage, error: unknown) => Promise<Verdict>
  readonly onSettled: (message: IncomingMessage) => void
}

export function receiver(engine: Engine, limit: RateLimit | undefined): Receiver {
  // Messages whose copy for a retry or the error queue was the verdict: dispatching that failed, so the policy is not asked again.
  const failing = new WeakSet<IncomingMessage>()
  // What is told of a message once its verdict has been carried out; before that it would be a promise.
  const events = new WeakMap<IncomingMessage, EndpointEvent>()
  const steps = incomingStepsWith(engine.extensions)
  const decide: Decide = async (message, signal) => {
    const incoming = begin(engine, message, signal, limit)
    await runSteps(steps, incoming, 0)
    if (incoming.action && incoming.action.kind !== 'retryNow') failing.add(message)
    events.set(message, eventOf(incoming))
    return incoming.verdict
  }
  return {
    decide: limit ? limited(decide, limit) : decide,
    async onDispatchFailed(message, error) {
      // Rejected, so that the transport reports it, puts the message back and pauses instead of failing at full speed.
      if (failing.has(message)) throw error
      const incoming = begin(engine, message, new AbortController().signal, limit)
      await limit?.failed(incoming.signal)
      failWith(incoming, error)
      if (incoming.action?.kind !== 'retryNow') failing.add(message)
      events.set(message, eventOf(incoming))
      return incoming.verdict
    },
    onSettled(message) {
      const event = events.get(message)
      events.delete(message)
      if (event) engine.observe(event)
    },
  }
}

/** A step with nothing to do after the next one is no async function: each of those costs a promise. What it throws rejects all the same. */
function runSteps(steps: readonly IncomingStep[], incoming: Incoming, index: number): Promise<void> {
  const step = steps[index]
  if (!step) return done
  try {
    return step(incoming, () => runSteps(steps, incoming, index + 1))
  } catch (error) {
    return Promise.reject(error as Error)
  }
}

const done = Promise.resolve()

function limited(decide: Decide, limit: RateLimit): Decide {
  return async (message, signal) => {
    const entered = limit.enter(signal)
    if (entered !== true && !(await entered)) return { kind: 'putBack', attempted: false }
    try {
      return await decide(message, signal)
    } finally {
      limit.leave()
    }
  }
}

function begin(engine: Engine, message: IncomingMessage, signal: AbortSignal, rateLimit: RateLimit | undefined): Incoming {
  const headers: Record<string, string> = { ...message.headers }
  if (!headers[Header.MessageId]) headers[Header.MessageId] = message.id
  return {
    engine,
    message,
    signal,
    startedAt: engine.clock.now(),
    headers,
    body: message.body,
    batch: [],
    extensions: new Map(),
    trace: engine.tracing ? continuedTrace(headers) : headers,
    handlersRun: [],
    rateLimit,
    mapping: undefined,
    logical: [],
    handlerFailure: undefined,
    error: undefined,
    action: undefined,
    verdict: { kind: 'putBack' },
  }
}

function eventOf({ action, engine, error, handlersRun, logical, message, startedAt, verdict }: Incoming): EndpointEvent {
  return {
    message,
    types: logical.map(({ definition }) => definition.fullName),
    handlersRun,
    // A corrected clock may be behind where it was.
    durationMs: Math.max(0, engine.clock.now() - startedAt),
    outcome: action
      ? { kind: 'failed', error, action }
      : verdict.kind === 'consume'
        ? { kind: 'handled', outgoing: verdict.outgoing.map(summaryOf) }
        : { kind: 'cancelled' },
  }
}

function summaryOf({ headers, id, to }: OutgoingMessage): OutgoingSummary {
  return {
    id,
    intent: headers[Header.MessageIntent] ?? 'control',
    type: headers[Header.EnclosedMessageTypes]?.split(/[,;]/, 1)[0],
    to: 'address' in to ? to.address : 'exactQueue' in to ? to.exactQueue : `event:${to.event.fullName}`,
  }
}

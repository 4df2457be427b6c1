import type { Decide, IncomingMessage, OutgoingMessage, Verdict } from '../transport/transport.ts'
import { Header } from '../message/headers.ts'
import type { EndpointEvent, Engine, OutgoingSummary } from './engine.ts'
import { failWith } from './incoming/recover.ts'
import type { Incoming, IncomingStep } from './incoming/incoming.ts'
import { incomingStepsWith } from './pipeline.ts'
import { continuedTrace } from './trace.ts'

/** What a transport's receiver is given: one message in, one verdict out; and a second verdict when the first cannot be carried out. */
export interface Receiver {
  readonly decide: Decide
  readonly onDispatchFailed: (message: IncomingMessage, error: unknown) => Promise<Verdict>
}

export function receiver(engine: Engine): Receiver {
  // Messages whose copy for a retry or the error queue was the verdict: dispatching that failed, so the policy is not asked again.
  const failing = new WeakSet<IncomingMessage>()
  const steps = incomingStepsWith(engine.extensions)
  return {
    async decide(message, signal) {
      const incoming = begin(engine, message, signal)
      await runSteps(steps, incoming, 0)
      if (incoming.action && incoming.action.kind !== 'retryNow') failing.add(message)
      report(incoming)
      return incoming.verdict
    },
    async onDispatchFailed(message, error) {
      if (failing.has(message)) return { kind: 'putBack' }
      const incoming = begin(engine, message, new AbortController().signal)
      failWith(incoming, error)
      if (incoming.action?.kind !== 'retryNow') failing.add(message)
      report(incoming)
      return incoming.verdict
    },
  }
}

function runSteps(steps: readonly IncomingStep[], incoming: Incoming, index: number): Promise<void> {
  const step = steps[index]
  return step ? step(incoming, () => runSteps(steps, incoming, index + 1)) : Promise.resolve()
}

function begin(engine: Engine, message: IncomingMessage, signal: AbortSignal): Incoming {
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
    mapping: undefined,
    logical: [],
    handlerFailure: undefined,
    error: undefined,
    action: undefined,
    verdict: { kind: 'putBack' },
  }
}

function report(incoming: Incoming): void {
  const { action, engine, error, handlersRun, logical, message, verdict } = incoming
  const event: EndpointEvent = {
    message,
    types: logical.map(({ definition }) => definition.fullName),
    handlersRun,
    durationMs: engine.clock.now() - incoming.startedAt,
    outcome: action
      ? { kind: 'failed', error, action }
      : verdict.kind === 'consume'
        ? { kind: 'handled', outgoing: verdict.outgoing.map(summaryOf) }
        : { kind: 'cancelled' },
  }
  try {
    engine.observe(event)
  } catch (failure) {
    engine.logger.error('An observer of the endpoint failed:', failure)
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

import { randomBytes } from 'node:crypto'
import { Header } from '../message/headers.ts'
import type { Headers } from '../transport/transport.ts'

/** The W3C headers that tie messages to one trace. */
const traceHeaders = [Header.TraceParent, 'tracestate', 'baggage'] as const

const wellFormed = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(?:-.*)?$/
const sampled = '01'

/** Writes the trace headers of `from` where `to` has none of its own. */
export function passTraceOn(from: Headers, to: Record<string, string>): void {
  for (const name of traceHeaders) if (from[name] !== undefined && to[name] === undefined) to[name] = from[name]
}

/**
 * The trace that processing a message belongs to: that of its sender, or a new one where the sender asks for it or has none.
 *
 * @returns the headers for what is sent meanwhile; the baggage survives a new trace
 * @source NServiceBus IncomingPipelineTraceContext, `NServiceBus.OpenTelemetry.StartNewTrace`; W3C Trace Context
 */
export function continuedTrace(incoming: Headers): Headers {
  const parent = incoming[Header.StartNewTrace] === 'True' ? null : wellFormed.exec(incoming[Header.TraceParent] ?? '')
  const { baggage, tracestate } = incoming
  return {
    [Header.TraceParent]: parent ? traceParent(parent[1] as string, parent[2] as string) : newTraceParent(),
    ...(parent && tracestate !== undefined && { tracestate }),
    ...(baggage !== undefined && { baggage }),
  }
}

/** The root of a trace of its own. */
export function newTrace(): Headers {
  return { [Header.TraceParent]: newTraceParent() }
}

function newTraceParent(): string {
  return traceParent(randomBytes(16).toString('hex'), sampled)
}

function traceParent(traceId: string, flags: string): string {
  return `00-${traceId}-${randomBytes(8).toString('hex')}-${flags}`
}

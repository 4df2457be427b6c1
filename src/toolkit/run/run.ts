import type { EndpointDefinition } from '../../runtime/definition.ts'
import { type RunningEndpoint, startEndpoint } from '../../runtime/endpoint.ts'
import type { EndpointEvent } from '../../runtime/engine.ts'
import type { HandlerFiles } from '../../runtime/handlers.ts'
import { type Logger, silentLogger } from '../../runtime/logger.ts'
import type { Transport } from '../../transport/transport.ts'
import { IdleWatch } from './idle.ts'

export interface RunOptions {
  readonly transport: Transport
  readonly files: HandlerFiles
  /** Stop when nothing was left to do for that long. */
  readonly untilIdleMs?: number | undefined
  /** Stop taking messages; those in hand finish. */
  readonly signal: AbortSignal
  /** How long those in hand may take once stopped. */
  readonly graceMs: number
  readonly logger?: Logger
  ready(endpoint: RunningEndpoint): void
  event(event: EndpointEvent): void
}

/** What became of the messages of a run. */
export interface RunSummary {
  readonly handled: number
  /** Moved to the error queue. */
  readonly failed: number
  readonly retried: number
  readonly discarded: number
}

/** Runs an endpoint until it is idle or stopped. */
export async function runEndpoint(definition: EndpointDefinition, options: RunOptions): Promise<RunSummary> {
  const { signal, transport, untilIdleMs } = options
  const summary = { handled: 0, failed: 0, retried: 0, discarded: 0 }
  const idle = untilIdleMs === undefined ? undefined : new IdleWatch(definition.name, untilIdleMs)
  const endpoint = await startEndpoint(definition, {
    transport,
    files: options.files,
    logger: options.logger ?? silentLogger,
    observe: (event) => {
      idle?.note(event)
      count(summary, event)
      options.event(event)
    },
  })
  try {
    options.ready(endpoint)
    await (idle ? untilIdle(idle, definition.name, transport, signal) : untilAborted(signal))
  } finally {
    await endpoint.stop({ graceMs: options.graceMs })
  }
  return summary
}

function count(summary: { handled: number; failed: number; retried: number; discarded: number }, { outcome }: EndpointEvent): void {
  if (outcome.kind === 'handled') summary.handled += 1
  else if (outcome.kind === 'failed') {
    const { kind } = outcome.action
    if (kind === 'moveToError') summary.failed += 1
    else if (kind === 'discard') summary.discarded += 1
    else summary.retried += 1
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  // A signal alone does not keep a process alive, and a transport may be quiet.
  const keepAlive = setInterval(() => undefined, 60_000)
  return new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  }).finally(() => clearInterval(keepAlive))
}

async function untilIdle(idle: IdleWatch, queue: string, transport: Transport, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const facts = await transport.inspect(queue)
    if (idle.isIdle(facts?.depth ?? 0)) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, 25)
      signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true })
    })
  }
}

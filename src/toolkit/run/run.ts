import { setTimeout as wait } from 'node:timers/promises'
import type { EndpointDefinition } from '../../runtime/definition.ts'
import { type RunningEndpoint, type StartOptions, startEndpoint } from '../../runtime/endpoint.ts'
import type { EndpointEvent } from '../../runtime/engine.ts'
import type { HandlerFiles } from '../../runtime/handlers.ts'
import { type Logger, silentLogger } from '../../runtime/logger.ts'
import type { Transport } from '../../transport/transport.ts'
import { IdleWatch } from './idle.ts'
import { Limit } from './limit.ts'
import { Pause } from './pause.ts'

export interface RunOptions {
  readonly transport: Transport
  readonly files: HandlerFiles
  /** Stop when nothing was left to do for that long. */
  readonly untilIdleMs?: number | undefined
  /** Told when there is nothing left to do, and when there is again; the run then does not end by itself. */
  readonly idle?: ((isIdle: boolean) => void) | undefined
  /** Stop when so many messages were handled, failed or discarded; no further one is touched. */
  readonly max?: number | undefined
  readonly maxTimeMs?: number | undefined
  /** Stop taking messages; those in hand finish. */
  readonly signal: AbortSignal
  /** How long those in hand may take once stopped; read when that happens. */
  readonly graceMs: () => number
  /** While paused the endpoint is stopped: messages wait in its queue. */
  readonly pause?: Pause | undefined
  /** Told when a pause has begun: nothing is in hand any more. */
  readonly paused?: (() => void) | undefined
  readonly logger?: Logger
  ready(endpoint: RunningEndpoint): void
  /** Told before the last stop when it is not the run itself that ends it: by the signal, or because its time is over. */
  stopping?(endpoint: RunningEndpoint): void
  event(event: EndpointEvent): void
  /** A message that could not be read was moved to the error queue; it counts as failed. */
  poison(poison: Poison): void
  /** A message in hand did not even end when it was aborted; there is no event of it. */
  abandoned?(): void
  /** Something keeps the endpoint from working as it should; the log says what. */
  criticalError?(): void
}

type Poison = Parameters<NonNullable<StartOptions['onPoison']>>[0]

/** What became of the messages of a run. */
export interface RunSummary {
  readonly handled: number
  /** Moved to the error queue. */
  readonly failed: number
  readonly retried: number
  readonly discarded: number
  /** In hand when the run ended, and aborted after the grace period. They are put back; without transactions there is no back. */
  readonly unfinished: number
  /** What kept the endpoint from working as it should, as far as that can be counted: a file that it may not read, a full disk. */
  readonly criticalErrors: number
}

/** Runs an endpoint until it is idle, has done what it was to do, or is stopped. */
export async function runEndpoint(definition: EndpointDefinition, options: RunOptions): Promise<RunSummary> {
  const { max, maxTimeMs, pause = new Pause(), signal, transport, untilIdleMs } = options
  const summary: Counts = { handled: 0, failed: 0, retried: 0, discarded: 0, unfinished: 0, criticalErrors: 0 }
  const idle = untilIdleMs === undefined ? undefined : new IdleWatch(definition.name, untilIdleMs)
  const limit = max === undefined ? undefined : new Limit(max)
  const enough = new AbortController()
  const ends = AbortSignal.any([signal, enough.signal])
  const endAtMax = (): void => {
    if (max !== undefined && summary.handled + summary.failed + summary.discarded >= max) enough.abort()
  }
  const observe = (event: EndpointEvent): void => {
    idle?.note(event)
    const counted = outcomeOf(event)
    summary[counted] += 1
    if (counted === 'unfinished' || counted === 'retried') limit?.returned()
    options.event(event)
    endAtMax()
  }
  const onPoison = (poison: Poison): void => {
    summary.failed += 1
    options.poison(poison)
    endAtMax()
  }
  const onAbandoned = (): void => {
    summary.unfinished += 1
    options.abandoned?.()
  }
  const onCriticalError = (): void => {
    summary.criticalErrors += 1
    options.criticalError?.()
  }
  let isTimeOver = false
  const atMaxTime = (): void => {
    isTimeOver = true
    enough.abort()
  }
  const timer = maxTimeMs === undefined ? undefined : setTimeout(atMaxTime, maxTimeMs)
  try {
    let isFirst = true
    while (!ends.aborted) {
      if (pause.paused) {
        options.paused?.()
        await untilAborted(ends, pause.until(false, ends))
        continue
      }
      // What a pause has put back comes again.
      summary.unfinished = 0
      const endpoint = await startEndpoint(definition, {
        transport: limit?.on(transport) ?? transport,
        files: options.files,
        logger: options.logger ?? silentLogger,
        observe,
        onPoison,
        onAbandoned,
        onCriticalError,
      })
      try {
        if (isFirst) options.ready(endpoint)
        isFirst = false
        const over = await (idle
          ? untilIdle(idle, endpoint, transport, options.idle, ends, pause)
          : untilAborted(ends, pause.until(true, ends)))
        if (over) enough.abort()
      } finally {
        limit?.close()
        if (signal.aborted || isTimeOver) options.stopping?.(endpoint)
        await endpoint.stop({ graceMs: options.graceMs() })
      }
    }
  } finally {
    clearTimeout(timer)
  }
  return summary
}

type Counts = { -readonly [outcome in keyof RunSummary]: number }

/** What a delivery counts as. */
export function outcomeOf({ outcome }: EndpointEvent): keyof RunSummary {
  if (outcome.kind === 'cancelled') return 'unfinished'
  if (outcome.kind === 'handled') return 'handled'
  const { kind } = outcome.action
  return kind === 'moveToError' ? 'failed' : kind === 'discard' ? 'discarded' : 'retried'
}

/** Resolves with the promise, which ends with the signal; keeps the process alive until then. */
async function untilAborted(signal: AbortSignal, ended: Promise<void>): Promise<boolean> {
  // A signal alone does not keep a process alive, and a transport may be quiet.
  const keepAlive = setInterval(() => undefined, 60_000)
  await ended
  clearInterval(keepAlive)
  return signal.aborted
}

/** Asking a broker for the depth of a queue costs several round trips. */
const brokerPollMs = 150

/** A broker that cannot be asked now is no reason to end: its receiver says so, and goes on when it is back. */
async function waitingIn(transport: Transport, queue: string): Promise<number> {
  return transport.inspect(queue).then(
    (facts) => facts?.depth ?? 0,
    () => 1,
  )
}

async function untilIdle(
  idle: IdleWatch,
  endpoint: RunningEndpoint,
  transport: Transport,
  tell: RunOptions['idle'],
  signal: AbortSignal,
  pause: Pause,
): Promise<boolean> {
  let told = false
  const pollMs = transport.can.lookWithoutTrace ? 25 : brokerPollMs
  while (!signal.aborted && !pause.paused) {
    const isIdle = idle.isIdle(endpoint.inHand) && idle.isIdle(await waitingIn(transport, endpoint.name))
    if (isIdle && tell === undefined) return true
    if (isIdle !== told) tell?.(isIdle)
    told = isIdle
    await wait(pollMs, undefined, { signal }).catch(() => undefined)
  }
  if (told) tell?.(false)
  return false
}

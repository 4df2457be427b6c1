import { readFailure } from '../../message/failure.ts'
import { NsbError, errorText } from '../../message/nsb-error.ts'
import type { HeldMessage, Holding, Operations, OutgoingMessage, Transport } from '../../transport/transport.ts'
import { type Answers, listenForAnswers } from './answers.ts'
import { ownReplays, replayHeaders } from './copy.ts'
import { type PlannedMessage, type ReplayOptions, type ReplayPlan, noTarget } from './plan.ts'

/** What became of one selected message. */
export type ReplayResult = 'published' | 'succeeded' | 'failedAgain' | 'noAnswer' | 'failed'

export interface ReplayedMessage {
  readonly uniqueId: string
  readonly target: string | undefined
  result: ReplayResult
  /** Of a failure: the message is still in the error queue. */
  error?: { readonly code: string; readonly message: string }
  /** Of `failedAgain`. */
  exception?: string
}

export interface ReplayReport {
  readonly operation: string
  readonly items: readonly ReplayedMessage[]
  readonly leftInQueue: number
  readonly newerArrivals: number
  /** Too many failures in a row, or `--on-error stop`: the rest was left alone. */
  readonly stopped: boolean
}

export interface ReplayRun {
  readonly operation: string
  /** Published and not yet removed at once: bounds what a crash doubles. */
  readonly window: number
  readonly onError: 'continue' | 'stop'
  /** Wait so long for the outcome of each message; undefined: do not wait. */
  readonly waitMs: number | undefined
  readonly keepAcknowledgeTo: boolean
  readonly sameNativeId: boolean
  readonly clock: () => number
  /** Told after each message and each answer; both count up to the number of messages. */
  readonly progress: (step: {
    readonly doing: 'replaying' | 'waiting'
    readonly done: number
    readonly of: number
    readonly failed: number
  }) => void
}

/** Where endpoints acknowledge what succeeded; outlives the command, because a dead address makes a success fail. */
export const acknowledgementQueue = 'nsb.acks'

/** So many failures in a row are no accident. */
const mostConsecutiveFailures = 10
const page = 1000

/**
 * Sends the planned messages back: oldest first, each copy safe before its original is removed. A crash may send a window of
 * them twice and never loses one.
 */
export async function replay(transport: Transport, plan: ReplayPlan, options: ReplayOptions, run: ReplayRun): Promise<ReplayReport> {
  const items = new Map<string, ReplayedMessage>()
  const planned = new Map(plan.messages.map((message) => [message.nativeId, message]))
  const answers = run.waitMs === undefined ? undefined : await listenForAnswers(transport, options.queue, acknowledgementQueue)
  try {
    const ended = await sendBack(transport, planned, options, run, items, answers)
    const ordered = plan.messages.flatMap((message) => items.get(message.nativeId) ?? [])
    if (answers !== undefined && run.waitMs !== undefined) await awaitAnswers(answers, ordered, run.waitMs, options.signal, run)
    const leftInQueue = (await transport.inspect(options.queue))?.depth ?? 0
    return { operation: run.operation, items: ordered, leftInQueue, ...ended }
  } finally {
    await answers?.close()
  }
}

async function sendBack(
  operations: Operations,
  planned: ReadonlyMap<string, PlannedMessage>,
  options: ReplayOptions,
  run: ReplayRun,
  items: Map<string, ReplayedMessage>,
  answers: Answers | undefined,
): Promise<{ newerArrivals: number; stopped: boolean }> {
  const { queue, overrule, maxHold, signal } = options
  const holding = await operations.hold(queue, { purpose: 'change', overrule, page, max: maxHold, signal, beforeRemove: () => undefined })
  const flow = { done: 0, failed: 0, consecutiveFailures: 0, stopped: false }
  let newerArrivals = 0
  try {
    const underWay = new Set<Promise<void>>()
    const one = async (message: HeldMessage, plan: PlannedMessage): Promise<void> => {
      const item: ReplayedMessage = { uniqueId: plan.uniqueId, target: plan.target, result: 'published' }
      items.set(message.nativeId, item)
      try {
        await sendOne(holding, message, plan, run, answers)
        flow.consecutiveFailures = 0
      } catch (error) {
        item.result = 'failed'
        item.error = { code: error instanceof NsbError ? error.code : 'NSB_UNEXPECTED', message: errorText(error) }
        flow.stopped ||= run.onError === 'stop' || ++flow.consecutiveFailures > mostConsecutiveFailures
      }
      flow.failed += item.result === 'failed' ? 1 : 0
      run.progress({ doing: 'replaying', done: ++flow.done, of: planned.size, failed: flow.failed })
    }
    const takePage = async (messages: readonly HeldMessage[]): Promise<void> => {
      for (const message of messages) {
        const plan = planned.get(message.nativeId)
        if (plan === undefined) continue
        while (underWay.size >= run.window) await Promise.race(underWay)
        if (flow.stopped || signal.aborted) break
        const sending: Promise<void> = one(message, plan).finally(() => underWay.delete(sending))
        underWay.add(sending)
      }
    }
    for await (const messages of inWantedOrder(holding, planned, options.newest)) {
      await takePage(messages)
      if (flow.stopped) break
    }
    await Promise.all(underWay)
  } finally {
    newerArrivals = (await holding.giveBack()).newerArrivals
  }
  if (!flow.stopped && !signal.aborted) for (const [nativeId, plan] of planned) if (!items.has(nativeId)) items.set(nativeId, gone(plan))
  return { newerArrivals, stopped: flow.stopped }
}

/** Newest first needs them all before the first one goes. */
async function* inWantedOrder(
  holding: Holding,
  planned: ReadonlyMap<string, PlannedMessage>,
  newest: boolean,
): AsyncIterable<readonly HeldMessage[]> {
  if (!newest) {
    yield* holding.pages()
    return
  }
  const wanted: HeldMessage[] = []
  for await (const messages of holding.pages()) wanted.push(...messages.filter((message) => planned.has(message.nativeId)))
  yield wanted.toReversed()
}

async function sendOne(
  holding: Holding,
  message: HeldMessage,
  plan: PlannedMessage,
  run: ReplayRun,
  answers: Answers | undefined,
): Promise<void> {
  if (plan.target === undefined) throw noTarget()
  const failed = readFailure(message.headers, message.nativeId, message.unreadable !== undefined)
  const acknowledgeTo = answers === undefined ? undefined : acknowledgementQueue
  const headers = replayHeaders(message.headers, failed, {
    operation: run.operation,
    now: run.clock(),
    acknowledgeTo,
    keepAcknowledgeTo: run.keepAcknowledgeTo,
  })
  answers?.expect(plan.uniqueId, failed.failedAt)
  const copy: OutgoingMessage = {
    id: failed.messageId,
    headers,
    body: message.body,
    to: { exactQueue: plan.target },
    ...nativeIdFor(holding, message, plan, run),
  }
  await holding.consume(message, [copy])
}

// A running endpoint remembers native ids: the same one again may be swallowed. Folders choose one of their own.
function nativeIdFor(holding: Holding, message: HeldMessage, plan: PlannedMessage, run: ReplayRun): { nativeId?: string } {
  if (run.sameNativeId) return { nativeId: message.nativeId }
  return holding.facts.kind === 'folder' ? {} : { nativeId: `${plan.uniqueId}.${ownReplays(message.headers) + 1}` }
}

function gone(plan: PlannedMessage): ReplayedMessage {
  const error = { code: 'NSB_MESSAGE_TAKEN', message: 'The message was taken by somebody else meanwhile; nothing was done.' }
  return { uniqueId: plan.uniqueId, target: plan.target, result: 'failed', error }
}

async function awaitAnswers(
  answers: Answers,
  items: readonly ReplayedMessage[],
  waitMs: number,
  signal: AbortSignal,
  run: ReplayRun,
): Promise<void> {
  const published = items.filter((item) => item.result === 'published')
  const of = published.length
  await answers.until(
    published.map((item) => item.uniqueId),
    waitMs,
    signal,
    (waitingFor) => run.progress({ doing: 'waiting', done: of - waitingFor, of, failed: 0 }),
  )
  for (const item of published) {
    const answer = answers.of(item.uniqueId)
    item.result = answer?.kind ?? 'noAnswer'
    if (answer?.kind === 'failedAgain' && answer.exception !== undefined) item.exception = answer.exception
  }
}

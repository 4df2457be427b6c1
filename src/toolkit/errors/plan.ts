import type { FailedMessage } from '../../message/failure.ts'
import { readFailure } from '../../message/failure.ts'
import { Header } from '../../message/headers.ts'
import { NsbError } from '../../message/nsb-error.ts'
import type { HeldMessage, Holding, Operations, QueueFacts } from '../../transport/transport.ts'
import { checkHold, holdIfThere } from './hold.ts'
import { couldMean, resolveIds } from './resolve-ids.ts'
import { SeenFailures } from './seen-failures.ts'
import { type Criteria, hasCriteria, selector } from './select.ts'

export interface ReplayOptions {
  readonly queue: string
  readonly criteria: Criteria
  /** Needed where there is no criterion. */
  readonly all: boolean
  /** Goes before every other target. */
  readonly to: string | undefined
  /** From nsb.json: the queue in the message to the one that took over. */
  readonly redirects: Readonly<Record<string, string>>
  readonly limit: number | undefined
  /** With a limit: the newest instead of the oldest. */
  readonly newest: boolean
  /** ms since 1970. */
  readonly now: number
  readonly overrule: readonly string[]
  readonly maxHold: number
  readonly signal: AbortSignal
}

/** One message that was selected, and where it goes. */
export interface PlannedMessage {
  readonly uniqueId: string
  readonly failedAt: number | undefined
  /** undefined: nothing says where it belongs. */
  readonly target: string | undefined
  /** The target is the wish of the message itself: `ServiceControl.RetryTo`. */
  readonly redirectedByMessage: boolean
}

export interface ReplayPlan {
  /** undefined: there is no such queue. */
  readonly facts: QueueFacts | undefined
  /** All that match, before the limit. */
  readonly matching: number
  /** Further copies of a failure that is in the queue already; they stay. */
  readonly duplicates: number
  /** In the order in which they are taken. */
  readonly messages: readonly PlannedMessage[]
  /** For each target how many messages, and the facts of its queue or why there is none. */
  readonly targets: readonly PlannedTarget[]
}

export interface PlannedTarget {
  readonly target: string | undefined
  readonly count: number
  readonly facts: QueueFacts | undefined
  /** Why nothing can be sent there. */
  readonly problem: unknown
}

/** Messages of a page whose bodies are in memory at once. */
export const replayPage = 1000

/**
 * Refuses what selects nothing, and a `to` that does not exist.
 *
 * @throws {NsbError} NSB_NO_SELECTION, and for `to` what {@link whyNoQueue} gives
 */
export async function checkSelection(operations: Operations, { all, criteria, to }: ReplayOptions): Promise<void> {
  if (!all && !hasCriteria(criteria))
    throw new NsbError({
      code: 'NSB_NO_SELECTION',
      message: 'Which messages? Nothing was selected.',
      suggestions: ['nsb errors replay <id>', 'nsb errors replay --group <id>', 'everything: nsb errors replay --all'],
    })
  if (to !== undefined && (await operations.inspect(to)) === undefined) throw await whyNoQueue(operations, to)
}

/**
 * Looks which messages are meant and where they go; changes nothing.
 *
 * @throws {NsbError} those of {@link checkSelection} and {@link planHeld}, NSB_HOLD_TOO_SMALL
 */
export async function planReplay(operations: Operations, options: ReplayOptions): Promise<ReplayPlan> {
  await checkSelection(operations, options)
  const { maxHold, overrule, queue, signal } = options
  const holding = await holdIfThere(operations, queue, {
    purpose: 'look',
    overrule,
    page: replayPage,
    max: maxHold,
    signal,
    beforeRemove: () => undefined,
  })
  if (holding === undefined) {
    resolveIds(options.criteria.ids ?? [], [])
    return { facts: undefined, matching: 0, duplicates: 0, messages: [], targets: [] }
  }
  try {
    checkHold(holding.facts, options)
    return await planHeld(operations, holding, options)
  } finally {
    await holding.giveBack()
  }
}

/**
 * The plan for the messages of a holding.
 *
 * @param selected told of each message that may be meant, before ids, duplicates and the limit are considered
 * @throws {NsbError} NSB_AMBIGUOUS_ID, NSB_BAD_ID, NSB_MESSAGE_NOT_FOUND
 */
export async function planHeld(
  operations: Operations,
  holding: Holding,
  options: ReplayOptions,
  selected: (planned: PlannedMessage, message: HeldMessage) => void = () => undefined,
): Promise<ReplayPlan> {
  const { criteria, signal } = options
  const matches = selector(criteria, options.now)
  const ids = criteria.ids ?? []
  const named: FailedMessage[] = []
  let messages: PlannedMessage[] = []
  for await (const held of holding.pages())
    for (const message of held) {
      const failed = readFailure(message.headers, message.nativeId, message.unreadable !== undefined)
      if (ids.length > 0 && !ids.some((id) => couldMean(id, failed))) continue
      if (ids.length > 0) named.push(failed)
      if (!isReplayable(failed) || !matches(failed, message.headers)) continue
      const plan = planned(message, failed, options)
      messages.push(plan)
      selected(plan, message)
    }
  signal.throwIfAborted()

  const meant = resolveIds(ids, named)
  if (ids.length > 0) messages = messages.filter((message) => meant.has(message.uniqueId))
  const seen = new SeenFailures()
  const distinct = messages.filter(({ failedAt, uniqueId }) => !seen.isDuplicate(uniqueId, failedAt))
  const chosen = chosenOf(distinct, options)
  return {
    facts: holding.facts,
    matching: distinct.length,
    duplicates: messages.length - distinct.length,
    messages: chosen,
    targets: await targetsOf(operations, chosen),
  }
}

/** An acknowledgement says that something went well; there is nothing to do again. */
export function isReplayable(failed: FailedMessage): boolean {
  return failed.kind !== 'ack'
}

/** Where a message goes: `--to`, redirect, the message's own wish, where it failed. */
export function targetOf(
  failed: FailedMessage,
  retryTo: string | undefined,
  options: Pick<ReplayOptions, 'to' | 'redirects'>,
): string | undefined {
  const redirect =
    failed.queue !== undefined && Object.hasOwn(options.redirects, failed.queue) ? options.redirects[failed.queue] : undefined
  return options.to ?? redirect ?? (retryTo === undefined || retryTo === '' ? failed.queue : retryTo)
}

/** What is done with a message that was selected. */
export function planned(message: HeldMessage, failed: FailedMessage, options: ReplayOptions): PlannedMessage {
  const retryTo = message.headers[Header.RetryTo]
  const target = targetOf(failed, retryTo, options)
  const withoutWish = targetOf(failed, undefined, options)
  return {
    uniqueId: failed.uniqueId,
    failedAt: failed.failedAt,
    target,
    redirectedByMessage: target !== withoutWish,
  }
}

// The queue's own order is that of failing; only which are taken depends on --newest.
function chosenOf(messages: readonly PlannedMessage[], { limit, newest }: ReplayOptions): readonly PlannedMessage[] {
  const inOrder = newest ? messages.toReversed() : messages
  return limit === undefined ? inOrder : inOrder.slice(0, limit)
}

async function targetsOf(operations: Operations, messages: readonly PlannedMessage[]): Promise<readonly PlannedTarget[]> {
  const counts = new Map<string | undefined, number>()
  for (const { target } of messages) counts.set(target, (counts.get(target) ?? 0) + 1)
  const targets: PlannedTarget[] = []
  for (const [target, count] of counts) {
    // A target comes from a message, so it may be anything; why it is refused is asked for below.
    const facts = target === undefined ? undefined : await operations.inspect(target).catch(() => undefined)
    const problem = target === undefined ? noTarget() : facts === undefined ? await whyNoQueue(operations, target) : undefined
    targets.push({ target, count, facts, problem })
  }
  return targets
}

export function noTarget(): NsbError {
  return new NsbError({
    code: 'NSB_NO_TARGET',
    message: 'The message does not say where it failed.',
    suggestions: ['Name a queue: nsb errors replay <id> --to <queue>'],
  })
}

/** The transport's own reason why a queue cannot be used: a refused address, or no such queue with similar names. */
export async function whyNoQueue(operations: Operations, queue: string): Promise<unknown> {
  try {
    const options = { purpose: 'look', overrule: [], page: 1, max: 1, signal: AbortSignal.abort(), beforeRemove: () => undefined } as const
    await (await operations.hold(queue, options)).giveBack()
    return undefined
  } catch (error) {
    return error
  }
}

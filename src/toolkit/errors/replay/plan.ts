import type { FailedMessage, FailureIdentity } from '../../../message/failure.ts'
import { readFailure } from '../../../message/failure.ts'
import { Header } from '../../../message/headers.ts'
import { NsbError } from '../../../message/nsb-error.ts'
import type { HeldMessage, HoldOptions, Holding, Operations, QueueFacts } from '../../../transport/transport.ts'
import { checkHold, holdErrors } from '../hold.ts'
import { idMatcher, resolveIds } from '../select/resolve-ids.ts'
import { type Criteria, hasCriteria, selector } from '../select/select.ts'
import { Wanted } from '../select/wanted.ts'

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
export interface PlannedMessage extends FailureIdentity {
  /** undefined: nothing says where it belongs. */
  readonly target: string | undefined
  /** The target is the wish of the message itself: `ServiceControl.RetryTo`. */
  readonly redirectedByMessage: boolean
}

export interface ReplayPlan {
  readonly facts: QueueFacts
  /** All that match, before the limit. */
  readonly matching: number
  /** Further copies of a failure that is in the queue already; they stay. */
  readonly duplicates: number
  /** How many of those that match are taken. */
  readonly selected: number
  /** Which ones. */
  readonly wanted: Wanted
  /** The whole ids of the groups that were asked for: what begins like one may come later. */
  readonly groups: readonly string[]
  /** How many of them are sent where the message itself wishes. */
  readonly wishes: number
  /** The first of them in the order in which they are taken, {@link mostItems} at most. */
  readonly first: readonly PlannedMessage[]
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
/** A plan names so many messages at most, and a report names each only of so many: a million would not fit into memory. */
export const mostItems = 10_000

/** Told of each message that may be meant, before ids, duplicates and the limit are considered. */
export type Selected = (message: HeldMessage, failed: FailedMessage) => void | Promise<void>

/**
 * Refuses what selects nothing, or nothing that can be sent, and a `to` that does not exist.
 *
 * @throws {NsbError} NSB_NO_SELECTION, NSB_NOTHING_MATCHED, and for `to` what {@link whyNoQueue} gives
 */
export async function checkSelection(operations: Operations, { all, criteria, queue, to }: ReplayOptions): Promise<void> {
  if (!all && !hasCriteria(criteria))
    throw new NsbError({
      code: 'NSB_NO_SELECTION',
      message: 'Which messages? Nothing was selected.',
      suggestions: ['nsb errors replay <id>', 'nsb errors replay --group <id>', 'everything: nsb errors replay --all'],
    })
  if (criteria.kind?.every((kind) => kind === 'ack') === true) throw onlyAcknowledgements()
  if (to === undefined) return
  const problem = targetProblem(to, queue) ?? ((await operations.inspect(to)) === undefined ? await whyNoQueue(operations, to) : undefined)
  if (problem !== undefined) throw problem
}

/**
 * Looks which messages are meant and where they go; changes nothing.
 *
 * @throws {NsbError} those of {@link checkSelection} and {@link planHeld}, NSB_QUEUE_NOT_FOUND, NSB_HOLD_TOO_SMALL
 */
export async function planReplay(operations: Operations, options: ReplayOptions, selected?: Selected): Promise<ReplayPlan> {
  await checkSelection(operations, options)
  const holding = await holdErrors(operations, options.queue, holdOptions(operations, 'look', options))
  try {
    checkHold(holding.facts, options)
    return await planHeld(operations, holding, options, selected)
  } finally {
    await holding.giveBack()
  }
}

/** What is held for a replay; where looking costs nothing, nothing is held, and so it has no bound. */
export function holdOptions(operations: Operations, purpose: HoldOptions['purpose'], options: ReplayOptions): HoldOptions {
  const { maxHold, newest, overrule, signal } = options
  const { lookWithoutTrace, newestFirst } = operations.can
  const max = lookWithoutTrace ? Number.POSITIVE_INFINITY : maxHold
  const order = { newestFirst: newest && newestFirst }
  return { purpose, overrule, page: replayPage, max, ...order, signal, mayEmpty: true, beforeRemove: () => undefined }
}

/**
 * The plan for the messages of a holding.
 *
 * @throws {NsbError} NSB_AMBIGUOUS_ID, NSB_BAD_ID, NSB_MESSAGE_NOT_FOUND; NSB_NOTHING_MATCHED where only acknowledgements were named
 */
export async function planHeld(
  operations: Operations,
  holding: Holding,
  options: ReplayOptions,
  selected: Selected = () => undefined,
): Promise<ReplayPlan> {
  const { criteria, newest, signal } = options
  const groups = new Map<string, string>()
  const matches = selector(criteria, options.now, groups)
  const ids = criteria.ids ?? []
  const isNamed = idMatcher(ids)
  const named: FailedMessage[] = []
  const couldBeMeant: PlannedMessage[] = []
  const choice = new Choice(options, !newest || operations.can.newestFirst, holding.facts.depth)
  for await (const held of holding.pages())
    for (const message of held) {
      const failed = readFailure(message.headers, message.nativeId, message.unreadable !== undefined, message)
      if (!isNamed(failed)) continue
      if (ids.length > 0) named.push(failed)
      if (!isReplayable(failed) || !matches(failed, message)) continue
      if (ids.length > 0) couldBeMeant.push(planned(message, failed, options))
      else choice.add(planned(message, failed, options))
      const looking = selected(message, failed)
      if (looking !== undefined) await looking
    }
  signal.throwIfAborted()

  const meant = resolveIds(ids, named)
  if (couldBeMeant.length === 0 && named.some(({ kind }) => kind === 'ack')) throw onlyAcknowledgements()
  for (const message of couldBeMeant) if (meant.has(message.uniqueId)) choice.add(message)
  const chosen = choice.chosen()
  return {
    ...chosen,
    groups: [...groups.values()],
    facts: holding.facts,
    targets: await targetsOf(operations, options.queue, chosen.targets),
  }
}

/** Takes the first or the last of the messages that match, and keeps none of them but those it names. */
class Choice {
  readonly #limit: number
  readonly #inOrder: boolean
  /** Those it names; while the last ones are looked for, those that may be among them. */
  #kept: PlannedMessage[] = []
  readonly #wanted: Wanted
  readonly #targets = new Map<string | undefined, number>()
  #matching = 0
  #duplicates = 0
  #wishes = 0

  /** @param inOrder they come in the order in which they are to be taken; else in its reverse @param depth of the queue */
  constructor({ limit = Number.POSITIVE_INFINITY }: ReplayOptions, inOrder: boolean, depth: number) {
    this.#wanted = new Wanted(depth)
    this.#limit = limit
    this.#inOrder = inOrder
  }

  add(message: PlannedMessage): void {
    if (!this.#wanted.see(message)) {
      this.#duplicates++
      return
    }
    this.#matching++
    if (this.#inOrder) {
      if (this.#wanted.left === this.#limit) return
      this.#want(message)
      if (this.#kept.length < mostItems) this.#kept.push(message)
      return
    }
    const isUnlimited = this.#limit === Number.POSITIVE_INFINITY
    if (isUnlimited) this.#want(message)
    const most = isUnlimited ? mostItems : this.#limit
    this.#kept.push(message)
    if (this.#kept.length >= 2 * most + 1000) this.#kept = this.#kept.slice(-most)
  }

  chosen(): Omit<ReplayPlan, 'facts' | 'groups' | 'targets'> & { readonly targets: ReadonlyMap<string | undefined, number> } {
    let first = this.#kept
    if (!this.#inOrder) {
      first = first.toReversed().slice(0, this.#limit)
      if (this.#limit !== Number.POSITIVE_INFINITY) for (const message of first) this.#want(message)
    }
    return {
      matching: this.#matching,
      duplicates: this.#duplicates,
      selected: this.#wanted.left,
      wanted: this.#wanted,
      wishes: this.#wishes,
      first: first.slice(0, mostItems),
      targets: this.#targets,
    }
  }

  #want(message: PlannedMessage): void {
    const { redirectedByMessage, target } = message
    this.#wanted.want(message)
    this.#targets.set(target, (this.#targets.get(target) ?? 0) + 1)
    if (redirectedByMessage) this.#wishes++
  }
}

/** An acknowledgement says that something went well; there is nothing to do again. */
export function isReplayable(failed: FailedMessage): boolean {
  return failed.kind !== 'ack'
}

function onlyAcknowledgements(): NsbError {
  return new NsbError({
    code: 'NSB_NOTHING_MATCHED',
    message: 'Only acknowledgements were selected. They say that a replay went well, and are never replayed.',
    suggestions: ['nsb errors list --kind ack', 'nsb errors archive --kind ack'],
  })
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
export function planned(message: Pick<HeldMessage, 'headers'>, failed: FailedMessage, options: ReplayOptions): PlannedMessage {
  const retryTo = message.headers[Header.RetryTo]
  const target = targetOf(failed, retryTo, options)
  const withoutWish = targetOf(failed, undefined, options)
  return {
    uniqueId: failed.uniqueId,
    failedAt: failed.failedAt,
    contentMark: failed.contentMark,
    target,
    redirectedByMessage: target !== withoutWish,
  }
}

/** What is known of each target. */
export async function targetsOf(
  operations: Operations,
  errorQueue: string,
  counts: ReadonlyMap<string | undefined, number>,
): Promise<readonly PlannedTarget[]> {
  const targets: PlannedTarget[] = []
  for (const [target, count] of counts) {
    // A target comes from a message, so it may be anything; why it is refused is asked for below.
    const facts = target === undefined ? undefined : await operations.inspect(target).catch(() => undefined)
    const problem = targetProblem(target, errorQueue) ?? (facts === undefined ? await whyNoQueue(operations, target as string) : undefined)
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

/**
 * Queues of nsb's own and of the delays of NServiceBus. A lock is there, takes a message, and is gone with the connection; what is in the
 * others expires, is somebody else's, or goes nowhere.
 */
const reserved = /^nsb\.(?:(?:lock|staging|probe|reply)\.|acks$|(?:v\d+\.)?delay-|v\d+\.verify-stream)/i

/**
 * Why a message cannot be sent there, as far as that can be told without asking: it is nowhere, the queue that it lies in, or one that no
 * endpoint reads.
 */
export function targetProblem(target: string | undefined, errorQueue: string | undefined): NsbError | undefined {
  if (target === undefined) return noTarget()
  if (reserved.test(target))
    return new NsbError({
      code: 'NSB_RESERVED_QUEUE',
      message: `No endpoint reads the queue '${target}': it is for the work of nsb or of the transport, and a message would be lost there.`,
      suggestions: ['Name the queue of an endpoint: nsb errors replay <id> --to <queue>'],
      details: { target },
    })
  if (target !== errorQueue) return undefined
  return new NsbError({
    code: 'NSB_INTO_ITSELF',
    message: `The target '${target}' is the error queue itself: the message would lie there again, without what says that it failed.`,
    suggestions: ['Name the queue of an endpoint: nsb errors replay <id> --to <queue>'],
    details: { target },
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

import { type FailedMessage, readFailure } from '../../message/failure.ts'
import type { HeldMessage, Operations, QueueFacts } from '../../transport/transport.ts'
import { type Classifier, type Group, displayTitle, groupOf } from './group.ts'
import { couldMean, resolveIds } from './resolve-ids.ts'
import { type Criteria, selector } from './select.ts'

export interface BrowseOptions {
  readonly queue: string
  readonly criteria: Criteria
  /** ms since 1970. */
  readonly now: number
  /** Codes of safety rules to overrule. */
  readonly overrule: readonly string[]
  readonly maxHold: number
  readonly signal: AbortSignal
}

/** What was there beside what was asked for. */
export interface Browsed {
  /** undefined: there is no such queue, which for an error queue means that nothing ever failed. */
  readonly facts: QueueFacts | undefined
  readonly poison: number
  readonly newerArrivals: number
}

/** Messages of a page whose bodies are in memory at once. */
const page = 100

/** Shows every entry of the queue once, in its order, and gives all of them back. */
async function browse(
  operations: Operations,
  options: BrowseOptions,
  seen: (failed: FailedMessage, message: HeldMessage) => void,
): Promise<Browsed> {
  const { queue, overrule, signal, maxHold } = options
  if ((await operations.inspect(queue)) === undefined) return { facts: undefined, poison: 0, newerArrivals: 0 }
  const holding = await operations.hold(queue, { purpose: 'look', overrule, page, max: maxHold, signal, beforeRemove: () => undefined })
  let poison = 0
  let newerArrivals = 0
  try {
    for await (const messages of holding.pages()) {
      for (const message of messages) {
        const failed = readFailure(message.headers, message.nativeId, message.unreadable !== undefined)
        if (failed.kind === 'poison') poison++
        seen(failed, message)
      }
    }
  } finally {
    newerArrivals = (await holding.giveBack()).newerArrivals
  }
  signal.throwIfAborted()
  return { facts: holding.facts, poison, newerArrivals }
}

/** Newest failure first; those without a readable time last. */
export function byTimeDescending(a: FailedMessage, b: FailedMessage): number {
  return (b.failedAt ?? Number.NEGATIVE_INFINITY) - (a.failedAt ?? Number.NEGATIVE_INFINITY) || 0
}

export interface Listed extends Browsed {
  /** All that match. */
  readonly total: number
  /** The newest of them. */
  readonly items: readonly FailedMessage[]
}

/** Lists the newest failures that match; memory holds what is shown, not the queue. */
export async function listFailed(operations: Operations, options: BrowseOptions & { readonly limit: number }): Promise<Listed> {
  const { criteria, limit } = options
  const matches = selector(criteria, options.now)
  const ids = criteria.ids ?? []
  const named: FailedMessage[] = []
  let items: FailedMessage[] = []
  let total = 0
  const browsed = await browse(operations, options, (failed, message) => {
    if (!ids.every((id) => !couldMean(id, failed))) named.push(failed)
    else if (ids.length > 0) return
    if (!matches(failed, message.headers)) return
    total++
    items.push(failed)
    if (ids.length === 0 && items.length >= 2 * limit + 1000) items = items.toSorted(byTimeDescending).slice(0, limit)
  })
  if (ids.length > 0) {
    const meant = resolveIds(ids, named)
    items = items.filter((item) => meant.has(item.uniqueId))
    total = items.length
  }
  return { ...browsed, total, items: items.toSorted(byTimeDescending).slice(0, limit) }
}

export interface Grouped extends Browsed {
  readonly total: number
  /** Largest first. */
  readonly groups: readonly Group[]
  /** Matching failures the classifier has no title for. */
  readonly ungrouped: number
  /** ms since 1970. */
  readonly oldest: number | undefined
}

const shownPerGroup = 3

/** Counts the failures that match by group; memory holds one entry per group. */
export async function groupFailed(operations: Operations, options: BrowseOptions & { readonly by: Classifier }): Promise<Grouped> {
  const matches = selector(options.criteria, options.now)
  const groups = new Map<string, Group>()
  let [total, ungrouped] = [0, 0]
  let oldest: number | undefined
  const browsed = await browse(operations, options, (failed, message) => {
    if (!matches(failed, message.headers)) return
    total++
    if (failed.failedAt !== undefined && (oldest === undefined || failed.failedAt < oldest)) oldest = failed.failedAt
    const key = groupOf(message.headers, options.by)
    if (key === undefined) ungrouped++
    else groups.set(key.id, counted(groups.get(key.id), { ...key, title: displayTitle(options.by, key.title) }, failed))
  })
  const largestFirst = [...groups.values()].toSorted((a, b) => b.count - a.count || (b.last ?? 0) - (a.last ?? 0))
  return { ...browsed, total, groups: largestFirst, ungrouped, oldest }
}

function counted(group: Group | undefined, key: { readonly id: string; readonly title: string }, failed: FailedMessage): Group {
  const counting: Group = group ?? { ...key, count: 0, first: undefined, last: undefined, endpoints: [], types: [] }
  counting.count++
  if (failed.failedAt !== undefined) {
    counting.first = Math.min(counting.first ?? failed.failedAt, failed.failedAt)
    counting.last = Math.max(counting.last ?? failed.failedAt, failed.failedAt)
  }
  const remember = (names: string[], name: string | undefined): void => {
    if (name !== undefined && names.length < shownPerGroup && !names.includes(name)) names.push(name)
  }
  remember(counting.endpoints, failed.endpoint)
  remember(counting.types, failed.type)
  return counting
}

export interface Shown extends Browsed {
  readonly failed: FailedMessage
  readonly message: HeldMessage
}

/**
 * Finds one message by its id.
 *
 * @throws {NsbError} NSB_AMBIGUOUS_ID, NSB_BAD_ID, NSB_MESSAGE_NOT_FOUND
 */
export async function showFailed(operations: Operations, options: BrowseOptions, id: string): Promise<Shown> {
  const found: { readonly failed: FailedMessage; readonly message: HeldMessage }[] = []
  const browsed = await browse(operations, options, (failed, message) => {
    // Of an ambiguous prefix the first bodies are enough to know that it is one.
    if (couldMean(id, failed)) found.push({ failed, message: found.length < 20 ? message : { ...message, body: new Uint8Array() } })
  })
  const [uniqueId] = resolveIds(
    [id],
    found.map((each) => each.failed),
  )
  const shown = found.find((each) => each.failed.uniqueId === uniqueId) as { failed: FailedMessage; message: HeldMessage }
  return { ...browsed, ...shown }
}

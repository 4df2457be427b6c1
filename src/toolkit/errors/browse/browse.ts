import type { FailedMessage } from '../../../message/failure.ts'
import type { HeldMessage, Operations } from '../../../transport/transport.ts'
import { type Classifier, type Group, displayTitle, groupId, groupTitle, headersToGroup } from '../select/group.ts'
import { couldMean, idMatcher, resolveIds } from '../select/resolve-ids.ts'
import { SeenFailures } from '../seen-failures.ts'
import { type Criteria, hasCriteria, needsBodies, needsNative, selector } from '../select/select.ts'
import type { BrowseOptions, Browsed } from './browsed.ts'
import { browse } from './look.ts'

/** The type of a fault of MassTransit is in its body. Without bodies nothing native is given either. */
function canDoWithoutBodies(criteria: Criteria): boolean {
  return !needsBodies(criteria) && !needsNative(criteria) && criteria.kind?.includes('masstransit') !== true
}

export interface ListedFailure {
  readonly failed: FailedMessage
  /** The same failure came before in the queue: a crash has left it there twice. */
  readonly duplicate: boolean
  /** What lists are sorted by, in ms since 1970: when it came into a queue that can be read from its end, else when it failed. */
  readonly at: number | undefined
}

/** Newest first, in one tick of the file clock by the time of failure; those without a readable time last. */
export function byTimeDescending(a: ListedFailure, b: ListedFailure): number {
  return descending(a.at, b.at) || descending(a.failed.failedAt, b.failed.failedAt)
}

const descending = (a: number | undefined, b: number | undefined): number =>
  (b ?? Number.NEGATIVE_INFINITY) - (a ?? Number.NEGATIVE_INFINITY) || 0

export interface ListOptions extends BrowseOptions {
  /** So many are wanted. */
  readonly limit: number
  /** So many that come before them are left out: those of the pages before. Default: 0. */
  readonly skip?: number
  /** Every entry is looked at, even where the newest are known without. */
  readonly exact: boolean
  /** The first of them in this order are wanted, and of those that are alike in it the newest; undefined: the newest. */
  readonly order?: ((a: ListedFailure, b: ListedFailure) => number) | undefined
  /**
   * Told of each as it is met where the queue can be read from its end, so that memory does not grow with the limit; none is in
   * {@link Listed.items} then. It is not told where an order was asked for, or ids are named, since what they mean is known only in the end.
   */
  each?(this: void, item: ListedFailure): void
}

export interface Listed extends Browsed {
  /** All that match, the unread and those that were left out included. */
  readonly total: number
  /** The newest of them that were wanted, or the first in the order that was asked for. */
  readonly items: readonly ListedFailure[]
}

/** Read at least, so that of a queue of usual length every entry is seen for what it is. */
const readAtLeast = 1000

/**
 * Lists the newest failures that match, or the first in an order. Memory holds what is shown, not the queue; where entries do not come
 * newest first, or an order was asked for, also what is left out before it.
 */
export async function listFailed(operations: Operations, options: ListOptions): Promise<Listed> {
  const { criteria, each, exact, limit, order, skip = 0 } = options
  const end = skip + limit
  const first = order === undefined ? byTimeDescending : (a: ListedFailure, b: ListedFailure) => order(a, b) || byTimeDescending(a, b)
  const matches = selector(criteria, options.now)
  const ids = criteria.ids ?? []
  const { newestFirst } = operations.can
  // Without criteria an entry that is not read counts as what nearly all are: a failure.
  const pageIsEnough = newestFirst && !exact && order === undefined && !hasCriteria(criteria)
  const couldBeMeant = idMatcher(ids)
  const named: FailedMessage[] = []
  const failures = new SeenFailures()
  let items: ListedFailure[] = []
  let [total, read, passed] = [0, 0, 0]
  const inOrder = new InTicks((item) => {
    const isWanted = passed >= skip && passed < end
    passed++
    if (isWanted && each !== undefined) each(item)
    else if (isWanted) items.push(item)
  })
  const comeInOrder = newestFirst && order === undefined && ids.length === 0
  const browsed = await browse(operations, options, {
    newestFirst,
    withoutBodies: canDoWithoutBodies(criteria),
    seen(failed, message, held) {
      read++
      if (!couldBeMeant(failed)) return
      if (ids.length > 0) named.push(failed)
      if (!matches(failed, held ?? message)) return
      total++
      const duplicate = failures.isDuplicate(failed)
      const item = { failed, duplicate, at: newestFirst ? message.enqueuedAt : failed.failedAt }
      if (comeInOrder) return inOrder.add(item)
      items.push(item)
      if (ids.length === 0 && items.length >= 2 * end + 100) items = items.toSorted(first).slice(0, end)
    },
    enough: () => pageIsEnough && read >= readAtLeast && passed >= Math.max(end, 1),
  })
  inOrder.end()
  if (ids.length > 0) {
    const meant = resolveIds(ids, named)
    items = items.filter(({ failed }) => meant.has(failed.uniqueId))
    total = items.length
  }
  return { ...browsed, total: total + browsed.unread, items: comeInOrder ? items : items.toSorted(first).slice(skip, end) }
}

/** Entries of one tick of the file clock that are put in order together. */
const mostInTick = 1000

/** Files come newest first; those of one tick of their clock are passed on in the order of lists. */
class InTicks {
  readonly #pass: (item: ListedFailure) => void
  #tick: ListedFailure[] = []

  constructor(pass: (item: ListedFailure) => void) {
    this.#pass = pass
  }

  add(item: ListedFailure): void {
    if (this.#tick.length >= mostInTick || (this.#tick.length > 0 && this.#tick[0]?.at !== item.at)) this.end()
    this.#tick.push(item)
  }

  end(): void {
    for (const item of this.#tick.length > 1 ? this.#tick.toSorted(byTimeDescending) : this.#tick) this.#pass(item)
    this.#tick = []
  }
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
  /** By title: the id of one is a hash, and most failures are in few groups. */
  const groups = new Map<string, Group>()
  let [total, ungrouped] = [0, 0]
  let oldest: number | undefined
  const browsed = await browse(operations, options, {
    withoutBodies: canDoWithoutBodies(options.criteria),
    seen(failed, message, held) {
      if (!matches(failed, held ?? message)) return
      total++
      if (failed.failedAt !== undefined && (oldest === undefined || failed.failedAt < oldest)) oldest = failed.failedAt
      const title = groupTitle(headersToGroup(failed, message.headers), options.by)
      if (title === undefined) {
        ungrouped++
        return
      }
      const group = groups.get(title) ?? newGroup(options.by, title)
      if (group.count === 0) groups.set(title, group)
      count(group, failed)
    },
  })
  const largestFirst = [...groups.values()].toSorted((a, b) => b.count - a.count || (b.last ?? 0) - (a.last ?? 0))
  return { ...browsed, total, groups: largestFirst, ungrouped, oldest }
}

function newGroup(by: Classifier, title: string): Group {
  return { id: groupId(by, title), title: displayTitle(by, title), count: 0, first: undefined, last: undefined, endpoints: [], types: [] }
}

function count(group: Group, { endpoint, failedAt, type }: FailedMessage): void {
  group.count++
  if (failedAt !== undefined) {
    group.first = Math.min(group.first ?? failedAt, failedAt)
    group.last = Math.max(group.last ?? failedAt, failedAt)
  }
  remember(group.endpoints, endpoint)
  remember(group.types, type)
}

function remember(names: string[], name: string | undefined): void {
  if (name !== undefined && names.length < shownPerGroup && !names.includes(name)) names.push(name)
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
  // What a look keeps has not every header.
  const browsed = await browse(
    operations,
    { ...options, cached: false },
    {
      seen(failed, _, message) {
        if (message === undefined) return
        // Of an ambiguous prefix the first bodies are enough to know that it is one.
        if (couldMean(id, failed)) found.push({ failed, message: found.length < 20 ? message : { ...message, body: new Uint8Array() } })
      },
    },
  )
  const [uniqueId] = resolveIds(
    [id],
    found.map((each) => each.failed),
  )
  const shown = found.find((each) => each.failed.uniqueId === uniqueId) as { failed: FailedMessage; message: HeldMessage }
  return { ...browsed, ...shown }
}

import { type FailedMessage, type FailureIdentity, identityOf } from '../../../message/failure.ts'
import type { HeldMessage, HoldOptions, Holding, Operations, QueueFacts } from '../../../transport/transport.ts'
import { checkHold, holdErrors } from '../hold.ts'
import { idMatcher, resolveIds } from '../select/resolve-ids.ts'
import { SeenFailures } from '../seen-failures.ts'
import { type Criteria, hasCriteria, hasGroupPrefix, selector } from '../select/select.ts'
import { readHeld } from '../replay/sending-back.ts'

export interface SelectionOptions {
  readonly queue: string
  readonly criteria: Criteria
  readonly limit: number | undefined
  /** With a limit: the newest instead of the oldest. */
  readonly newest: boolean
  /** Instead of the failures those copies of them that a crash has left in the queue once more. */
  readonly duplicates: boolean
  /** ms since 1970. */
  readonly now: number
  readonly overrule: readonly string[]
  readonly maxHold: number
  readonly signal: AbortSignal
}

export interface SelectedMessage {
  readonly message: HeldMessage
  readonly failed: FailedMessage
}

/** Messages that were selected, ready to be worked with. */
export interface Selection {
  readonly facts: QueueFacts
  /** How many; undefined: nobody has looked yet. */
  readonly count: number | undefined
  /** Copies of failures that come again and are not selected, as far as was looked. */
  readonly duplicates: number
  /** Not read, because as many are held as may be, and none of them leaves. */
  readonly unread: number
  /** What they are held by; before {@link messages} it may be another one. */
  readonly holding: Holding
  /** In the order of the queue, a page at a time. Once. */
  messages(): AsyncIterable<readonly SelectedMessage[]>
  /** Gives back what is held; always. */
  release(): ReturnType<Holding['giveBack']>
}

export interface SelectionNeeds {
  readonly purpose: HoldOptions['purpose']
  /** How many there are should be known before the first is shown: somebody is asked. Of everything in a broker's queue it is not. */
  readonly mustCount: boolean
  /** They are all consumed as they come, so that more may be waiting than can be held. */
  readonly streams: boolean
  beforeRemove(group: readonly HeldMessage[]): void | Promise<void>
}

/** Messages of a page whose bodies are in memory at once. */
const page = 500
/** Text and bodies of messages that are kept in memory while somebody is asked. */
const mostKeptBytes = 48 * 1024 * 1024
/** What a person may take for the answer while messages are held: nobody else sees them meanwhile. */
const longestQuestionMs = 5 * 60_000

/**
 * Selects messages at the price of one delivery where a look is one: what somebody has to be asked about is held meanwhile. Only when
 * that is too much for the memory, or takes too long, it is given back and taken once more.
 *
 * @throws {NsbError} NSB_QUEUE_NOT_FOUND, NSB_HOLD_TOO_SMALL, NSB_AMBIGUOUS_ID, NSB_BAD_ID, NSB_MESSAGE_NOT_FOUND, and those of a holding
 */
export async function select(operations: Operations, options: SelectionOptions, needs: SelectionNeeds): Promise<Selection> {
  const { maxHold, overrule, queue, signal } = options
  const lookIsFree = operations.can.lookWithoutTrace
  const everything = needs.streams && !hasCriteria(options.criteria) && options.limit === undefined && !options.duplicates
  const isNamed = (options.criteria.ids ?? []).length > 0 || hasGroupPrefix(options.criteria)
  const needsPlan = options.newest || isNamed || (needs.mustCount && (lookIsFree || !everything))
  const hold = (purpose: HoldOptions['purpose'], more: Partial<HoldOptions> = {}): Promise<Holding> =>
    holdErrors(operations, queue, {
      purpose,
      overrule,
      page,
      max: everything ? Math.max(maxHold, 4 * page) : maxHold,
      signal,
      takesAll: everything,
      beforeRemove: (group) => needs.beforeRemove(group),
      ...more,
    })
  const first = await hold(needsPlan && lookIsFree ? 'look' : needs.purpose, needs.streams && !needsPlan ? { ahead: page } : {})
  const selection = new HeldSelection(options, first, () => hold(needs.purpose))
  try {
    if (!everything) checkHold(first.facts, options, ['Or take every message, which holds few of them at a time: nsb errors archive --all'])
    if (needsPlan) await selection.plan(!lookIsFree)
  } catch (error) {
    await selection.release()
    throw error
  }
  return selection
}

interface Found extends FailureIdentity {
  readonly key: string
  selected: SelectedMessage | undefined
}

class HeldSelection implements Selection {
  duplicates = 0
  unread = 0
  #read = 0
  count: number | undefined
  readonly facts: QueueFacts
  holding: Holding
  readonly #options: SelectionOptions
  readonly #holdAgain: () => Promise<Holding>
  /** Those that are held already; undefined: they have to be taken. */
  #kept: readonly SelectedMessage[] | undefined
  #seen = new SeenFailures()
  /** How often each is wanted; undefined: the first {@link count} that match. */
  #wanted: Map<string, number> | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(options: SelectionOptions, holding: Holding, holdAgain: () => Promise<Holding>) {
    this.#options = options
    this.holding = holding
    this.facts = holding.facts
    this.#holdAgain = holdAgain
  }

  /** @param keep what is selected stays held and in memory, if that is large enough */
  async plan(keep: boolean): Promise<void> {
    const { criteria, limit = Number.POSITIVE_INFINITY, newest, signal } = this.#options
    const ids = new IdFilter(criteria.ids ?? [])
    const isKeyed = newest || (criteria.ids ?? []).length > 0
    const found: Found[] = []
    let room = keep ? mostKeptBytes : -1
    let count = 0
    for await (const messages of this.#matching((failed) => ids.accepts(failed)))
      for (const selected of messages) {
        if (!isKeyed && (!this.#isWanted(selected.failed) || ++count > limit)) continue
        if (room >= 0) {
          room -= sizeOf(selected.message)
          if (room < 0) for (const each of found) each.selected = undefined
        }
        const { contentMark, failedAt, uniqueId } = selected.failed
        if (isKeyed) found.push({ key: keyOf(selected), uniqueId, failedAt, contentMark, selected: room < 0 ? undefined : selected })
        else if (room >= 0) found.push({ key: '', uniqueId, failedAt, contentMark, selected })
        else found.length = 0
      }
    signal.throwIfAborted()
    const chosen = isKeyed ? this.#chosenOf(found, ids) : found
    this.count = isKeyed ? chosen.length : Math.min(count, limit)
    if (room < 0) await this.holding.giveBack()
    else this.#keep(chosen.map(({ selected }) => selected as SelectedMessage))
    if (isKeyed) this.#wanted = new Map()
    for (const { key } of isKeyed ? chosen : []) this.#wanted?.set(key, (this.#wanted.get(key) ?? 0) + 1)
  }

  #chosenOf(found: readonly Found[], ids: IdFilter): readonly Found[] {
    const { limit = Number.POSITIVE_INFINITY, newest } = this.#options
    const meant = ids.resolve()
    const distinct = found.filter((each) => (meant === undefined || meant.has(each.uniqueId)) && this.#isWanted(each))
    return newest ? distinct.slice(Math.max(0, distinct.length - limit)) : distinct.slice(0, limit)
  }

  /** Asked once for each message that matches. */
  #isWanted(failed: FailureIdentity): boolean {
    const isDuplicate = this.#seen.isDuplicate(failed)
    if (isDuplicate && !this.#options.duplicates) this.duplicates++
    return isDuplicate === this.#options.duplicates
  }

  #keep(messages: readonly SelectedMessage[]): void {
    this.#kept = messages
    this.#timer = setTimeout(() => {
      this.#kept = undefined
      void this.holding.giveBack()
    }, longestQuestionMs).unref()
  }

  async *messages(): AsyncIterable<readonly SelectedMessage[]> {
    clearTimeout(this.#timer)
    if (this.#kept !== undefined) {
      for (let from = 0; from < this.#kept.length; from += page) yield this.#kept.slice(from, from + page)
      return
    }
    let left = this.count ?? this.#options.limit ?? Number.POSITIVE_INFINITY
    if (this.count !== undefined) {
      if (this.count === 0) return
      await this.holding.giveBack()
      this.holding = await this.#holdAgain()
      this.#seen = new SeenFailures()
      this.duplicates = 0
    }
    for await (const messages of this.#wanted === undefined ? this.#matching(() => true) : this.#named(this.#wanted)) {
      const wanted = this.#wanted === undefined ? messages.filter(({ failed }) => this.#isWanted(failed)) : messages
      const some = wanted.slice(0, left)
      left -= some.length
      if (some.length > 0) yield some
      if (left === 0) return
    }
    if (!this.#options.signal.aborted) this.unread = Math.max(0, this.holding.facts.depth - this.#read)
  }

  async *#named(wanted: Map<string, number>): AsyncIterable<readonly SelectedMessage[]> {
    for await (const messages of this.holding.pages()) {
      const found: SelectedMessage[] = []
      this.#read += messages.length
      for (const message of messages) {
        const selected = { message, failed: readHeld(message) }
        const key = keyOf(selected)
        const times = wanted.get(key) ?? 0
        if (times === 0) continue
        wanted.set(key, times - 1)
        found.push(selected)
      }
      yield found
    }
  }

  async *#matching(isMeant: (failed: FailedMessage) => boolean): AsyncIterable<readonly SelectedMessage[]> {
    const { criteria, now } = this.#options
    const matches = selector(criteria, now)
    this.#read = 0
    for await (const messages of this.holding.pages()) {
      this.#read += messages.length
      const found: SelectedMessage[] = []
      for (const message of messages) {
        const failed = readHeld(message)
        if (isMeant(failed) && matches(failed, message)) found.push({ message, failed })
      }
      yield found
    }
  }

  release(): ReturnType<Holding['giveBack']> {
    clearTimeout(this.#timer)
    return this.holding.giveBack()
  }
}

/** The ids of a command line, of which there may be as many as messages. */
class IdFilter {
  readonly #ids: readonly string[]
  readonly #couldBeMeant: ReturnType<typeof idMatcher>
  readonly #named: FailedMessage[] = []

  constructor(ids: readonly string[]) {
    this.#ids = ids
    this.#couldBeMeant = idMatcher(ids)
  }

  accepts(failed: FailedMessage): boolean {
    const isNamed = this.#couldBeMeant(failed)
    if (isNamed && this.#ids.length > 0) this.#named.push(failed)
    return isNamed
  }

  /** @returns unique ids; undefined: all are meant */
  resolve(): ReadonlySet<string> | undefined {
    if (this.#ids.length === 0) return undefined
    const exact = new Map(this.#named.map(({ uniqueId }) => [uniqueId.toLowerCase(), uniqueId]))
    const meant = this.#ids.flatMap((id) => exact.get(id.toLowerCase()) ?? [])
    const others = this.#ids.filter((id) => !exact.has(id.toLowerCase()))
    return new Set([...meant, ...resolveIds(others, this.#named)])
  }
}

/** Characters and bytes; about what it takes in memory. */
function sizeOf({ body, headers }: HeldMessage): number {
  let size = body.length
  for (const name in headers) size += name.length + (headers[name] as string).length
  return size
}

function keyOf({ failed, message }: SelectedMessage): string {
  return `${message.nativeId}\n${identityOf(failed)}`
}

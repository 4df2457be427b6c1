import type { HeldMessage, Holding, Operations, OutgoingMessage, QueueFacts, Transport } from '../../../transport/transport.ts'
import { isBrokerQueue } from '../../broker-queue.ts'
import { replayPage } from './plan.ts'

const prefix = 'nsb.staging.'
const operationPattern = /^[0-9A-HJKMNP-TV-Z]{26}$/

/** What the journal calls the two halves of a staged replay. */
export const phases = { moving: 'moving', draining: 'draining' } as const

/** Where the messages of an operation wait for their turn, so that the error queue need not be held so long. */
export const stagingQueue = (operation: string): string => `${prefix}${operation}`

/** undefined: it is no staging queue of ours, whatever it looks like. */
export function operationOf(queue: string): string | undefined {
  const operation = queue.slice(prefix.length)
  return queue.startsWith(prefix) && operationPattern.test(operation) ? operation : undefined
}

/** A staging queue that is there, its operation over or not. */
export interface StagingLeftover {
  readonly operation: string
  readonly queue: string
  /** Messages waiting in it. */
  readonly depth: number
}

/**
 * All staging queues, oldest first. Their names come from the broker, so others than ours are left out.
 *
 * @throws {NsbError} where queues cannot be listed: a broker does that through its management API alone
 */
export async function stagingLeftovers(operations: Operations): Promise<readonly StagingLeftover[]> {
  const found = await operations.queues(prefix)
  return found
    .flatMap(({ depth, queue }) => {
      const operation = operationOf(queue)
      return operation === undefined ? [] : [{ operation, queue, depth }]
    })
    .sort((a, b) => (a.operation < b.operation ? -1 : 1))
}

/** The message as it is, for another queue. */
export function unchangedCopy(
  { body, headers, id, native, nativeId }: HeldMessage,
  queue: string,
  kind: QueueFacts['kind'],
): OutgoingMessage {
  const copy = { id, headers, body, native, to: { exactQueue: queue }, unchanged: true } as const
  // A folder counts attempts by it, and gives every copy one of its own.
  return kind === 'folder' || nativeId === '' ? copy : { ...copy, nativeId }
}

/** When messages may begin, as a drain has to know it. */
export interface Turns {
  /** How many may begin soon: 1 at least. */
  readonly soon: number
  /** Resolves when one more may begin. @returns false: none may, any more */
  ready(): boolean | Promise<boolean>
}

export interface StagedHoldingOptions {
  readonly queue: string
  /** Undefined: as fast as they can be sent. */
  readonly turns: Turns | undefined
  /** Messages on their way at once. */
  readonly window: number
  readonly overrule: readonly string[]
  readonly signal: AbortSignal
  /** Resolves when nothing that was shown is under way any more. */
  readonly settle: () => Promise<void>
  readonly beforeRemove: (group: readonly HeldMessage[]) => void | Promise<void>
}

/**
 * A staging queue of which nothing is held while nothing may be sent: a broker ends the connection of who holds a message for half an
 * hour, and a person may take longer to answer. So only those are taken that may begin soon, and after them the queue is let go.
 */
export class StagedHolding implements Holding {
  readonly facts: QueueFacts
  readonly #transport: Transport
  readonly #options: StagedHoldingOptions
  #holding: Holding | undefined
  #removed = 0
  #givenBack: ReturnType<Holding['giveBack']> | undefined

  private constructor(transport: Transport, options: StagedHoldingOptions, facts: QueueFacts) {
    this.facts = facts
    this.#transport = transport
    this.#options = options
  }

  /** undefined: there is no such queue, so nothing is left in it. */
  static async open(transport: Transport, options: StagedHoldingOptions): Promise<StagedHolding | undefined> {
    const facts = await transport.inspect(options.queue)
    return facts === undefined ? undefined : new StagedHolding(transport, options, facts)
  }

  async *pages(): AsyncIterable<readonly HeldMessage[]> {
    const { queue, signal, turns } = this.#options
    while (!signal.aborted && this.#givenBack === undefined) {
      const depth = (await this.#transport.inspect(queue))?.depth ?? 0
      if (depth === 0 || (turns !== undefined && !(await turns.ready()))) return
      const before = this.#removed
      yield* this.#sitting()
      // What cannot even be moved away stays; it would come again and again.
      if (this.#removed === before) return
    }
  }

  /** Calls may overlap. */
  consume(message: HeldMessage, outgoing: readonly OutgoingMessage[]): Promise<void> {
    return (this.#holding as Holding).consume(message, outgoing).then(() => void this.#removed++)
  }

  giveBack(): ReturnType<Holding['giveBack']> {
    this.#givenBack ??= this.#letGo().then((given) => given ?? { returned: 0, rescued: [], newerArrivals: 0 })
    return this.#givenBack
  }

  async *#sitting(): AsyncIterable<readonly HeldMessage[]> {
    const { beforeRemove, overrule, queue, signal, turns, window } = this.#options
    // A folder is not held at all, and looking for its oldest message again would mean reading all of it.
    const most = turns === undefined || !isBrokerQueue(this.facts) ? Number.POSITIVE_INFINITY : turns.soon
    const page = Math.min(most, replayPage)
    const options = { purpose: 'change', overrule, page, max: Number.MAX_SAFE_INTEGER, signal, beforeRemove } as const
    this.#holding = await this.#transport.hold(queue, most > this.facts.depth ? { ...options, ahead: window } : { ...options, max: most })
    try {
      let taken = 0
      for await (const messages of this.#holding.pages()) {
        yield messages
        taken += messages.length
        if (taken + page > most) return
      }
    } finally {
      await this.#letGo()
    }
  }

  async #letGo(): Promise<Awaited<ReturnType<Holding['giveBack']>> | undefined> {
    await this.#options.settle()
    return this.#holding?.giveBack()
  }
}

export interface MoveOptions {
  readonly from: string
  readonly to: string
  /** So many at once: after a crash so many may be in both queues. */
  readonly together: number
  readonly overrule: readonly string[]
  readonly signal: AbortSignal
  /** A copy of it is there already; the original only goes. */
  readonly isSafe: (message: HeldMessage) => boolean
  /** A message is about to be moved: the journal. */
  readonly begin: (messages: readonly HeldMessage[]) => void
  readonly beforeRemove: (group: readonly HeldMessage[]) => void | Promise<void>
  readonly progress: (moved: number) => void
}

/**
 * Moves everything from one queue to another, each message as it is and in its order; every copy is safe before its original goes.
 *
 * @returns how many were moved, and why the rest was not
 */
export async function moveUnchanged(
  transport: Transport,
  { beforeRemove, begin, from, isSafe, overrule, progress, signal, to, together }: MoveOptions,
): Promise<{ readonly moved: number; readonly problem: unknown }> {
  const options = { purpose: 'change', overrule, page: together, max: Number.MAX_SAFE_INTEGER, ahead: together, signal } as const
  const holding = await transport.hold(from, { ...options, beforeRemove })
  let moved = 0
  let problem: unknown
  try {
    for await (const messages of holding.pages()) {
      begin(messages)
      const ended = await Promise.allSettled(
        messages.map((message) => holding.consume(message, isSafe(message) ? [] : [unchangedCopy(message, to, holding.facts.kind)])),
      )
      moved += ended.filter(({ status }) => status === 'fulfilled').length
      progress(moved)
      problem = ended.find((each): each is PromiseRejectedResult => each.status === 'rejected')?.reason
      if (problem !== undefined || signal.aborted) break
    }
  } finally {
    await holding.giveBack()
  }
  return { moved, problem }
}

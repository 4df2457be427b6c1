import type { HeldMessage, HoldOptions } from '../transport.ts'
import type { HeldMessages } from './held-messages.ts'
import type { LooksLeft } from './looks-left.ts'
import { type QueueChannel, type Taken, largestPage, nothingDelivered, patience } from './queue-channel.ts'

/** So many of a stream are in memory, unless more should be on their way; and so many beside those. */
const keptAhead = 1000
const fewestAhead = 250
/** Of pages it is fewer: giving so many back at once is what a broker is quickest with. */
const keptAheadInPages = 500
/** Nothing came for so many times, and nothing waits: what is still missing was taken by somebody else. */
const endsAfterSilences = 3

export interface ReadingOptions {
  readonly name: string
  readonly queue: QueueChannel
  readonly messages: HeldMessages
  readonly looks: LooksLeft
  readonly hold: HoldOptions
  /** Messages that waited when the holding began; more are not read. */
  readonly depth: number
}

/** What waits in a queue, brought page by page or as a stream, and held. */
export class Reading {
  readonly #options: ReadingOptions
  #read = 0
  #neverShown = 0
  #isEnded = false
  readonly #underWay = new Set<Promise<unknown>>()

  constructor(options: ReadingOptions) {
    this.#options = options
  }

  /** Messages that were read. */
  get read(): number {
    return this.#read
  }

  /** Came with a stream and were not read: they are newer, or the reading ended before. */
  get neverShown(): number {
    return this.#neverShown
  }

  /** @throws {NsbError} NSB_LOOKS_EXHAUSTED: one look more would cost messages their last delivery but one */
  async *pages(): AsyncIterable<readonly HeldMessage[]> {
    const { depth, hold, messages } = this.#options
    if (hold.ahead !== undefined) yield* this.#stream()
    while (this.#isGoing) {
      const size = Math.min(hold.page, largestPage, hold.max - messages.size, depth - this.#read)
      if (size <= 0 || (yield* this.#take(size)) === 0) return
    }
  }

  /** Brings no more. */
  end(): void {
    this.#isEnded = true
    this.#options.queue.endTake()
    this.#options.messages.changed()
  }

  /** Until what was under way when it was ended is held. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay)
  }

  get #isGoing(): boolean {
    return this.#read < this.#options.depth && this.#isWanted
  }

  get #isWanted(): boolean {
    return !this.#options.hold.signal.aborted && !this.#isEnded
  }

  /** A page at once, or without bodies as they come: while some are looked at the broker sends the next. @returns how many there were */
  async *#take(size: number): AsyncGenerator<readonly HeldMessage[], number, undefined> {
    const { hold, looks, messages, queue } = this.#options
    let arrived: HeldMessage[] = []
    let isOver = false
    let wake = (): void => {}
    const taking = this.#track(
      queue.take(size, (taken) => {
        arrived.push(messages.hold(taken))
        this.#read += 1
        wake()
      }),
    ).finally(() => {
      isOver = true
      wake()
    })
    // Whoever stops asking does not wait for it; giving back does.
    taking.catch(() => undefined)
    try {
      if (hold.withoutBodies !== true) await taking
      while (this.#isWanted) {
        if (arrived.length > 0) {
          const page = arrived
          arrived = []
          looks.check(page)
          yield page
        } else if (isOver) break
        else
          await new Promise<void>((resolve) => {
            wake = resolve
          })
      }
    } finally {
      queue.endTake()
    }
    return taking
  }

  /**
   * A consumer that the broker keeps filled. When much of what it brings stays, pages follow, each ordered while a half of the one before
   * is still to be read. Ends when nothing more comes, or all that may be held is held and none of it leaves.
   */
  async *#stream(): AsyncIterable<readonly HeldMessage[]> {
    const { depth, hold, looks, messages, queue } = this.#options
    const arrived: Taken[] = []
    let [isPaged, isOver] = [false, false]
    let silences = 0
    let next: Promise<void> | undefined
    const begin = async (room: number): Promise<void> => {
      await queue.endStream(patience)
      // What the stream before it could still bring is all there is.
      if (room <= 0) return
      const consumer = await queue.openStream(room, arrived)
      if (!isPaged) return
      await queue.endStream(patience)
      isOver = consumer.taken === 0
    }
    try {
      while (this.#isGoing) {
        queue.throwIfLost()
        const room = this.#room(arrived.length, isPaged)
        if (!next && !isOver && room > 0 && this.#isNextsTurn(arrived.length, room)) {
          isPaged ||= this.#isMuchStaying(arrived.length)
          next = this.#track(begin(this.#room(arrived.length, isPaged))).finally(() => {
            next = undefined
            messages.changed()
          })
          // What goes wrong ends the channel.
          next.catch(() => undefined)
        }
        const page = arrived.splice(0, Math.min(hold.page, depth - this.#read)).map((taken) => messages.hold(taken))
        if (page.length > 0) {
          this.#read += page.length
          silences = 0
          looks.check(page)
          yield page
        } else if (!next && messages.leaving === 0 && (!queue.streaming || messages.size >= hold.max)) return
        else if (!(await messages.change()) && !next) {
          silences++
          if (silences < endsAfterSilences) continue
          const waiting = await queue.depth()
          if (waiting === 0) return
          if (silences >= patience) throw nothingDelivered(this.#options.name, waiting)
        }
      }
    } finally {
      await next?.catch(() => undefined)
      await this.#track(queue.endStream())
      this.#neverShown += arrived.length
      for (const taken of arrived.splice(0)) messages.keep(taken)
    }
  }

  /** How many a consumer may bring that is opened when the one before has brought all it may. */
  #room(arrived: number, isPaged: boolean): number {
    const { depth, hold, messages, queue } = this.#options
    const { ahead = 0, max } = hold
    const { room = 0, unsettled = 0 } = queue.streaming ?? {}
    const coming = arrived + room - unsettled
    const most = Math.min(max - messages.size - coming, largestPage)
    if (!isPaged) return Math.min(most, Math.max(ahead + fewestAhead, keptAhead))
    // A page is not open to what comes meanwhile: it could be on its way to the consumer when that is cancelled, and lose its place.
    return Math.min(most, Math.max(ahead + fewestAhead, keptAheadInPages), depth - this.#read - coming)
  }

  /** What a consumer brought and stays held takes the place of what it could bring: the next one follows while it can still bring a half. */
  #isNextsTurn(arrived: number, room: number): boolean {
    const { depth, queue } = this.#options
    if (this.#read + arrived >= depth) return false
    const consumer = queue.streaming
    if (consumer === undefined) return 2 * arrived <= room
    return 2 * consumer.staying >= consumer.room && (2 * room >= consumer.room || consumer.staying >= consumer.room)
  }

  /** A message that is removed makes room for one only, and the broker sends them one by one where others stay between them. */
  #isMuchStaying(arrived: number): boolean {
    const consumer = this.#options.queue.streaming
    return consumer !== undefined && 4 * consumer.staying >= consumer.taken - arrived
  }

  #track<T>(work: Promise<T>): Promise<T> {
    const settled: Promise<unknown> = work.catch(() => undefined).then(() => this.#underWay.delete(settled))
    this.#underWay.add(settled)
    return work
  }
}

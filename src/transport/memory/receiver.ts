import type { Clock } from '../clock.ts'
import { MessagesInHand, type Taken, lostInModeNone } from '../in-hand.ts'
import type { Decide, OutgoingMessage, ReceiveOptions, Receiving } from '../transport.ts'
import type { MemoryNetwork } from './network.ts'
import { type MemoryQueue, type StoredMessage, incoming } from './queue.ts'

// Taken when the module is loaded, so that a test's fake timers do not stop the pump.
const soon = globalThis.setImmediate

/** Takes messages while there is room; runs when the queue, a due time or a finished message wakes it. */
export class MemoryReceiver implements Receiving {
  readonly #network: MemoryNetwork
  readonly #queue: MemoryQueue
  readonly #options: ReceiveOptions
  readonly #clock: Clock
  readonly #inHand: MessagesInHand
  readonly #wake = (): void => this.#wakeUp()
  #woken = false
  #cancelDue: (() => void) | undefined
  #stopped: Promise<void> | undefined

  readonly #ended: () => void

  constructor(network: MemoryNetwork, options: ReceiveOptions, decide: Decide, clock: Clock, ended: () => void) {
    this.#network = network
    this.#queue = network.ensure(options.queue, clock.now())
    this.#options = options
    this.#clock = clock
    this.#ended = ended
    this.#inHand = new MessagesInHand(options, decide, clock, this.#wake)
    this.#queue.wakers.add(this.#wake)
    this.#queue.consumers++
    this.#wakeUp()
  }

  get inHand(): number {
    return this.#inHand.size
  }

  stop(options: { readonly graceMs?: number } = {}): Promise<void> {
    const ended = this.#inHand.stop(options.graceMs)
    if (!this.#stopped) {
      this.#cancelDue?.()
      this.#queue.wakers.delete(this.#wake)
      this.#stopped = ended.then(() => {
        this.#queue.consumers--
        this.#ended()
      })
    }
    return this.#stopped
  }

  #wakeUp(): void {
    if (this.#woken || this.#stopped) return
    this.#woken = true
    soon(() => {
      this.#woken = false
      this.#take()
    })
  }

  #take(): void {
    if (this.#stopped) return
    while (!this.#inHand.full) {
      const stored = this.#queue.take(this.#clock.now())
      if (!stored) break
      stored.deliveries++
      this.#inHand.settle(this.#taken(stored))
    }
    this.#cancelDue?.()
    const due = this.#queue.nextDue
    this.#cancelDue = due === undefined ? undefined : this.#clock.after(Math.max(1, Math.ceil(due - this.#clock.now())), this.#wake)
  }

  #taken(stored: StoredMessage): Taken {
    const message = incoming(stored, this.#queue.name)
    const dispatch = (outgoing: readonly OutgoingMessage[]): void => this.#network.dispatch(outgoing, this.#clock.now())
    // `none` acknowledged by taking; in the other modes memory dispatches and acknowledges in one step.
    if (this.#options.transactionMode === 'none') return { message, consume: dispatch, putBack: () => lostInModeNone(message) }
    return {
      message,
      consume: dispatch,
      putBack: (attempted) => {
        if (!attempted) stored.deliveries--
        this.#queue.putBack(stored)
      },
    }
  }
}

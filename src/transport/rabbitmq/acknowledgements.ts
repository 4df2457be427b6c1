import type { Channel, Message } from 'amqplib'

/** Acknowledges what is done in one turn of the event loop together: a run of neighbours takes one frame. */
export class Acknowledgements {
  readonly #channel: Channel
  /** Delivery tags count up by one, so what lies between this and the newest is a window. */
  #lowest = 1
  /** In the window, by tag: whether it still has to be acknowledged. */
  readonly #done = new Map<number, boolean>()
  /** Those of {@link #done} that have to be. */
  #due: number[] = []
  #scheduled = false
  #ended = false

  constructor(channel: Channel) {
    this.#channel = channel
  }

  /** The channel has ended, and with it every delivery of it. */
  get ended(): boolean {
    return this.#ended
  }

  add(tag: number): void {
    this.#done.set(tag, true)
    this.#due.push(tag)
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => this.flush())
  }

  /** Gives a message back at once. Newer brokers count only what was attempted as a failed delivery, older ones both. */
  giveBack(message: Message, attempted: boolean): void {
    this.flush()
    if (this.#ended) return
    try {
      if (attempted) this.#channel.reject(message, true)
      else this.#channel.nack(message, false, true)
    } catch {
      // The channel is closing, and gives everything back by itself.
      return
    }
    this.#done.set(message.fields.deliveryTag, false)
    this.#advance()
  }

  /** Writes what is done. */
  flush(): void {
    this.#scheduled = false
    if (this.#ended || this.#due.length === 0) return
    const last = this.#advance()
    try {
      if (last !== undefined) this.#channel.ack(delivery(last), true)
      for (const tag of this.#due) {
        if (tag < this.#lowest) continue
        this.#channel.ack(delivery(tag))
        this.#done.set(tag, false)
      }
    } catch {
      // The channel is closing, and gives everything back by itself.
      return
    }
    this.#due = []
  }

  /** Writes nothing any more. */
  end(): void {
    this.#ended = true
  }

  /** Moves the window up to the first message that is not done. @returns the last one that still has to be acknowledged */
  #advance(): number | undefined {
    let last: number | undefined
    for (;;) {
      const due = this.#done.get(this.#lowest)
      if (due === undefined) return last
      this.#done.delete(this.#lowest)
      if (due) last = this.#lowest
      this.#lowest += 1
    }
  }
}

/** All that amqplib needs of a message to acknowledge it. */
function delivery(deliveryTag: number): Message {
  return { fields: { deliveryTag } } as Message
}

import type { IncomingMessage } from '../transport.ts'

/** A delivery whose handlers have succeeded. */
interface Done {
  readonly message: IncomingMessage
  /** How often its queue had given it out before, where the queue counts. */
  readonly told: number | undefined
}

/**
 * Deliveries that were done when the channel they came on had already ended: nobody could acknowledge them, so each of them is back in
 * the queue. The broker hands out what came back before anything else. So until it hands out a message for the first time, a redelivered
 * message with the same id, headers and body is one of them, and only has to be acknowledged.
 *
 * In doubt a message is handled again: an id is used again by producers, shovels and replays, and an acknowledgement that was written
 * may have arrived. Neither is a reason to skip a message.
 */
export class DoneUnsaid {
  #done: Done[] = []
  /** Everything that a channel held when it ended has been handed out again. */
  #allCameBack = true

  /** Something was done, and its redelivery has not come yet. */
  get isWaiting(): boolean {
    return this.#done.length > 0
  }

  /** A channel has ended: what it held comes back. */
  channelEnded(): void {
    this.#allCameBack = false
  }

  /** The messages that came back may have gone to somebody else. */
  forgetAll(): void {
    this.#done = []
    this.#allCameBack = true
  }

  /** A message is handed out for the first time. */
  firstDelivery(): void {
    if (!this.#allCameBack) this.forgetAll()
  }

  add(done: Done): void {
    // Its redelivery is in hand already, and is handled again.
    if (!this.#allCameBack) this.#done.push(done)
  }

  /** @returns whether this redelivery is one of what was done; each is found once */
  take(message: IncomingMessage, told: number | undefined): boolean {
    const at = this.#done.findIndex((done) => isSame(done.message, message) && (told === undefined || told > (done.told ?? 0)))
    if (at < 0) return false
    this.#done.splice(at, 1)
    return true
  }
}

function isSame(done: IncomingMessage, message: IncomingMessage): boolean {
  if (done.nativeId !== message.nativeId || Buffer.compare(done.body, message.body) !== 0) return false
  const names = Object.keys(done.headers)
  return names.length === Object.keys(message.headers).length && names.every((name) => done.headers[name] === message.headers[name])
}

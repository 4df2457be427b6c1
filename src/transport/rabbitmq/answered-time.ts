/** So much of the time until an answer counts at most: a broker that is silent says nothing of its queues. */
const mostMs = 100

/** The time that has passed while the broker answered. */
export class AnsweredTime {
  #ms = 0
  #last = performance.now()

  /** The broker has answered. @returns how long it has been answering, in ms */
  answered(): number {
    const now = performance.now()
    this.#ms += Math.min(now - this.#last, mostMs)
    this.#last = now
    return this.#ms
  }

  /** Something has happened. */
  restart(): void {
    this.#ms = 0
  }
}

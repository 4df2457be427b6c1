import { type FailureIdentity, identityOf } from '../../../message/failure.ts'
import { hash } from '../seen-failures.ts'

const mostAtFirst = 2 ** 21

/**
 * Which failures are wanted, and which were only seen: 12 bytes for each, since there may be a million. A slot is two words of a hash,
 * both 0 while it is free, and how many entries are wanted. Two different failures are taken for the same with a probability of one to 37
 * million at a million of them.
 */
export class Wanted {
  /** Open addressing. */
  #slots: Uint32Array
  #count = 0
  /** How many are wanted and were not taken yet. */
  left = 0

  /** @param expected about how many will be seen; room that nobody writes to takes no memory, and growing takes it twice */
  constructor(expected = 0) {
    const slots = 2 ** Math.ceil(Math.log2(2 * expected + 1))
    this.#slots = new Uint32Array(3 * Math.min(Math.max(slots, 1024), mostAtFirst))
  }

  /** @returns is it new? Failures without a time cannot be told from each other: each of them is new */
  see(failure: FailureIdentity): boolean {
    return !this.#slotOf(failure, true).found || failure.failedAt === undefined
  }

  want(failure: FailureIdentity): void {
    const { at } = this.#slotOf(failure, true)
    this.#slots[at + 2] = (this.#slots[at + 2] as number) + 1
    this.left++
  }

  has(failure: FailureIdentity): boolean {
    const { at, found } = this.#slotOf(failure)
    return found && this.#slots[at + 2] !== 0
  }

  /** @returns false: it is not wanted, or not a second time */
  take(failure: FailureIdentity): boolean {
    const { at, found } = this.#slotOf(failure)
    if (!found || this.#slots[at + 2] === 0) return false
    this.#slots[at + 2] = (this.#slots[at + 2] as number) - 1
    this.left--
    return true
  }

  #slotOf(failure: FailureIdentity, claim = false): { readonly at: number; readonly found: boolean } {
    const text = identityOf(failure)
    // Before a slot is claimed, so that it stays where it is.
    if (claim && 6 * this.#count >= this.#slots.length) this.#grow()
    return this.#find(hash(text, 0x01000193) || 1, hash(text, 0x9e3779b1), claim)
  }

  #find(high: number, low: number, claim: boolean): { readonly at: number; readonly found: boolean } {
    const slots = this.#slots
    const mask = slots.length / 3 - 1
    for (let place = low & mask; ; place = (place + 1) & mask) {
      const at = 3 * place
      if (slots[at] === high && slots[at + 1] === low) return { at, found: true }
      if (slots[at] !== 0) continue
      if (claim) {
        slots[at] = high
        slots[at + 1] = low
        this.#count++
      }
      return { at, found: false }
    }
  }

  #grow(): void {
    const old = this.#slots
    this.#slots = new Uint32Array(2 * old.length)
    this.#count = 0
    for (let from = 0; from < old.length; from += 3) {
      if (old[from] === 0) continue
      const { at } = this.#find(old[from] as number, old[from + 1] as number, true)
      this.#slots[at + 2] = old[from + 2] as number
    }
  }
}

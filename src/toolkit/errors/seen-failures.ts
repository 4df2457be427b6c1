import { type FailureIdentity, identityOf } from '../../message/failure.ts'

/** A table that is fuller takes long to search. */
const fullest = 0.8

/**
 * Which failures were seen before: the same unique id with the same time of failure and the same content is the same failure, twice in
 * the queue after a crash. Keeps 8 bytes for each of them and not the texts, since there may be a million. Two different failures are taken for the same
 * with a probability of one to 37 million at a million of them; the second one then stays where it is, as a duplicate does.
 */
export class SeenFailures {
  /** Open addressing; a slot is two words, both 0 while it is free. */
  #slots: Uint32Array
  #count = 0

  /** @param expected so many find room without the table growing, which takes half of its memory once more */
  constructor(expected = 500) {
    this.#slots = new Uint32Array(2 * Math.ceil((expected + 1) / fullest))
  }

  /** A failure without a time cannot be told from another one: it is never a duplicate. @returns was it there already? */
  isDuplicate(failed: FailureIdentity): boolean {
    if (failed.failedAt === undefined) return false
    const text = identityOf(failed)
    return !this.#add(hash(text, 0x01000193) || 1, hash(text, 0x9e3779b1))
  }

  #add(high: number, low: number): boolean {
    const slots = this.#slots
    const size = slots.length / 2
    for (let at = low % size; ; at = at + 1 === size ? 0 : at + 1) {
      if (slots[2 * at] === high && slots[2 * at + 1] === low) return false
      if (slots[2 * at] !== 0) continue
      slots[2 * at] = high
      slots[2 * at + 1] = low
      this.#count++
      if (this.#count > size * fullest) this.#grow()
      return true
    }
  }

  #grow(): void {
    const old = this.#slots
    this.#slots = new Uint32Array(2 * old.length)
    this.#count = 0
    for (let at = 0; at < old.length; at += 2) if (old[at] !== 0) this.#add(old[at] as number, old[at + 1] as number)
  }
}

/** FNV-1a with another prime for each half of a hash of 64 bits, and a final mix. */
export function hash(text: string, prime: number): number {
  let value = 0x811c9dc5
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), prime)
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35)
  return (value ^ (value >>> 16)) >>> 0
}

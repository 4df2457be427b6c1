import { createHash } from 'node:crypto'

const words = 4

/**
 * Texts of which only 16 bytes of a hash are kept, since there may be a million: 32 to 64 bytes for each. Two of a million are taken for
 * the same with a probability of one to 10^26.
 */
export class KeySet {
  /** Open addressing; the four words of a slot are all 0 while it is free. */
  #slots = new Uint32Array(words * 1024)
  size = 0

  /** @returns was it new? */
  add(key: string): boolean {
    return this.#add(hashOf(key))
  }

  has(key: string): boolean {
    const hash = hashOf(key)
    return this.#slotOf(hash) >= 0
  }

  /** The index of the slot, or of the free one where it belongs as `-1 - index`. */
  #slotOf(hash: Uint32Array): number {
    const slots = this.#slots
    const mask = slots.length / words - 1
    for (let at = (hash[0] as number) & mask; ; at = (at + 1) & mask) {
      const slot = words * at
      const [a, b, c, d] = [slots[slot], slots[slot + 1], slots[slot + 2], slots[slot + 3]]
      if (a === hash[0] && b === hash[1] && c === hash[2] && d === hash[3]) return slot
      if (a === 0 && b === 0 && c === 0 && d === 0) return -1 - slot
    }
  }

  #add(hash: Uint32Array): boolean {
    const found = this.#slotOf(hash)
    if (found >= 0) return false
    this.#slots.set(hash, -1 - found)
    this.size++
    if (2 * words * this.size > this.#slots.length) this.#grow()
    return true
  }

  #grow(): void {
    const old = this.#slots
    this.#slots = new Uint32Array(2 * old.length)
    this.size = 0
    for (let slot = 0; slot < old.length; slot += words) {
      const hash = old.subarray(slot, slot + words)
      if (hash.some((word) => word !== 0)) this.#add(hash)
    }
  }
}

function hashOf(key: string): Uint32Array {
  const digest = createHash('md5').update(key).digest()
  const hash = new Uint32Array(words)
  for (let index = 0; index < words; index++) hash[index] = digest.readUInt32LE(4 * index)
  return hash
}

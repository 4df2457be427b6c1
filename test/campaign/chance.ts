/** Chance that a seed decides, so that a round can be run again. */
export class Chance {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** 0 or more, and less than 1. @source mulberry32 by Tommy Ettinger */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** A whole number, both ends included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1))
  }

  isLucky(probability: number): boolean {
    return this.next() < probability
  }

  oneOf<Each>(all: readonly Each[]): Each {
    return all[Math.floor(this.next() * all.length)] as Each
  }

  shuffled<Each>(all: readonly Each[]): Each[] {
    return all
      .map((each) => ({ each, place: this.next() }))
      .sort((a, b) => a.place - b.place)
      .map(({ each }) => each)
  }
}

const compactedFrom = 1024

/** Items in ascending order of a number, equal ones as they came. Most are added at the end, and taken from the front. */
export class Ordered<T> {
  readonly #keyOf: (item: T) => number
  /** Those before {@link #first} are gone: taking the first of a long array moves all the others. */
  #items: (T | undefined)[] = []
  #first = 0

  constructor(keyOf: (item: T) => number) {
    this.#keyOf = keyOf
  }

  get size(): number {
    return this.#items.length - this.#first
  }

  get first(): T | undefined {
    return this.#items[this.#first]
  }

  get all(): readonly T[] {
    return this.#items.slice(this.#first) as T[]
  }

  add(item: T): void {
    const at = this.#firstAfter(this.#keyOf(item))
    if (at === this.#items.length) this.#items.push(item)
    else if (at === this.#first && at > 0) this.#items[--this.#first] = item
    else this.#items.splice(at, 0, item)
  }

  takeFirst(): T | undefined {
    if (this.size === 0) return undefined
    const item = this.#items[this.#first]
    this.#items[this.#first++] = undefined
    if (this.#first >= compactedFrom && 2 * this.#first > this.#items.length) {
      this.#items = this.#items.slice(this.#first)
      this.#first = 0
    }
    return item
  }

  /** Keeps those of which it holds. */
  keep(holds: (item: T) => boolean): void {
    this.#items = this.all.filter(holds)
    this.#first = 0
  }

  #firstAfter(key: number): number {
    let [low, high] = [this.#first, this.#items.length]
    if (high > low && this.#keyOf(this.#items[high - 1] as T) <= key) return high
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#keyOf(this.#items[middle] as T) > key) high = middle
      else low = middle + 1
    }
    return low
  }
}

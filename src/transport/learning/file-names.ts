import { metadataEnding } from './layout.ts'

const guidBytes = 16
const guidLength = 36
/** Places that get memory at once: no copy is made when there are more, and a queue of few messages needs little. */
const blockPlaces = 1024

/**
 * Names of the files of a queue, each once, in 16 bytes for each `<guid>.metadata.txt`, since nearly all are named so. As texts a
 * million names take 100 MiB. They have places, 0 is that of the first one added.
 */
export class FileNames {
  #length = 0
  readonly #blocks: DataView[] = []
  /** By place, the names that are no GUID. */
  readonly #others = new Map<number, string>()
  readonly #scratch = new DataView(new ArrayBuffer(guidBytes))
  /** Hash table with linear probing of places + 1, made when it is first asked for; 0 is free. */
  #slots: Uint32Array | undefined
  #otherNames: Set<string> | undefined

  get length(): number {
    return this.#length
  }

  /** @param name is not among them */
  add(name: string): void {
    const place = this.#length++
    if (place % blockPlaces === 0) this.#blocks.push(new DataView(new ArrayBuffer(blockPlaces * guidBytes)))
    if (!writeGuid(name, this.#blockOf(place), offsetOf(place))) {
      this.#others.set(place, name)
      this.#otherNames?.add(name)
    } else if (this.#slots !== undefined) {
      if (2 * this.#length > this.#slots.length) this.#indexAll()
      else this.#index(this.#slots, place)
    }
  }

  at(place: number): string {
    const other = this.#others.size === 0 ? undefined : this.#others.get(place)
    if (other !== undefined) return other
    const hex = Buffer.from(this.#blockOf(place).buffer, offsetOf(place), guidBytes).toString('hex')
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}${metadataEnding}`
  }

  /** Below 0 when the name at place `a` comes before that at `b`, as texts. */
  compare(a: number, b: number): number {
    if (this.#others.size > 0 && (this.#others.has(a) || this.#others.has(b))) return this.at(a) < this.at(b) ? -1 : 1
    const [left, right] = [this.#blockOf(a), this.#blockOf(b)]
    for (let offset = 0; offset < guidBytes; offset += 4) {
      const difference = left.getUint32(offsetOf(a) + offset) - right.getUint32(offsetOf(b) + offset)
      if (difference !== 0) return difference
    }
    return 0
  }

  has(name: string): boolean {
    if (!writeGuid(name, this.#scratch, 0)) return (this.#otherNames ??= new Set(this.#others.values())).has(name)
    const slots = this.#slots ?? this.#indexAll()
    for (let slot = hashAt(this.#scratch, 0) & (slots.length - 1); ; slot = (slot + 1) & (slots.length - 1)) {
      const place = (slots[slot] as number) - 1
      if (place < 0) return false
      if (sameGuid(this.#blockOf(place), offsetOf(place), this.#scratch)) return true
    }
  }

  #blockOf(place: number): DataView {
    return this.#blocks[Math.floor(place / blockPlaces)] as DataView
  }

  /** At least twice as many slots as names, so that a search is short. */
  #indexAll(): Uint32Array {
    const slots = new Uint32Array(2 ** Math.ceil(Math.log2(2 * this.#length + 1)))
    for (let place = 0; place < this.#length; place++) if (!this.#others.has(place)) this.#index(slots, place)
    this.#slots = slots
    return slots
  }

  #index(slots: Uint32Array, place: number): void {
    let slot = hashAt(this.#blockOf(place), offsetOf(place)) & (slots.length - 1)
    while (slots[slot] !== 0) slot = (slot + 1) & (slots.length - 1)
    slots[slot] = place + 1
  }
}

/** Of the GUID of a place in its block. */
function offsetOf(place: number): number {
  return (place % blockPlaces) * guidBytes
}

/** False when the name is not a GUID in lower case and {@link metadataEnding}. */
function writeGuid(name: string, words: DataView, at: number): boolean {
  if (name.length !== guidLength + metadataEnding.length || !name.endsWith(metadataEnding)) return false
  let [word, digits] = [0, 0]
  for (let index = 0; index < guidLength; index++) {
    const code = name.codePointAt(index) as number
    if (index === 8 || index === 13 || index === 18 || index === 23) {
      if (code !== 45) return false
      continue
    }
    const digit = code >= 48 && code <= 57 ? code - 48 : code >= 97 && code <= 102 ? code - 87 : -1
    if (digit < 0) return false
    word = (word << 4) | digit
    if (++digits % 8 === 0) words.setInt32(at + digits / 2 - 4, word)
  }
  return true
}

function sameGuid(words: DataView, at: number, other: DataView): boolean {
  for (let offset = 0; offset < guidBytes; offset += 4) if (words.getInt32(at + offset) !== other.getInt32(offset)) return false
  return true
}

function hashAt(words: DataView, at: number): number {
  let hash = 0
  for (let offset = 0; offset < guidBytes; offset += 4) hash = Math.imul(hash ^ words.getInt32(at + offset), 0x9e37_79b1)
  // The low bits decide about the slot, and a product has the most mixed ones on top.
  return hash ^ (hash >>> 15)
}

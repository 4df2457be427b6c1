import { isUtf8 } from 'node:buffer'
import { longestLine } from '../message/saved-message.ts'

const newline = 0x0a

export interface ReadLine {
  /** Counted from 1. */
  readonly number: number
  readonly text: string
  /** Why there is no text. */
  readonly problem?: 'tooLong' | 'notUtf8'
  /** The input ended in it. */
  readonly isOpen: boolean
}

/**
 * Cuts bytes into lines at `\n` and nowhere else, whatever chunks they come in. Every reader of lines uses it: the `readline` of Node cuts
 * at U+2028 too, which JSON leaves as it is.
 */
export class LineCutter {
  readonly #longest: number
  #parts: Uint8Array[] = []
  /** Bytes since the last `\n`. */
  size = 0

  constructor(longest = longestLine) {
    this.#longest = longest
  }

  /** The lines that end in this chunk, without their `\n`; undefined: one that is too long. */
  *cut(chunk: Uint8Array): Generator<Buffer | undefined> {
    let from = 0
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, from)) {
      this.#add(chunk.subarray(from, end))
      from = end + 1
      yield this.rest()
    }
    this.#add(chunk.subarray(from))
  }

  /** What came since the last `\n`, which is a line that has no end; undefined: it is too long. */
  rest(): Buffer | undefined {
    const [parts, size] = [this.#parts, this.size]
    this.#parts = []
    this.size = 0
    if (size > this.#longest) return undefined
    const [only] = parts
    return parts.length === 1 && only !== undefined ? Buffer.from(only.buffer, only.byteOffset, only.byteLength) : Buffer.concat(parts)
  }

  #add(part: Uint8Array): void {
    this.size += part.length
    // What is too long is counted, and not kept.
    if (this.size > this.#longest) this.#parts = []
    else if (part.length > 0) this.#parts.push(part)
  }
}

/** The lines of a file or of stdin that have something in them, one at a time: memory holds the longest of them. */
export async function* readLines(input: AsyncIterable<Uint8Array>, longest = longestLine): AsyncGenerator<ReadLine, undefined> {
  const cutter = new LineCutter(longest)
  let number = 0
  const line = (bytes: Buffer | undefined, isOpen: boolean): ReadLine | undefined => {
    number++
    if (bytes === undefined) return { number, text: '', problem: 'tooLong', isOpen }
    if (!isUtf8(bytes)) return { number, text: '', problem: 'notUtf8', isOpen }
    const text = bytes.toString('utf8')
    const unmarked = number === 1 && text.startsWith('\uFEFF') ? text.slice(1) : text
    return unmarked.trim() === '' ? undefined : { number, text: unmarked, isOpen }
  }
  for await (const chunk of input)
    for (const bytes of cutter.cut(chunk)) {
      const read = line(bytes, false)
      if (read !== undefined) yield read
    }
  if (cutter.size === 0) return
  const read = line(cutter.rest(), true)
  if (read !== undefined) yield read
}

/** Waits for the first line, so that what is wrong with the whole input is known before anything is begun. */
export async function withFirst(lines: AsyncIterable<ReadLine>): Promise<{ first: ReadLine | undefined; lines: AsyncIterable<ReadLine> }> {
  const rest = lines[Symbol.asyncIterator]()
  const { done, value } = await rest.next()
  const first = done === true ? undefined : value
  return { first, lines: first === undefined ? lines : joined(first, rest) }
}

async function* joined(first: ReadLine, rest: AsyncIterator<ReadLine>): AsyncIterable<ReadLine> {
  try {
    yield first
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value
  } finally {
    await rest.return?.()
  }
}

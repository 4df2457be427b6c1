import { isUtf8 } from 'node:buffer'

const newline = 0x0a
/** Longer than the line of any message that a broker takes. */
const longestLine = 256 * 1024 * 1024

export interface ReadLine {
  /** Counted from 1. */
  readonly number: number
  readonly text: string
  /** Why there is no text. */
  readonly problem?: 'tooLong' | 'notUtf8'
  /** The input ended in it. */
  readonly isOpen: boolean
}

/** The lines of a file or of stdin that have something in them, one at a time: memory holds the longest of them. */
export async function* readLines(input: AsyncIterable<Uint8Array>, longest = longestLine): AsyncIterable<ReadLine> {
  let parts: Uint8Array[] = []
  let [size, number] = [0, 0]
  const line = (isOpen: boolean): ReadLine | undefined => {
    number++
    const bytes = size > longest ? undefined : parts.length === 1 ? Buffer.from(parts[0] as Uint8Array) : Buffer.concat(parts)
    parts = []
    size = 0
    if (bytes === undefined) return { number, text: '', problem: 'tooLong', isOpen }
    if (!isUtf8(bytes)) return { number, text: '', problem: 'notUtf8', isOpen }
    const text = bytes.toString('utf8')
    const unmarked = number === 1 && text.startsWith('\uFEFF') ? text.slice(1) : text
    return unmarked.trim() === '' ? undefined : { number, text: unmarked, isOpen }
  }
  const add = (part: Uint8Array): void => {
    size += part.length
    // What is too long is counted, and not kept.
    if (size > longest) parts = []
    else if (part.length > 0) parts.push(part)
  }
  for await (const chunk of input) {
    let from = 0
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, from)) {
      add(chunk.subarray(from, end))
      from = end + 1
      const read = line(false)
      if (read !== undefined) yield read
    }
    add(chunk.subarray(from))
  }
  if (size === 0) return
  const read = line(true)
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

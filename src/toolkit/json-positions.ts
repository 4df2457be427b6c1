import { closingQuote } from '../serialization/closing-quote.ts'

/** A JSON text together with where each of its values begins. */
export interface PositionedJson {
  readonly value: unknown
  /** Offset of the value at a path such as `/endpoint/name`, and of the key at `/endpoint/name#key`. */
  readonly offsets: ReadonlyMap<string, number>
}

export interface JsonProblem {
  readonly problem: string
  readonly offset: number
}

/** Line and column of an offset, both from 1. */
export function lineAndColumn(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset)
  return { line: before.split('\n').length, column: offset - before.lastIndexOf('\n') }
}

/** One step of a path: `/` and `~` are written as in a JSON pointer. */
export function pathStep(key: string | number): string {
  return `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`
}

/** Deeper ones nobody writes by hand. */
const deepest = 256

const token = /\s*(?:([{}[\],:])|(")|(-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])|true\b|false\b|null\b))/y

/** Reads strict JSON (a byte order mark is allowed) and keeps the positions; for files people write. */
export function parseWithPositions(text: string): PositionedJson | JsonProblem {
  const offsets = new Map<string, number>()
  let at = text.startsWith('\uFEFF') ? 1 : 0

  const fail = (problem: string, offset: number): never => {
    throw Object.assign(new SyntaxError(problem), { offset })
  }
  const next = (): { text: string; offset: number } => {
    token.lastIndex = at
    const match = token.exec(text)
    const open = match?.[2] === undefined ? -1 : token.lastIndex - 1
    const close = open < 0 ? -1 : closingQuote(text, open)
    if (!match || (open >= 0 && close < 0)) {
      const rest = text.slice(at)
      const offset = at + (rest.length - rest.trimStart().length)
      if (/^\/[/*]/.test(text.slice(offset, offset + 2))) return fail('comments are not allowed', offset)
      return fail(offset >= text.length ? 'the text ends too early' : `unexpected ${JSON.stringify(text[offset])}`, offset)
    }
    at = open < 0 ? token.lastIndex : close + 1
    const found = open < 0 ? ((match[1] ?? match[3]) as string) : text.slice(open, at)
    return { text: found, offset: at - found.length }
  }
  const literal = (found: { text: string; offset: number }): unknown => {
    try {
      return JSON.parse(found.text)
    } catch {
      return fail(`${found.text} is not valid`, found.offset)
    }
  }
  const value = (path: string, depth: number, first = next()): unknown => {
    offsets.set(path, first.offset)
    if (depth === deepest) return fail('it is nested too deeply', first.offset)
    if (first.text === '{') return object(path, depth + 1)
    if (first.text === '[') return array(path, depth + 1)
    if (/^[}\],:]$/.test(first.text)) return fail(`a value is missing before '${first.text}'`, first.offset)
    return literal(first)
  }
  const object = (path: string, depth: number): unknown => {
    const entries: [string, unknown][] = []
    let found = next()
    if (found.text === '}') return {}
    for (;;) {
      if (!found.text.startsWith('"')) fail(found.text === '}' ? 'a comma too many' : 'a key in double quotes is missing', found.offset)
      const key = literal(found) as string
      const inner = path + pathStep(key)
      offsets.set(`${inner}#key`, found.offset)
      const colon = next()
      if (colon.text !== ':') fail(`':' is missing after the key`, colon.offset)
      entries.push([key, value(inner, depth)])
      const after = next()
      if (after.text === '}') return Object.fromEntries(entries)
      if (after.text !== ',') fail(`',' or '}' is missing`, after.offset)
      found = next()
    }
  }
  const array = (path: string, depth: number): unknown => {
    const items: unknown[] = []
    let found = next()
    if (found.text === ']') return items
    for (;;) {
      if (found.text === ']') fail('a comma too many', found.offset)
      items.push(value(path + pathStep(items.length), depth, found))
      const after = next()
      if (after.text === ']') return items
      if (after.text !== ',') fail(`',' or ']' is missing`, after.offset)
      found = next()
    }
  }

  try {
    const whole = value('', 0)
    const rest = text.slice(at)
    if (rest.trim() !== '')
      fail(
        /^\s*\/[/*]/.test(rest) ? 'comments are not allowed' : 'there is text after the end',
        at + (rest.length - rest.trimStart().length),
      )
    return { value: whole, offsets }
  } catch (error) {
    if (error instanceof SyntaxError && 'offset' in error) return { problem: error.message, offset: error.offset as number }
    throw error
  }
}

import { closingQuote } from './closing-quote.ts'
import { Decimal } from './decimal.ts'
import { NotJsonError, maxDepth } from './not-json-error.ts'

const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
// DEL and the C1 controls are allowed, and take the slower way.
const notPlain = /[\\\p{Cc}]/u
const blank = /[ \t\n\r]*/y
const words: readonly (readonly [string, unknown])[] = [
  ['true', true],
  ['false', false],
  ['null', null],
]

/**
 * A strict JSON parser that keeps every digit: a number that survives `String(Number(text))` is a number, any other a `Decimal`.
 *
 * @throws {NotJsonError} NSB_NOT_JSON with line, column and a short excerpt; nesting is limited
 */
export function parseLossless(text: string): unknown {
  return new Parser(text).whole()
}

class Parser {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  whole(): unknown {
    const value = this.#value(0)
    this.#skipBlanks()
    if (this.#at < this.#text.length) this.#fail('expected the end')
    return value
  }

  #value(depth: number): unknown {
    this.#skipBlanks()
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object(this.#deeper(depth))
      case '[':
        return this.#array(this.#deeper(depth))
      case '"':
        return this.#string()
      default:
        return this.#scalar()
    }
  }

  #object(depth: number): object {
    this.#at++
    const members: Record<string, unknown> = {}
    if (this.#takes('}')) return members
    do {
      this.#skipBlanks()
      if (this.#text[this.#at] !== '"') this.#fail('expected a property name in double quotes')
      const key = this.#string()
      if (!this.#takes(':')) this.#fail(`expected ':'`)
      const value = this.#value(depth)
      // Assigned, `__proto__` would replace the prototype.
      if (key === '__proto__') Object.defineProperty(members, key, { value, writable: true, enumerable: true, configurable: true })
      else members[key] = value
    } while (this.#takes(','))
    if (!this.#takes('}')) this.#fail(`expected ',' or '}'`)
    return members
  }

  #array(depth: number): unknown[] {
    this.#at++
    const items: unknown[] = []
    if (this.#takes(']')) return items
    do items.push(this.#value(depth))
    while (this.#takes(','))
    if (!this.#takes(']')) this.#fail(`expected ',' or ']'`)
    return items
  }

  #string(): string {
    const end = closingQuote(this.#text, this.#at)
    if (end < 0) return this.#fail('expected a string that ends')
    const quoted = this.#text.slice(this.#at, end + 1)
    const value = notPlain.test(quoted) ? parsedString(quoted) : quoted.slice(1, -1)
    if (value === undefined) return this.#fail('expected a string whose escapes and control characters are as JSON wants them')
    this.#at = end + 1
    return value
  }

  #scalar(): unknown {
    const digits = this.#match(number)
    if (digits !== undefined) {
      const value = Number(digits)
      // An exponent is written in .NET's form, which is another text.
      return String(value) === digits && !digits.includes('e') ? value : Decimal.of(digits)
    }
    for (const [word, value] of words) {
      if (!this.#text.startsWith(word, this.#at)) continue
      this.#at += word.length
      return value
    }
    return this.#fail('expected a value')
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const text = pattern.exec(this.#text)?.[0]
    if (text !== undefined) this.#at += text.length
    return text
  }

  #skipBlanks(): void {
    if (this.#text.charCodeAt(this.#at) > 0x20) return
    blank.lastIndex = this.#at
    blank.test(this.#text)
    this.#at = blank.lastIndex
  }

  #takes(sign: string): boolean {
    this.#skipBlanks()
    if (this.#text[this.#at] !== sign) return false
    this.#at++
    return true
  }

  #deeper(depth: number): number {
    return depth < maxDepth ? depth + 1 : this.#fail(`it is nested deeper than ${maxDepth} levels`)
  }

  #fail(why: string): never {
    const before = this.#text.slice(0, this.#at).split('\n')
    const place = { line: before.length, column: (before.at(-1) as string).length + 1 }
    const found = this.#at >= this.#text.length ? 'the end of the body' : `'${excerpt(this.#text.slice(this.#at, this.#at + 20))}'`
    throw new NotJsonError(`The body is not JSON: line ${place.line}, column ${place.column}: ${why}, found ${found}.`, place)
  }
}

function parsedString(quoted: string): string | undefined {
  try {
    return JSON.parse(quoted) as string
  } catch {
    return undefined
  }
}

/** Bodies are untrusted: nothing of them may move the cursor of a terminal. */
function excerpt(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (sign) => `\\u${(sign.codePointAt(0) as number).toString(16).padStart(4, '0')}`)
}

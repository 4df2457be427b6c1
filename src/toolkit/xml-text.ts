import { LaidOut } from './laid-out.ts'

/** A piece of XML as it is written. */
interface Piece {
  readonly kind: 'open' | 'close' | 'empty' | 'text' | 'other'
  readonly text: string
  /** Of what opens an element: what is in it has a text that counts, so that its blanks do too. */
  isVerbatim: boolean
}

interface OpenElement {
  readonly name: string
  readonly piece: Piece
  pieces: number
  hasBlankText: boolean
}

/** XML whose elements are closed, with one around all of them; more is not looked at. */
export class XmlText {
  readonly #text: string
  readonly #pieces: readonly Piece[]

  private constructor(text: string, pieces: readonly Piece[]) {
    this.#text = text
    this.#pieces = pieces
  }

  /** Each character is looked at a fixed number of times. @throws {Error} that says what is wrong and where */
  static read(text: string): XmlText {
    return new XmlText(text, new Reader(text).whole())
  }

  /** Over several lines, elements with a text on one; tags and texts stay as they are written. undefined: it is nested too deeply for that. */
  laidOut(): string | undefined {
    const laidOut = new LaidOut(this.#text)
    this.#write(
      (text) => laidOut.add(text),
      (depth) => (laidOut.isEmpty ? undefined : laidOut.newLine(depth)),
    )
    return laidOut.text
  }

  /** On one line again: without the blanks that {@link laidOut} has put between tags. */
  flat(): string {
    const parts: string[] = []
    this.#write(
      (text) => void parts.push(text),
      () => undefined,
    )
    return parts.join('')
  }

  #write(add: (text: string) => void, newLine: (depth: number) => void): void {
    let depth = 0
    /** The depth of the outermost element whose blanks count. */
    let verbatimFrom = Number.POSITIVE_INFINITY
    let before: Piece['kind'] | undefined
    for (const { isVerbatim, kind, text } of this.#pieces) {
      if (kind === 'close') depth--
      const isFree = depth < verbatimFrom
      if (kind === 'text' && isFree && text.trim() === '') continue
      if (isFree && !(kind === 'close' && before === 'open')) newLine(depth)
      add(text)
      if (kind === 'close' && depth === verbatimFrom) verbatimFrom = Number.POSITIVE_INFINITY
      if (kind === 'open' && isVerbatim && isFree) verbatimFrom = depth
      if (kind === 'open') depth++
      before = kind
    }
  }
}

const openingName = /<([^\s<>"'/=!?]+)/y
const closingTag = /<\/([^\s<>"'/]+)\s*>/y
const upToQuote = /[^"'<>]*/y
const keepsBlanks = /\sxml:space\s*=\s*["']preserve["']/

class Reader {
  readonly #text: string
  readonly #pieces: Piece[] = []
  readonly #open: OpenElement[] = []
  #hasRoot = false
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  whole(): readonly Piece[] {
    while (this.#at < this.#text.length)
      if (this.#text[this.#at] !== '<') this.#characters()
      else this.#markup()
    const { name } = this.#open.at(-1) ?? {}
    if (name !== undefined) this.#fail(`'${name}' is not closed`)
    if (!this.#hasRoot) this.#fail('there is no element')
    return this.#pieces
  }

  #characters(): void {
    const next = this.#text.indexOf('<', this.#at)
    const end = next < 0 ? this.#text.length : next
    const parent = this.#open.at(-1)
    const isBlank = this.#text.slice(this.#at, end).trim() === ''
    if (!isBlank) this.#hasText(parent ?? this.#fail('a text stands outside of all elements'))
    else if (parent) parent.hasBlankText = true
    this.#take('text', end)
  }

  #markup(): void {
    const starts = (sign: string): boolean => this.#text.startsWith(sign, this.#at)
    if (starts('</')) this.#close()
    else if (starts('<!--')) this.#take('other', this.#endOf('-->'))
    else if (starts('<![CDATA[')) {
      this.#hasText(this.#open.at(-1) ?? this.#fail('a text stands outside of all elements'))
      this.#take('other', this.#endOf(']]>'))
    } else if (starts('<?')) this.#take('other', this.#endOf('?>'))
    else if (starts('<!')) this.#documentType()
    else this.#element()
  }

  #documentType(): void {
    const [end, bracket] = [this.#endOf('>'), this.#text.indexOf('[', this.#at)]
    this.#take('other', bracket < 0 || bracket > end ? end : this.#endOf('>', this.#endOf(']', bracket)))
  }

  #element(): void {
    const name = matchAt(openingName, this.#text, this.#at)?.[1] ?? this.#fail(`'<' begins no element`)
    let end = this.#at + 1 + name.length
    for (;;) {
      end += matchAt(upToQuote, this.#text, end)?.[0].length ?? 0
      const sign = this.#text[end]
      if (sign === '>') break
      if (sign !== '"' && sign !== "'") this.#fail(`the tag of '${name}' does not end`)
      end = this.#endOf(sign as string, end + 1)
    }
    if (this.#open.length === 0 && this.#hasRoot) this.#fail(`'${name}' is a second element beside the outermost one`)
    this.#hasRoot = true
    if (this.#text[end - 1] === '/') return void this.#take('empty', end + 1)
    const piece = this.#take('open', end + 1)
    piece.isVerbatim = keepsBlanks.test(piece.text)
    this.#open.push({ name, piece, pieces: 0, hasBlankText: false })
  }

  #close(): void {
    const [tag, name] = matchAt(closingTag, this.#text, this.#at) ?? this.#fail('a closing tag does not end')
    const element = this.#open.at(-1)
    if (element === undefined || element.name !== name)
      return this.#fail(`'${name}' is closed, and ${element === undefined ? 'nothing' : `'${element.name}'`} is open`)
    // Of an element that has only blanks they are its text.
    if (element.pieces === 1 && element.hasBlankText) element.piece.isVerbatim = true
    this.#open.pop()
    this.#take('close', this.#at + tag.length)
  }

  #hasText({ piece }: OpenElement): void {
    piece.isVerbatim = true
  }

  #take(kind: Piece['kind'], end: number): Piece {
    const piece = { kind, text: this.#text.slice(this.#at, end), isVerbatim: false }
    const parent = this.#open.at(-1)
    if (parent) parent.pieces++
    this.#pieces.push(piece)
    this.#at = end
    return piece
  }

  #endOf(sign: string, from = this.#at): number {
    const at = this.#text.indexOf(sign, from)
    return at < 0 ? this.#fail(`'${sign}' is missing`) : at + sign.length
  }

  #fail(why: string): never {
    const before = this.#text.slice(0, this.#at)
    throw new Error(`line ${before.split('\n').length}, column ${this.#at - before.lastIndexOf('\n')}: ${why}`)
  }
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at
  return pattern.exec(text)
}

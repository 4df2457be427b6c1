/** A regular expression taken apart, as far as it decides which steps a backtracking engine takes. */
export type Node =
  | { readonly kind: 'one'; readonly test: (code: number) => boolean; readonly literal: string | undefined }
  | { readonly kind: 'sequence'; readonly nodes: readonly Node[] }
  | { readonly kind: 'choice'; readonly options: readonly Node[] }
  | { readonly kind: 'repeat'; readonly node: Node; readonly least: number; readonly most: number; readonly isGreedy: boolean }
  | { readonly kind: 'group'; readonly node: Node; readonly number: number }
  | { readonly kind: 'look'; readonly node: Node; readonly isBehind: boolean; readonly isNegated: boolean }
  | { readonly kind: 'at'; readonly where: 'start' | 'end' | 'wordEdge' | 'noWordEdge' }
  | { readonly kind: 'same'; readonly number: number }

export interface Syntax {
  readonly root: Node
  readonly isUnicode: boolean
  readonly isMultiline: boolean
}

/** @throws {Error} for what no expression of the sources has: groups with names, flag v, modifiers */
export function syntaxOf({ flags, source }: RegExp): Syntax {
  if (flags.includes('v')) throw new Error(`flag v is not understood: /${source}/${flags}`)
  const parser = new Parser(source, flags.replaceAll(/[dgmy]/g, ''))
  return { root: parser.whole(), isUnicode: flags.includes('u'), isMultiline: flags.includes('m') }
}

const tests = new Map<string, (code: number) => boolean>()

/** Does one character match? V8 says so, once for each. */
function testOf(raw: string, flags: string): (code: number) => boolean {
  const pattern = new RegExp(`^${raw}$`, flags)
  const known = new Int8Array(0x1_0000)
  const made = (code: number): boolean => {
    if (code > 0xffff) return pattern.test(String.fromCodePoint(code))
    if (known[code] === 0) known[code] = pattern.test(String.fromCharCode(code)) ? 1 : -1
    return known[code] === 1
  }
  const test = tests.get(String(pattern)) ?? made
  tests.set(String(pattern), test)
  return test
}

class Parser {
  readonly #source: string
  readonly #flags: string
  #at = 0
  #groups = 0

  constructor(source: string, flags: string) {
    this.#source = source
    this.#flags = flags
  }

  whole(): Node {
    const root = this.#choice()
    if (this.#at < this.#source.length) this.#fail()
    return root
  }

  #choice(): Node {
    const options = [this.#sequence()]
    while (this.#takes('|')) options.push(this.#sequence())
    return options.length === 1 ? (options[0] as Node) : { kind: 'choice', options }
  }

  #sequence(): Node {
    const nodes: Node[] = []
    while (this.#at < this.#source.length && !'|)'.includes(this.#source[this.#at] as string)) nodes.push(this.#repeated(this.#atom()))
    return nodes.length === 1 ? (nodes[0] as Node) : { kind: 'sequence', nodes }
  }

  #repeated(node: Node): Node {
    const counted = this.#match(/\{(\d+)(,?)(\d*)\}/y)
    const bounds = this.#takes('*') ? [0] : this.#takes('+') ? [1] : this.#takes('?') ? [0, 1] : undefined
    if (counted === undefined && bounds === undefined) return node
    const [least = 0, most = Number.POSITIVE_INFINITY] = bounds ?? [
      Number(counted?.[1]),
      counted?.[2] === '' ? Number(counted[1]) : counted?.[3] === '' ? undefined : Number(counted?.[3]),
    ]
    return { kind: 'repeat', node, least: least as number, most: most as number, isGreedy: !this.#takes('?') }
  }

  #atom(): Node {
    if (this.#takes('^')) return { kind: 'at', where: 'start' }
    if (this.#takes('$')) return { kind: 'at', where: 'end' }
    if (this.#takes('\\b')) return { kind: 'at', where: 'wordEdge' }
    if (this.#takes('\\B')) return { kind: 'at', where: 'noWordEdge' }
    const look = this.#match(/\(\?(<?)([=!])/y)
    if (look) return { kind: 'look', isBehind: look[1] === '<', isNegated: look[2] === '!', node: this.#closed() }
    if (this.#takes('(?:')) return this.#closed()
    if (this.#takes('(?')) return this.#fail()
    if (this.#takes('(')) {
      const number = ++this.#groups
      return { kind: 'group', number, node: this.#closed() }
    }
    const same = this.#match(/\\([1-9]\d*)/y)
    if (same) return { kind: 'same', number: Number(same[1]) }
    const [raw = this.#fail()] =
      this.#match(/\[(?:[^\]\\]|\\[^])*\]|\\(?:u\{[^}]*\}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|c[A-Za-z]|[pP]\{[^}]*\}|[^])|[^*+?()|]/uy) ?? []
    return this.#one(raw)
  }

  #closed(): Node {
    const node = this.#choice()
    if (!this.#takes(')')) this.#fail()
    return node
  }

  #one(raw: string): Node {
    const literal = /^[^\\[.]$/u.test(raw) ? raw : /^\\[^\w\s]$/.test(raw) ? raw.slice(1) : undefined
    return { kind: 'one', test: testOf(raw, this.#flags), literal }
  }

  #takes(text: string): boolean {
    if (!this.#source.startsWith(text, this.#at)) return false
    this.#at += text.length
    return true
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at
    const match = pattern.exec(this.#source) ?? undefined
    this.#at += match?.[0].length ?? 0
    return match
  }

  #fail(): never {
    throw new Error(`not understood at ${this.#at}: ${this.#source}`)
  }
}

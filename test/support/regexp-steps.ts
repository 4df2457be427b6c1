import { type Node, type Syntax, syntaxOf } from './regexp-syntax.ts'

type Step =
  | { readonly do: 'one'; readonly test: (code: number) => boolean; readonly isBack: boolean }
  | { readonly do: 'either'; first: number; second: number }
  | { readonly do: 'go'; to: number }
  | { readonly do: 'at'; readonly where: 'start' | 'end' | 'wordEdge' | 'noWordEdge' }
  | { readonly do: 'look'; readonly program: readonly Step[]; readonly isNegated: boolean }
  | { readonly do: 'mark'; readonly register: number }
  | { readonly do: 'moved'; readonly register: number }
  | { readonly do: 'same'; readonly number: number; readonly isBack: boolean }

interface Compiled {
  readonly program: readonly Step[]
  readonly isUnicode: boolean
  readonly isMultiline: boolean
  readonly registers: number
}

const compiled = new Map<string, Compiled>()

/** An expression has taken too many. */
export class TooManySteps extends Error {}

/**
 * The steps that a backtracking engine, which V8's is, takes to find a match: each character that is compared, each choice, each place
 * that is asked for. Which one it finds is V8's to say.
 *
 * @param pattern with its `lastIndex`, as `exec` takes it
 * @throws {TooManySteps}
 */
export function regexpSteps(pattern: RegExp, text: string, most = Number.POSITIVE_INFINITY): number {
  const key = String(pattern)
  let expression = compiled.get(key)
  if (expression === undefined) compiled.set(key, (expression = compile(syntaxOf(pattern))))
  return new Engine(expression, text, most).search(pattern.global || pattern.sticky ? pattern.lastIndex : 0, pattern.sticky)
}

function compile({ isMultiline, isUnicode, root }: Syntax): Compiled {
  let registers = 0
  // Groups keep where they begin and end, for what refers to them.
  const registerOf = (number: number): number => 2 * number
  registers = 2 * (groupsIn(root) + 1)
  const emit = (node: Node, program: Step[], isBack: boolean): void => {
    switch (node.kind) {
      case 'one':
        program.push({ do: 'one', test: node.test, isBack })
        return
      case 'sequence':
        for (const each of isBack ? node.nodes.toReversed() : node.nodes) emit(each, program, isBack)
        return
      case 'choice': {
        const ends: { do: 'go'; to: number }[] = []
        for (const [index, option] of node.options.entries()) {
          if (index === node.options.length - 1) emit(option, program, isBack)
          else {
            const either = { do: 'either' as const, first: program.length + 1, second: 0 }
            program.push(either)
            emit(option, program, isBack)
            const end = { do: 'go' as const, to: 0 }
            ends.push(end)
            program.push(end)
            either.second = program.length
          }
        }
        for (const end of ends) end.to = program.length
        return
      }
      case 'group': {
        const register = registerOf(node.number)
        program.push({ do: 'mark', register: isBack ? register + 1 : register })
        emit(node.node, program, isBack)
        program.push({ do: 'mark', register: isBack ? register : register + 1 })
        return
      }
      case 'repeat': {
        for (let count = 0; count < node.least; count++) emit(node.node, program, isBack)
        const optional = (): { do: 'either'; first: number; second: number } => {
          const either = { do: 'either' as const, first: program.length + 1, second: program.length + 1 }
          program.push(either)
          return either
        }
        const skips: { do: 'either'; first: number; second: number }[] = []
        if (node.most === Number.POSITIVE_INFINITY) {
          const start = program.length
          skips.push(optional())
          const register = registers
          if (isNullable(node.node)) program.push({ do: 'mark', register: registers++ })
          emit(node.node, program, isBack)
          if (isNullable(node.node)) program.push({ do: 'moved', register })
          program.push({ do: 'go', to: start })
        } else
          for (let count = node.least; count < node.most; count++) {
            skips.push(optional())
            emit(node.node, program, isBack)
          }
        for (const skip of skips)
          if (node.isGreedy) skip.second = program.length
          else skip.first = program.length
        return
      }
      case 'look': {
        const inside: Step[] = []
        emit(node.node, inside, node.isBehind)
        program.push({ do: 'look', program: inside, isNegated: node.isNegated })
        return
      }
      case 'at':
        program.push({ do: 'at', where: node.where })
        return
      case 'same':
        program.push({ do: 'same', number: node.number, isBack })
    }
  }
  const program: Step[] = []
  emit(root, program, false)
  return { program, isUnicode, isMultiline, registers }
}

function groupsIn(node: Node): number {
  switch (node.kind) {
    case 'group':
      return 1 + groupsIn(node.node)
    case 'repeat':
    case 'look':
      return groupsIn(node.node)
    case 'sequence':
      return node.nodes.reduce((sum, each) => sum + groupsIn(each), 0)
    case 'choice':
      return node.options.reduce((sum, each) => sum + groupsIn(each), 0)
    default:
      return 0
  }
}

function isNullable(node: Node): boolean {
  switch (node.kind) {
    case 'one':
      return false
    case 'sequence':
      return node.nodes.every(isNullable)
    case 'choice':
      return node.options.some(isNullable)
    case 'group':
      return isNullable(node.node)
    case 'repeat':
      return node.least === 0 || isNullable(node.node)
    default:
      return true
  }
}

const isWord = (unit: string | undefined): boolean => unit !== undefined && /^\w$/.test(unit)

class Engine {
  readonly #expression: Compiled
  readonly #text: string
  readonly #most: number
  readonly #registers: number[]
  #steps = 0

  constructor(expression: Compiled, text: string, most: number) {
    this.#expression = expression
    this.#text = text
    this.#most = most
    this.#registers = Array.from({ length: expression.registers }, () => -1)
  }

  search(from: number, isSticky: boolean): number {
    const { program } = this.#expression
    for (let start = from; start <= this.#text.length; start++) if (this.#run(program, start) >= 0 || isSticky) break
    return this.#steps
  }

  /** @returns where the match ends, -1 without one */
  #run(program: readonly Step[], start: number): number {
    const registers = this.#registers
    // Three numbers each: a step and a place to go on from, or what a register was.
    const back: number[] = []
    let [at, next] = [start, 0]
    for (;;) {
      if (++this.#steps > this.#most) throw new TooManySteps(`${this.#most} steps`)
      const step = program[next]
      if (step === undefined) return at
      let goesOn = true
      switch (step.do) {
        case 'one': {
          const code = step.isBack ? this.#codeBefore(at) : this.#codeAt(at)
          goesOn = code >= 0 && step.test(code)
          at += (step.isBack ? -1 : 1) * (code > 0xffff ? 2 : 1)
          next++
          break
        }
        case 'either':
          back.push(step.second, at, -1)
          next = step.first
          break
        case 'go':
          next = step.to
          break
        case 'at':
          goesOn = this.#isAt(at, step.where)
          next++
          break
        case 'look': {
          const found = this.#run(step.program, at) >= 0
          goesOn = found !== step.isNegated
          next++
          break
        }
        case 'mark':
          back.push(-1, registers[step.register] as number, step.register)
          registers[step.register] = at
          next++
          break
        case 'moved':
          goesOn = registers[step.register] !== at
          next++
          break
        case 'same': {
          const [begin = -1, end = -1] = registers.slice(2 * step.number, 2 * step.number + 2)
          const text = begin < 0 || end < 0 ? '' : this.#text.slice(begin, end)
          this.#steps += text.length
          const from = step.isBack ? at - text.length : at
          goesOn = from >= 0 && this.#text.startsWith(text, from)
          at = step.isBack ? from : at + text.length
          next++
        }
      }
      if (goesOn) continue
      for (;;) {
        const [register, place, to] = [back.pop(), back.pop(), back.pop()]
        if (register === undefined || place === undefined || to === undefined) return -1
        if (to >= 0) {
          at = place
          next = to
          break
        }
        registers[register] = place
      }
    }
  }

  /** -1 at the end. */
  #codeAt(at: number): number {
    if (at >= this.#text.length) return -1
    return this.#expression.isUnicode ? (this.#text.codePointAt(at) as number) : this.#text.charCodeAt(at)
  }

  #codeBefore(at: number): number {
    if (at <= 0) return -1
    const pair = this.#expression.isUnicode && at > 1 ? (this.#text.codePointAt(at - 2) as number) : 0
    return pair > 0xffff ? pair : this.#text.charCodeAt(at - 1)
  }

  #isAt(at: number, where: 'start' | 'end' | 'wordEdge' | 'noWordEdge'): boolean {
    const text = this.#text
    const isBreak = (unit: string | undefined): boolean =>
      this.#expression.isMultiline && unit !== undefined && /^[\n\r\u2028\u2029]$/.test(unit)
    if (where === 'start') return at === 0 || isBreak(text[at - 1])
    if (where === 'end') return at === text.length || isBreak(text[at])
    return (isWord(text[at - 1]) !== isWord(text[at])) === (where === 'wordEdge')
  }
}

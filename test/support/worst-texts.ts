import { type Node, syntaxOf } from './regexp-syntax.ts'
import { TooManySteps, regexpSteps } from './regexp-steps.ts'

/** One of each sort that expressions tell apart. */
const units = [...Array.from('a0 \n\tAZ_.-,;:\'"`()[]{}<>/\\=@#$%&*+?!|~^xeF1é'), '\u2028', '\u200b', '\u0001', '\u{1F600}', '\ud800']

const codeOf = (unit: string): number => unit.codePointAt(0) as number

/** Texts that an expression may take long for: each of them is repeated very often, after a beginning and before an end. */
interface Worst {
  readonly before: string
  readonly again: string
  readonly after: string
}

/**
 * A text for which an expression takes more than linear time; undefined: none was found. What is repeated is made of its own parts, so that
 * it begins to match, and of pairs of the characters that it tells apart; what follows keeps it from ending well.
 */
export function worstText(pattern: RegExp): (Worst & { readonly growth: number }) | undefined {
  const { root } = syntaxOf(pattern)
  if (!canRepeat(root)) return undefined
  const tried = new Set<string>()
  for (const worst of candidates(root)) {
    const key = `${worst.before}\0${worst.again}\0${worst.after}`
    if (tried.has(key)) continue
    tried.add(key)
    const growth = growthOf(pattern, worst)
    if (growth > mostGrowth) return { ...worst, growth }
  }
  return undefined
}

/** Four times the text takes four times the steps, or sixteen where they are squared. */
const mostGrowth = 8
const [few, many] = [60, 240]

function growthOf(pattern: RegExp, { after, again, before }: Worst): number {
  const steps = (size: number): number => {
    const text = before + again.repeat(Math.ceil(size / again.length)) + after
    pattern.lastIndex = pattern.sticky ? before.length : 0
    try {
      return regexpSteps(pattern, text, 100_000)
    } catch (error) {
      if (error instanceof TooManySteps) return Number.POSITIVE_INFINITY
      throw error
    } finally {
      pattern.lastIndex = 0
    }
  }
  const first = steps(few)
  return first === Number.POSITIVE_INFINITY ? first : steps(many) / first
}

function canRepeat(node: Node): boolean {
  switch (node.kind) {
    case 'repeat':
      return node.most > 50 || canRepeat(node.node)
    case 'group':
    case 'look':
      return canRepeat(node.node)
    case 'sequence':
      return node.nodes.some(canRepeat)
    case 'choice':
      return node.options.some(canRepeat)
    default:
      return false
  }
}

function* candidates(root: Node): Iterable<Worst> {
  const parts = [...partsOf(root, '')].filter(({ before, text }) => text !== '' && text.length < 60 && before.length < 200)
  const told = unitsOf(root)
  const pairs = told.flatMap((a) => told.flatMap((b) => (a === b ? [a] : [a + b])))
  const befores = [...new Set(['', ...parts.filter(({ isRepeated }) => isRepeated).map(({ before }) => before)])].slice(0, 3)
  for (const after of ['', '\u0001', '\n']) {
    for (const { before, text } of parts) {
      yield { before, again: text, after }
      yield { before: '', again: text, after }
      yield { before: '', again: before + text, after }
    }
    for (const before of befores) for (const again of pairs) yield { before, again, after }
  }
}

interface Part {
  /** A text that what is before the part matches. */
  readonly before: string
  /** One that it matches. */
  readonly text: string
  readonly isRepeated: boolean
}

function* partsOf(node: Node, before: string): Iterable<Part> {
  switch (node.kind) {
    case 'sequence': {
      const pieces = piecesOf(node.nodes)
      for (const from of pieces.keys()) {
        const start = before + pieces.slice(0, from).map(sampleOf).join('')
        yield* partsOf(pieces[from] as Node, start)
        for (let to = from + 1; to <= pieces.length; to++)
          yield { before: start, text: pieces.slice(from, to).map(sampleOf).join(''), isRepeated: false }
      }
      return
    }
    case 'choice':
      for (const option of node.options)
        if (option.kind === 'sequence' && option.nodes.every(({ kind }) => kind === 'one'))
          yield { before, text: sampleOf(option), isRepeated: false }
        else yield* partsOf(option, before)
      return
    case 'repeat':
      yield { before, text: sampleOf(node), isRepeated: true }
      yield* partsOf(node.node, before)
      return
    case 'group':
    case 'look':
      yield* partsOf(node.node, before)
      return
    default:
      yield { before, text: sampleOf(node), isRepeated: false }
  }
}

/** Words are not taken apart. */
function piecesOf(nodes: readonly Node[]): readonly Node[] {
  const pieces: Node[] = []
  let word: Node[] = []
  for (const node of nodes) {
    if (node.kind === 'one') word.push(node)
    else {
      if (word.length > 0) pieces.push({ kind: 'choice', options: [{ kind: 'sequence', nodes: word }] })
      word = []
      pieces.push(node)
    }
  }
  return word.length > 0 ? [...pieces, { kind: 'choice', options: [{ kind: 'sequence', nodes: word }] }] : pieces
}

function sampleOf(node: Node): string {
  switch (node.kind) {
    case 'one':
      return node.literal ?? units.find((unit) => node.test(codeOf(unit))) ?? 'a'
    case 'sequence':
      return node.nodes.map(sampleOf).join('')
    case 'choice':
      return sampleOf(node.options[0] as Node)
    case 'repeat':
      return sampleOf(node.node).repeat(Math.max(1, Math.min(node.least, 40)))
    case 'group':
      return sampleOf(node.node)
    default:
      return ''
  }
}

/** One for each set of classes that it is in: the expression cannot tell others from them. */
function unitsOf(root: Node): readonly string[] {
  const tests = onesOf(root)
  const bySets = new Map<string, string>()
  for (const unit of [...tests.flatMap(({ literal }) => literal ?? []), ...units]) {
    const sets = tests.map(({ test }) => Number(test(codeOf(unit)))).join('')
    if (!bySets.has(sets)) bySets.set(sets, unit)
  }
  return [...bySets.values()].slice(0, 14)
}

function onesOf(node: Node): readonly (Node & { readonly kind: 'one' })[] {
  switch (node.kind) {
    case 'one':
      return [node]
    case 'sequence':
      return node.nodes.flatMap(onesOf)
    case 'choice':
      return node.options.flatMap(onesOf)
    case 'repeat':
    case 'group':
    case 'look':
      return onesOf(node.node)
    default:
      return []
  }
}

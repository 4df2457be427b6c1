import { closingQuote } from '../../../serialization/closing-quote.ts'
import { Decimal } from '../../../serialization/decimal.ts'
import { parseLossless } from '../../../serialization/json-parse.ts'
import { LaidOut } from '../../laid-out.ts'

/**
 * JSON as it is written. A plain tree would not do for a body that is written again: it forgets how numbers and escapes were written, puts
 * keys that look like numbers first, and knows one value of a key that stands twice. Nodes are changed in place.
 */
export type JsonNode = JsonScalar | JsonContainer

export interface JsonScalar {
  readonly kind: 'scalar'
  /** As written, quotes and escapes included. */
  readonly text: string
}

export interface JsonContainer {
  readonly kind: 'object' | 'array'
  readonly entries: JsonEntry[]
  /** Blanks before the closing bracket. */
  readonly end: string
}

/** A member of an object or an item of an array, with the blanks around it. */
export interface JsonEntry {
  readonly before: string
  /** Of a member as written, with its quotes; of an item empty. */
  readonly key: string
  /** Of a member with the blanks around it; of an item empty. */
  readonly colon: string
  value: JsonNode
  /** Blanks before the comma. */
  readonly after: string
}

/** A whole text: its value and the blanks around it. */
export interface JsonText {
  readonly before: string
  root: JsonNode
  readonly after: string
}

/** @throws {NotJsonError} NSB_NOT_JSON with line and column */
export function readJsonText(text: string): JsonText {
  parseLossless(text)
  return new Reader(text).whole()
}

export function writeJsonText({ after, before, root }: JsonText): string {
  return before + writeNode(root) + after
}

export function writeNode(node: JsonNode): string {
  if (node.kind === 'scalar') return node.text
  const inside = node.entries.map(({ after, before, colon, key, value }) => before + key + colon + writeNode(value) + after).join(',')
  return node.kind === 'object' ? `{${inside}${node.end}}` : `[${inside}${node.end}]`
}

/** Without the blanks of its text, for a value that is put into another one. */
export function compact(node: JsonNode): JsonNode {
  if (node.kind === 'scalar') return node
  const entries = node.entries.map(({ key, value }) => ({
    before: '',
    key,
    colon: key === '' ? '' : ':',
    value: compact(value),
    after: '',
  }))
  return { kind: node.kind, entries, end: '' }
}

/**
 * Laid out over several lines, for people; digits and escapes stay as they are written.
 *
 * @param original the text it was read of
 * @returns undefined: it is nested too deeply for that
 */
export function layOut(node: JsonNode, original: string): string | undefined {
  const laidOut = new LaidOut(original)
  layOutNode(node, 0, laidOut)
  return laidOut.text
}

function layOutNode(node: JsonNode, depth: number, laidOut: LaidOut): void {
  if (node.kind === 'scalar') return laidOut.add(node.text)
  const [open, close] = node.kind === 'object' ? ['{', '}'] : ['[', ']']
  laidOut.add(open)
  for (const [index, { key, value }] of node.entries.entries()) {
    if (index > 0) laidOut.add(',')
    laidOut.newLine(depth + 1)
    if (key !== '') laidOut.add(`${key}: `)
    layOutNode(value, depth + 1, laidOut)
  }
  if (node.entries.length > 0) laidOut.newLine(depth)
  laidOut.add(close)
}

/** The key that a written one stands for. */
const keyOf = ({ key }: JsonEntry): string => JSON.parse(key) as string

/** By key, those that stand twice together: an object of a body may have very many members, and so may a patch. */
const known = new WeakMap<JsonContainer, Map<string, JsonEntry[]>>()

function entriesByKey(object: JsonContainer): Map<string, JsonEntry[]> {
  let byKey = known.get(object)
  if (byKey === undefined) {
    byKey = new Map()
    for (const entry of object.entries) {
      const key = keyOf(entry)
      const same = byKey.get(key)
      if (same === undefined) byKey.set(key, [entry])
      else same.push(entry)
    }
    known.set(object, byKey)
  }
  return byKey
}

/** The members that readers see: of a key that stands twice the last one counts. */
export function membersOf(object: JsonContainer): ReadonlyMap<string, JsonEntry> {
  return new Map([...entriesByKey(object)].map(([key, entries]) => [key, entries.at(-1) as JsonEntry]))
}

/** The member that readers see. */
export function memberOf(object: JsonContainer, key: string): JsonEntry | undefined {
  return entriesByKey(object).get(key)?.at(-1)
}

/** @param written the key with its quotes */
export function setMember(object: JsonContainer, key: string, written: string, value: JsonNode): void {
  const there = memberOf(object, key)
  if (there !== undefined) {
    there.value = value
    return
  }
  const last = object.entries.at(-1)
  const entry = { before: last?.before ?? '', key: written, colon: last?.colon ?? ':', value, after: '' }
  object.entries.push(entry)
  entriesByKey(object).set(key, [entry])
}

/** All of a key: were only the last one removed, the one before it would come to light. */
export function removeMembers(object: JsonContainer, keys: Iterable<string>): void {
  const byKey = entriesByKey(object)
  const removed = new Set<JsonEntry>()
  for (const key of keys) {
    for (const entry of byKey.get(key) ?? []) removed.add(entry)
    byKey.delete(key)
  }
  if (removed.size === 0) return
  const { entries } = object
  let kept = 0
  for (const entry of entries) if (!removed.has(entry)) entries[kept++] = entry
  entries.length = kept
}

/** Equal as JSON values: however they are written, and members in any order. */
export function equal(a: JsonNode, b: JsonNode): boolean {
  if (a.kind === 'scalar' || b.kind === 'scalar') return a.kind === 'scalar' && b.kind === 'scalar' && equalScalars(a.text, b.text)
  if (a.kind !== b.kind) return false
  if (a.kind === 'array')
    return a.entries.length === b.entries.length && a.entries.every(({ value }, at) => equal(value, (b.entries[at] as JsonEntry).value))
  const [ofA, ofB] = [membersOf(a), membersOf(b)]
  return (
    ofA.size === ofB.size &&
    [...ofA].every(([key, value]) => {
      const other = ofB.get(key)
      return other !== undefined && equal(value.value, other.value)
    })
  )
}

const isNumber = (text: string): boolean => /^[-\d]/.test(text)

function equalScalars(a: string, b: string): boolean {
  if (isNumber(a) && isNumber(b)) return Decimal.of(a).equals(b)
  return a === b || (a.startsWith('"') && b.startsWith('"') && JSON.parse(a) === JSON.parse(b))
}

const blanks = /[ \t\n\r]*/y
const word = /[^\s,\]}]+/y

/** Reads a text that is known to be JSON. */
class Reader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  whole(): JsonText {
    return { before: this.#take(blanks), root: this.#node(), after: this.#take(blanks) }
  }

  #node(): JsonNode {
    switch (this.#text[this.#at]) {
      case '{':
        return this.#container('object', '}')
      case '[':
        return this.#container('array', ']')
      case '"':
        return { kind: 'scalar', text: this.#string() }
      default:
        return { kind: 'scalar', text: this.#take(word) }
    }
  }

  #container(kind: JsonContainer['kind'], close: string): JsonContainer {
    this.#at++
    const entries: JsonEntry[] = []
    let before = this.#take(blanks)
    while (this.#text[this.#at] !== close) {
      const key = kind === 'object' ? this.#string() : ''
      const colon = kind === 'object' ? this.#colon() : ''
      const value = this.#node()
      const after = this.#take(blanks)
      const isLast = this.#text[this.#at] === close
      entries.push({ before, key, colon, value, after: isLast ? '' : after })
      if (!isLast) this.#at++
      before = isLast ? after : this.#take(blanks)
    }
    this.#at++
    return { kind, entries, end: before }
  }

  #colon(): string {
    const before = this.#take(blanks)
    this.#at++
    return `${before}:${this.#take(blanks)}`
  }

  #string(): string {
    const end = closingQuote(this.#text, this.#at) + 1
    const text = this.#text.slice(this.#at, end)
    this.#at = end
    return text
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at
    const [text = ''] = pattern.exec(this.#text) ?? []
    this.#at += text.length
    return text
  }
}

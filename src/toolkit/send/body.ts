import { type MessageDefinition, MessageValidationError } from '../../message/declaration.ts'
import { NsbError, errorText } from '../../message/nsb-error.ts'
import { type SchemaIssue, issuePath } from '../../message/standard-schema.ts'
import { nearest } from '../../message/nearest.ts'
import { Decimal } from '../../serialization/decimal.ts'
import { declaredNames } from '../../serialization/declared.ts'
import { parseJson, readJson } from '../../serialization/json-read.ts'
import { typed, valueAt } from '../../serialization/typed.ts'

type Tree = Record<string, unknown>

/** Where the body of a message comes from; later ones are merged over earlier ones. */
export interface BodySources {
  /** Texts of JSON objects with the name of their source, in order. */
  readonly texts: readonly { readonly source: string; readonly text: string | Uint8Array }[]
  /** `a.b=1` and `a.b:=1` */
  readonly data: readonly string[]
  /** Of stdin, from 1, where every line is a message. */
  readonly line?: number
}

/**
 * Reads and merges the sources; every digit is kept.
 *
 * @param definition whose schema decides whether `k=1` is a text or a number; undefined: JSON if it parses, else text
 * @throws {NsbError} NSB_NOT_JSON, NSB_BAD_DATA
 */
export function readBody({ data, texts }: BodySources, definition: MessageDefinition | undefined): Tree {
  let body: Tree = {}
  for (const { source, text } of texts) body = merge(body, parseObject(source, text))
  const loose: string[][] = []
  for (const item of data) {
    const { forced, path, value } = parseData(item)
    setAt(body, path, forced || !definition ? jsonOrText(value, forced, item) : value)
    if (!forced && definition) loose.push(path)
  }
  return definition ? coerce(body, loose, definition) : body
}

const nextSteps = ['Correct it; --dry-run checks without sending', '--no-validate sends it as it is']

/** The value that a schema makes of a body. @throws {MessageValidationError} NSB_BODY_INVALID */
export function validateBody(definition: MessageDefinition, body: Tree): object {
  const result = typed(definition, body)
  const issues = [...(result.issues ?? []).map((issue) => withRange(issue, body)), ...unknownProperties(definition, body)]
  if (issues.length > 0 || result.issues) throw new MessageValidationError(definition, issues, nextSteps)
  return result.value
}

const isNumber = (value: unknown): boolean => typeof value === 'number' || Decimal.is(value)

// A schema is shown what a JavaScript number makes of such digits, which is Infinity.
function withRange(issue: SchemaIssue, body: Tree): SchemaIssue {
  const value = valueAt(body, issuePath(issue))
  if (!Decimal.is(value) || Number.isFinite(value.toNumber())) return issue
  return { ...issue, message: `${value.toString()} is beyond the range of a number, which ends at 1.8e308` }
}

/** A guess compares all of two names, so only as many get one as a person reads. */
const mostGuesses = 10

// A schema drops what it does not know, and .NET ignores it; a person who types it has misspelled something.
function unknownProperties(definition: MessageDefinition, body: Tree): readonly SchemaIssue[] {
  const names = declaredNames(definition.schema)
  if (names === undefined) return []
  const known = new Set(names.map((name) => name.toLowerCase()))
  return Object.keys(body)
    .filter((key) => !known.has(key.toLowerCase()))
    .map((key, index) => {
      const [meant] = index < mostGuesses ? nearest(key, names) : []
      return { message: `is not a known property${meant === undefined ? '' : `; did you mean '${meant}'?`}`, path: [key] }
    })
}

interface Loose {
  readonly path: readonly string[]
  readonly text: string
}

// A text from the command line stays text where the schema takes it; where it does not, it is read as JSON. All of them at once: a body
// is validated as often as the schema shows new issues, not as often as something was typed.
function coerce(body: Tree, loose: readonly string[][], definition: MessageDefinition): Tree {
  let left: readonly Loose[] = loose.map((path) => ({ path, text: getAt(body, path) as string }))
  for (;;) {
    const refused = refusedOf(left, definition, body)
    if (refused.size === 0) return body
    left = left.filter((each) => !refused.has(each))
    const read = [...refused].filter(({ path, text }) => {
      const value = jsonOrText(text, false, text)
      if (value !== text) setAt(body, path, value)
      return value !== text
    })
    if (read.length === 0) continue
    // Of what is refused either way a number is shown as a number, or the message would say that it is a text.
    for (const { path, text } of refusedOf(read, definition, body)) if (!isNumber(getAt(body, path))) setAt(body, path, text)
  }
}

interface LooseTree {
  loose?: Loose
  readonly inside: Map<string, LooseTree>
}

/** Those at which, in which, or around which the schema finds something wrong. */
function refusedOf(some: readonly Loose[], definition: MessageDefinition, body: Tree): ReadonlySet<Loose> {
  const refused = new Set<Loose>()
  const issues = some.length === 0 ? undefined : typed(definition, body).issues
  if (issues === undefined) return refused
  const root: LooseTree = { inside: new Map() }
  for (const loose of some) {
    let at = root
    for (const key of loose.path) {
      const next = at.inside.get(key) ?? { inside: new Map<string, LooseTree>() }
      at.inside.set(key, next)
      at = next
    }
    at.loose = loose
  }
  for (const issue of issues) {
    const keys = issuePath(issue).map(String)
    let at: LooseTree | undefined = keys.length === 0 ? undefined : root
    for (const key of keys) {
      at = at?.inside.get(key)
      if (at?.loose !== undefined) refused.add(at.loose)
    }
    if (at !== undefined) takeAll(at, refused)
  }
  return refused
}

function takeAll(tree: LooseTree, refused: Set<Loose>): void {
  if (tree.loose !== undefined) refused.add(tree.loose)
  for (const inside of tree.inside.values()) takeAll(inside, refused)
  // Others may name the same place.
  tree.inside.clear()
}

function parseObject(source: string, text: string | Uint8Array): Tree {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text
  let tree: unknown
  try {
    tree = readJson(bytes)
  } catch (error) {
    throw new NsbError({
      code: 'NSB_NOT_JSON',
      message: `The body from ${source} is no JSON: ${errorText(error)}`,
      suggestions: [`Write an object: '{"OrderId":"42"}'`, 'or set properties: --data OrderId=42'],
      cause: error,
    })
  }
  if (typeof tree === 'object' && tree !== null && !Array.isArray(tree)) return tree as Tree
  throw new NsbError({
    code: 'NSB_NOT_JSON',
    message: `The body from ${source} is no JSON object.`,
    suggestions: [`Write an object: '{"OrderId":"42"}'`],
  })
}

function parseData(item: string): { readonly path: string[]; readonly value: string; readonly forced: boolean } {
  const equals = item.indexOf('=')
  const forced = equals > 0 && item[equals - 1] === ':'
  const path = item.slice(0, forced ? equals - 1 : equals).split('.')
  if (equals > 0 && !path.includes('') && !path.some((key) => ['__proto__', 'constructor', 'prototype'].includes(key)))
    return { path, value: item.slice(equals + 1), forced }
  throw new NsbError({
    code: 'NSB_BAD_DATA',
    message: `'${item}' is not of the form property=value.`,
    suggestions: ['--data OrderId=42', '--data Address.City=Bern', `--data 'Tags:=["a","b"]'`],
  })
}

function jsonOrText(value: string, forced: boolean, item: string): unknown {
  try {
    return parseJson(value)
  } catch (error) {
    if (!forced) return value
    throw new NsbError({
      code: 'NSB_BAD_DATA',
      message: `The value of '${item}' is no JSON: ${errorText(error)}`,
      suggestions: ['--data name=value takes any text'],
      cause: error,
    })
  }
}

function merge(below: Tree, above: Tree): Tree {
  const merged: Tree = Object.assign(Object.create(null) as Tree, below)
  for (const [key, value] of Object.entries(above)) merged[key] = isTree(value) && isTree(merged[key]) ? merge(merged[key], value) : value
  return { ...merged }
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}

function setAt(body: Tree, path: readonly string[], value: unknown): void {
  let at: Tree = body
  for (const key of path.slice(0, -1)) {
    if (!isTree(at[key])) at[key] = {}
    at = at[key] as Tree
  }
  at[path.at(-1) as string] = value
}

function getAt(body: Tree, path: readonly string[]): unknown {
  return path.reduce<unknown>((at, key) => (at as Tree)[key], body)
}

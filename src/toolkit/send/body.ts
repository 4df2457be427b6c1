import { type MessageDefinition, MessageValidationError, check } from '../../message/declaration.ts'
import { NsbError, errorText } from '../../message/nsb-error.ts'
import { type SchemaIssue, issuePath } from '../../message/standard-schema.ts'
import { nearest } from '../../message/nearest.ts'
import { Decimal } from '../../serialization/decimal.ts'
import { declaredNames } from '../../serialization/declared-names.ts'
import { parseJson, readJson } from '../../serialization/json-read.ts'
import { typed } from '../../serialization/typed.ts'

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
  const value = issuePath(issue).reduce<unknown>((at, key) => (at as Readonly<Record<PropertyKey, unknown>> | undefined)?.[key], body)
  if (!Decimal.is(value) || Number.isFinite(value.toNumber())) return issue
  return { ...issue, message: `${value.toString()} is beyond the range of a number, which ends at 1.8e308` }
}

// A schema drops what it does not know, and .NET ignores it; a person who types it has misspelled something.
function unknownProperties(definition: MessageDefinition, body: Tree): readonly SchemaIssue[] {
  const names = declaredNames(definition.schema)
  if (names === undefined) return []
  const known = new Set(names.map((name) => name.toLowerCase()))
  return Object.keys(body)
    .filter((key) => !known.has(key.toLowerCase()))
    .map((key) => {
      const [meant] = nearest(key, names)
      return { message: `is not a known property${meant === undefined ? '' : `; did you mean '${meant}'?`}`, path: [key] }
    })
}

// A text from the command line stays text where the schema takes it; where it does not, it is read as JSON.
function coerce(body: Tree, loose: readonly string[][], definition: MessageDefinition): Tree {
  for (const path of loose) {
    const complains = issuesAt(definition, body, path)
    if (!complains) continue
    const text = getAt(body, path) as string
    const value = jsonOrText(text, false, text)
    if (value === text) continue
    setAt(body, path, value)
    // Of what is refused either way a number is shown as a number, or the message would say that it is a text.
    if (issuesAt(definition, body, path) && !isNumber(value)) setAt(body, path, text)
  }
  return body
}

function issuesAt(definition: MessageDefinition, body: Tree, path: readonly string[]): boolean {
  const result = definition.schema ? typed(definition, body) : check(definition, body)
  return (
    result.issues?.some((issue) => {
      const keys = (issue.path ?? []).map((part) => String(typeof part === 'object' ? part.key : part))
      return keys.length > 0 && keys.every((key, index) => path[index] === undefined || path[index] === key)
    }) ?? false
  )
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

import { NsbError, errorText } from '../../../message/nsb-error.ts'
import { NotJsonError } from '../../../serialization/not-json-error.ts'
import type { Headers } from '../../../transport/transport.ts'
import { bodyOf, editableText } from './editable.ts'
import {
  type JsonContainer,
  type JsonEntry,
  type JsonNode,
  type JsonText,
  compact,
  equal,
  memberOf,
  membersOf,
  readJsonText,
  removeMembers,
  setMember,
  writeJsonText,
  writeNode,
} from './json-text.ts'

/** Makes a body from a body; both are bytes as they are on the wire. Refuses what it cannot change; the body given is never changed. */
export type BodyChange = (body: Uint8Array, headers: Headers) => Uint8Array

/**
 * A JSON Patch (RFC 6902) for bodies. What it does not touch stays as it is written, byte order mark, digits, escapes, blanks and the
 * order of keys included; what it puts in is written as in the patch. Of a key that stands twice in an object the last one is meant, and a
 * removal takes both.
 *
 * @param text the patch: a JSON array of operations
 * @returns the change; it throws NSB_PATCH_FAILED with the operation and its path where it does not apply, NSB_BODY_NOT_EDITABLE for a
 * body that is no text, compressed or encrypted, NSB_NOT_JSON for one that is no JSON
 * @throws {NsbError} NSB_BAD_PATCH
 */
export function bodyPatch(text: string): BodyChange {
  const operations = operationsOf(text)
  return changing('patch', (document) => {
    for (const operation of operations) applyOperation(document, operation)
  })
}

/**
 * A JSON Merge Patch (RFC 7386) for bodies; what it does not touch stays as it is written.
 *
 * @param text the patch: any JSON, usually an object whose members are set, or removed where they are null
 * @returns the change; it throws as that of {@link bodyPatch} does, but never NSB_PATCH_FAILED
 * @throws {NsbError} NSB_BAD_PATCH
 */
export function bodyMerge(text: string): BodyChange {
  const patch = compact(readPatch(text, 'merge patch').root)
  return changing('merge patch', (document) => {
    document.root = merged(document.root, patch)
  })
}

function changing(what: string, change: (document: JsonText) => void): BodyChange {
  return (body, headers) => {
    const { mark, text } = editableText(body, headers, { jsonFor: what })
    const document = documentOf(text, what)
    change(document)
    return bodyOf(mark + writeJsonText(document))
  }
}

function documentOf(text: string, what: string): JsonText {
  try {
    return readJsonText(text)
  } catch (error) {
    if (!(error instanceof NsbError)) throw error
    throw new NotJsonError(error.message, error.details, [
      `A ${what} needs JSON; give the whole body instead: nsb errors edit <id> --body-file <file>`,
    ])
  }
}

const kinds = ['add', 'remove', 'replace', 'move', 'copy', 'test'] as const

interface Operation {
  readonly kind: (typeof kinds)[number]
  /** Decoded steps. */
  readonly path: readonly string[]
  readonly from: readonly string[]
  readonly value: JsonNode
  /** For errors: `2 of the patch (replace /Items/0)`. */
  readonly name: string
  /** From 1. */
  readonly number: number
}

const nothing: JsonNode = { kind: 'scalar', text: 'null' }

function operationsOf(text: string): readonly Operation[] {
  const { root } = readPatch(text, 'patch')
  if (root.kind !== 'array')
    throw badPatch('A JSON Patch is an array of operations.', ['[{"op":"replace","path":"/Quantity","value":1}]', 'RFC 6902 says more'])
  return root.entries.map(({ value }, index) => operationOf(value, index + 1))
}

function operationOf(node: JsonNode, number: number): Operation {
  if (node.kind !== 'object') throw badPatch(`Operation ${number} of the patch is no object.`)
  const textOf = (key: string): string | undefined => {
    const value = memberOf(node, key)?.value
    return value?.kind === 'scalar' && value.text.startsWith('"') ? (JSON.parse(value.text) as string) : undefined
  }
  const kind = kinds.find((known) => known === textOf('op'))
  if (kind === undefined) throw badPatch(`Operation ${number} of the patch needs an "op", one of ${kinds.join(', ')}.`)
  const pointerAt = (key: 'path' | 'from'): string[] => {
    const pointer = textOf(key)
    const steps = pointer === undefined ? undefined : stepsOf(pointer)
    if (steps !== undefined) return steps
    throw badPatch(`Operation ${number} of the patch (${kind}) needs a "${key}" that is a JSON Pointer, such as "/Items/0/Price".`)
  }
  const path = pointerAt('path')
  const from = kind === 'move' || kind === 'copy' ? pointerAt('from') : []
  const value = memberOf(node, 'value')?.value
  if (value === undefined && (kind === 'add' || kind === 'replace' || kind === 'test'))
    throw badPatch(`Operation ${number} of the patch (${kind}) needs a "value".`)
  if (kind === 'remove' && path.length === 0) throw badPatch(`Operation ${number} of the patch removes the whole body.`)
  if (kind === 'move' && from.length < path.length && from.every((step, at) => step === path[at]))
    throw badPatch(`Operation ${number} of the patch moves a value into itself.`)
  const name = `${number} of the patch (${kind} ${pointerText(path)})`
  return { kind, path, from, value: value === undefined ? nothing : compact(value), name, number }
}

function readPatch(text: string, what: string): JsonText {
  try {
    return readJsonText(text.replace(/^\uFEFF/, ''))
  } catch (error) {
    throw badPatch(`The ${what} is no JSON. ${errorText(error).replace('The body is not JSON: ', '')}`)
  }
}

function badPatch(message: string, suggestions: readonly string[] = []): NsbError {
  return new NsbError({ code: 'NSB_BAD_PATCH', message, suggestions })
}

/** undefined: no JSON Pointer. @source RFC 6901 */
function stepsOf(pointer: string): string[] | undefined {
  if (pointer === '') return []
  if (!pointer.startsWith('/') || /~(?![01])/.test(pointer)) return undefined
  return pointer
    .slice(1)
    .split('/')
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function pointerText(steps: readonly string[]): string {
  return `'${steps.map((step) => `/${step.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')}'`
}

function applyOperation(document: JsonText, operation: Operation): void {
  const { from, kind, path } = operation
  switch (kind) {
    case 'test': {
      const found = nodeAt(document, path, operation)
      if (!equal(found, operation.value)) throw failed(operation, `the value is ${excerpt(found)}, not ${excerpt(operation.value)}`)
      return
    }
    case 'add':
      return put(document, path, structuredClone(operation.value), operation)
    case 'replace':
      if (path.length === 0) document.root = structuredClone(operation.value)
      else entryAt(document, path, operation).entry.value = structuredClone(operation.value)
      return
    case 'remove':
      return remove(document, path, operation)
    case 'copy':
      return put(document, path, structuredClone(nodeAt(document, from, operation)), operation)
    case 'move': {
      const moved = nodeAt(document, from, operation)
      // Moved to its own place; the whole body can go nowhere else.
      if (pointerText(from) === pointerText(path)) return
      remove(document, from, operation)
      return put(document, path, moved, operation)
    }
  }
}

function nodeAt(document: JsonText, path: readonly string[], operation: Operation): JsonNode {
  return path.length === 0 ? document.root : entryAt(document, path, operation).entry.value
}

function parentOf(document: JsonText, path: readonly string[], operation: Operation): JsonContainer {
  const parent = nodeAt(document, path.slice(0, -1), operation)
  if (parent.kind !== 'scalar') return parent
  throw noContainer(path.slice(0, -1), operation)
}

/** @param path not empty */
function entryAt(
  document: JsonText,
  path: readonly string[],
  operation: Operation,
): { parent: JsonContainer; entry: JsonEntry; at: number } {
  let node = document.root
  let found: { parent: JsonContainer; entry: JsonEntry; at: number } | undefined
  for (const [depth, step] of path.entries()) {
    if (node.kind === 'scalar') throw noContainer(path.slice(0, depth), operation)
    const at = node.kind === 'object' ? -1 : (indexIn(step) ?? -1)
    const entry = node.kind === 'object' ? memberOf(node, step) : node.entries[at]
    if (entry === undefined) throw failed(operation, `there is no ${pointerText(path.slice(0, depth + 1))}`)
    found = { parent: node, entry, at }
    node = entry.value
  }
  return found as NonNullable<typeof found>
}

function noContainer(path: readonly string[], operation: Operation): NsbError {
  return failed(operation, `${pointerText(path)} is neither an object nor an array`)
}

function put(document: JsonText, path: readonly string[], value: JsonNode, operation: Operation): void {
  if (path.length === 0) {
    document.root = value
    return
  }
  const parent = parentOf(document, path, operation)
  const step = path.at(-1) as string
  if (parent.kind === 'object') return setMember(parent, step, JSON.stringify(step), value)
  const { entries } = parent
  const at = step === '-' ? entries.length : indexIn(step)
  if (at === undefined || at > entries.length)
    throw failed(operation, `'${step}' is no place in the array ${pointerText(path.slice(0, -1))}, which has ${entries.length}`)
  entries.splice(at, 0, { before: (entries[at] ?? entries.at(-1))?.before ?? '', key: '', colon: '', value, after: '' })
}

function remove(document: JsonText, path: readonly string[], operation: Operation): void {
  const { at, parent } = entryAt(document, path, operation)
  if (parent.kind === 'array') parent.entries.splice(at, 1)
  else removeMembers(parent, [path.at(-1) as string])
}

function indexIn(step: string): number | undefined {
  return /^(?:0|[1-9]\d{0,9})$/.test(step) ? Number(step) : undefined
}

/** @source RFC 7386, section 2 */
function merged(target: JsonNode, patch: JsonNode): JsonNode {
  if (patch.kind !== 'object') return structuredClone(patch)
  const into: JsonContainer = target.kind === 'object' ? target : { kind: 'object', entries: [], end: '' }
  const removed: string[] = []
  for (const [key, { key: written, value }] of membersOf(patch))
    if (value.kind === 'scalar' && value.text === 'null') removed.push(key)
    else setMember(into, key, written, merged(memberOf(into, key)?.value ?? nothing, value))
  removeMembers(into, removed)
  return into
}

function failed({ name, number, path }: Operation, why: string): NsbError {
  return new NsbError({
    code: 'NSB_PATCH_FAILED',
    message: `Operation ${name} does not apply: ${why}.`,
    suggestions: ['nsb errors show <id> --body'],
    details: { operation: number, path: pointerText(path).slice(1, -1) },
  })
}

const longestExcerpt = 60

function excerpt(node: JsonNode): string {
  const text = writeNode(compact(node))
  return text.length > longestExcerpt ? `${text.slice(0, longestExcerpt)}…` : text
}

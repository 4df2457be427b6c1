import type { StandardSchema } from '../message/standard-schema.ts'
import { Decimal } from './decimal.ts'

interface ReadableSchema {
  readonly type: string
  readonly shape?: Readonly<Record<string, unknown>>
  /** What unknown properties are checked against; only there where they are kept or refused. */
  readonly catchall?: unknown
  readonly element?: unknown
  /** Of a record. */
  readonly valueType?: unknown
  /** Of a tuple, with what follows them. */
  readonly items?: readonly unknown[]
  readonly rest?: unknown
  /** Of a union. */
  readonly options?: readonly unknown[]
  readonly innerType?: unknown
  readonly getter?: () => unknown
  readonly in?: unknown
  readonly coerce?: boolean
}

/**
 * The tree as a schema declares it: property names in its case where the exact name is missing (`orderId` becomes `OrderId`), and plain
 * numbers where it cannot take a `Decimal`. Only zod schemas can be read; for any other the tree itself is returned, as it is when
 * nothing changes.
 */
export function asDeclared(schema: StandardSchema, tree: unknown): unknown {
  return declared(schema, tree)
}

/** The property names of an object schema that takes no others; undefined when it cannot be read, or keeps what it does not know. */
export function declaredNames(schema: StandardSchema | undefined): readonly string[] | undefined {
  const readable = reading(schema)
  return readable?.type === 'object' && readable.shape && readable.catchall === undefined ? Object.keys(readable.shape) : undefined
}

function declared(schema: unknown, tree: unknown): unknown {
  if (typeof tree !== 'object' || tree === null) return tree
  if (Decimal.is(tree)) return refusesDecimals(schema) ? tree.toNumber() : tree
  const readable = reading(schema)
  if (!readable) return tree
  const { element, items, rest, shape, valueType } = readable
  if (Array.isArray(tree)) {
    if (element !== undefined) return mappedItems(tree, (item) => declared(element, item))
    if (items) return mappedItems(tree, (item, index) => declared(items[index] ?? rest, item))
  } else if (shape) return declaredMembers(readable, shape, tree)
  else if (valueType !== undefined) return mappedMembers(tree, (value, key) => [key, declared(valueType, value)])
  return declared(inside(readable), tree)
}

/** Of optional, nullable, default, readonly, lazy, and the input side of a pipe. */
function inside({ getter, in: input, innerType }: ReadableSchema): unknown {
  return innerType ?? getter?.() ?? input
}

const refusing: ReadonlySet<string> = new Set([
  'number',
  'string',
  'boolean',
  'bigint',
  'date',
  'null',
  'undefined',
  'literal',
  'enum',
  'array',
])

const knownToRefuse = new WeakMap<object, boolean>()

/** Would it refuse a `Decimal` in any case? Then it is shown the number, so that nothing is an issue that need not be one. */
function refusesDecimals(schema: unknown): boolean {
  const readable = reading(schema)
  if (!readable) return false
  let refuses = knownToRefuse.get(readable)
  if (refuses === undefined) {
    // A schema may be inside itself.
    knownToRefuse.set(readable, false)
    const { coerce, options, type } = readable
    refuses = refusing.has(type)
      ? coerce !== true || type === 'number'
      : options
        ? options.every(refusesDecimals)
        : refusesDecimals(inside(readable))
    knownToRefuse.set(readable, refuses)
  }
  return refuses
}

const lowerCaseNames = new WeakMap<object, ReadonlyMap<string, string>>()

function namesOf(shape: Readonly<Record<string, unknown>>): ReadonlyMap<string, string> {
  let names = lowerCaseNames.get(shape)
  if (!names) {
    names = new Map(Object.keys(shape).map((name) => [name.toLowerCase(), name]))
    lowerCaseNames.set(shape, names)
  }
  return names
}

function declaredMembers({ catchall }: ReadableSchema, shape: Readonly<Record<string, unknown>>, tree: object): unknown {
  const names = namesOf(shape)
  return mappedMembers(tree, (value, key) => {
    const name = names.get(key.toLowerCase())
    const own = Object.hasOwn(shape, key) || name === undefined || Object.hasOwn(tree, name) ? key : name
    return [own, declared(Object.hasOwn(shape, own) ? shape[own] : catchall, value)]
  })
}

function mappedItems(items: readonly unknown[], map: (item: unknown, index: number) => unknown): readonly unknown[] {
  const mapped = items.map(map)
  return mapped.some((item, index) => item !== items[index]) ? mapped : items
}

function mappedMembers(tree: object, map: (value: unknown, key: string) => [string, unknown]): object {
  let changed = false
  const members = Object.entries(tree).map(([key, value]): [string, unknown] => {
    const [name, member] = map(value, key)
    changed ||= name !== key || member !== value
    return [name, member]
  })
  return changed ? Object.fromEntries(members) : tree
}

function reading(schema: unknown): ReadableSchema | undefined {
  const definition = (schema as { _zod?: { def?: ReadableSchema } } | undefined)?._zod?.def
  return typeof definition?.type === 'string' ? definition : undefined
}

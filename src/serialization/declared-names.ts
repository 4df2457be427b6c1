import type { StandardSchema } from '../message/standard-schema.ts'

interface ReadableSchema {
  readonly type: string
  readonly shape?: Readonly<Record<string, unknown>>
  readonly element?: unknown
  readonly innerType?: unknown
  /** What unknown properties are checked against; only there where they are kept or refused. */
  readonly catchall?: unknown
  readonly in?: unknown
}

/**
 * The tree with property names in the schema's case, where the exact name is missing: `orderId` becomes `OrderId`. Only zod schemas
 * can be read; for any other the tree itself is returned, as it is when no name changes.
 */
export function withDeclaredNames(schema: StandardSchema, tree: unknown): unknown {
  return renamed(schema, tree)
}

/** The property names of an object schema that takes no others; undefined when it cannot be read, or keeps what it does not know. */
export function declaredNames(schema: StandardSchema | undefined): readonly string[] | undefined {
  const readable = reading(schema)
  return readable?.type === 'object' && readable.shape && readable.catchall === undefined ? Object.keys(readable.shape) : undefined
}

function renamed(schema: unknown, tree: unknown): unknown {
  if (typeof tree !== 'object' || tree === null) return tree
  const readable = reading(schema)
  if (!readable) return tree
  if (readable.shape && !Array.isArray(tree)) return renamedMembers(readable.shape, tree)
  if (readable.element !== undefined && Array.isArray(tree)) {
    const items = tree.map((item) => renamed(readable.element, item))
    return items.some((item, index) => item !== tree[index]) ? items : tree
  }
  // Optional, nullable, default, readonly, and the input side of a pipe.
  return renamed(readable.innerType ?? readable.in, tree)
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

function renamedMembers(shape: Readonly<Record<string, unknown>>, tree: object): unknown {
  const declared = namesOf(shape)
  let changed = false
  const members = Object.entries(tree).map(([key, value]): [string, unknown] => {
    const name = declared.get(key.toLowerCase())
    const own = Object.hasOwn(shape, key) || name === undefined || Object.hasOwn(tree, name) ? key : name
    const member = Object.hasOwn(shape, own) ? renamed(shape[own], value) : value
    changed ||= own !== key || member !== value
    return [own, member]
  })
  return changed ? Object.fromEntries(members) : tree
}

function reading(schema: unknown): ReadableSchema | undefined {
  const definition = (schema as { _zod?: { def?: ReadableSchema } } | undefined)?._zod?.def
  return typeof definition?.type === 'string' ? definition : undefined
}

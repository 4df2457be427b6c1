import { type MessageDefinition, check } from '../message/declaration.ts'
import { type SchemaIssue, issuePath } from '../message/standard-schema.ts'
import { Decimal } from './decimal.ts'
import { withDeclaredNames } from './declared-names.ts'

type Checked = ReturnType<typeof check>
type Path = readonly PropertyKey[]

/** Where a definition's schema wants plain numbers; array indexes are `*`. */
const plainNumberPlaces = new WeakMap<MessageDefinition, Map<string, Path>>()

// A schema with a record of numbers has as many places as the senders have keys.
const rememberedPlaces = 256

/**
 * Makes a deserialized tree what the schema of a message type accepts.
 *
 * `Decimal` values stay where the schema takes them, and become plain numbers where it wants those; the places are remembered, so a
 * second message needs one validation. A property whose exact name is missing is found under its name in another
 * case (Newtonsoft reads that way; only schemas whose shape can be read). The tree is not changed.
 *
 * @returns like `check`: the value, or the issues of the tree with its own names
 */
export function typed(definition: MessageDefinition, tree: unknown): Checked {
  if (!definition.schema) return check(definition, withNumbers(tree, true))
  return checkWithNumbers(definition, withDeclaredNames(definition.schema, tree))
}

function checkWithNumbers(definition: MessageDefinition, tree: unknown): Checked {
  const places = plainNumberPlaces.get(definition)
  let value = tree
  for (const place of places?.values() ?? []) value = mapAt(value, place, (found) => withNumbers(found, true))
  let checked = check(definition, value)
  // Each round turns at least one Decimal into a number, and a schema may show later issues only when the first ones are gone.
  while (checked.issues) {
    const before = value
    for (const issue of checked.issues) value = plainNumbersAt(definition, value, issue)
    if (value === before) return checked
    checked = check(definition, value)
  }
  return checked
}

function plainNumbersAt(definition: MessageDefinition, tree: unknown, issue: SchemaIssue): unknown {
  const path = issuePath(issue)
  return mapAt(tree, path, (found) => {
    if (Decimal.is(found)) remember(definition, path)
    return withNumbers(found, false)
  })
}

function remember(definition: MessageDefinition, path: Path): void {
  const places = plainNumberPlaces.get(definition) ?? new Map<string, Path>()
  plainNumberPlaces.set(definition, places)
  const place = path.map((key) => (typeof key === 'number' ? '*' : key))
  if (places.size < rememberedPlaces) places.set(JSON.stringify(place.map(String)), place)
}

/** The value at a path replaced, everything on the way copied; the same tree when nothing changes. */
function mapAt(tree: unknown, path: Path, change: (found: unknown) => unknown): unknown {
  if (path.length === 0) return change(tree)
  if (typeof tree !== 'object' || tree === null) return tree
  const [key, ...rest] = path as [PropertyKey, ...PropertyKey[]]
  if (Array.isArray(tree)) {
    const items = tree.map((item, index) => (key === '*' || String(key) === String(index) ? mapAt(item, rest, change) : item) as unknown)
    return items.some((item, index) => item !== tree[index]) ? items : tree
  }
  if (!Object.hasOwn(tree, key)) return tree
  const member = (tree as Record<PropertyKey, unknown>)[key]
  const changed = mapAt(member, rest, change)
  return changed === member ? tree : withMember(tree, key, changed)
}

function withMember(tree: object, key: PropertyKey, value: unknown): object {
  const copy = Object.fromEntries(Object.entries(tree))
  return Object.defineProperty(copy, key, { value, writable: true, enumerable: true, configurable: true })
}

/**
 * The tree with plain numbers in place of decimals.
 *
 * @param onlyExact keep a decimal that a number cannot hold, such as 9007199254740993: whether that may be rounded is the schema's word
 */
function withNumbers(tree: unknown, onlyExact: boolean): unknown {
  if (Decimal.is(tree)) {
    const value = tree.toNumber()
    return onlyExact && !(Number.isFinite(value) && tree.equals(value)) ? tree : value
  }
  if (typeof tree !== 'object' || tree === null || tree instanceof Uint8Array) return tree
  if (Array.isArray(tree)) {
    const items = tree.map((item) => withNumbers(item, onlyExact))
    return items.some((item, index) => item !== tree[index]) ? items : tree
  }
  let copy: object = tree
  for (const [key, member] of Object.entries(tree)) {
    const changed = withNumbers(member, onlyExact)
    if (changed !== member) copy = withMember(copy, key, changed)
  }
  return copy
}

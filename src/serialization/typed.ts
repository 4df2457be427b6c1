import { type MessageDefinition, check } from '../message/declaration.ts'
import { NsbError } from '../message/nsb-error.ts'
import { issuePath } from '../message/standard-schema.ts'
import { Decimal } from './decimal.ts'
import { asDeclared } from './declared.ts'
import { type Path, Places, everyItem } from './places.ts'

type Checked = ReturnType<typeof check>

/** Where a definition's schema wants plain numbers. */
const plainNumberPlaces = new WeakMap<MessageDefinition, Places>()

// A schema that cannot be read may have as many places as the senders have keys.
const rememberedPlaces = 256

// A schema may show further issues only when the first ones are gone. One that shows them one by one must not take a round for each.
const roundsBeforeAll = 4
const mostRounds = 16

/**
 * Makes a deserialized tree what the schema of a message type accepts.
 *
 * `Decimal` values stay where the schema takes them, and become plain numbers where it wants those: so it is declared, where the schema
 * can be read, or an issue says so. Those places are remembered, so a second message needs one validation. A property whose exact name is
 * missing is found under its name in another case (Newtonsoft reads that way; only schemas whose shape can be read). The tree is not
 * changed. All of it takes time in proportion to the tree, whatever the schema finds wrong with it.
 *
 * @returns like `check`: the value, or the issues of the tree with its own names
 */
export function typed(definition: MessageDefinition, tree: unknown): Checked {
  if (!definition.schema) return check(definition, withNumbers(tree, true))
  return checkWithNumbers(definition, asDeclared(definition.schema, tree))
}

function checkWithNumbers(definition: MessageDefinition, tree: unknown): Checked {
  let value = plainNumberPlaces.get(definition)?.map(tree, (found) => withNumbers(found, true)) ?? tree
  for (let round = 1; ; round++) {
    if (round > roundsBeforeAll) value = withNumbers(value, true)
    const checked = checkFully(definition, value)
    if (!checked.issues || round === mostRounds) return checked
    const places = new Places()
    for (const issue of checked.issues) {
      const path = issuePath(issue)
      places.add(path)
      if (Decimal.is(valueAt(value, path))) remember(definition, path)
    }
    const changed = places.map(value, (found) => withNumbers(found, false))
    if (changed === value) return checked
    value = changed
  }
}

/** zod runs out of stack where some 100,000 issues come out of one array. If they are of decimals, most need not be issues. */
function checkFully(definition: MessageDefinition, value: unknown): Checked {
  try {
    return check(definition, value)
  } catch (error) {
    const exact = error instanceof NsbError && error.cause instanceof RangeError ? withNumbers(value, true) : value
    if (exact === value) throw error
    return check(definition, exact)
  }
}

function remember(definition: MessageDefinition, path: Path): void {
  const places = plainNumberPlaces.get(definition) ?? new Places()
  plainNumberPlaces.set(definition, places)
  if (places.size < rememberedPlaces) places.add(path.map((key) => (typeof key === 'number' ? everyItem : key)))
}

/** undefined: there is nothing. */
export function valueAt(tree: unknown, path: Path): unknown {
  return path.reduce<unknown>((at, key) => (at as Readonly<Record<PropertyKey, unknown>> | undefined | null)?.[key], tree)
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
  let changed = false
  const members = Object.entries(tree).map(([key, member]): [string, unknown] => {
    const number = withNumbers(member, onlyExact)
    changed ||= number !== member
    return [key, number]
  })
  return changed ? Object.fromEntries(members) : tree
}

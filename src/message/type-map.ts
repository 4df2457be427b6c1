import { type MessageDefinition, type MessageType, isAssignable, messageSymbol, sameType } from './declaration.ts'
import { NsbError } from './nsb-error.ts'
import { parseTypeName } from './type-names.ts'

/** How one entry of the type header was resolved. */
export interface EntryTrace {
  readonly entry: string
  readonly rule: 'assembly qualified name' | 'full name' | 'alias' | 'skipped: __impl' | 'unknown'
  readonly type: MessageType | undefined
}

export interface Mapping {
  readonly entries: readonly EntryTrace[]
  /** One logical message each; empty when nothing was resolved. */
  readonly roots: readonly MessageType[]
  /** With `merge`: known types that count as further base types of the only root. */
  readonly alsoAs: readonly MessageType[]
}

export interface TypeMapOptions {
  /**
   * What several known types in one header are: `strict` (default), a root each unless the current root is assignable to it;
   * `merge`, one root, the first, and further base types of it.
   */
  readonly enclosedTypes?: 'strict' | 'merge' | undefined
}

/** A type header that cannot be read: .NET refuses blank identifiers. */
export class BadTypeHeaderError extends NsbError {}

// The header is untrusted, so the number and the size of remembered texts are bounded.
const rememberedHeaders = 1000
const longestRemembered = 4096

/**
 * The message types an endpoint knows, and the mapping of type headers to them.
 *
 * @source NServiceBus MessageMetadataRegistry, DeserializeMessageConnector
 */
export class TypeMap {
  readonly types: readonly MessageType[]
  readonly #byName = new Map<string, MessageType[]>()
  readonly #byAlias = new Map<string, MessageType>()
  readonly #mappings = new Map<string, Mapping>()

  readonly #merge: boolean

  /** @throws {NsbError} NSB_DUPLICATE_TYPE when two types cannot be told apart */
  constructor(types: Iterable<MessageType>, options: TypeMapOptions = {}) {
    this.#merge = options.enclosedTypes === 'merge'
    const unique: MessageType[] = []
    for (const type of types) {
      if (unique.includes(type)) continue
      unique.push(type)
      const definition = type[messageSymbol]
      const named = this.#byName.get(definition.fullName) ?? []
      const twin = named.find((other) => indistinguishable(other[messageSymbol], definition))
      if (twin)
        throw new NsbError({
          code: 'NSB_DUPLICATE_TYPE',
          message: `Two message types are called '${definition.fullName}': the classes '${twin.name}' and '${type.name}', with ${assemblyText(twin[messageSymbol])} and ${assemblyText(definition)}.`,
          suggestions: ['Delete one, or import one from the other', `If they differ in .NET, say so: { assembly: 'Shop.Messages' }`],
        })
      this.#byName.set(definition.fullName, [...named, type])
      for (const alias of definition.aliases) if (!this.#byAlias.has(alias)) this.#byAlias.set(alias, type)
    }
    this.types = unique
  }

  /** The types a full name or a unique short name means; several when it is ambiguous. */
  find(name: string): readonly MessageType[] {
    const full = this.#byName.get(name)
    if (full) return full
    return this.types.filter(
      (type) => type[messageSymbol].fullName.endsWith(`.${name}`) || type[messageSymbol].fullName.endsWith(`+${name}`),
    )
  }

  /**
   * Maps the value of `NServiceBus.EnclosedMessageTypes` to known types, remembered per text.
   *
   * @throws {BadTypeHeaderError} NSB_BAD_TYPE_HEADER on a blank entry, a trailing `;` included
   */
  map(header: string): Mapping {
    const known = this.#mappings.get(header)
    if (known) return known
    const entries = header.split(';').map((part) => this.#resolve(part.trim(), header))
    const resolved = entries.flatMap((entry) => entry.type ?? [])
    const mapping = { entries, ...(this.#merge ? merged(resolved) : { roots: rootsOf(resolved), alsoAs: [] }) }
    if (header.length > longestRemembered) return mapping
    if (this.#mappings.size >= rememberedHeaders) this.#mappings.clear()
    this.#mappings.set(header, mapping)
    return mapping
  }

  #resolve(entry: string, header: string): EntryTrace {
    if (entry === '')
      throw new BadTypeHeaderError({
        code: 'NSB_BAD_TYPE_HEADER',
        message: `The type header has a blank entry: '${header}'.`,
        suggestions: [`Write the names separated by ';', without one at the end`],
      })
    if (entry.includes('__impl')) return { entry, rule: 'skipped: __impl', type: undefined }
    const { fullName, assembly } = parseTypeName(entry)
    const named = this.#byName.get(fullName) ?? []
    const qualified = assembly === undefined ? undefined : named.find((type) => type[messageSymbol].assembly === assembly)
    if (qualified) return { entry, rule: 'assembly qualified name', type: qualified }
    if (named[0]) return { entry, rule: 'full name', type: named[0] }
    const alias = this.#byAlias.get(fullName)
    return alias ? { entry, rule: 'alias', type: alias } : { entry, rule: 'unknown', type: undefined }
  }
}

/**
 * The first type is a root; each later one only if the current root is not assignable to it. One that comes again is not a second one: the
 * body is read, and handled, for each of them, and a header has room for thousands.
 */
function rootsOf(types: readonly MessageType[]): readonly MessageType[] {
  const roots = new Set<MessageType>()
  let current: MessageType | undefined
  for (const type of types) {
    if (current && isAssignable(current[messageSymbol], type[messageSymbol])) continue
    roots.add(type)
    current = type
  }
  return [...roots]
}

/** One root, the first; what it is assignable to anyway is left out of its further base types. */
function merged(types: readonly MessageType[]): Pick<Mapping, 'roots' | 'alsoAs'> {
  const [root, ...later] = new Set(types)
  if (!root) return { roots: [], alsoAs: [] }
  return { roots: [root], alsoAs: later.filter((type) => !isAssignable(root[messageSymbol], type[messageSymbol])) }
}

function indistinguishable(a: MessageDefinition, b: MessageDefinition): boolean {
  return sameType(a, b) || a.assembly === undefined || b.assembly === undefined
}

function assemblyText(definition: MessageDefinition): string {
  return definition.assembly === undefined ? 'no assembly' : `assembly '${definition.assembly}'`
}

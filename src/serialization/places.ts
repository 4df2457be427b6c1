/** Keys that lead to a place in a tree. */
export type Path = readonly PropertyKey[]

/** In a path: every item of an array. */
export const everyItem = '*'

interface Place {
  /** It was added itself. */
  isMeant: boolean
  readonly inside: Map<PropertyKey, Place>
}

const newPlace = (): Place => ({ isMeant: false, inside: new Map() })

/** Places in a tree. However many there are, what lies on the way to them is walked, and copied, once. */
export class Places {
  readonly #root = newPlace()
  #size = 0

  /** How many different ones were added. */
  get size(): number {
    return this.#size
  }

  add(path: Path): void {
    let place = this.#root
    for (const key of path) {
      let next = place.inside.get(key)
      if (next === undefined) {
        next = newPlace()
        place.inside.set(key, next)
      }
      place = next
    }
    if (!place.isMeant) this.#size++
    place.isMeant = true
  }

  /**
   * The tree with what is found at the places replaced; the same tree where nothing changes.
   *
   * @param change a place inside another one is a part of what it is given
   */
  map(tree: unknown, change: (found: unknown) => unknown): unknown {
    return mapAt(tree, this.#root, change)
  }
}

function mapAt(tree: unknown, place: Place, change: (found: unknown) => unknown): unknown {
  if (place.isMeant) return change(tree)
  if (typeof tree !== 'object' || tree === null) return tree
  return Array.isArray(tree) ? mapItems(tree, place, change) : mapMembers(tree as Record<PropertyKey, unknown>, place, change)
}

function mapItems(items: readonly unknown[], { inside }: Place, change: (found: unknown) => unknown): readonly unknown[] {
  let copy: unknown[] | undefined
  const mapItem = (index: number, place: Place): void => {
    const item = (copy ?? items)[index]
    const changed = mapAt(item, place, change)
    if (changed !== item) (copy ??= [...items])[index] = changed
  }
  const every = inside.get(everyItem)
  if (every !== undefined) for (let index = 0; index < items.length; index++) mapItem(index, every)
  for (const [key, place] of inside) if (typeof key === 'number' && key in items) mapItem(key, place)
  return copy ?? items
}

function mapMembers(members: Record<PropertyKey, unknown>, { inside }: Place, change: (found: unknown) => unknown): object {
  let copy: Record<PropertyKey, unknown> | undefined
  for (const [key, place] of inside) {
    if (!Object.hasOwn(members, key)) continue
    const changed = mapAt(members[key], place, change)
    if (changed === members[key]) continue
    copy ??= { ...members }
    // Assigned, `__proto__` would replace the prototype.
    Object.defineProperty(copy, key, { value: changed, writable: true, enumerable: true, configurable: true })
  }
  return copy ?? members
}

/** Reading what was thrown. It may be anything, getters that throw and proxies included, so none of these throws. */

export function isInstance<T>(value: unknown, type: abstract new (...args: never[]) => T): value is T {
  try {
    return value instanceof type
  } catch {
    return false
  }
}

/** A property of an object; undefined when there is none or it cannot be read. */
export function propertyOf(value: unknown, key: string | symbol): unknown {
  try {
    return (typeof value === 'object' && value !== null) || typeof value === 'function'
      ? (value as Record<string | symbol, unknown>)[key]
      : undefined
  } catch {
    return undefined
  }
}

/** A property that is a text. */
export function textProperty(value: unknown, key: string): string | undefined {
  const text = propertyOf(value, key)
  return typeof text === 'string' ? text : undefined
}

/** The cause of an error; undefined where there is none. */
export function causeOf(value: unknown): unknown {
  return isInstance(value, Error) ? (propertyOf(value, 'cause') ?? undefined) : undefined
}

export function keysOf(value: unknown): readonly string[] {
  try {
    return typeof value === 'object' && value !== null ? Object.keys(value) : []
  } catch {
    return []
  }
}

import { NsbError } from './nsb-error.ts'

export type JsonObject = Readonly<Record<string, unknown>>

/** Why a line cannot be taken for a message. */
export class BadLineError extends NsbError {
  constructor(reason: string, code: 'NSB_BAD_LINE' | 'NSB_HASH_MISMATCH' = 'NSB_BAD_LINE', cause?: unknown) {
    super({ code, message: reason, cause })
  }
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Every name stays an own one, `__proto__` too. */
export function mapEntries(from: JsonObject, map: (value: unknown, name: string) => unknown): JsonObject {
  return Object.fromEntries(Object.entries(from).map(([name, value]) => [name, map(value, name)]))
}

const longestShown = 60

export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'missing'
  return text.length <= longestShown ? text : `${text.slice(0, longestShown)}…`
}

/** @throws {BadLineError} it is there, and no text */
export function textIn(line: JsonObject, name: string): string | undefined {
  const value = line[name]
  if (value !== undefined && typeof value !== 'string') throw new BadLineError(`its '${name}' is no text`)
  return value
}

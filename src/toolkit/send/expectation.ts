import { NsbError } from '../../message/nsb-error.ts'
import { Decimal } from '../../serialization/decimal.ts'
import { parseJson } from '../../serialization/json-read.ts'
import type { Reply } from './await-reply.ts'
import { type EnumNames, isMember } from './enum-names.ts'

/** `path` or `path=value` of `--expect`. */
export interface Expectation {
  readonly path: readonly string[]
  /** undefined: the path must exist */
  readonly value: string | undefined
  readonly text: string
}

/** @throws {NsbError} NSB_BAD_EXPECTATION */
export function parseExpectation(text: string): Expectation {
  const equals = text.indexOf('=')
  const left = (equals < 0 ? text : text.slice(0, equals)).trim()
  const path = left
    .replace(/^\$\.?/, '')
    .replaceAll(/\[(\d+)\]/g, '.$1')
    .replaceAll(/\[['"]([^'"]+)['"]\]/g, '.$1')
    .split('.')
    .filter((key) => key !== '')
  if (/[*?()@[\]]/.test(path.join('.')) || (left === '' && equals < 0))
    throw new NsbError({
      code: 'NSB_BAD_EXPECTATION',
      message: `'${text}' is not of the form path or path=value.`,
      suggestions: [`--expect '$.OrderId=42'`, `--expect 'Lines[0].Sku'`, `--expect '=42' for an int reply`],
    })
  return { path, value: equals < 0 ? undefined : text.slice(equals + 1), text }
}

/** What stands at the path instead, as text; undefined when the reply is as expected. */
export function unmet(expectation: Expectation, reply: Reply, enums: EnumNames): string | undefined {
  let at: unknown = reply.kind === 'object' ? reply.body : reply.value
  for (const key of expectation.path) {
    const here = at
    if (typeof here !== 'object' || here === null || !Object.hasOwn(here, key)) return 'nothing'
    at = (here as Record<string, unknown>)[key]
  }
  if (expectation.value === undefined) return undefined
  return sameValue(at, expectation.value) || isNamed(at, expectation.value, enums) ? undefined : asText(at)
}

function isNamed(actual: unknown, expected: string, enums: EnumNames): boolean {
  return isNumeric(actual) && isMember(enums, expected, Number(String(actual)))
}

// Equal as JSON if both parse, else as text.
function sameValue(actual: unknown, expected: string): boolean {
  if (String(actual) === expected) return true
  try {
    return equalJson(actual, parseJson(expected))
  } catch {
    return false
  }
}

function equalJson(a: unknown, b: unknown): boolean {
  if (isNumeric(a) && isNumeric(b)) return Decimal.of(a).equals(Decimal.of(b))
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const [keys, others] = [Object.keys(a), Object.keys(b)]
  return keys.length === others.length && keys.every((key) => Object.hasOwn(b, key) && equalJson((a as Tree)[key], (b as Tree)[key]))
}

type Tree = Readonly<Record<string, unknown>>

function isNumeric(value: unknown): value is number | bigint | Decimal {
  return typeof value === 'number' || typeof value === 'bigint' || Decimal.is(value)
}

function asText(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : JSON.stringify(value)
}

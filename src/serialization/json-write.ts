import { Decimal } from './decimal.ts'
import { NotJsonError, maxDepth } from './not-json-error.ts'

const harmless = /^[\x20\x21\x23-\x25\x28-\x2a\x2c-\x3b\x3d\x3f-\x5b\x5d-\x5f\x61-\x7e]*$/
const escapable = /[^\x20\x21\x23-\x25\x28-\x2a\x2c-\x3b\x3d\x3f-\x5b\x5d-\x5f\x61-\x7e]/g
const loneSurrogate = /\p{Surrogate}/gu
// .NET writes dates past its escaper, so the `+` of an offset stands as it is.
const dateWithOffset = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,7})?\+\d\d:\d\d$/
const shortEscapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t', '\b': '\\b', '\f': '\\f' }

/**
 * Writes JSON byte for byte as System.Text.Json does by default: compact, members in the order of declaration, undefined members
 * left out, everything outside harmless ASCII escaped. A number in exponent form is written as a .NET double is.
 *
 * @throws {NotJsonError} NSB_NOT_JSON with the path of what has no JSON form: NaN, Infinity, Map, Set, an invalid date, a cycle
 * @source System.Text.Json JavaScriptEncoder.Default; recorded in test/fixtures/wire/bodies
 */
export function writeJson(value: unknown): string {
  return new Writer().write(value, 0) ?? 'null'
}

/** A string with its quotes. A lone surrogate becomes U+FFFD, as .NET writes it. */
export function writeString(text: string): string {
  if (harmless.test(text) || dateWithOffset.test(text)) return `"${text}"`
  return `"${text.replace(loneSurrogate, '\ufffd').replace(escapable, escapeUnit)}"`
}

function escapeUnit(unit: string): string {
  return shortEscapes[unit] ?? `\\u${unit.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`
}

// The same few keys are written again and again; dictionaries with data as keys must not fill the memory.
const rememberedKeys = 4096
const longestRemembered = 256
const keys = new Map<string, string>()
function writeKey(key: string): string {
  const known = keys.get(key)
  if (known !== undefined) return known
  const written = `${writeString(key)}:`
  if (key.length > longestRemembered) return written
  if (keys.size >= rememberedKeys) keys.clear()
  keys.set(key, written)
  return written
}

class Writer {
  // The way to the value in hand, overwritten level by level: only an error reads it.
  readonly #path: (string | number)[] = []
  readonly #above: object[] = []

  /** @returns undefined for what a member omits: undefined, functions, symbols */
  write(value: unknown, depth: number): string | undefined {
    switch (typeof value) {
      case 'string':
        return writeString(value)
      case 'number':
        return this.#number(value, depth)
      case 'boolean':
        return value ? 'true' : 'false'
      case 'bigint':
        return value.toString()
      case 'object':
        return value === null ? 'null' : this.#object(value, depth)
      default:
        return undefined
    }
  }

  #number(value: number, depth: number): string {
    if (!Number.isFinite(value)) throw this.#error(depth, `${value} has no JSON form`)
    const text = Object.is(value, -0) ? '-0' : String(value)
    const exponent = text.indexOf('e')
    if (exponent < 0) return text
    return `${text.slice(0, exponent)}E${text[exponent + 1]}${text.slice(exponent + 2).padStart(2, '0')}`
  }

  #object(value: object, depth: number): string | undefined {
    if (Decimal.is(value)) return value.digits
    if (value instanceof Uint8Array) return `"${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')}"`
    if (value instanceof Date) return this.#date(value, depth)
    if (value instanceof Map || value instanceof Set)
      throw this.#error(depth, `a ${value.constructor.name} has no JSON form: use a plain object or an array`)
    if (depth >= maxDepth) throw this.#tooDeep(value, depth)
    this.#above[depth] = value
    const { toJSON } = value as { toJSON?: unknown }
    // A level of its own, so that a toJSON that returns itself ends.
    if (typeof toJSON === 'function')
      return this.write(toJSON.call(value, String(this.#path[depth - 1] ?? '')), this.#step('toJSON()', depth))
    return Array.isArray(value) ? this.#array(value, depth) : this.#members(value as Record<string, unknown>, depth)
  }

  #array(items: readonly unknown[], depth: number): string {
    let text = '['
    for (let index = 0; index < items.length; index++) {
      this.#path[depth] = index
      if (index > 0) text += ','
      text += this.write(items[index], depth + 1) ?? 'null'
    }
    return `${text}]`
  }

  #members(members: Readonly<Record<string, unknown>>, depth: number): string {
    let text = ''
    for (const key of Object.keys(members)) {
      this.#path[depth] = key
      const written = this.write(members[key], depth + 1)
      if (written !== undefined) text += `${text === '' ? '{' : ','}${writeKey(key)}${written}`
    }
    return text === '' ? '{}' : `${text}}`
  }

  #date(value: Date, depth: number): string {
    if (Number.isNaN(value.getTime())) throw this.#error(depth, 'the date is invalid')
    // .NET writes no zeros at the end of a fraction.
    return `"${value.toISOString().replace(/\.?0{0,3}Z$/, 'Z')}"`
  }

  #step(name: string, depth: number): number {
    this.#path[depth] = name
    return depth + 1
  }

  #tooDeep(value: object, depth: number): NotJsonError {
    const chain = [...this.#above.slice(0, depth), value]
    const closes = chain.findIndex((above, index) => chain.indexOf(above) < index)
    return closes < 0 ? this.#error(depth, `it is nested deeper than ${maxDepth} levels`) : this.#error(closes, 'it refers back to itself')
  }

  #error(depth: number, why: string): NotJsonError {
    const path = this.#path
      .slice(0, depth)
      .map((key) => `/${key}`)
      .join('')
    return new NotJsonError(`The value cannot be written as JSON at '${path || '/'}': ${why}.`, { path })
  }
}

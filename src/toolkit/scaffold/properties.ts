import { NsbError } from '../../message/nsb-error.ts'
import { nearest } from '../../message/nearest.ts'

/** A property of a message, as far as code is generated from it. */
export interface Property {
  readonly name: string
  /** Equal types may be copied from one message to another; undefined: unknown, never copied. */
  readonly type: string | undefined
  readonly optional: boolean
  /** A value its schema accepts, for tests. */
  readonly sample: unknown
  /** The plainest value its schema accepts, for replies nobody has written yet. */
  readonly fallback: unknown
}

interface PropertyType {
  readonly schema: string
  /** What has to be imported from nsbus/zod. */
  readonly helper?: string
  readonly sample: unknown
  readonly fallback: unknown
}

/** Every single type that can be written behind a property name; the C# types they stand for. */
const plainTypes: Readonly<Record<string, PropertyType>> = {
  string: { schema: 'z.string()', sample: 'text', fallback: '' },
  int: { schema: 'z.int32()', sample: 1, fallback: 0 },
  short: { schema: 'z.int().min(-32_768).max(32_767)', sample: 1, fallback: 0 },
  byte: { schema: 'z.int().min(0).max(255)', sample: 1, fallback: 0 },
  long: { schema: 'int64()', helper: 'int64', sample: 1n, fallback: 0n },
  decimal: { schema: 'decimal()', helper: 'decimal', sample: '12.50', fallback: 0 },
  double: { schema: 'z.number()', sample: 1.5, fallback: 0 },
  float: { schema: 'z.float32()', sample: 1.5, fallback: 0 },
  bool: { schema: 'z.boolean()', sample: true, fallback: false },
  guid: { schema: 'z.guid()', sample: '0f4c3a52-6d1e-4b7a-9c58-2e7f81d9a001', fallback: '00000000-0000-0000-0000-000000000000' },
  datetime: { schema: 'z.iso.datetime({ offset: true, local: true })', sample: '2026-03-01T09:30:15Z', fallback: '0001-01-01T00:00:00Z' },
  datetimeoffset: {
    schema: 'dateTimeOffset()',
    helper: 'dateTimeOffset',
    sample: '2026-03-01T09:30:15+01:00',
    fallback: '0001-01-01T00:00:00+00:00',
  },
  timespan: { schema: 'timeSpan()', helper: 'timeSpan', sample: '00:01:00', fallback: '00:00:00' },
  bytes: { schema: 'bytes()', helper: 'bytes', sample: new Uint8Array([1, 2, 3]), fallback: new Uint8Array() },
}

/** The same, and an array of each. */
export const propertyTypes: Readonly<Record<string, PropertyType>> = {
  ...plainTypes,
  ...Object.fromEntries(Object.entries(plainTypes).map(([name, type]) => [`${name}[]`, listOf(type)])),
}

function listOf(type: PropertyType): PropertyType {
  return { ...type, schema: `z.array(${type.schema})`, sample: [type.sample], fallback: [] }
}

/** `enum(Open,Closed)` as in C#: the first member is 0. Undefined for any other text, and for members that are no names. */
function enumType(text: string): PropertyType | undefined {
  const members = /^enum\((.*)\)$/
    .exec(text)?.[1]
    ?.split(',')
    .map((member) => member.trim())
  if (!members?.every((member) => /^[A-Za-z_]\w*$/.test(member)) || new Set(members).size < members.length) return undefined
  return {
    schema: `enumOf({ ${members.map((member, number) => `${member}: ${number}`).join(', ')} })`,
    helper: 'enumOf',
    sample: 0,
    fallback: 0,
  }
}

function typeNamed(text: string): PropertyType | undefined {
  if (Object.hasOwn(propertyTypes, text)) return propertyTypes[text]
  const members = enumType(text.replace(/\[\]$/, ''))
  return members && text.endsWith('[]') ? listOf(members) : members
}

/** A property of a message that is to be written. */
export interface NewProperty extends Property {
  readonly type: string
  readonly schema: string
  readonly helper: string | undefined
}

/**
 * Reads `OrderId:guid`, or `Note?:string` and `Note:string?` for what may be missing.
 *
 * @throws {NsbError} NSB_BAD_PROPERTY
 */
export function parseProperties(texts: readonly string[]): readonly NewProperty[] {
  const properties = texts.map(parseProperty)
  const twice = properties.find(({ name }, index) => properties.findIndex((other) => other.name === name) < index)
  if (twice) throw badProperty(twice.name, 'it is given twice', 'Give each property once')
  return properties
}

function parseProperty(text: string): NewProperty {
  const [, name, optional, type] = /^([^:?]*)(\?)?:(.*)$/.exec(text) ?? []
  if (name === undefined || type === undefined)
    throw badProperty(text, 'it has no type', `Write Name:type, such as ${text.replace(/\W/g, '') || 'OrderId'}:string`)
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || name === '__proto__' || name === 'constructor')
    throw badProperty(text, `'${name}' cannot be the name of a property`, 'Write it as in C#: OrderId:guid')
  return property(name, type.replace(/\?$/, ''), optional === '?' || type.endsWith('?'))
}

/** @throws {NsbError} NSB_BAD_PROPERTY when there is no such type */
export function property(name: string, type: string, optional = false): NewProperty {
  const known = typeNamed(type)
  if (!known) {
    const meant = nearest(type, Object.keys(propertyTypes))[0]
    throw badProperty(
      `${name}:${type}`,
      type.startsWith('enum') ? `'${type}' does not list the members of the enum` : `there is no type '${type}'`,
      type.startsWith('enum')
        ? `Write the members in the order of their numbers, from 0: '${name}:enum(Open,Closed)'`
        : `${meant === undefined ? '' : `Did you mean ${name}:${meant}? `}Types: ${Object.keys(plainTypes).join(', ')}, enum(A,B), and lists of them: int[]`,
    )
  }
  const sample = type === 'string' && name.endsWith('Id') ? '1' : known.sample
  // .NET writes null for what has no value.
  return {
    name,
    type,
    optional,
    sample,
    fallback: known.fallback,
    schema: optional ? `${known.schema}.nullish()` : known.schema,
    helper: known.helper,
  }
}

function badProperty(text: string, why: string, suggestion: string): NsbError {
  return new NsbError({
    code: 'NSB_BAD_PROPERTY',
    message: `The property '${text}' cannot be written: ${why}.`,
    suggestions: [suggestion],
    details: { property: text },
  })
}

/** The argument of z.object. */
export function schemaCode(properties: readonly NewProperty[]): string {
  const members = properties.map(({ name, schema }) => `${name}: ${schema}`)
  return members.length < 2 && members.join('').length < 60
    ? `{ ${members.join('')} }`
    : `{\n${members.map((member) => `  ${member},\n`).join('')}}`
}

/**
 * The argument of a message's constructor.
 *
 * @param indent of the line it stands on, for when it takes several lines
 */
export function objectCode(members: readonly (readonly [name: string, code: string])[], indent = ''): string {
  const written = members.map(([name, code]) => `${isIdentifier(name) ? name : valueCode(name)}: ${code}`)
  if (written.length === 0) return '{}'
  const line = `{ ${written.join(', ')} }`
  return line.length <= 80 ? line : `{\n${written.map((member) => `${indent}  ${member},\n`).join('')}${indent}}`
}

const isIdentifier = (name: string): boolean => /^[A-Za-z_$][\w$]*$/.test(name)

/** A value as JavaScript. */
export function valueCode(value: unknown): string {
  if (typeof value === 'string') return `'${JSON.stringify(value).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`
  if (typeof value === 'bigint') return `${value}n`
  if (value instanceof Uint8Array) return value.length === 0 ? 'new Uint8Array()' : `new Uint8Array([${[...value].join(', ')}])`
  if (value instanceof Date) return `new Date('${value.toISOString()}')`
  if (Array.isArray(value)) return `[${value.map(valueCode).join(', ')}]`
  if (typeof value === 'object' && value !== null)
    return objectCode(Object.entries(value).map(([name, member]) => [name, valueCode(member)]))
  return String(value)
}

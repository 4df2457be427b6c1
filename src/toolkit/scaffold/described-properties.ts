import type { MessageDefinition } from '../../message/declaration.ts'
import type { StandardSchema } from '../../message/standard-schema.ts'
import { type Property, propertyTypes } from './properties.ts'

/** What can be read of a zod schema. */
interface ZodDefinition {
  readonly type: string
  readonly format?: string
  readonly shape?: Readonly<Record<string, unknown>>
  readonly innerType?: unknown
  readonly in?: unknown
  readonly element?: unknown
  readonly options?: readonly unknown[]
  readonly values?: readonly unknown[]
  readonly entries?: Readonly<Record<string, unknown>>
}

/** The properties of a message that somebody has declared; none when its schema is not a zod object. */
export function describedProperties(definition: MessageDefinition): readonly Property[] {
  return Object.entries(definitionOfSchema(definition.schema)?.shape ?? {}).map(([name, schema]) => {
    const type = typeOf(schema)
    const known = type === undefined ? undefined : propertyTypes[type]
    const sample = firstAccepted(schema, [type === 'string' && name.endsWith('Id') ? '1' : known?.sample, sampleOf(schema)])
    return { name, type, optional: accepts(schema, undefined), sample, fallback: firstAccepted(schema, [known?.fallback, sample]) }
  })
}

function definitionOfSchema(schema: unknown): ZodDefinition | undefined {
  const definition = (schema as { _zod?: { def?: ZodDefinition } } | undefined)?._zod?.def
  return typeof definition?.type === 'string' ? definition : undefined
}

const dotnetTypes: Readonly<Record<string, string>> = {
  'System.Decimal': 'decimal',
  'System.Int64': 'long',
  'System.TimeSpan': 'timespan',
  'System.Byte[]': 'bytes',
  'System.DateTimeOffset': 'datetimeoffset',
}

function typeOf(schema: unknown): string | undefined {
  const dotnet = (schema as { meta?: () => { dotnet?: unknown } | undefined }).meta?.()?.dotnet
  if (typeof dotnet === 'string') return dotnetTypes[dotnet]
  const definition = definitionOfSchema(schema)
  switch (definition?.type) {
    case 'string':
      return definition.format === undefined
        ? 'string'
        : ({ guid: 'guid', uuid: 'guid', datetime: 'datetime' } as Readonly<Record<string, string>>)[definition.format]
    case 'number':
      return definition.format === undefined ? 'double' : definition.format === 'float32' ? 'float' : 'int'
    case 'boolean':
      return 'bool'
    case 'array': {
      const element = typeOf(definition.element)
      return element === undefined || element.endsWith('[]') ? undefined : `${element}[]`
    }
    case 'optional':
    case 'nullable':
    case 'default':
    case 'readonly':
      return typeOf(definition.innerType)
    default:
      return undefined
  }
}

/** A value that the schema probably accepts. */
function sampleOf(schema: unknown): unknown {
  const type = typeOf(schema)
  if (type !== undefined) return propertyTypes[type]?.sample
  const definition = definitionOfSchema(schema)
  switch (definition?.type) {
    case 'string':
      return stringSample(definition.format)
    case 'bigint':
      return 1n
    case 'date':
      return new Date(Date.UTC(2026, 2, 1, 9, 30, 15))
    case 'array':
      return [sampleOf(definition.element)]
    case 'enum':
      return Object.values(definition.entries ?? {})[0]
    case 'literal':
      return definition.values?.[0]
    case 'union':
      return sampleOf(definition.options?.[0])
    case 'object':
      return Object.fromEntries(
        Object.entries(definition.shape ?? {})
          .filter(([, member]) => !accepts(member, undefined))
          .map(([name, member]) => [name, sampleOf(member)]),
      )
    case 'record':
      return {}
    case 'null':
      return null
    case 'custom':
    case 'pipe':
      return enumSample(schema) ?? sampleOf(definition.in)
    default:
      return sampleOfInner(definition)
  }
}

function sampleOfInner(definition: ZodDefinition | undefined): unknown {
  return definition?.innerType === undefined ? undefined : sampleOf(definition.innerType)
}

function enumSample(schema: unknown): unknown {
  const { enum: numbers } = (schema as { meta?: () => { enum?: unknown } | undefined }).meta?.() ?? {}
  return Array.isArray(numbers) ? (numbers as unknown[])[0] : undefined
}

function stringSample(format: string | undefined): string {
  const samples: Readonly<Record<string, string>> = {
    email: 'ada@example.org',
    url: 'https://example.org/',
    date: '2026-03-01',
    time: '09:30:15',
    base64: 'AQID',
    ipv4: '192.0.2.1',
  }
  return samples[format ?? ''] ?? 'text'
}

function accepts(schema: unknown, value: unknown): boolean {
  try {
    const result = (schema as StandardSchema)['~standard'].validate(value)
    return !(result instanceof Promise) && !result.issues
  } catch {
    return false
  }
}

function firstAccepted(schema: unknown, candidates: readonly unknown[]): unknown {
  return (
    candidates.find((candidate) => candidate !== undefined && accepts(schema, candidate)) ??
    candidates.find((candidate) => candidate !== undefined)
  )
}

import { NsbError } from './nsb-error.ts'

/** One entry of `NServiceBus.EnclosedMessageTypes`, taken apart. */
export interface TypeName {
  readonly fullName: string
  /** The simple assembly name; version, culture and token are never compared. */
  readonly assembly: string | undefined
}

/**
 * Takes an assembly qualified name, or a full name alone, apart the way .NET's fallback does: the full name ends with the last
 * `]` when there is one, else before the first comma.
 *
 * @source NServiceBus AssemblyQualifiedNameParser
 */
export function parseTypeName(entry: string): TypeName {
  const bracket = entry.lastIndexOf(']')
  const comma = bracket >= 0 ? entry.indexOf(',', bracket) : entry.indexOf(',')
  const end = bracket >= 0 ? bracket + 1 : comma >= 0 ? comma : entry.length
  const fullName = entry.slice(0, end).trim()
  if (comma < 0) return { fullName, assembly: undefined }
  const assembly = (entry.slice(comma + 1).split(',', 1)[0] as string).trim()
  return { fullName, assembly: assembly === '' ? undefined : assembly }
}

/** Writes the assembly qualified name, or the full name alone when there is no assembly. */
export function formatTypeName(fullName: string, assembly: string | undefined, version: string): string {
  return assembly === undefined ? fullName : `${fullName}, ${assembly}, Version=${version}, Culture=neutral, PublicKeyToken=null`
}

/** The last segment after `.` or `+`: `Shop.Messages.PlaceOrder` gives `PlaceOrder`. */
export function shortTypeName(fullName: string): string {
  const generic = fullName.indexOf('`')
  const end = generic >= 0 ? generic : fullName.length
  return fullName.slice(Math.max(fullName.lastIndexOf('.', end - 1), fullName.lastIndexOf('+', end - 1)) + 1)
}

const identifier = '[\\p{L}_][\\p{L}\\p{N}_]*'
const plainName = new RegExp(`^${identifier}(?:\\.${identifier})*(?:\\+${identifier})*$`, 'u')
const genericName = new RegExp(`^${identifier}(?:\\.${identifier})*(?:\\+${identifier})*\`\\d+\\[\\[.+\\]\\]$`, 'u')

/**
 * Refuses what cannot be the full name of a .NET type.
 *
 * @throws {NsbError} NSB_BAD_TYPE_NAME
 */
export function checkFullName(fullName: string, allowGeneric: boolean): void {
  const refuse = (why: string, suggestion: string): never => {
    throw new NsbError({
      code: 'NSB_BAD_TYPE_NAME',
      message: `'${fullName}' cannot be the full name of a message type: ${why}.`,
      suggestions: [suggestion],
    })
  }
  if (fullName.includes('__impl')) refuse(`receivers skip names that contain '__impl'`, 'Choose another name')
  if (plainName.test(fullName)) return
  if (genericName.test(fullName)) {
    if (!allowGeneric) refuse('generic messages are not supported by NServiceBus', 'Declare a plain type, or pass allowGeneric: true')
    return
  }
  refuse(
    'it is not of the form Namespace.Type or Namespace.Outer+Inner',
    `Write it as typeof(T).FullName prints it: command('Shop.Messages.PlaceOrder', schema)`,
  )
}

import { type MessageType, messageSymbol } from '../../message/declaration.ts'
import type { EnumObject } from '../../runtime/context.ts'

/** Names of enum members, with the numbers they stand for in the enums of a project. */
export type EnumNames = ReadonlyMap<string, ReadonlySet<number>>

/**
 * The member names of the enums that the message files export, and of those in the schemas of messages (`enumOf`): on the wire an enum is
 * its number.
 *
 * @param exported values of the modules
 */
export function enumNames(exported: readonly unknown[], messages: readonly MessageType[]): EnumNames {
  const names = new Map<string, Set<number>>()
  const members = [...exported.filter(isEnum), ...messages.flatMap(enumsInSchema)].flatMap((each) => Object.entries(each))
  for (const [name, number] of members) if (typeof number === 'number') names.set(name, (names.get(name) ?? new Set<number>()).add(number))
  return names
}

/** Does the name stand for that number? Where two enums disagree about it, it stands for none. */
export function isMember(names: EnumNames, name: string, number: number): boolean {
  const numbers = names.get(name)
  return numbers?.size === 1 && numbers.has(number)
}

/** A TypeScript enum, or `{ Open: 0, Closed: 1 } as const`. */
function isEnum(value: unknown): value is EnumObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const members = Object.entries(value).filter(([name]) => !/^-?\d+$/.test(name))
  return members.length > 0 && members.every(([, number]) => Number.isInteger(number))
}

function enumsInSchema(type: MessageType): readonly EnumObject[] {
  const schema = type[messageSymbol].schema as { _zod?: { def?: { shape?: Readonly<Record<string, unknown>> } } } | undefined
  return Object.values(schema?._zod?.def?.shape ?? {}).flatMap((property) => {
    const { enum: numbers, names } = (property as { meta?: () => { enum?: unknown; names?: unknown } | undefined }).meta?.() ?? {}
    if (!Array.isArray(numbers) || !Array.isArray(names) || numbers.length !== names.length) return []
    return [Object.fromEntries(names.map((name, index) => [String(name), numbers[index] as number]))]
  })
}

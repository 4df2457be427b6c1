import { MessageInterface, type MessageType, messageSymbol } from '../../message/declaration.ts'
import { NsbError } from '../../message/nsb-error.ts'
import { TypeMap } from '../../message/type-map.ts'
import { nearest } from '../../message/nearest.ts'

/** The type a person named, and whether its schema is known. */
export interface ChosenType {
  readonly type: MessageType
  readonly known: boolean
}

/**
 * Finds the message type for a full name, or a short one when it is unique.
 *
 * @param lenient an unknown name is taken as the full name of a type without schema
 * @throws {NsbError} NSB_UNKNOWN_TYPE, NSB_AMBIGUOUS_TYPE
 */
export function chooseType(
  name: string,
  messages: readonly MessageType[],
  lenient: { readonly to: boolean; readonly noValidate: boolean; readonly kind: 'command' | 'event' },
): ChosenType {
  const [found, ...more] = new TypeMap(messages).find(name)
  if (found && more.length > 0)
    throw new NsbError({
      code: 'NSB_AMBIGUOUS_TYPE',
      message: `'${name}' means ${more.length + 1} types: ${[found, ...more].map((type) => `'${type[messageSymbol].fullName}'`).join(', ')}.`,
      suggestions: ['Write the full name'],
    })
  if (found) return { type: found, known: true }
  if (lenient.to && lenient.noValidate)
    return { type: MessageInterface(name, { kind: lenient.kind }) as unknown as MessageType, known: false }
  throw unknownType(name, messages, lenient)
}

function unknownType(
  name: string,
  messages: readonly MessageType[],
  lenient: { readonly to: boolean; readonly noValidate: boolean; readonly kind: 'command' | 'event' },
): NsbError {
  const names = messages.map((type) => type[messageSymbol].fullName)
  const [meant] = nearest(name, [...names, ...names.map((full) => full.slice(full.lastIndexOf('.') + 1))])
  const missing = [lenient.to ? [] : ['--to'], lenient.noValidate ? [] : ['--no-validate']].flat()
  const needs = lenient.kind === 'event' ? `add --no-validate` : `add ${missing.join(' and ')}`
  return new NsbError({
    code: 'NSB_UNKNOWN_TYPE',
    message: `There is no message type '${name}' in this project${names.length === 0 ? ', which declares none' : ''}.`,
    suggestions: [
      ...(meant === undefined ? [] : [`Did you mean '${meant}'?`]),
      `Declare it: nsb scaffold message ${name.slice(name.lastIndexOf('.') + 1)}`,
      `To send it all the same, ${needs}`,
    ],
    details: { type: name, known: names },
  })
}

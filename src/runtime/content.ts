import { definitionOfInstance } from '../message/declaration.ts'
import { NsbError } from '../message/nsb-error.ts'
import type { OutgoingContent } from './outgoing/outgoing.ts'

/** What a message instance carries; refuses plain objects and spread copies with a word on how to construct one. */
export function contentOf(instance: unknown): OutgoingContent {
  const definition = definitionOfInstance(instance)
  if (!definition)
    throw new NsbError({
      code: 'NSB_NOT_A_MESSAGE',
      message: `${describe(instance)} is no message: messages are instances of a message class, a spread copy is not.`,
      suggestions: ['context.send(new PlaceOrder({ OrderId }))'],
    })
  return { kind: 'message', instance: instance as object, definition }
}

const minInt64 = -(2n ** 63n)
const maxInt64 = 2n ** 63n - 1n

/** A whole number as a reply. @throws {NsbError} NSB_BAD_RETURN_CODE for fractions and what does not fit 64 bits */
export function returnCodeOf(value: number | bigint): OutgoingContent {
  const fits = typeof value === 'bigint' ? value >= minInt64 && value <= maxInt64 : Number.isSafeInteger(value)
  if (!fits)
    throw new NsbError({
      code: 'NSB_BAD_RETURN_CODE',
      message: `${value} cannot be a reply: a number reply is a whole number of at most 64 bits.`,
      suggestions: ['Reply with a message for anything else, or with a bigint above 2^53'],
    })
  return { kind: 'returnCode', code: String(value) }
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  return typeof value === 'object'
    ? `An object with the properties ${Object.keys(value).slice(0, 5).join(', ') || '(none)'}`
    : `'${String(value)}'`
}

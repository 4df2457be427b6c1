import { type MessageDefinition, type MessageType, definitionOf, isAssignable } from '../message/declaration.ts'
import { Header, parseIntent } from '../message/headers.ts'
import type { Headers } from '../transport/transport.ts'
import type { EnumObject } from './context.ts'
import type { CallbackSettings } from './definition.ts'
import { CallbackError } from './errors.ts'
import type { LogicalMessage } from './incoming/incoming.ts'

/** What a request waits for: a whole number of a size, a member of an enum, or an object. */
export type Expected = 'short' | 'int' | 'long' | EnumObject | MessageType

/** A request that waits. */
export interface Pending {
  readonly expected: Expected
  resolve(value: unknown): void
  reject(error: unknown): void
}

/** The requests of one endpoint that wait for their reply, by the id of the request. */
export class Callbacks {
  readonly #pending = new Map<string, Pending>()
  readonly #settings: CallbackSettings

  constructor(settings: CallbackSettings = {}) {
    this.#settings = settings
  }

  /** How many wait. */
  get size(): number {
    return this.#pending.size
  }

  /** Registered before the request is dispatched: a reply can be back before the send call returns. */
  register(messageId: string, pending: Pending): void {
    this.#pending.set(messageId, pending)
  }

  /** Only this entry: another request may have the same id by now. */
  forget(messageId: string, pending: Pending): void {
    if (this.#pending.get(messageId) === pending) this.#pending.delete(messageId)
  }

  /** Rejects whatever still waits. */
  abandon(error: unknown): void {
    for (const pending of this.#pending.values()) pending.reject(error)
    this.#pending.clear()
  }

  /** The control step: a return code completes the request it answers. */
  completeWithCode(headers: Headers): void {
    if (headers[Header.ControlMessage] === undefined) return
    this.#complete(headers, (expected) => convertCode(headers[Header.ReturnCode], expected, this.#settings.unknownEnumNumbers ?? 'reject'))
  }

  /** The object step. @returns true when a request was waiting for it */
  completeWithObject(headers: Headers, logical: LogicalMessage): boolean {
    return this.#complete(headers, (expected) => convertObject(logical, expected))
  }

  // The entry goes on the first match: the first response wins, whatever comes of it.
  #complete(headers: Headers, convert: (expected: Expected) => unknown): boolean {
    const correlationId = headers[Header.CorrelationId]
    if (!correlationId || !isReply(headers)) return false
    const pending = this.#pending.get(correlationId)
    if (!pending) return false
    this.#pending.delete(correlationId)
    try {
      pending.resolve(convert(pending.expected))
    } catch (error) {
      pending.reject(error)
      if (this.#settings.onMismatch === 'fail') throw error
    }
    return true
  }
}

// Senders older than 5.0 did not write the intent of a reply.
function isReply(headers: Headers): boolean {
  const version = /^(\d+)\.\d+/.exec(headers[Header.Version] ?? '')
  return (version !== null && Number(version[1]) < 5) || parseIntent(headers[Header.MessageIntent]) === 'Reply'
}

const sizes = {
  short: { bits: 16n, name: 'an Int16' },
  int: { bits: 32n, name: 'an Int32' },
  long: { bits: 64n, name: 'an Int64' },
} as const

/** @throws {CallbackError} with the texts of .NET */
export function convertCode(code: string | undefined, expected: Expected, unknownEnumNumbers: 'reject' | 'pass'): unknown {
  if (code === undefined) throw badCode('The reply is a control message without the header NServiceBus.ReturnMessage.ErrorCode.')
  if (definitionOf(expected)) throw mismatch(`The return code can only be an enum or an integer. (Parameter 'destinationType')`)
  // Some cultures write the minus sign as U+2212.
  const text = code.trim().replace(/^\u2212/, '-')
  if (typeof expected === 'string') return convertNumber(text, code, expected)
  return convertEnum(text, code, expected as EnumObject, unknownEnumNumbers)
}

function convertNumber(text: string, code: string, size: 'short' | 'int' | 'long'): number | bigint {
  if (!/^[+-]?\d{1,1000}$/.test(text)) throw badCode(`The input string '${code}' was not in a correct format.`)
  const value = BigInt(text.replace(/^\+/, ''))
  const limit = 2n ** (sizes[size].bits - 1n)
  if (value < -limit || value >= limit) throw badCode(`Value was either too large or too small for ${sizes[size].name}.`)
  return size === 'long' ? value : Number(value)
}

function convertEnum(text: string, code: string, type: EnumObject, unknownNumbers: 'reject' | 'pass'): number {
  const byName = Object.hasOwn(type, text) ? type[text] : undefined
  if (typeof byName === 'number') return byName
  const number = /^[+-]?\d{1,15}$/.test(text) ? Number(text) : undefined
  if (number !== undefined && (unknownNumbers === 'pass' || Object.values(type).includes(number))) return number
  throw badCode(`Requested value '${code}' was not found.`)
}

function convertObject({ alsoAs, definition, instance }: LogicalMessage, expected: Expected): object {
  const wanted = definitionOf(expected)
  const fitting = wanted && [{ definition, instance }, ...alsoAs].find((shape) => isAssignable(shape.definition, wanted))
  if (fitting) return fitting.instance
  throw mismatch(`Unable to cast object of type '${definition.fullName}' to type '${wanted?.fullName ?? dotnetName(expected)}'.`)
}

function dotnetName(expected: Expected): string {
  const names = { short: 'System.Int16', int: 'System.Int32', long: 'System.Int64' }
  return typeof expected === 'string' ? names[expected] : 'System.Enum'
}

function badCode(message: string): CallbackError {
  return new CallbackError({
    code: 'NSB_CALLBACK_BAD_RETURN_CODE',
    message,
    suggestions: ['Compare what the request expects with what the responder replies'],
  })
}

function mismatch(message: string): CallbackError {
  return new CallbackError({
    code: 'NSB_CALLBACK_TYPE_MISMATCH',
    message,
    suggestions: ['Compare what the request expects with what the responder replies'],
  })
}

/** What a request is told to expect, as text for errors. */
export function expectedText(expected: Expected): string {
  const definition: MessageDefinition | undefined = definitionOf(expected)
  return definition?.fullName ?? (typeof expected === 'string' ? expected : 'enum')
}

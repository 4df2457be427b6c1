import { NsbError } from '../message/nsb-error.ts'
import { causeOf, isInstance, propertyOf, textProperty } from './thrown.ts'

// Registered, so that what a handler with another copy of the library throws is recognised.
const unrecoverableSymbol: unique symbol = Symbol.for('nsbus.unrecoverable') as never

/** Throw this, or a subclass, when no retry can mend the failure: the message goes to the error queue at once. */
export class UnrecoverableError extends Error {
  readonly [unrecoverableSymbol] = true

  constructor(message?: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
  }
}

/** True for an {@link UnrecoverableError} of any loaded copy of the library. */
export function isUnrecoverable(error: unknown): boolean {
  return isInstance(error, Error) && propertyOf(error, unrecoverableSymbol) === true
}

/** The message could not be turned into logical messages; unrecoverable. Named as .NET names it, so that failures group together. */
export class MessageDeserializationError extends UnrecoverableError {
  constructor(messageId: string, cause: unknown) {
    super(`An error occurred while attempting to extract logical messages from incoming physical message ${messageId}`, { cause })
    this.name = 'NServiceBus.MessageDeserializationException'
  }
}

/** No handler runs for a message type; an ordinary failure, with retries. The text is that of .NET. */
export class NoHandlerError extends NsbError {
  constructor(fullName: string, endpoint: string, known: readonly string[]) {
    super({
      code: 'NSB_NO_HANDLER',
      message: `No handlers could be found for message type: ${fullName}`,
      suggestions: [
        `Add one to '${endpoint}': nsb scaffold handler ${fullName.slice(fullName.lastIndexOf('.') + 1)}`,
        `Handled there: ${known.length === 0 ? 'nothing' : known.join(', ')}`,
      ],
    })
    this.name = 'System.InvalidOperationException'
  }
}

/** A request got no reply in time, a reply of the wrong kind, or was cancelled. */
export class CallbackError extends NsbError {}

/** True for what an aborted signal makes operations throw. */
export function isCancellation(error: unknown, signal: AbortSignal): boolean {
  return signal.aborted && (error === signal.reason || textProperty(error, 'name') === 'AbortError' || causeOf(error) === signal.reason)
}

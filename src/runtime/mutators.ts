import { type MessageType, messageSymbol } from '../message/declaration.ts'
import type { Headers } from '../transport/transport.ts'
import { contentOf } from './content.ts'
import type { IncomingStep, LogicalMessage } from './incoming/incoming.ts'
import type { Outgoing } from './outgoing/outgoing.ts'

/** Headers and bytes of a message; both can be changed. */
export interface MutableTransportMessage {
  readonly messageId: string
  readonly headers: Record<string, string>
  body: Uint8Array
}

/** Headers and instance of a message; change the instance, or put one of a message class in its place. */
export interface MutableMessage {
  readonly messageId: string
  readonly headers: Record<string, string>
  instance: object
}

/** Outgoing, and what is being handled meanwhile; undefined outside a handler. */
export interface WhileHandling {
  readonly incomingHeaders: Headers | undefined
}

/**
 * Changes messages on their way; each function is there or not. Mutators run in the order they are listed. An incoming one that
 * throws fails the message like a handler would; an outgoing one throws to whoever sends.
 *
 * The audit copy gets the changed headers and the body as it came; a delayed retry and the error copy get neither.
 *
 * @source NServiceBus message mutators
 */
export interface Mutator {
  /** Before the type is looked for and the body read; control messages too. */
  incomingTransportMessage?(message: MutableTransportMessage): void | Promise<void>
  /** After the body was read, once per logical message. */
  incomingMessage?(message: MutableMessage): void | Promise<void>
  /** Before the body is written. The destination is chosen before, by the original type. */
  outgoingMessage?(message: MutableMessage & WhileHandling): void | Promise<void>
  /** After the body was written; int and enum replies too. */
  outgoingTransportMessage?(message: MutableTransportMessage & WhileHandling): void | Promise<void>
}

/** The mutators that have a function; undefined when none has, so that nothing is added to the pipeline. */
export function having<K extends keyof Mutator>(mutators: readonly Mutator[], name: K): readonly Mutator[] | undefined {
  const those = mutators.filter((mutator) => mutator[name])
  return those.length === 0 ? undefined : those
}

export const mutateIncomingTransport =
  (mutators: readonly Mutator[]): IncomingStep =>
  async (incoming, next) => {
    const message: MutableTransportMessage = { messageId: incoming.message.id, headers: incoming.headers, body: incoming.body }
    for (const mutator of mutators) await mutator.incomingTransportMessage?.(message)
    incoming.body = message.body
    await next()
  }

export const mutateIncoming =
  (mutators: readonly Mutator[]): IncomingStep =>
  async (incoming, next) => {
    const mutated: LogicalMessage[] = []
    for (const logical of incoming.logical) {
      const message: MutableMessage = { messageId: incoming.message.id, headers: incoming.headers, instance: logical.instance }
      for (const mutator of mutators) await mutator.incomingMessage?.(message)
      mutated.push(message.instance === logical.instance ? logical : replaced(logical, message.instance))
    }
    incoming.logical = mutated
    await next()
  }

export const mutateOutgoing =
  (mutators: readonly Mutator[]) =>
  async (outgoing: Outgoing): Promise<void> => {
    if (outgoing.content.kind !== 'message') return
    const { headers, id: messageId, origin } = outgoing
    const message = { messageId, headers, instance: outgoing.content.instance, incomingHeaders: origin?.headers }
    for (const mutator of mutators) await mutator.outgoingMessage?.(message)
    if (message.instance !== outgoing.content.instance) outgoing.content = contentOf(message.instance)
  }

export const mutateOutgoingTransport =
  (mutators: readonly Mutator[]) =>
  async (outgoing: Outgoing): Promise<void> => {
    const { body, headers, id: messageId, origin } = outgoing
    const message = { messageId, headers, body, incomingHeaders: origin?.headers }
    for (const mutator of mutators) await mutator.outgoingTransportMessage?.(message)
    outgoing.body = message.body
  }

function replaced(logical: LogicalMessage, instance: object): LogicalMessage {
  contentOf(instance)
  const type = instance.constructor as unknown as MessageType
  return { ...logical, type, definition: type[messageSymbol], instance }
}

import { type Intent, mutableHeaders } from '../message/headers.ts'
import { newCombId } from '../message/ids.ts'
import { NsbError } from '../message/nsb-error.ts'
import type { Destination, OutgoingMessage } from '../transport/transport.ts'
import type { PublishOptions, ReplyOptions, SendOptions } from './context.ts'
import type { Engine } from './engine.ts'
import type { Origin, Outgoing, OutgoingContent } from './outgoing/outgoing.ts'
import type { Extensions } from './extensions.ts'
import type { SendContext } from './hooks.ts'
import { outgoingSteps, outgoingStepsWith } from './pipeline.ts'

const noBody = new Uint8Array(0)

/**
 * An outgoing operation before its first step.
 *
 * @throws {NsbError} NSB_BLANK_MESSAGE_ID, NSB_BLANK_CONVERSATION_ID, NSB_BLANK_HEADER
 */
export function begin(
  engine: Engine,
  intent: Intent,
  content: OutgoingContent,
  options: SendOptions & ReplyOptions & PublishOptions,
  origin: Origin | undefined,
): Outgoing {
  const now = engine.clock.now()
  if (options.messageId !== undefined && options.messageId.trim() === '')
    throw new NsbError({
      code: 'NSB_BLANK_MESSAGE_ID',
      message: 'A message id must not be blank.',
      suggestions: ['Leave messageId out to get a new one'],
    })
  if (typeof options.startNewConversation === 'string' && options.startNewConversation.trim() === '')
    throw new NsbError({
      code: 'NSB_BLANK_CONVERSATION_ID',
      message: 'A conversation id must not be blank.',
      suggestions: ['Leave it out to get a new one: { startNewConversation: true }'],
    })
  if (options.headers && Object.keys(options.headers).some((key) => key.trim() === ''))
    throw new NsbError({ code: 'NSB_BLANK_HEADER', message: 'A header name must not be blank.' })
  return {
    engine,
    intent,
    content,
    options,
    origin,
    id: options.messageId ?? newCombId(now),
    now,
    headers: mutableHeaders(options.headers, engine.staticHeaders),
    body: noBody,
    to: undefined,
    deliverAt: undefined,
    expiresAfterMs: undefined,
  }
}

/**
 * Runs the outgoing steps: everything that can be wrong with an operation is found here, at the call.
 *
 * @throws {NsbError} what the steps refuse
 */
export function prepare(outgoing: Outgoing): OutgoingMessage {
  for (const step of outgoingSteps) step(outgoing)
  return finished(outgoing)
}

/** The same for an endpoint with hooks and mutators: they may take their time, so the answer may be a promise. */
export function outgoingWith<Operation extends readonly unknown[]>(
  extensions: Extensions,
  make: (...operation: Operation) => Outgoing,
): (...operation: Operation) => OutgoingMessage | Promise<OutgoingMessage | undefined> {
  const { outgoing: instances, outgoingTransport, send } = extensions
  if (!instances && !outgoingTransport && !send) return (...operation) => prepare(make(...operation))
  const steps = outgoingStepsWith(extensions)
  return async (...operation) => {
    const outgoing = make(...operation)
    let made = false
    const run = async (): Promise<void> => {
      for (const step of steps) await step(outgoing)
      made = true
    }
    await (send ? send(sendContext(outgoing), run) : run())
    return made ? finished(outgoing) : undefined
  }
}

function sendContext({ content, headers, intent, origin }: Outgoing): SendContext {
  const message = content.kind === 'message' ? content : undefined
  return {
    intent,
    message: message?.instance,
    messageType: message?.definition.fullName,
    headers,
    incomingHeaders: origin?.headers,
  }
}

function finished(outgoing: Outgoing): OutgoingMessage {
  return {
    id: outgoing.id,
    headers: outgoing.headers,
    body: outgoing.body,
    to: outgoing.to as Destination,
    ...(outgoing.deliverAt && { deliverAt: outgoing.deliverAt }),
    ...(outgoing.expiresAfterMs !== undefined && { expiresAfterMs: outgoing.expiresAfterMs }),
  }
}

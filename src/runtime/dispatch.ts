import type { Intent } from '../message/headers.ts'
import { newCombId } from '../message/ids.ts'
import { NsbError } from '../message/nsb-error.ts'
import { definitionOfInstance } from '../message/declaration.ts'
import type { Destination, OutgoingMessage } from '../transport/transport.ts'
import type { PublishOptions, ReplyOptions, SendOptions } from './context.ts'
import type { Engine } from './engine.ts'
import type { Origin, Outgoing, OutgoingContent } from './outgoing/outgoing.ts'
import { outgoingSteps } from './pipeline.ts'

const noBody = new Uint8Array(0)

/**
 * Runs the outgoing steps: everything that can be wrong with an operation is found here, at the call.
 *
 * @throws {NsbError} what the steps refuse
 */
export function prepare(engine: Engine, intent: Intent, content: OutgoingContent, options: SendOptions & ReplyOptions & PublishOptions, origin: Origin | undefined): OutgoingMessage {
  const now = engine.clock.now()
  if (options.messageId !== undefined && options.messageId.trim() === '')
    throw new NsbError({ code: 'NSB_BLANK_MESSAGE_ID', message: 'A message id must not be blank.', suggestions: ['Leave messageId out to get a new one'] })
  if (options.headers && Object.keys(options.headers).some((key) => key.trim() === ''))
    throw new NsbError({ code: 'NSB_BLANK_HEADER', message: 'A header name must not be blank.' })
  const outgoing: Outgoing = {
    engine,
    intent,
    content,
    options,
    origin,
    id: options.messageId ?? newCombId(now),
    now,
    headers: { ...options.headers },
    body: noBody,
    to: undefined,
    deliverAt: undefined,
    expiresAfterMs: undefined,
  }
  for (const step of outgoingSteps) step(outgoing)
  return {
    id: outgoing.id,
    headers: outgoing.headers,
    body: outgoing.body,
    to: outgoing.to as Destination,
    ...(outgoing.deliverAt && { deliverAt: outgoing.deliverAt }),
    ...(outgoing.expiresAfterMs !== undefined && { expiresAfterMs: outgoing.expiresAfterMs }),
  }
}

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
    throw new NsbError({ code: 'NSB_BAD_RETURN_CODE', message: `${value} cannot be a reply: a number reply is a whole number of at most 64 bits.`, suggestions: ['Reply with a message for anything else, or with a bigint above 2^53'] })
  return { kind: 'returnCode', code: String(value) }
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  return typeof value === 'object' ? `An object with the properties ${Object.keys(value).slice(0, 5).join(', ') || '(none)'}` : `'${String(value)}'`
}

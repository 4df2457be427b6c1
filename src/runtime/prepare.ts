import type { Intent } from '../message/headers.ts'
import { newCombId } from '../message/ids.ts'
import { NsbError } from '../message/nsb-error.ts'
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
export function prepare(
  engine: Engine,
  intent: Intent,
  content: OutgoingContent,
  options: SendOptions & ReplyOptions & PublishOptions,
  origin: Origin | undefined,
): OutgoingMessage {
  const now = engine.clock.now()
  if (options.messageId !== undefined && options.messageId.trim() === '')
    throw new NsbError({
      code: 'NSB_BLANK_MESSAGE_ID',
      message: 'A message id must not be blank.',
      suggestions: ['Leave messageId out to get a new one'],
    })
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
    headers: { ...options.headers, ...engine.staticHeaders },
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

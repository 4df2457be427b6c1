import type { MessageDefinition } from '../../message/declaration.ts'
import type { Intent } from '../../message/headers.ts'
import type { Destination, Headers } from '../../transport/transport.ts'
import type { PublishOptions, ReplyOptions, SendOptions } from '../context.ts'
import type { Engine } from '../engine.ts'

/** The message being handled, as far as outgoing messages need it. */
export interface Origin {
  readonly id: string
  readonly headers: Headers
  /** The trace headers that messages sent meanwhile carry. */
  readonly trace: Headers
}

/** What is to leave: a message instance, or a return code without a body. */
export type OutgoingContent =
  | { readonly kind: 'message'; readonly instance: object; readonly definition: MessageDefinition }
  | { readonly kind: 'returnCode'; readonly code: string }

/** One outgoing operation on its way through the steps; they write headers in the order of the wire, then where it goes. */
export interface Outgoing {
  readonly engine: Engine
  readonly intent: Intent
  /** A mutator may replace it before it is serialized. */
  content: OutgoingContent
  readonly options: SendOptions & ReplyOptions & PublishOptions
  readonly origin: Origin | undefined
  readonly id: string
  /** ms since 1970, when the call was made */
  readonly now: number
  readonly headers: Record<string, string>
  body: Uint8Array
  to: Destination | undefined
  deliverAt: Date | undefined
  expiresAfterMs: number | undefined
}

export type OutgoingStep = (outgoing: Outgoing) => void

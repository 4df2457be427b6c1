import type { MessageDefinition, MessageType } from '../../message/declaration.ts'
import type { Mapping } from '../../message/type-map.ts'
import type { Headers, IncomingMessage, OutgoingMessage, Verdict } from '../../transport/transport.ts'
import type { Engine } from '../engine.ts'
import type { RegisteredHandler } from '../handlers.ts'
import type { RateLimit } from '../rate-limit.ts'
import type { RecoverabilityAction } from '../recoverability.ts'

/** One message type and body out of a physical message. */
export interface LogicalMessage {
  readonly type: MessageType
  readonly definition: MessageDefinition
  readonly instance: object
  /** With `enclosedTypes: 'merge'`: the same message as its further base types, for the handlers of those. */
  readonly alsoAs: readonly { readonly definition: MessageDefinition; readonly instance: object }[]
  /** Somebody took it: a handler, or the request that waited for it. */
  handled: boolean
}

/** What the failure headers say of the handler that threw. */
export interface HandlerFailure {
  readonly messageType: string
  readonly handlerType: string
  readonly startedAt: number
  readonly failedAt: number
  readonly cancelled: boolean
}

/** One delivery on its way through the steps. */
export interface Incoming {
  readonly engine: Engine
  readonly message: IncomingMessage
  readonly signal: AbortSignal
  /** ms since 1970 */
  readonly startedAt: number
  /** As the pipeline sees them; the error copy is made from `message.headers`. */
  readonly headers: Record<string, string>
  /** As the pipeline sees it, likewise. */
  body: Uint8Array
  /** Outgoing messages, held until the handlers have succeeded. */
  readonly batch: OutgoingMessage[]
  readonly extensions: Map<unknown, unknown>
  /** The trace headers for what is sent meanwhile. */
  readonly trace: Headers
  readonly handlersRun: RegisteredHandler[]
  readonly rateLimit: RateLimit | undefined
  mapping: Mapping | undefined
  logical: readonly LogicalMessage[]
  handlerFailure: HandlerFailure | undefined
  error: unknown
  action: RecoverabilityAction | undefined
  verdict: Verdict
}

export type IncomingStep = (incoming: Incoming, next: () => Promise<void>) => Promise<void>

/** Nothing to deserialize: a control message, whatever its body, or an empty one. */
export function isControl({ body, headers }: Incoming): boolean {
  return body.length === 0 || headers['NServiceBus.ControlMessage']?.toLowerCase() === 'true'
}

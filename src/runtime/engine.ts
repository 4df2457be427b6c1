import type { TypeMap } from '../message/type-map.ts'
import type { Serializer } from '../serialization/serializer.ts'
import type { Clock } from '../transport/clock.ts'
import type { Intent } from '../message/headers.ts'
import type { Headers, IncomingMessage, OutgoingMessage, Transport } from '../transport/transport.ts'
import type { PublishOptions, ReplyOptions, SendOptions } from './context.ts'
import type { Origin, OutgoingContent } from './outgoing/outgoing.ts'
import type { Callbacks } from './callbacks.ts'
import type { KindOf } from './conventions.ts'
import type { UnitOfWork } from './definition.ts'
import type { HandlerTable, RegisteredHandler } from './handlers.ts'
import type { Extensions } from './extensions.ts'
import type { Host } from './host.ts'
import type { Logger } from './logger.ts'
import type { Failure, RecoverabilityAction } from './recoverability.ts'
import type { Routing } from './routing.ts'

/** What a started endpoint is made of; every step gets it. */
export interface Engine {
  readonly name: string
  readonly instance: string | undefined
  readonly sendOnly: boolean
  readonly types: TypeMap
  readonly handlers: HandlerTable
  readonly routing: Routing
  /** The first one writes. */
  readonly serializers: readonly [Serializer, ...Serializer[]]
  readonly transport: Transport
  readonly clock: Clock
  readonly host: Host
  readonly logger: Logger
  readonly callbacks: Callbacks | undefined
  readonly auditQueue: string | undefined
  readonly lateObjectReplies: 'error-queue' | 'discard'
  readonly decide: (failure: Failure) => RecoverabilityAction
  readonly unitOfWork: UnitOfWork | undefined
  readonly staticHeaders: Headers | undefined
  readonly kindOf: KindOf
  readonly inferTypes: boolean
  readonly tracing: boolean
  readonly observe: (event: EndpointEvent) => void
  readonly extensions: Extensions
  /**
   * Runs the outgoing steps with the endpoint's hooks and mutators; without any of them it answers at once.
   *
   * @returns undefined when a hook did not let the message go
   */
  readonly prepareExtended: (...operation: Parameters<Engine['prepare']>) => OutgoingMessage | Promise<OutgoingMessage | undefined>
  /** Runs the outgoing steps alone. */
  readonly prepare: (
    intent: Intent,
    content: OutgoingContent,
    options: SendOptions & ReplyOptions & PublishOptions,
    origin: Origin | undefined,
  ) => OutgoingMessage
}

/** What the outside is told of each delivery. */
export interface EndpointEvent {
  readonly message: IncomingMessage
  /** Full names of the logical messages; empty for control messages and what could not be mapped. */
  readonly types: readonly string[]
  readonly handlersRun: readonly RegisteredHandler[]
  readonly durationMs: number
  readonly outcome:
    | { readonly kind: 'handled'; readonly outgoing: readonly OutgoingSummary[] }
    | { readonly kind: 'failed'; readonly error: unknown; readonly action: RecoverabilityAction }
    | { readonly kind: 'cancelled' }
}

export interface OutgoingSummary {
  readonly id: string
  readonly intent: string
  readonly type: string | undefined
  readonly to: string
}

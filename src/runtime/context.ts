import type { MessageInstance } from '../message/declaration.ts'
import type { Headers } from '../transport/transport.ts'

/** An object of enum members: a TypeScript enum, or `{ Open: 1, Closed: 2 } as const`. */
export type EnumObject = Readonly<Record<string, string | number>>

/** A duration: ms, or text such as `10s`, `5m` or `00:10:00`. */
export type Duration = number | string

/** Options that every outgoing message has. */
export interface OutgoingOptions {
  /** Custom headers; those the runtime writes itself win over them. */
  readonly headers?: Headers
  readonly messageId?: string
  /** On the wire when the call returns, whatever becomes of the handler. */
  readonly requireImmediateDispatch?: boolean
  readonly doNotEnforceBestPractices?: boolean
}

/** At most one of them: which address replies to this message go to. */
export interface ReplyToOptions {
  readonly routeReplyTo?: string
  readonly routeReplyToThisInstance?: boolean
  readonly routeReplyToAnyInstance?: boolean
}

/** At most one of the routing options, and at most one of the two delays. */
export interface SendOptions extends OutgoingOptions, ReplyToOptions {
  /** A queue address; instead of the route of the type. */
  readonly destination?: string
  readonly routeToThisEndpoint?: boolean
  readonly routeToThisInstance?: boolean
  /** The instance of the endpoint that the type is routed to. */
  readonly routeToSpecificInstance?: string
  readonly delayDeliveryWith?: Duration
  readonly doNotDeliverBefore?: Date
  /** A new conversation, with the given id or a new one. */
  readonly startNewConversation?: true | string
  readonly startNewTraceOnReceive?: boolean
}

export interface ReplyOptions extends OutgoingOptions, ReplyToOptions {
  readonly destination?: string
}

export interface PublishOptions extends OutgoingOptions {
  readonly continueExistingTraceOnReceive?: boolean
}

type Sendable = MessageInstance<'command' | 'message'>
type Publishable = MessageInstance<'event' | 'message'>
type Reply = MessageInstance<'message'>

/** What can be sent from anywhere. */
export interface MessageSender {
  /** To the owner of the type, or where the options say. @throws {NsbError} NSB_NO_ROUTE */
  send(message: Sendable, options?: SendOptions): Promise<void>
  /** To this endpoint's own queue. */
  sendLocal(message: Sendable, options?: SendOptions): Promise<void>
  /** To every subscriber. */
  publish(event: Publishable, options?: PublishOptions): Promise<void>
}

/** What a handler is given. Outgoing messages leave together, after all handlers of the message have succeeded. */
export interface MessageHandlerContext extends MessageSender {
  readonly messageId: string
  readonly replyToAddress: string | undefined
  readonly headers: Headers
  /** Aborted when the host stops and will not wait any longer. */
  readonly signal: AbortSignal
  /** For hooks and handlers of one message to share things. */
  readonly extensions: Map<unknown, unknown>
  /** To the reply address of the message being handled; a whole number answers a request for an int. */
  reply(message: Reply | number | bigint, options?: ReplyOptions): Promise<void>
  /** Answers a request for an enum; its number goes on the wire. */
  replyEnum<E extends EnumObject>(type: E, value: E[keyof E], options?: ReplyOptions): Promise<void>
  /** A copy with the same id, headers and body. */
  forwardCurrentMessageTo(address: string): Promise<void>
  /** The remaining handlers are skipped, and the message counts as handled. */
  doNotContinueDispatchingCurrentMessageToHandlers(): void
}

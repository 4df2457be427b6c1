/** The runtime library: declare messages, write handlers, define and start endpoints. */
export {
  MessageInterface,
  MessageValidationError,
  command,
  event,
  message,
  messageSymbol,
  type MessageClass,
  type MessageDefinition,
  type MessageInstance,
  type MessageKind,
  type MessageOptions,
  type MessageType,
} from './message/declaration.ts'
export { Header } from './message/headers.ts'
export { NsbError, type NsbErrorOptions } from './message/nsb-error.ts'
export type { SchemaIssue, StandardSchema } from './message/standard-schema.ts'
export type { EntryTrace, Mapping, TypeMap } from './message/type-map.ts'
export { MalformedHeaderError } from './message/wire-formats.ts'
export { Decimal } from './serialization/decimal.ts'
export type { Serializer } from './serialization/serializer.ts'
export type {
  Duration,
  EnumObject,
  MessageHandlerContext,
  MessageSender,
  OutgoingOptions,
  PublishOptions,
  ReplyOptions,
  ReplyToOptions,
  SendOptions,
} from './runtime/context.ts'
export type { Conventions } from './runtime/conventions.ts'
export {
  type CallbackSettings,
  type EndpointDefinition,
  type EndpointOptions,
  type RetrySettings,
  type Route,
  type UnitOfWork,
  defineEndpoint,
  route,
} from './runtime/definition.ts'
export { type RunningEndpoint, type StartOptions, startEndpoint } from './runtime/endpoint.ts'
export type { EndpointEvent, OutgoingSummary } from './runtime/engine.ts'
export type { Explanation } from './runtime/explain.ts'
export { CallbackError, MessageDeserializationError, NoHandlerError, UnrecoverableError } from './runtime/errors.ts'
export {
  type CheckedHandler,
  type CreateHandler,
  type FunctionHandler,
  type Handler,
  type HandlerFiles,
  type IHandleMessages,
  type RegisteredHandler,
  handler,
} from './runtime/handlers.ts'
export type { HandleContext, Hooks, Next, ReceiveContext, SendContext } from './runtime/hooks.ts'
export type { Host } from './runtime/host.ts'
export { type Logger, silentLogger, stderrLogger } from './runtime/logger.ts'
export type { MutableMessage, MutableTransportMessage, Mutator, WhileHandling } from './runtime/mutators.ts'
export type { RateLimitSettings } from './runtime/rate-limit.ts'
export {
  type Failure,
  type RecoverabilityAction,
  type RecoverabilityPolicy,
  type RecoverabilitySettings,
  defaultRecoverability,
} from './runtime/recoverability.ts'
export type { MessageSession, RequestOptions } from './runtime/session.ts'
export { type Clock, systemClock } from './transport/clock.ts'
export { openTransport } from './transport/open.ts'
export type { Headers, Transport } from './transport/transport.ts'

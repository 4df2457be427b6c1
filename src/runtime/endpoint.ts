import { type MessageDefinition, type MessageType, definitionOf, messageSymbol } from '../message/declaration.ts'
import { eventTypeOf } from '../message/event-type.ts'
import { NsbError } from '../message/nsb-error.ts'
import { TypeMap } from '../message/type-map.ts'
import { serializers } from '../serialization/serializer.ts'
import { type Clock, systemClock } from '../transport/clock.ts'
import { guarded } from '../transport/guarded.ts'
import type { PoisonMessage, Receiving, Transport, TransactionMode } from '../transport/transport.ts'
import { Callbacks } from './callbacks.ts'
import { kindsBy } from './conventions.ts'
import type { EndpointDefinition } from './definition.ts'
import type { EndpointEvent, Engine } from './engine.ts'
import { instanceAddress } from './instance.ts'
import { CallbackError, NoHandlerError } from './errors.ts'
import { type Explanation, explain } from './explain.ts'
import { extensionsOf } from './extensions.ts'
import { type HandlerFiles, HandlerTable, type RegisteredHandler, registerHandlers } from './handlers.ts'
import { thisHost } from './host.ts'
import { type Logger, guardedLogger, stderrLogger } from './logger.ts'
import { begin, outgoingWith, prepare } from './prepare.ts'
import { RateLimit } from './rate-limit.ts'
import { receiver } from './receive.ts'
import {
  type Failure,
  type RecoverabilityAction,
  type RecoverabilitySettings,
  checkedAction,
  defaultRecoverability,
  defaultRetries,
} from './recoverability.ts'
import { Routing } from './routing.ts'
import { type MessageSession, session } from './session.ts'

export interface StartOptions {
  readonly transport: Transport
  readonly logger?: Logger
  readonly clock?: Clock
  /** Told of each delivery and what became of it. */
  readonly observe?: (event: EndpointEvent) => void
  /** Told of each message that could not be read and was moved to the error queue. */
  readonly onPoison?: (poison: PoisonMessage) => void
  /** Told of what keeps the endpoint from working as it should, beside the log. */
  readonly onCriticalError?: (error: unknown) => void
  /** Told of each message whose handler did not even end when it was aborted, after the grace period of a stop. */
  readonly onAbandoned?: () => void
  /** Where discovered handlers come from, for listings and errors. */
  readonly files?: HandlerFiles
}

/** A started endpoint: it receives until stopped, and sends. */
export interface RunningEndpoint extends MessageSession {
  readonly name: string
  readonly handlers: readonly RegisteredHandler[]
  readonly types: TypeMap
  /** What is in force. */
  readonly settings: {
    readonly recoverability: RecoverabilitySettings
    readonly concurrency: number
    readonly transactionMode: TransactionMode
    readonly auditQueue: string | undefined
  }
  /** Messages taken and not settled yet. */
  readonly inHand: number
  /** Requests that wait for a reply. */
  readonly pendingRequests: number
  /** Messages in hand that only wait because of the rate limit. */
  readonly rateLimited: number
  /** How a type header would be mapped, and who would run. */
  explain(typeHeader: string): Explanation
  /** Takes no new message, lets those in hand finish; after `graceMs` they are aborted and put back. Pending requests are rejected. */
  stop(options?: { readonly graceMs?: number }): Promise<void>
}

/**
 * Starts an endpoint: creates its queues, subscribes to the events it handles, and receives.
 *
 * @throws {NsbError} what is wrong with the definition, before anything is created
 */
export async function startEndpoint(definition: EndpointDefinition, options: StartOptions): Promise<RunningEndpoint> {
  const { transport } = options
  const engine = assemble(definition, options)
  const settings = settingsOf(definition, transport)
  const queues = definition.sendOnly
    ? []
    : [definition.name, ...(definition.instance === undefined ? [] : [instanceAddress(definition.name, definition.instance)])]
  const { errorQueue } = settings.recoverability
  await transport.createQueues(
    queues,
    queues.length === 0 ? [] : [errorQueue, ...(definition.auditQueue === undefined ? [] : [definition.auditQueue])],
  )
  await subscribeToHandledEvents(engine)
  const receivings: Receiving[] = []
  const limits: RateLimit[] = []
  const stopReceiving = async (stopOptions?: { readonly graceMs?: number }): Promise<void> => {
    const stopping = receivings.map((receiving) => receiving.stop(stopOptions))
    for (const limit of limits) limit.stop()
    await Promise.all(stopping)
  }
  const receive = async (queue: string): Promise<Receiving> => {
    const limit =
      definition.rateLimit && new RateLimit(definition.rateLimit, engine.clock, engine.logger, settings.transactionMode !== 'none')
    if (limit) limits.push(limit)
    const { decide, onDispatchFailed, onSettled } = receiver(engine, limit)
    return transport.receive(
      {
        queue,
        errorQueue: settings.recoverability.errorQueue,
        concurrency: settings.concurrency,
        transactionMode: settings.transactionMode,
        onDispatchFailed,
        onSettled,
        onPoison: (poison) => {
          engine.logger.error(`Moved the message '${poison.nativeId}' of queue '${queue}' to the error queue unread: ${poison.reason}.`)
          options.onPoison?.(poison)
        },
        onCriticalError: (error) => {
          engine.logger.error(`The endpoint '${definition.name}' has a critical error on queue '${queue}':`, error)
          if (error instanceof NsbError && error.code === 'NSB_DECISION_ABANDONED') options.onAbandoned?.()
          else options.onCriticalError?.(error)
        },
      },
      decide,
    )
  }
  try {
    for (const queue of queues) receivings.push(await receive(queue))
  } catch (error) {
    // All of its queues or none: an endpoint that could not start must not take messages.
    await stopReceiving({ graceMs: 0 })
    throw error
  }
  return {
    ...session(engine, definition.callbacks ?? {}),
    name: definition.name,
    handlers: engine.handlers.all,
    types: engine.types,
    settings: { ...settings, auditQueue: definition.auditQueue },
    get inHand() {
      return receivings.reduce((sum, receiving) => sum + receiving.inHand, 0)
    },
    get pendingRequests() {
      return engine.callbacks?.size ?? 0
    },
    get rateLimited() {
      return limits.reduce((sum, limit) => sum + limit.held, 0)
    },
    explain: (header) => explain(engine.types, engine.handlers, header),
    async stop(stopOptions) {
      await stopReceiving(stopOptions)
      engine.callbacks?.abandon(
        new CallbackError({
          code: 'NSB_CALLBACK_CANCELLED',
          message: `A task was canceled: the endpoint '${definition.name}' was stopped.`,
        }),
      )
    },
  }
}

/** Everything that can be known without a transport being touched; what is wrong with a definition is found here. */
export function assemble(definition: EndpointDefinition, options: StartOptions): Engine {
  const { clock = systemClock, transport } = options
  const logger = guardedLogger(options.logger ?? stderrLogger)
  const settings = settingsOf(definition, transport)
  const handlers = registerHandlers([...(definition.first ?? []), ...definition.handlers], {
    create: definition.createHandler,
    files: options.files,
  })
  const routed = (definition.routes ?? []).flatMap(({ match }) => (typeof match === 'string' ? [] : [match]))
  const extensions = extensionsOf(definition)
  const kindOf = kindsBy(definition.conventions)
  const isMessage = (type: MessageType): boolean => kindOf(type[messageSymbol]) !== undefined
  const listed = (definition.messages ?? []).map(requireMessageType).filter((type) => {
    if (isMessage(type)) return true
    logger.warn(`'${type[messageSymbol].fullName}' is listed under messages, but is none by the conventions of '${definition.name}'.`)
    return false
  })
  const engine: Engine = {
    name: definition.name,
    instance: definition.instance,
    sendOnly: definition.sendOnly ?? false,
    types: new TypeMap([...handlers.map((handler) => handler.type), ...listed, ...routed.filter(isMessage)], {
      enclosedTypes: definition.enclosedTypes,
    }),
    handlers: new HandlerTable(handlers),
    routing: new Routing(definition.routes ?? []),
    serializers: [...(definition.serializers ?? []), ...serializers] as unknown as Engine['serializers'],
    transport,
    clock,
    host: thisHost(definition.host),
    logger,
    callbacks: definition.instance === undefined ? undefined : new Callbacks(definition.callbacks),
    auditQueue: definition.auditQueue,
    lateObjectReplies: definition.callbacks?.lateObjectReplies ?? 'error-queue',
    decide: policyOf(definition, settings.recoverability, settings.transactionMode, logger),
    unitOfWork: definition.unitOfWork,
    staticHeaders: definition.staticHeaders,
    kindOf,
    inferTypes: definition.inferTypes ?? true,
    tracing: definition.tracing ?? false,
    observe: guarded(options.observe ?? (() => undefined)),
    extensions,
    prepareExtended: outgoingWith(extensions, (...operation) => begin(engine, ...operation)),
    prepare: (...operation) => prepare(begin(engine, ...operation)),
  }
  return engine
}

function settingsOf(
  definition: EndpointDefinition,
  transport: Transport,
): { recoverability: RecoverabilitySettings; concurrency: number; transactionMode: TransactionMode } {
  const transactionMode = definition.transactionMode ?? transport.transactionModes[0]
  if (!transport.transactionModes.includes(transactionMode))
    throw new NsbError({
      code: 'NSB_UNSUPPORTED_TRANSACTION_MODE',
      message: `The transport of '${definition.name}' does not offer the transaction mode '${transactionMode}'; it offers ${transport.transactionModes.join(', ')}.`,
      suggestions: [`transactionMode: '${transport.transactionModes[0]}'`],
    })
  const chosen = typeof definition.recoverability === 'object' ? definition.recoverability : {}
  // Without transactions there is nothing to go back to: no retries unless asked for, and asking for them is refused.
  const retries = transactionMode === 'none' ? { ...defaultRetries, immediateRetries: 0, delayedRetries: 0 } : defaultRetries
  const recoverability: RecoverabilitySettings = {
    ...retries,
    ...chosen,
    unrecoverable: [...(chosen.unrecoverable ?? []), ...(definition.noHandler === 'fail-fast' ? [NoHandlerError] : [])],
    errorQueue: definition.errorQueue ?? 'error',
  }
  for (const key of ['immediateRetries', 'delayedRetries', 'delayIncreaseMs'] as const)
    if (!Number.isInteger(recoverability[key]) || recoverability[key] < 0)
      throw new NsbError({
        code: 'NSB_BAD_RETRIES',
        message: `The setting ${key} of '${definition.name}' is ${recoverability[key]}; it is a whole number of zero or more.`,
        suggestions: [`recoverability: { ${key}: ${defaultRetries[key]} }`],
      })
  if (transactionMode === 'none' && recoverability.immediateRetries + recoverability.delayedRetries > 0)
    throw new NsbError({
      code: 'NSB_RETRIES_WITHOUT_TRANSACTION',
      message: `${recoverability.immediateRetries > 0 ? 'Immediate' : 'Delayed'} retries are not supported when running with TransportTransactionMode.None.`,
      suggestions: [`transactionMode: 'receiveOnly'`, 'or leave the retries out'],
    })
  return { recoverability, concurrency: definition.concurrency ?? transport.defaultConcurrency, transactionMode }
}

function policyOf(
  definition: EndpointDefinition,
  settings: RecoverabilitySettings,
  mode: TransactionMode,
  logger: Logger,
): (failure: Failure) => RecoverabilityAction {
  const policy = typeof definition.recoverability === 'function' ? definition.recoverability : undefined
  return (failure) => {
    const action = policy
      ? checkedAction(policy(failure, (changed) => defaultRecoverability(failure, { ...settings, ...changed })))
      : defaultRecoverability(failure, settings)
    if (mode !== 'none' || (action.kind !== 'retryNow' && action.kind !== 'retryLater')) return action
    logger.warn(`Message '${failure.messageId}' cannot be retried without transactions; it moves to '${settings.errorQueue}'.`)
    return { kind: 'moveToError', queue: settings.errorQueue }
  }
}

async function subscribeToHandledEvents(engine: Engine): Promise<void> {
  const events = new Set<MessageDefinition>(
    engine.handlers.all.map((handler) => handler.handles).filter((handled) => engine.kindOf(handled) === 'event'),
  )
  for (const event of events)
    try {
      await engine.transport.subscribe({ endpoint: engine.name, queue: engine.name }, eventTypeOf(event))
    } catch (error) {
      engine.logger.error(`Could not subscribe '${engine.name}' to '${event.fullName}'; it gets none of them until the next start.`, error)
    }
}

function requireMessageType(type: MessageType): MessageType {
  if (!definitionOf(type))
    throw new NsbError({
      code: 'NSB_NOT_A_MESSAGE',
      message: `The endpoint lists '${String(type)}' under messages, which is no message type.`,
      suggestions: ['messages: [OrderAccepted]'],
    })
  return type
}

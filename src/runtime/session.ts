import { eventTypeOf } from '../message/event-type.ts'
import { type MessageType, definitionOf } from '../message/declaration.ts'
import { Header } from '../message/headers.ts'
import { NsbError } from '../message/nsb-error.ts'
import type { EnumObject, MessageSender, PublishOptions, SendOptions } from './context.ts'
import type { CallbackSettings } from './definition.ts'
import { contentOf } from './content.ts'
import type { Engine } from './engine.ts'
import { instanceAddress, requireInstance } from './instance.ts'
import { CallbackError } from './errors.ts'
import { type Expected, type Pending, expectedText } from './callbacks.ts'
import { isInsideHandler } from './handling.ts'
import { enforceBestPractices } from './outgoing/best-practices.ts'

export interface RequestOptions
  extends Omit<
    SendOptions,
    'delayDeliveryWith' | 'doNotDeliverBefore' | 'routeReplyTo' | 'routeReplyToThisInstance' | 'routeReplyToAnyInstance'
  > {
  /** How long to wait for the reply; default: the endpoint's `callbacks.timeoutMs`, else 30 s. */
  readonly timeoutMs?: number
  /** Gives up waiting; the request itself is not recalled. */
  readonly signal?: AbortSignal
}

/** The outgoing half of a running endpoint: everything leaves at once. */
export interface MessageSession extends MessageSender {
  /**
   * Sends a request and waits for the first reply. For data whose loss is acceptable: a restart forgets who waits.
   *
   * @param expected the class of the reply, an enum, or `'int'`, `'short'`, `'long'` (a bigint)
   * @throws {CallbackError} NSB_CALLBACK_TIMEOUT, NSB_CALLBACK_CANCELLED, NSB_CALLBACK_TYPE_MISMATCH, NSB_CALLBACK_BAD_RETURN_CODE
   * @throws {NsbError} NSB_REQUEST_IN_HANDLER, NSB_SEND_ONLY, NSB_NO_INSTANCE
   */
  request<T extends object>(message: object, expected: { readonly prototype: T } & MessageTypeOf<T>, options?: RequestOptions): Promise<T>
  request(message: object, expected: 'int' | 'short', options?: RequestOptions): Promise<number>
  request(message: object, expected: 'long', options?: RequestOptions): Promise<bigint>
  request<E extends EnumObject>(message: object, expected: E, options?: RequestOptions): Promise<E[keyof E]>
  subscribe(event: MessageType): Promise<void>
  unsubscribe(event: MessageType): Promise<void>
}

type MessageTypeOf<T extends object> = Pick<MessageType<T>, keyof MessageType<T>>

export function session(engine: Engine, settings: CallbackSettings): MessageSession {
  // No async function may keep the message alive while the broker confirms it: thousands can be under way.
  const emit = (make: () => ReturnType<Engine['prepareExtended']>): Promise<void> => {
    try {
      const made = make()
      if (!(made instanceof Promise)) return engine.transport.dispatch([made])
      return made.then((outgoing) => (outgoing ? engine.transport.dispatch([outgoing]) : undefined))
    } catch (error) {
      return Promise.reject(error as Error)
    }
  }
  const send = (message: object, options: SendOptions = {}): Promise<void> =>
    emit(() => engine.prepareExtended('Send', contentOf(message), options, undefined))
  return {
    send,
    sendLocal: (message, options = {}) => send(message, { ...options, routeToThisEndpoint: true }),
    publish: (event, options: PublishOptions = {}) => emit(() => engine.prepareExtended('Publish', contentOf(event), options, undefined)),
    request: ((message: object, expected: Expected, options: RequestOptions = {}) =>
      request(engine, settings, message, expected, options)) as MessageSession['request'],
    subscribe: async (event) =>
      engine.transport.subscribe({ endpoint: engine.name, queue: engine.name }, subscribable(engine, event, 'Subscribe')),
    unsubscribe: async (event) =>
      engine.transport.unsubscribe({ endpoint: engine.name, queue: engine.name }, subscribable(engine, event, 'Unsubscribe')),
  }
}

async function request(
  engine: Engine,
  settings: CallbackSettings,
  message: object,
  expected: Expected,
  options: RequestOptions,
): Promise<unknown> {
  refuseRequest(engine, options)
  const { callbacks } = engine
  const { signal, timeoutMs = settings.timeoutMs ?? 30_000, ...sendOptions } = options
  if (!callbacks || signal?.aborted) throw cancelled('before it was sent')
  const made = engine.prepareExtended('Send', contentOf(message), { ...sendOptions, routeReplyToThisInstance: true }, undefined)
  const outgoing = made instanceof Promise ? await made : made
  if (!outgoing) throw cancelled('by an onSend hook')
  if (signal?.aborted) throw cancelled('before it was sent')
  const destination = 'address' in outgoing.to ? outgoing.to.address : ''
  let cancelTimer: (() => void) | undefined
  let onAbort: (() => void) | undefined
  let pending: Pending | undefined
  try {
    return await new Promise((resolve, reject) => {
      pending = { expected, resolve, reject }
      callbacks.register(outgoing.id, pending)
      onAbort = () => reject(cancelled(`while it waited for a reply to '${outgoing.id}'`))
      signal?.addEventListener('abort', onAbort, { once: true })
      cancelTimer = engine.clock.after(timeoutMs, () => reject(timedOut(engine, outgoing.id, destination, expected, timeoutMs)))
      engine.transport.dispatch([outgoing]).catch(reject)
    })
  } finally {
    cancelTimer?.()
    if (onAbort) signal?.removeEventListener('abort', onAbort)
    if (pending) callbacks.forget(outgoing.id, pending)
  }
}

function refuseRequest(engine: Engine, options: RequestOptions): void {
  if (engine.sendOnly)
    throw new NsbError({
      code: 'NSB_SEND_ONLY',
      message: `'${engine.name}' is send-only: it has no queue that a reply could come to, so a request would wait for ever.`,
      suggestions: [`Leave out sendOnly, and give it an instance: defineEndpoint('${engine.name}', { instance: 'a1' })`],
    })
  requireInstance(engine)
  if (isInsideHandler(engine))
    throw new NsbError({
      code: 'NSB_REQUEST_IN_HANDLER',
      message: `A handler of '${engine.name}' made a request: its own message waits for it, so it can deadlock, and the reply would carry another correlation id and complete nothing.`,
      suggestions: ['context.send(...) here, and a handler for the reply'],
    })
  if (options.headers?.[Header.CorrelationId] !== undefined)
    throw new NsbError({
      code: 'NSB_CORRELATION_FIXED',
      message: `The correlation id of a request is its message id; '${options.headers[Header.CorrelationId]}' would make the reply complete nothing.`,
      suggestions: ['Set messageId instead'],
    })
}

function subscribable(engine: Engine, event: MessageType, intent: 'Subscribe' | 'Unsubscribe'): ReturnType<typeof eventTypeOf> {
  const definition = definitionOf(event)
  if (!definition) throw new NsbError({ code: 'NSB_NOT_A_MESSAGE', message: `'${String(event)}' is no message type.` })
  if (engine.sendOnly)
    throw new NsbError({
      code: 'NSB_SEND_ONLY',
      message: `'${engine.name}' is send-only and has no queue for '${definition.fullName}'.`,
      suggestions: ['Leave out sendOnly'],
    })
  enforceBestPractices(intent, { fullName: definition.fullName, kind: engine.kindOf(definition) })
  return eventTypeOf(definition)
}

function cancelled(when: string): CallbackError {
  return new CallbackError({ code: 'NSB_CALLBACK_CANCELLED', message: `A task was canceled: the request was cancelled ${when}.` })
}

function timedOut(engine: Engine, id: string, destination: string, expected: Expected, timeoutMs: number): CallbackError {
  const replyQueue = instanceAddress(engine.name, engine.instance as string)
  return new CallbackError({
    code: 'NSB_CALLBACK_TIMEOUT',
    message: `No reply (${expectedText(expected)}) to '${id}' from '${destination}' within ${timeoutMs} ms; replies were expected in '${replyQueue}'.`,
    suggestions: [`The request may have failed: nsb errors list`, 'Or wait longer: { timeoutMs }'],
    details: { messageId: id, destination, replyQueue },
  })
}

import { Header, type Intent } from '../message/headers.ts'
import { NsbError } from '../message/nsb-error.ts'
import type { Headers, OutgoingMessage } from '../transport/transport.ts'
import type { EnumObject, MessageHandlerContext, PublishOptions, ReplyOptions, SendOptions } from './context.ts'
import { callSiteOf } from './call-site.ts'
import { contentOf, returnCodeOf } from './content.ts'
import type { Engine } from './engine.ts'
import type { Incoming } from './incoming/incoming.ts'
import { Operation, type OperationName } from './operation.ts'
import type { OutgoingContent } from './outgoing/outgoing.ts'

type Prepared = ReturnType<Engine['prepareExtended']>

/** The context of one handler invocation. Operations are made at the call and join the batch of the message. */
export class HandlerContext implements MessageHandlerContext {
  aborted = false
  readonly #incoming: Incoming
  readonly #operations: Operation[] = []
  #closed = false

  constructor(incoming: Incoming) {
    this.#incoming = incoming
  }

  get messageId(): string {
    return this.#incoming.message.id
  }

  get replyToAddress(): string | undefined {
    return this.#incoming.headers[Header.ReplyToAddress]
  }

  get headers(): Headers {
    return this.#incoming.headers
  }

  get signal(): AbortSignal {
    return this.#incoming.signal
  }

  get extensions(): Map<unknown, unknown> {
    return this.#incoming.extensions
  }

  send(message: object, options: SendOptions = {}): Promise<void> {
    return this.#emit('send', () => this.#prepare('Send', contentOf(message), options), options)
  }

  sendLocal(message: object, options: SendOptions = {}): Promise<void> {
    const local = { ...options, routeToThisEndpoint: true }
    return this.#emit('sendLocal', () => this.#prepare('Send', contentOf(message), local), options)
  }

  publish(event: object, options: PublishOptions = {}): Promise<void> {
    return this.#emit('publish', () => this.#prepare('Publish', contentOf(event), options), options)
  }

  reply(message: object | number | bigint, options: ReplyOptions = {}): Promise<void> {
    return this.#emit(
      'reply',
      () => this.#prepare('Reply', typeof message === 'object' ? contentOf(message) : returnCodeOf(message), options),
      options,
    )
  }

  replyEnum<E extends EnumObject>(type: E, value: E[keyof E], options: ReplyOptions = {}): Promise<void> {
    return this.#emit('replyEnum', () => this.#prepare('Reply', returnCodeOf(enumNumber(type, value)), options), options)
  }

  forwardCurrentMessageTo(address: string): Promise<void> {
    const { body, headers, message } = this.#incoming
    return this.#emit('forwardCurrentMessageTo', () => ({ id: message.id, headers: { ...headers }, body, to: { address } }), {})
  }

  doNotContinueDispatchingCurrentMessageToHandlers(): void {
    this.aborted = true
  }

  /**
   * The handler has finished; nothing can be sent through this context any more.
   *
   * @throws {NsbError} NSB_OPERATION_NOT_AWAITED when an operation was started and never awaited
   */
  close(handler: string): void {
    this.#closed = true
    const forgotten = this.#operations.find((operation) => !operation.awaited || !operation.settled)
    if (!forgotten) return
    throw new NsbError({
      code: 'NSB_OPERATION_NOT_AWAITED',
      message: `The handler '${handler}' did not await ${forgotten.call}: had it failed, nobody would have known.`,
      suggestions: [`await context.${forgotten.name}(...)`, 'or return its promise'],
      cause: forgotten.failure,
    })
  }

  /** The handler has failed; what it did not await no longer matters. */
  abandon(): void {
    this.#closed = true
  }

  #prepare(intent: Intent, content: OutgoingContent, options: SendOptions & ReplyOptions & PublishOptions): Prepared {
    const { engine, headers, message, trace } = this.#incoming
    return engine.prepareExtended(intent, content, options, { id: message.id, headers, trace })
  }

  #emit(name: OperationName, prepareMessage: () => Prepared, options: { readonly requireImmediateDispatch?: boolean }): Promise<void> {
    const hand = (outgoing: OutgoingMessage | undefined): Promise<void> | undefined => {
      if (!outgoing) return undefined
      if (options.requireImmediateDispatch) return this.#incoming.engine.transport.dispatch([outgoing])
      this.#incoming.batch.push(outgoing)
      return undefined
    }
    const operation = Operation.start(name, callSiteOf(this[name]), () => {
      if (this.#closed)
        throw new NsbError({
          code: 'NSB_CONTEXT_CLOSED',
          message: `context.${name}(...) was called after its handler had finished; the message is not sent.`,
          suggestions: ['Await everything the handler starts'],
        })
      const outgoing = prepareMessage()
      return outgoing instanceof Promise ? outgoing.then(hand) : hand(outgoing)
    })
    this.#operations.push(operation)
    return operation
  }
}

/** The number of an enum member. @throws {NsbError} NSB_UNKNOWN_ENUM_VALUE */
export function enumNumber(type: EnumObject, value: unknown): number {
  const number = typeof value === 'number' && Object.values(type).includes(value) ? value : undefined
  if (number === undefined || !Number.isInteger(number))
    throw new NsbError({
      code: 'NSB_UNKNOWN_ENUM_VALUE',
      message: `'${String(value)}' is not a number of that enum: ${Object.keys(type)
        .filter((key) => !/^-?\d+$/.test(key))
        .join(', ')}.`,
      suggestions: ['context.replyEnum(OrderStatus, OrderStatus.Cancelled)'],
    })
  return number
}

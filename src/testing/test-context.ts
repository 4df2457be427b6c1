import { definitionOfInstance, instantiate, type MessageType } from '../message/declaration.ts'
import type { Intent } from '../message/headers.ts'
import { newGuid } from '../message/ids.ts'
import { NsbError } from '../message/nsb-error.ts'
import type { EnumObject, MessageHandlerContext, PublishOptions, ReplyOptions, SendOptions } from '../runtime/context.ts'
import { callSiteOf } from '../runtime/call-site.ts'
import { contentOf, returnCodeOf } from '../runtime/content.ts'
import { enumNumber } from '../runtime/handler-context.ts'
import { Operation, type OperationName } from '../runtime/operation.ts'
import { enforceBestPractices } from '../runtime/outgoing/best-practices.ts'
import type { Headers } from '../transport/transport.ts'
import { Recorded } from './recorded.ts'

export interface TestContextOptions {
  /** Default: a random GUID. */
  readonly messageId?: string
  /** Default: `reply address`. */
  readonly replyToAddress?: string
  readonly headers?: Headers
  readonly signal?: AbortSignal
}

/** A context that records, and sends nothing. A handler cannot tell it from the real one. */
export interface TestContext extends MessageHandlerContext {
  /** Sends and local sends, timeouts included. */
  readonly sent: Recorded<SendOptions>
  readonly published: Recorded<PublishOptions>
  /** Replies that are messages. */
  readonly replied: Recorded<ReplyOptions>
  /** Int and enum replies, as numbers. */
  readonly returnCodes: readonly (number | bigint)[]
  /** Sends that carry the header of a saga timeout. */
  readonly timeouts: Recorded<SendOptions>
  /** Addresses the message was forwarded to. */
  readonly forwarded: readonly string[]
  readonly aborted: boolean
  /** @throws {NsbError} NSB_OPERATION_NOT_AWAITED with the place of the call, when an operation was not awaited */
  verify(): void
}

/** The context for a unit test of a handler: no transport, no serializer. */
export function testContext(options: TestContextOptions = {}): TestContext {
  return new RecordingContext(options)
}

class RecordingContext implements TestContext {
  readonly messageId: string
  readonly replyToAddress: string
  readonly headers: Headers
  readonly signal: AbortSignal
  readonly extensions = new Map<unknown, unknown>()
  readonly sent = new Recorded<SendOptions>()
  readonly published = new Recorded<PublishOptions>()
  readonly replied = new Recorded<ReplyOptions>()
  readonly timeouts = new Recorded<SendOptions>()
  readonly returnCodes: (number | bigint)[] = []
  readonly forwarded: string[] = []
  aborted = false
  readonly #operations: Operation[] = []

  constructor(options: TestContextOptions) {
    this.messageId = options.messageId ?? newGuid()
    this.replyToAddress = options.replyToAddress ?? 'reply address'
    this.headers = options.headers ?? {}
    this.signal = options.signal ?? new AbortController().signal
  }

  send(message: object, options: SendOptions = {}): Promise<void> {
    return this.#send('send', message, options)
  }

  sendLocal(message: object, options: SendOptions = {}): Promise<void> {
    return this.#send('sendLocal', message, { ...options, routeToThisEndpoint: true })
  }

  #send(name: OperationName, message: object, options: SendOptions): Promise<void> {
    return this.#record(name, () => {
      const copy = this.#checkedCopy('Send', message, options)
      this.sent.add(copy, options)
      if (options.headers && 'NServiceBus.IsSagaTimeoutMessage' in options.headers) this.timeouts.add(copy, options)
    })
  }

  publish(event: object, options: PublishOptions = {}): Promise<void> {
    return this.#record('publish', () => this.published.add(this.#checkedCopy('Publish', event, options), options))
  }

  reply(message: object | number | bigint, options: ReplyOptions = {}): Promise<void> {
    return this.#record('reply', () => {
      if (typeof message === 'object') this.replied.add(this.#checkedCopy('Reply', message, options), options)
      else {
        returnCodeOf(message)
        this.returnCodes.push(message)
      }
    })
  }

  replyEnum<E extends EnumObject>(type: E, value: E[keyof E]): Promise<void> {
    return this.#record('replyEnum', () => this.returnCodes.push(enumNumber(type, value)))
  }

  forwardCurrentMessageTo(address: string): Promise<void> {
    return this.#record('forwardCurrentMessageTo', () => this.forwarded.push(address))
  }

  doNotContinueDispatchingCurrentMessageToHandlers(): void {
    this.aborted = true
  }

  verify(): void {
    const forgotten = this.#operations.find((operation) => !operation.awaited)
    if (!forgotten) return
    throw new NsbError({
      code: 'NSB_OPERATION_NOT_AWAITED',
      message: `The handler did not await ${forgotten.call}.`,
      suggestions: [`await context.${forgotten.name}(...)`],
      cause: forgotten.failure,
    })
  }

  #record(name: OperationName, run: () => void): Promise<void> {
    const operation = Operation.start(name, callSiteOf(this[name]), () => {
      run()
      return undefined
    })
    this.#operations.push(operation)
    return operation
  }

  // A copy, so that what the handler does to the message afterwards does not change the record.
  #checkedCopy(intent: Intent, message: object, options: { readonly doNotEnforceBestPractices?: boolean }): object {
    contentOf(message)
    const definition = definitionOfInstance(message)
    if (definition && !options.doNotEnforceBestPractices) enforceBestPractices(intent, definition)
    return instantiate(message.constructor as unknown as MessageType, deepCopy(message) as object)
  }
}

// Plain objects and arrays are copied; dates, decimals and byte arrays are values and stay.
function deepCopy(value: unknown, top = true): unknown {
  if (Array.isArray(value)) return value.map((item) => deepCopy(item, false))
  const plain = typeof value === 'object' && value !== null && (top || Object.getPrototypeOf(value) === Object.prototype)
  return plain ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, deepCopy(item, false)])) : value
}

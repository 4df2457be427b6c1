import { type MessageType, definitionOf, definitionOfInstance } from '../message/declaration.ts'
import { Header } from '../message/headers.ts'
import { NsbError } from '../message/nsb-error.ts'
import type { Expected } from '../runtime/callbacks.ts'
import type { PublishOptions, SendOptions } from '../runtime/context.ts'
import { CallbackError } from '../runtime/errors.ts'
import type { MessageSession, RequestOptions } from '../runtime/session.ts'
import { Recorded } from './recorded.ts'
import { testContext } from './test-context.ts'

/** A session that records, and answers requests as it is told. */
export interface TestSession extends MessageSession {
  readonly sent: Recorded<SendOptions>
  readonly published: Recorded<PublishOptions>
  readonly subscriptions: readonly string[]
  readonly unsubscriptions: readonly string[]
  /** Answers requests of a type; the last answer given for a type counts. */
  onRequest<T extends object>(type: { readonly prototype: T }, answer: (request: T) => unknown): void
}

/** The session for a unit test of code that sends from outside a handler. */
export function testSession(): TestSession {
  const context = testContext()
  const answers = new Map<string, (request: object) => unknown>()
  const subscriptions: string[] = []
  const unsubscriptions: string[] = []
  const nameOf = (event: MessageType): string => definitionOf(event)?.fullName ?? String(event)
  return {
    sent: context.sent,
    published: context.published,
    subscriptions,
    unsubscriptions,
    send: (message, options) => context.send(message, options),
    sendLocal: (message, options) => context.sendLocal(message, options),
    publish: (event, options) => context.publish(event, options),
    subscribe: async (event) => void subscriptions.push(nameOf(event)),
    unsubscribe: async (event) => void unsubscriptions.push(nameOf(event)),
    onRequest: (type, answer) => void answers.set(nameOf(type as unknown as MessageType), answer as (request: object) => unknown),
    request: (async (message: object, _expected: Expected, options: RequestOptions = {}) => {
      if (options.headers?.[Header.CorrelationId] !== undefined)
        throw new NsbError({ code: 'NSB_CORRELATION_FIXED', message: 'The correlation id of a request is its message id.' })
      if (options.signal?.aborted)
        throw new CallbackError({
          code: 'NSB_CALLBACK_CANCELLED',
          message: 'A task was canceled: the request was cancelled before it was sent.',
        })
      await context.send(message as never, options)
      const name = definitionOfInstance(message)?.fullName ?? ''
      const answer = answers.get(name)
      if (!answer)
        throw new CallbackError({
          code: 'NSB_CALLBACK_TIMEOUT',
          message: `No reply to a '${name}': the test gave none.`,
          suggestions: [`session.onRequest(${name.slice(name.lastIndexOf('.') + 1)}, (request) => ...)`],
        })
      return answer(message)
    }) as MessageSession['request'],
  }
}

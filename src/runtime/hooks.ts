import type { Intent } from '../message/headers.ts'
import { NsbError } from '../message/nsb-error.ts'
import type { Headers } from '../transport/transport.ts'
import type { MessageHandlerContext } from './context.ts'
import type { IncomingStep } from './incoming/incoming.ts'

/** Goes on with what the hook wraps; to be awaited. */
export type Next = () => Promise<void>

/** One delivery, before anything of it is read. */
export interface ReceiveContext extends Pick<MessageHandlerContext, 'messageId' | 'signal' | 'extensions'> {
  readonly headers: Record<string, string>
  readonly body: Uint8Array
  /** 1 on the first delivery */
  readonly attempt: number
}

/** One handler about to run. */
export interface HandleContext {
  readonly handler: string
  /** Full name. */
  readonly messageType: string
  readonly message: object
  /** What the handler gets; what is sent through it counts as sent by the handler. */
  readonly context: MessageHandlerContext
}

/** One outgoing operation. */
export interface SendContext {
  readonly intent: Intent
  /** Full name; undefined for an int or enum reply. */
  readonly messageType: string | undefined
  readonly message: object | undefined
  /** Those of the operation before `next()`, all of them after it. */
  readonly headers: Record<string, string>
  /** Of the message being handled; undefined outside a handler. */
  readonly incomingHeaders: Headers | undefined
}

/**
 * Wrappers around the pipeline. What is thrown fails the message, or the send. Where `next` is not called, what it leads to is
 * skipped and counts as done: the message is consumed, the handler has run, the message is not sent.
 */
export interface Hooks {
  /** Around everything that happens to a delivery except retries and the error queue. */
  onReceive?(context: ReceiveContext, next: Next): Promise<void>
  /** Around each handler. */
  onHandle?(context: HandleContext, next: Next): Promise<void>
  /** Around the making of each outgoing message. It leaves later, with its batch. */
  onSend?(context: SendContext, next: Next): Promise<void>
}

type Hook<C> = (context: C, next: Next) => Promise<void>

/** The hooks of one kind as one, the first outermost; undefined when there is none. */
export function chained<K extends keyof Hooks>(hooks: readonly Hooks[], name: K): Hook<Parameters<NonNullable<Hooks[K]>>[0]> | undefined {
  type Context = Parameters<NonNullable<Hooks[K]>>[0]
  const those = hooks.flatMap((each): readonly Hook<Context>[] => {
    const hook = each[name] as Hook<Context> | undefined
    return hook ? [(context, next) => call(name, hook.bind(each), context, next)] : []
  })
  if (those.length === 0) return undefined
  return (context, next) => {
    const run = (index: number): Promise<void> => those[index]?.(context, () => run(index + 1)) ?? next()
    return run(0)
  }
}

// A forgotten `await next()` would settle the message while its handlers still run.
async function call<C>(name: string, hook: Hook<C>, context: C, next: Next): Promise<void> {
  let running = 0
  await hook(context, () => {
    running += 1
    const going = next().finally(() => (running -= 1))
    going.catch(() => undefined)
    return going
  })
  if (running === 0) return
  throw new NsbError({
    code: 'NSB_OPERATION_NOT_AWAITED',
    message: `The hook ${name} did not await next(): it ended while what it wraps was still running.`,
    suggestions: ['await next()'],
  })
}

export const receiveHook =
  (hook: Hook<ReceiveContext>): IncomingStep =>
  ({ body, extensions, headers, message, signal }, next) =>
    hook({ messageId: message.id, headers, body, attempt: message.attempt, signal, extensions }, next)

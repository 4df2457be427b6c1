import { readFailure } from '../../message/failure.ts'
import { errorText } from '../../message/nsb-error.ts'
import { Header, parseIntent } from '../../message/headers.ts'
import type { Headers, IncomingMessage, OutgoingMessage, Transport } from '../../transport/transport.ts'
import { readJson } from '../../serialization/json-read.ts'
import { tapIfPossible } from '../tap-if-possible.ts'

/** In an error queue with more messages the request is not looked for. */
const mostLookedAt = 100_000

/** The answer to a request, or why there is none. */
export type ReplyOutcome =
  | { readonly status: 'replied'; readonly latencyMs: number; readonly reply: Reply }
  | {
      readonly status: 'failed'
      readonly latencyMs: number
      readonly failure: { readonly uniqueId: string; readonly exceptionType: string; readonly exceptionMessage: string }
    }
  | {
      readonly status: 'timedOut'
      readonly latencyMs: number
      readonly whereabouts: 'waiting' | 'taken' | 'unknown'
      readonly noErrorQueue?: true
    }

export interface Reply {
  /** A number reply answers an int or an enum request alike: the wire does not say which. */
  readonly kind: 'int' | 'object'
  readonly value?: number | string
  readonly body?: unknown
  readonly text: string
  readonly type: string | undefined
  readonly from: string | undefined
  readonly headers: Headers
}

/** The reply queue outlives the command by this long: a reply to a vanished queue would fail the responder's message. */
export const replyQueueLifetimeMs = 10 * 60_000

/**
 * Sends a request and waits for its first reply, or for the request to turn up in the error queue.
 *
 * @param request builds the message for a reply address
 * @param signal aborted: rejects with its reason; the reply queue stays for the late reply
 */
export async function sendAndAwait(
  transport: Transport,
  request: (replyTo: string) => OutgoingMessage,
  options: { readonly errorQueue: string; readonly timeoutMs: number; readonly signal: AbortSignal; sent(message: OutgoingMessage): void },
): Promise<{ message: OutgoingMessage; outcome: ReplyOutcome }> {
  const queue = await transport.temporaryQueue('nsb.reply', replyQueueLifetimeMs)
  const message = request(queue.address)
  const ended = withResolvers<ReplyOutcome>()
  // It may end before anybody awaits it: while the queue, the watch or the request itself is on its way.
  ended.promise.catch(() => undefined)
  let startedAt = performance.now()
  const latency = (): number => Math.round(performance.now() - startedAt)
  const receiving = await transport.receive(
    {
      queue: queue.address,
      errorQueue: options.errorQueue,
      concurrency: 1,
      transactionMode: transport.transactionModes[0],
      onDispatchFailed: async () => ({ kind: 'putBack' }),
      onCriticalError: (error) => ended.reject(error as Error),
      onSettled: () => undefined,
      onPoison: () => undefined,
    },
    async (incoming) => {
      if (answers(incoming, message.id)) ended.resolve({ status: 'replied', latencyMs: latency(), reply: replyOf(incoming) })
      return { kind: 'consume', outgoing: [] }
    },
  )
  let isSeen = true
  let tap: Awaited<ReturnType<typeof tapIfPossible>>
  const timer = setTimeout(() => ended.resolve({ status: 'timedOut', latencyMs: latency(), whereabouts: 'unknown' }), options.timeoutMs)
  const onAbort = (): void => ended.reject(options.signal.reason as Error)
  options.signal.addEventListener('abort', onAbort, { once: true })
  try {
    tap = await tapIfPossible(
      transport,
      options.errorQueue,
      (failed) => {
        if (isRequest(failed, message)) ended.resolve({ status: 'failed', latencyMs: latency(), failure: failureOf(failed) })
      },
      {
        // What comes until it goes on is looked for at the end.
        interrupted: () => {
          isSeen = false
        },
        resumed: () => undefined,
        ended: () => undefined,
      },
    )
    isSeen &&= tap !== undefined
    options.signal.throwIfAborted()
    startedAt = performance.now()
    const sending = transport.dispatch([message]).then(() => options.sent(message))
    // A broker that takes no messages keeps the request for as long as it likes; whoever waits may not want to.
    await Promise.race([sending, ended.promise])
    const outcome = await ended.promise
    await receiving.stop()
    // A second reply would fail in its sender where the queue is gone.
    if (outcome.status === 'replied' && !queue.goesByItself) await queue.remove()
    return {
      message,
      outcome: outcome.status === 'timedOut' ? await lookFor(transport, message, { ...options, isSeen }, outcome) : outcome,
    }
  } finally {
    clearTimeout(timer)
    options.signal.removeEventListener('abort', onAbort)
    await receiving.stop()
    await tap?.stop()
  }
}

function answers({ headers }: IncomingMessage, id: string): boolean {
  return headers[Header.CorrelationId] === id && parseIntent(headers[Header.MessageIntent]) === 'Reply'
}

/** Somebody may have used its id before, and that message may have failed. */
function isRequest({ headers, id }: IncomingMessage, { headers: sent, id: sentId }: OutgoingMessage): boolean {
  return id === sentId && [Header.TimeSent, Header.ConversationId].every((name) => headers[name] === sent[name])
}

function replyOf({ body, headers }: IncomingMessage): Reply {
  const common = { type: headers[Header.EnclosedMessageTypes]?.split(/[,;]/, 1)[0], from: headers[Header.OriginatingEndpoint], headers }
  const code = headers[Header.ReturnCode]
  if (code !== undefined) {
    const text = code.replace(/^\u2212/, '-')
    return { ...common, kind: 'int', value: Number.isSafeInteger(Number(text)) ? Number(text) : text, text }
  }
  const text = new TextDecoder().decode(body)
  return { ...common, kind: 'object', body: jsonOrText(body, text), text }
}

function jsonOrText(body: Uint8Array, text: string): unknown {
  try {
    return readJson(body)
  } catch (error) {
    return `${text || errorText(error)}`
  }
}

function failureOf(failed: IncomingMessage): { uniqueId: string; exceptionType: string; exceptionMessage: string } {
  const { exceptionMessage = '', exceptionType = '', uniqueId } = readFailure(failed.headers, failed.nativeId)
  return { uniqueId, exceptionType, exceptionMessage }
}

type TimedOut = Extract<ReplyOutcome, { status: 'timedOut' }>

/** One look, now that it is needed: whether the request has failed where nothing showed it, and else where it is. */
async function lookFor(
  transport: Transport,
  message: OutgoingMessage,
  { errorQueue, isSeen, signal }: { readonly errorQueue: string; readonly isSeen: boolean; readonly signal: AbortSignal },
  outcome: TimedOut,
): Promise<ReplyOutcome> {
  try {
    const noErrorQueue = !isSeen && (await transport.inspect(errorQueue)) === undefined
    const failed = isSeen || noErrorQueue ? undefined : await findFailed(transport, errorQueue, message, signal)
    if (failed !== undefined) return { status: 'failed', latencyMs: outcome.latencyMs, failure: failureOf(failed) }
    return { ...outcome, whereabouts: await whereabouts(transport, message), ...(noErrorQueue && { noErrorQueue }) }
  } catch {
    // The transport cannot be reached now; that there was no reply in time is true all the same.
    return outcome
  }
}

/** undefined: it is not there, or the queue cannot be read now. */
async function findFailed(
  transport: Transport,
  queue: string,
  message: OutgoingMessage,
  signal: AbortSignal,
): Promise<IncomingMessage | undefined> {
  const facts = await transport.inspect(queue)
  if (facts === undefined || facts.depth === 0 || facts.depth > mostLookedAt) return undefined
  let found: IncomingMessage | undefined
  try {
    const holding = await transport.hold(queue, {
      purpose: 'look',
      // Who waits for an answer has waited long enough.
      waits: false,
      overrule: [],
      page: 1000,
      max: mostLookedAt,
      signal,
      beforeRemove: () => undefined,
    })
    try {
      // All of it is held, so that all of it is given back in order.
      for await (const page of holding.pages()) found ??= page.find((held) => isRequest(held, message))
    } finally {
      await holding.giveBack()
    }
  } catch {
    // Another nsb reads it, or its messages have no look left: then it stays unknown.
  }
  return found
}

// A look costs nothing only where looking leaves no trace; elsewhere the depth has to do.
async function whereabouts(transport: Transport, message: OutgoingMessage): Promise<'waiting' | 'taken' | 'unknown'> {
  const queue = 'address' in message.to ? message.to.address : undefined
  if (queue === undefined) return 'unknown'
  if (!transport.can.lookWithoutTrace) {
    const facts = await transport.inspect(queue)
    if (facts?.depth === 0) return 'taken'
    return facts?.consumers === 0 ? 'waiting' : 'unknown'
  }
  const holding = await transport.hold(queue, {
    purpose: 'look',
    overrule: [],
    page: 100,
    max: 10_000,
    signal: new AbortController().signal,
    beforeRemove: () => undefined,
  })
  try {
    for await (const page of holding.pages()) if (page.some((held) => isRequest(held, message))) return 'waiting'
    return 'taken'
  } finally {
    await holding.giveBack()
  }
}

function withResolvers<T>(): { promise: Promise<T>; resolve(value: T): void; reject(error: Error): void } {
  let resolve!: (value: T) => void
  let reject!: (error: Error) => void
  const promise = new Promise<T>((accept, refuse) => {
    resolve = accept
    reject = refuse
  })
  return { promise, resolve, reject }
}

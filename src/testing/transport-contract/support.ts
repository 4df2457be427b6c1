import { deepStrictEqual } from 'node:assert/strict'
import { Header } from '../../message/headers.ts'
import type {
  Headers,
  HeldMessage,
  HoldOptions,
  IncomingMessage,
  OutgoingMessage,
  ReceiveOptions,
  Receiving,
  Transport,
  Verdict,
} from '../../transport/transport.ts'
import type { CaseWorld } from './contract.ts'

export { deepStrictEqual as same, ok as yes, rejects } from 'node:assert/strict'

const deadlineMs = 20_000

/** Waits for a condition. @throws naming what was awaited, after 20 s */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + deadlineMs
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`Waited ${deadlineMs / 1000} s for: ${what}.`)
    await pause(10)
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** A message whose id and body are its text. */
export function message(text: string, address: string, rest: Partial<OutgoingMessage> = {}): OutgoingMessage {
  return {
    id: text,
    headers: { [Header.MessageId]: text, ...rest.headers },
    body: Buffer.from(text),
    to: { address },
    ...omitHeaders(rest),
  }
}

function omitHeaders(rest: Partial<OutgoingMessage>): Partial<OutgoingMessage> {
  return Object.fromEntries(Object.entries(rest).filter(([key]) => key !== 'headers'))
}

export const textOf = (of: { readonly body: Uint8Array }): string => Buffer.from(of.body).toString('utf8')
export const headersOf = (of: { readonly headers: Headers }): Headers => ({ ...of.headers })

export const consume = (...outgoing: readonly OutgoingMessage[]): Verdict => ({ kind: 'consume', outgoing })
export const putBack: Verdict = { kind: 'putBack' }

/** A running receiver, and what it has seen. */
export interface Seen extends Omit<Receiving, 'inHand'> {
  /** Every delivery, in order. */
  readonly deliveries: IncomingMessage[]
  readonly errors: unknown[]
  texts(): readonly string[]
}

/** Receives from a queue and consumes everything, unless told otherwise. */
export async function receive(
  world: CaseWorld,
  transport: Transport,
  queue: string,
  decide: (message: IncomingMessage, signal: AbortSignal) => Promise<Verdict> = async () => consume(),
  options: Partial<ReceiveOptions> = {},
): Promise<Seen> {
  const deliveries: IncomingMessage[] = []
  const errors: unknown[] = []
  const receiving = await transport.receive(
    {
      queue,
      errorQueue: world.unique('error'),
      concurrency: 1,
      transactionMode: world.mode,
      onDispatchFailed: async () => putBack,
      onCriticalError: (error) => errors.push(error),
      onSettled: () => undefined,
      onPoison: () => undefined,
      ...options,
    },
    async (incoming, signal) => {
      deliveries.push(incoming)
      return decide(incoming, signal)
    },
  )
  return { deliveries, errors, texts: () => deliveries.map(textOf), stop: (stopping) => receiving.stop(stopping) }
}

/** A transport with a new queue on it. */
export async function openWithQueue(world: CaseWorld, name = 'sales'): Promise<{ readonly transport: Transport; readonly queue: string }> {
  const transport = await world.open()
  const queue = world.unique(name)
  await transport.createQueues([queue])
  return { transport, queue }
}

/** Sends `first`, … `count` messages, one by one, and waits until they are visible. */
export async function fill(transport: Transport, queue: string, count: number): Promise<readonly string[]> {
  const texts = Array.from({ length: count }, (_, index) => `message ${String(index + 1).padStart(3, '0')}`)
  for (const text of texts) await transport.dispatch([message(text, queue)])
  await depthIs(transport, queue, count)
  return texts
}

export async function depthIs(transport: Transport, queue: string, depth: number): Promise<void> {
  await until(`queue '${queue}' holds ${depth} messages`, async () => ((await transport.inspect(queue))?.depth ?? 0) === depth)
}

export function holdOptions(rest: Partial<HoldOptions> = {}): HoldOptions {
  return { purpose: 'change', overrule: [], page: 100, max: 1000, signal: new AbortController().signal, beforeRemove: () => {}, ...rest }
}

/** All pages of a look, which is then given back. */
export async function look(
  transport: Transport,
  queue: string,
  rest: Partial<HoldOptions> = {},
): Promise<readonly (readonly HeldMessage[])[]> {
  const holding = await transport.hold(queue, holdOptions({ purpose: 'look', ...rest }))
  const pages: (readonly HeldMessage[])[] = []
  try {
    for await (const page of holding.pages()) pages.push(page)
  } finally {
    await holding.giveBack()
  }
  return pages
}

/** What a queue holds, in its order. */
export async function contents(transport: Transport, queue: string): Promise<readonly string[]> {
  return (await look(transport, queue)).flat().map(textOf)
}

export function hasCode(code: string): (error: unknown) => boolean {
  return (error) => {
    deepStrictEqual(error instanceof Error && 'code' in error ? error.code : error, code)
    return true
  }
}

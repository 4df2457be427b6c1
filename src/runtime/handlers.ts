import { type MessageDefinition, type MessageType, definitionOf, isAssignable, messageSymbol } from '../message/declaration.ts'
import { NsbError } from '../message/nsb-error.ts'
import type { MessageHandlerContext } from './context.ts'

/** Handles messages of one type; the class also says so at run time: `static readonly handles = PlaceOrder`. */
export interface IHandleMessages<T> {
  handle(message: T, context: MessageHandlerContext): Promise<void> | void
}

const handlerSymbol: unique symbol = Symbol.for('nsbus.handler') as never

/** A handler made of one function. */
export interface FunctionHandler {
  readonly [handlerSymbol]: true
  readonly handles: MessageType | readonly MessageType[]
  readonly name: string
  readonly fn: (message: never, context: MessageHandlerContext) => Promise<void> | void
}

// A handler may take any message and be constructed with anything; CheckedHandler ties it down.
type AnyHandlerClass = {
  new (...dependencies: never[]): { handle(message: never, context: MessageHandlerContext): unknown }
  readonly handles: MessageType | readonly MessageType[]
}

export type Handler = AnyHandlerClass | FunctionHandler

type MessageOf<H> = H extends readonly (infer One)[] ? MessageOf<One> : H extends { readonly prototype: infer T } ? T : never

/** Refuses, at compile time, a class whose `handles` is not what its `handle()` takes. */
export type CheckedHandler<H> = H extends FunctionHandler
  ? H
  : H extends {
        new (...dependencies: never[]): { handle(message: infer M, context: MessageHandlerContext): Promise<void> | void }
        readonly handles: infer T
      }
    ? MessageOf<T> extends M
      ? H
      : never
    : never

/**
 * A handler from one function.
 *
 * @param options.name shown in listings and failure headers; default: the name of the function
 */
export function handler<T extends object>(
  handles: { readonly [messageSymbol]: MessageDefinition; readonly prototype: T; readonly name: string },
  fn: (message: T, context: MessageHandlerContext) => Promise<void> | void,
  options: { readonly name?: string } = {},
): FunctionHandler {
  const name = options.name ?? (fn.name || 'anonymous')
  // Stack frames show the name of the function, and failures are grouped by their first frame: without this all short handlers are one group.
  if (options.name !== undefined) Object.defineProperty(fn, 'name', { value: name, configurable: true })
  return {
    [handlerSymbol]: true,
    handles: handles as MessageType,
    name,
    fn: fn as FunctionHandler['fn'],
  }
}

/** One handler for one message type, as the dispatch loop calls it. */
export interface RegisteredHandler {
  readonly name: string
  readonly handles: MessageDefinition
  readonly type: MessageType
  /** Where it was found, relative to the project; undefined when it was passed in. */
  readonly file: string | undefined
  /** Makes a new instance where it is a class, and calls it. */
  invoke(message: object, context: MessageHandlerContext): unknown
}

export type CreateHandler = (type: new (...dependencies: never[]) => unknown) => unknown

/** Where a discovered handler comes from; keys are handlers. */
export type HandlerFiles = ReadonlyMap<unknown, string>

/**
 * Turns handlers into registrations, in order; a pair of handler and type counts once.
 *
 * @throws {NsbError} NSB_NOT_A_HANDLER when something has no `handle` or no `handles`; the message names the file
 */
export function registerHandlers(
  handlers: readonly unknown[],
  options: { create?: CreateHandler | undefined; files?: HandlerFiles | undefined } = {},
): readonly RegisteredHandler[] {
  return [...new Set(handlers)].flatMap((candidate) => {
    const file = options.files?.get(candidate)
    const where = file === undefined ? '' : ` in ${file}`
    if (isFunctionHandler(candidate)) {
      const { fn, name, handles } = candidate
      return typesOf(handles, name, where).map((type) => ({
        name,
        file,
        type,
        handles: type[messageSymbol],
        invoke: (message, context) => fn(message as never, context),
      }))
    }
    if (!isHandlerClass(candidate)) throw notAHandler(candidate, where)
    const create = options.create ?? ((type) => new (type as new () => unknown)())
    return typesOf(candidate.handles, candidate.name, where).map((type) => ({
      name: candidate.name,
      file,
      type,
      handles: type[messageSymbol],
      invoke: (message, context) => (create(candidate) as IHandleMessages<object>).handle(message, context),
    }))
  })
}

/** True for what `nsb run` takes from a module: a handler value, or a class with a `handle` method or a `handles` property. */
export function looksLikeHandler(candidate: unknown): boolean {
  if (isFunctionHandler(candidate)) return true
  if (typeof candidate !== 'function' || definitionOf(candidate)) return false
  return typeof (candidate.prototype as { handle?: unknown } | undefined)?.handle === 'function' || 'handles' in candidate
}

/** The registered handlers and, per message type, which of them run. */
export class HandlerTable {
  readonly all: readonly RegisteredHandler[]
  readonly #matching = new Map<MessageDefinition, readonly RegisteredHandler[]>()

  constructor(all: readonly RegisteredHandler[]) {
    this.all = all
  }

  /**
   * Handlers of the type and of everything it is assignable to, in registration order.
   *
   * @param also further types it counts as
   */
  matching(definition: MessageDefinition, also: readonly MessageDefinition[] = []): readonly RegisteredHandler[] {
    if (also.length > 0) return this.all.filter((handler) => [definition, ...also].some((type) => isAssignable(type, handler.handles)))
    let matching = this.#matching.get(definition)
    if (!matching) {
      matching = this.all.filter((handler) => isAssignable(definition, handler.handles))
      this.#matching.set(definition, matching)
    }
    return matching
  }
}

function isFunctionHandler(candidate: unknown): candidate is FunctionHandler {
  return typeof candidate === 'object' && candidate !== null && handlerSymbol in candidate
}

function isHandlerClass(candidate: unknown): candidate is AnyHandlerClass {
  return (
    typeof candidate === 'function' &&
    'handles' in candidate &&
    typeof (candidate.prototype as { handle?: unknown } | undefined)?.handle === 'function'
  )
}

function typesOf(handles: unknown, name: string, where: string): readonly MessageType[] {
  const types = [...new Set(Array.isArray(handles) ? (handles as unknown[]) : [handles])]
  if (types.length === 0 || types.some((type) => !definitionOf(type)))
    throw new NsbError({
      code: 'NSB_NOT_A_HANDLER',
      message: `The handler '${name}'${where} lists something in 'handles' that is no message type.`,
      suggestions: [
        'static readonly handles = PlaceOrder',
        'Circular imports leave undefined here: declare the message in a file of its own',
      ],
    })
  return types as MessageType[]
}

function notAHandler(candidate: unknown, where: string): NsbError {
  const name = typeof candidate === 'function' ? `The class '${candidate.name}'` : `A value of type ${typeof candidate}`
  const missing =
    typeof candidate === 'function' && !('handles' in candidate)
      ? `it has no static 'handles', so nobody knows at run time which message it takes`
      : `it has no handle(message, context) method`
  return new NsbError({
    code: 'NSB_NOT_A_HANDLER',
    message: `${name}${where} is no handler: ${missing}.`,
    suggestions: [
      'static readonly handles = PlaceOrder',
      'or: export const audit = handler(PlaceOrder, async (message, context) => { ... })',
    ],
  })
}

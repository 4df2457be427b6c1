import { type MessageType, definitionOf } from '../message/declaration.ts'
import { nearest } from '../message/nearest.ts'
import { NsbError } from '../message/nsb-error.ts'
import type { Serializer } from '../serialization/serializer.ts'
import type { Headers, TransactionMode } from '../transport/transport.ts'
import type { MessageHandlerContext } from './context.ts'
import type { Conventions } from './conventions.ts'
import type { CheckedHandler, CreateHandler, Handler } from './handlers.ts'
import type { Hooks } from './hooks.ts'
import type { Host } from './host.ts'
import type { Mutator } from './mutators.ts'
import type { RateLimitSettings } from './rate-limit.ts'
import type { RecoverabilityPolicy, RecoverabilitySettings } from './recoverability.ts'

export type RetrySettings = Partial<Omit<RecoverabilitySettings, 'errorQueue'>>

/** How an endpoint treats replies to its own requests. */
export interface CallbackSettings {
  /** How long a request waits when it does not say; default 30 s. */
  readonly timeoutMs?: number
  /** An object reply that nobody waits for, of a type without handler. Default `error-queue`, as in .NET. */
  readonly lateObjectReplies?: 'error-queue' | 'discard'
  /** A reply of the wrong kind rejects the request; `fail` also fails the reply's own processing, as .NET does. Default `reject`. */
  readonly onMismatch?: 'reject' | 'fail'
  /** A number that is no member of the expected enum. Default `reject`; .NET passes it through. */
  readonly unknownEnumNumbers?: 'reject' | 'pass'
}

export interface EndpointOptions<H extends readonly Handler[] = readonly Handler[]> {
  /** In order of execution. */
  readonly handlers?: { readonly [K in keyof H]: CheckedHandler<H[K]> }
  /** Message types it knows besides those it handles: what it may receive under a base type, and what replies are made of. */
  readonly messages?: readonly MessageType[]
  readonly routes?: readonly Route[]
  readonly errorQueue?: string
  /** Copies of what was processed go there; without it there are none. */
  readonly auditQueue?: string
  readonly recoverability?: RetrySettings | RecoverabilityPolicy
  /** Slows down after consecutive failures; without it, nothing does. */
  readonly rateLimit?: RateLimitSettings
  /** Distinguishes this running instance; needed to request, and to be replied to. */
  readonly instance?: string
  readonly callbacks?: CallbackSettings
  /** No queue of its own: it sends and publishes only. */
  readonly sendOnly?: boolean
  readonly concurrency?: number
  readonly transactionMode?: TransactionMode
  /** Makes handler instances: dependency injection. Default: `new Class()`. */
  readonly createHandler?: CreateHandler
  /** Handlers to run before all others, in this order. */
  readonly first?: readonly Handler[]
  /** Runs around all handlers of a message; whatever it throws fails the message. */
  readonly unitOfWork?: UnitOfWork
  /** Besides JSON; the first of them writes. */
  readonly serializers?: readonly Serializer[]
  readonly host?: Partial<Host>
  /** On every message it sends, publishes or replies; they win over headers of the single operation. */
  readonly staticHeaders?: Headers
  /** What is a command, an event or a message, instead of the declarations. */
  readonly conventions?: Conventions
  /** Take the type of a message without type header from its body, where the body names it. Default true, as in .NET. */
  readonly inferTypes?: boolean
  /**
   * `strict`: unrelated known types of one header are a logical message each, as in .NET. `merge`: the first known type is the
   * type of the message, and the others count as further base types of it. Default `strict`.
   */
  readonly enclosedTypes?: 'strict' | 'merge'
  /** Start traces (`traceparent`) where none came in. Default false: what came in is passed on. */
  readonly tracing?: boolean
  /** A message without handler is retried like any failure, as in .NET, or goes to the error queue at once. Default `retry`. */
  readonly noHandler?: 'retry' | 'fail-fast'
  /** Wrappers around receiving, handling and sending; of several, the first is outermost. */
  readonly hooks?: Hooks | readonly Hooks[]
  /** Changes to headers and bodies, in this order. */
  readonly mutators?: readonly Mutator[]
}

/** Wraps all handlers of one message; `next` runs them. */
export type UnitOfWork = (
  context: Pick<MessageHandlerContext, 'messageId' | 'headers' | 'signal' | 'extensions'>,
  next: () => Promise<void>,
) => Promise<void>

const endpointSymbol: unique symbol = Symbol.for('nsbus.endpoint') as never

/** An endpoint as plain data; `startEndpoint` brings it to life. */
export interface EndpointDefinition extends Omit<EndpointOptions, 'handlers'> {
  readonly [endpointSymbol]: true
  readonly name: string
  readonly handlers: readonly Handler[]
}

/** Commands of a type, or of a namespace, go to an endpoint. */
export interface Route {
  readonly match: MessageType | string
  readonly destination: string
}

/**
 * Sends commands to their owner. Match a message class, a full name, a namespace (`Shop.Billing`) or everything below one (`Shop.Billing.*`).
 * A type beats a namespace, a namespace beats a pattern, and a longer pattern a shorter one.
 *
 * @throws {NsbError} NSB_BAD_ROUTE
 */
export function route(match: { readonly prototype: object; readonly name: string } | string, destination: string): Route {
  if (typeof match !== 'string' && !definitionOf(match))
    throw new NsbError({
      code: 'NSB_BAD_ROUTE',
      message: `A route to '${destination}' matches '${match?.name}', which is no message class.`,
      suggestions: [`route(PlaceOrder, '${destination}')`],
    })
  if (destination.trim() === '' || destination.includes('@'))
    throw new NsbError({
      code: 'NSB_BAD_ROUTE',
      message: `'${destination}' is not the name of an endpoint.`,
      suggestions: [`Write it without a machine name: route(PlaceOrder, 'Sales')`],
    })
  return { match: match as MessageType | string, destination }
}

const optionKeys: Readonly<Record<keyof EndpointOptions, true>> = {
  handlers: true,
  messages: true,
  routes: true,
  errorQueue: true,
  auditQueue: true,
  recoverability: true,
  rateLimit: true,
  instance: true,
  callbacks: true,
  sendOnly: true,
  concurrency: true,
  transactionMode: true,
  createHandler: true,
  first: true,
  unitOfWork: true,
  serializers: true,
  host: true,
  staticHeaders: true,
  conventions: true,
  inferTypes: true,
  enclosedTypes: true,
  tracing: true,
  noHandler: true,
  hooks: true,
  mutators: true,
}

const retryKeys: Readonly<Record<keyof RetrySettings, true>> = {
  immediateRetries: true,
  delayedRetries: true,
  delayIncreaseMs: true,
  unrecoverable: true,
}

/**
 * Describes an endpoint; nothing connects here.
 *
 * @param name also the name of its queue
 * @throws {NsbError} NSB_BAD_ENDPOINT
 */
export function defineEndpoint<const H extends readonly Handler[]>(name: string, options: EndpointOptions<H> = {}): EndpointDefinition {
  const refuse = (message: string, suggestion: string): never => {
    throw new NsbError({ code: 'NSB_BAD_ENDPOINT', message, suggestions: [suggestion] })
  }
  if (name.trim() === '' || /[\\/@]/.test(name) || /^\.{1,2}$/.test(name))
    refuse(
      `'${name}' cannot be the name of an endpoint: it names a queue, so it has no '/', '\\' or '@'.`,
      `defineEndpoint('Shop.Sales', { ... })`,
    )
  // Without TypeScript nobody else says so, and the default would hold in silence.
  const { recoverability } = options
  const settings = typeof recoverability === 'object' ? { recoverability } : {}
  for (const [path, given, known] of [
    ['', options, optionKeys],
    ['recoverability.', settings.recoverability ?? {}, retryKeys],
  ] as const)
    for (const key of Object.keys(given).filter((each) => !Object.hasOwn(known, each)))
      refuse(
        `'${name}' has the option '${path}${key}', which does not exist.`,
        `Did you mean '${path}${nearest(key, Object.keys(known))[0] ?? Object.keys(known)[0]}'?`,
      )
  for (const [key, example] of [
    ['errorQueue', 'error'],
    ['auditQueue', 'audit'],
    ['instance', 'a1'],
  ] as const)
    if (options[key]?.trim() === '') refuse(`The option ${key} of '${name}' is blank.`, `Leave it out, or name it: ${key}: '${example}'`)
  for (const [key, known] of [
    ['enclosedTypes', ['strict', 'merge']],
    ['noHandler', ['retry', 'fail-fast']],
  ] as const)
    if (options[key] !== undefined && !(known as readonly string[]).includes(options[key]))
      refuse(`The option ${key} of '${name}' is '${options[key] as string}'.`, `${key}: '${known.join(`' or '`)}'`)
  if (options.sendOnly && (options.handlers?.length ?? 0) > 0)
    refuse(`The send-only endpoint '${name}' has handlers, but no queue to get messages from.`, 'Leave out sendOnly, or the handlers')
  if (options.sendOnly && options.instance !== undefined)
    refuse(
      `The send-only endpoint '${name}' has the instance '${options.instance}', but no queue.`,
      'Leave out sendOnly to request and be replied to',
    )
  if (options.concurrency !== undefined && !(Number.isInteger(options.concurrency) && options.concurrency > 0))
    refuse(`The concurrency of '${name}' is ${options.concurrency}; it is a whole number above zero.`, 'concurrency: 4')
  const { consecutiveFailures = 1, waitMs = 0 } = options.rateLimit ?? {}
  if (!(Number.isInteger(consecutiveFailures) && consecutiveFailures > 0 && waitMs >= 0))
    refuse(
      `The rate limit of '${name}' is ${consecutiveFailures} failures and ${waitMs} ms; it needs a whole number above zero, and no negative time.`,
      'rateLimit: { consecutiveFailures: 10, waitMs: 1000 }',
    )
  if (Object.keys(options.staticHeaders ?? {}).some((key) => key.trim() === ''))
    refuse(`A static header of '${name}' has a blank name.`, `staticHeaders: { Tenant: 'a' }`)
  return { ...options, [endpointSymbol]: true, name, handlers: (options.handlers ?? []) as unknown as readonly Handler[] }
}

export function isEndpointDefinition(value: unknown): value is EndpointDefinition {
  return typeof value === 'object' && value !== null && endpointSymbol in value
}

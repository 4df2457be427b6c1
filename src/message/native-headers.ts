import { Header } from './headers.ts'
import { formatTimestamp } from './wire-formats.ts'

type Headers = Readonly<Record<string, string>>

/** The properties of an AMQP message, headers included, as far as headers are made of them. */
export interface ShownProperties {
  readonly headers?: Readonly<Record<string, unknown>> | undefined
  readonly replyTo?: unknown
  readonly correlationId?: unknown
  readonly deliveryMode?: unknown
  readonly type?: unknown
  readonly contentType?: unknown
}

/** Headers that only the transport knows. @source NServiceBus.RabbitMQ: MessageConverter */
export const Native = {
  DelayInSeconds: 'NServiceBus.Transport.RabbitMQ.DelayInSeconds',
  NonPersistent: 'NServiceBus.Transport.RabbitMQ.UseNonPersistentDelivery',
  ConfirmationId: 'NServiceBus.Transport.RabbitMQ.ConfirmationId',
  CallbackQueue: 'NServiceBus.RabbitMQ.CallbackQueue',
  DeliveryCount: 'x-delivery-count',
  AcquiredCount: 'x-acquired-count',
} as const

/** What brokers and client libraries add; no handler sees it. */
const stripped: ReadonlySet<string> = new Set([
  Native.DelayInSeconds,
  Native.ConfirmationId,
  Native.DeliveryCount,
  Native.AcquiredCount,
  'x-death',
  'x-first-death-exchange',
  'x-first-death-queue',
  'x-first-death-reason',
  'x-last-death-exchange',
  'x-last-death-queue',
  'x-last-death-reason',
  'x-dotnet-pub-seq-no',
])

/**
 * The headers of a native message as NServiceBus sees them. Takes the table of the message over instead of copying it: what is native
 * about it has to be read before.
 *
 * @param isText known: the table has nothing but texts that are shown
 * @source NServiceBus.RabbitMQ: MessageConverter.RetrieveHeaders
 */
export function headersOf(properties: ShownProperties, isText = false): Headers {
  const headers = (properties.headers ?? {}) as Record<string, unknown>
  // Read by amqplib, a table called `__proto__` is what the object inherits from.
  if (Object.getPrototypeOf(headers) !== Object.prototype) Object.setPrototypeOf(headers, Object.prototype)
  if (isText) return withProperties(headers as Record<string, string>, properties)
  for (const name of Object.keys(headers)) {
    if (isNotShown(name)) {
      delete headers[name]
      continue
    }
    const value = headers[name]
    if (typeof value !== 'string') headers[name] = textOf(value)
  }
  return withProperties(headers as Record<string, string>, properties)
}

/** Is it left out of the headers that {@link headersOf} gives? */
export function isNotShown(name: string): boolean {
  return mayBeStripped(name) && stripped.has(name)
}

/** What a queue counts is none of the message's. */
const counted: ReadonlySet<string> = new Set([Native.DeliveryCount, Native.AcquiredCount])

/** Does a queue write it into what it hands out? */
export const isCounted = (name: string): boolean => counted.has(name)

/** Do brokers and client libraries write it, so that no handler sees it, and whoever operates the queue does? */
export function isForOperators(name: string): boolean {
  return isNotShown(name) && !counted.has(name)
}

/** A message that is held in a queue, as far as it was read. */
export interface HeldHeaders {
  readonly headers: Headers
  /** `HeldMessage.native`. */
  readonly native?: Readonly<Record<string, unknown>> | undefined
}

/** One of the headers that {@link isForOperators} names, as text; undefined: the message has none of that name. */
export function operatorHeader({ headers, native }: HeldHeaders, name: string): string | undefined {
  // In a folder they are headers like others.
  if (Object.hasOwn(headers, name)) return headers[name]
  const hidden = native?.['headers']
  if (typeof hidden !== 'object' || hidden === null || !Object.hasOwn(hidden, name)) return undefined
  const value = (hidden as Readonly<Record<string, unknown>>)[name]
  return typeof value === 'string' ? value : textOf(value)
}

/** All headers of a message, those that no handler sees included: what a broker says of a dead letter, and what delays and confirms it. */
export function operatorHeaders(message: HeldHeaders): Headers {
  const hidden = message.native?.['headers']
  if (typeof hidden !== 'object' || hidden === null) return message.headers
  const names = Object.keys(hidden).filter(isForOperators)
  return { ...message.headers, ...Object.fromEntries(names.map((name) => [name, operatorHeader(message, name) ?? ''])) }
}

/** What most names are not can be told from two letters. */
function mayBeStripped(name: string): boolean {
  return name.charCodeAt(0) === x || name.charCodeAt(12) === capitalT
}
const x = 'x'.charCodeAt(0)
const capitalT = 'T'.charCodeAt(0)

function withProperties(headers: Record<string, string>, properties: ShownProperties): Headers {
  if (given(properties.replyTo)) headers[Header.ReplyToAddress] = properties.replyTo
  const callbackQueue = headers[Native.CallbackQueue]
  if (callbackQueue !== undefined) headers[Header.ReplyToAddress] = callbackQueue
  if (given(properties.correlationId)) headers[Header.CorrelationId] = properties.correlationId
  if (properties.deliveryMode === 1) headers[Native.NonPersistent] = 'True'
  if (headers[Header.EnclosedMessageTypes] === undefined && given(properties.type) && !isEncoding(properties.type, headers))
    headers[Header.EnclosedMessageTypes] = properties.type
  if (given(properties.contentType)) headers[Header.ContentType] = properties.contentType
  return headers
}

/**
 * Brokers tell in that property how the body of a message is encoded that a client of AMQP 1.0 has sent: as sections of that protocol, or,
 * says the plugin of RabbitMQ 3, as plain bytes.
 */
function isEncoding(type: string, headers: Readonly<Record<string, unknown>>): boolean {
  return type === 'amqp-1.0' || (type === 'binary' && headers['x-amqp-1.0-properties'] !== undefined)
}

function given(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

/** Tables in tables are looked into so far: what a foreign sender nests deeper could exhaust the stack. */
export const deepest = 64

/** Any AMQP value but text as .NET prints it: `k=v` pairs of a table, `;` between the items of an array. */
export function textOf(value: unknown, depth = 0): string {
  switch (typeof value) {
    case 'boolean':
      return value ? 'True' : 'False'
    case 'number':
    case 'bigint':
      return numberText(value)
    case 'object':
      return value === null ? '' : depth < deepest ? objectText(value, depth + 1) : '…'
    default:
      return ''
  }
}

const nestedText = (value: unknown, depth: number): string => (typeof value === 'string' ? value : textOf(value, depth))

function objectText(value: object, depth: number): string {
  if (Buffer.isBuffer(value)) return value.toString('utf8')
  if (Array.isArray(value)) return value.map((each) => nestedText(each, depth)).join(';')
  if ('!' in value && 'value' in value) {
    if (value['!'] === 'timestamp' && typeof value.value === 'number') return timestampText(value.value)
    if (value['!'] === 'int64' && typeof value.value === 'bigint') return numberText(value.value)
    if (value['!'] === 'decimal' && isDecimal(value.value)) return decimalText(value.value)
  }
  return Object.entries(value)
    .map(([key, item]) => `${key}=${nestedText(item, depth)}`)
    .join(',')
}

function timestampText(seconds: number): string {
  const ms = seconds * 1000
  return Number.isFinite(ms) && Math.abs(ms) <= 8.64e15 ? formatTimestamp(ms) : String(seconds)
}

interface Decimal {
  readonly digits: number
  readonly places: number
}

/** A foreign table can look like one. */
export function isDecimal(value: unknown): value is Decimal {
  if (typeof value !== 'object' || value === null || !('digits' in value) || !('places' in value)) return false
  return typeof value.digits === 'number' && typeof value.places === 'number' && value.places >= 0 && value.places < 256
}

function decimalText({ digits, places }: Decimal): string {
  const text = String(digits).padStart(places + 1, '0')
  return places === 0 ? text : `${text.slice(0, -places)}.${text.slice(-places)}`
}

/** .NET writes large numbers without an exponent where JavaScript would. */
function numberText(value: number | bigint): string {
  if (typeof value === 'bigint') return value.toString()
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? 'Infinity' : '-Infinity'
  return Number.isInteger(value) && Math.abs(value) >= 1e21 ? BigInt(value).toString() : String(value)
}

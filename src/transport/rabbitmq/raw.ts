import type { Message, MessageProperties } from 'amqplib'
import { Header } from '../../message/headers.ts'
import { setOwn } from '../../message/own-property.ts'
import type { OutgoingMessage } from '../transport.ts'
import { Native, deepest, isCounted, isNotShown, textOf } from './native-headers.ts'
import { NativeProperties } from './outgoing.ts'
import { wireOf } from './properties-frame.ts'

/** Counted by the queue itself, or meant for the exchange it came from. */
const notCopied: ReadonlySet<string> = new Set([Native.DeliveryCount, Native.AcquiredCount, 'CC', 'BCC'])

/** The properties of a received message, for publishing it again as it is. What is absent stays absent. */
export function rawProperties({ properties }: Message): NativeProperties {
  const original = wireOf(properties)?.bytes
  const raw = new NativeProperties(rawHeaders(properties.headers, original !== undefined))
  raw.original = original
  const target = raw as unknown as Record<string, unknown>
  for (const name of propertyNames) target[name] = properties[name]
  return raw
}

const propertyNames = [
  'contentType',
  'contentEncoding',
  'deliveryMode',
  'priority',
  'correlationId',
  'replyTo',
  'expiration',
  'messageId',
  'timestamp',
  'type',
  'userId',
  'appId',
  'clusterId',
] as const

/** @param isKnown their bytes are known, so that nothing has to be told of their types */
function rawHeaders(headers: Readonly<Record<string, unknown>> | undefined, isKnown: boolean): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(headers ?? {})
      .filter(([name]) => !notCopied.has(name))
      .map(([name, value]) => [name, isKnown ? value : withWidths(value, name.startsWith('x-'))]),
  )
}

/**
 * Where amqplib has read them it does not tell how wide a number was, and writes the narrowest. Brokers and client libraries count in 64 bits, in headers
 * that begin with `x-`; .NET reads a delay in 32 bits only, which is also what an `int` of most clients is.
 */
function withWidths(value: unknown, counted: boolean, depth = 0): unknown {
  if (typeof value === 'number') {
    const whole = Number.isInteger(value) && value >= -(2 ** 63) && value < 2 ** 63
    return { '!': !whole ? 'double' : counted || value !== (value | 0) ? 'int64' : 'int32', value }
  }
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value) || '!' in value) return value
  if (depth === deepest) return textOf(value, depth)
  if (Array.isArray(value)) return value.map((each) => withWidths(each, counted, depth + 1))
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, withWidths(each, counted, depth + 1)]))
}

/**
 * What moving and exporting keep beside the headers that are shown: the typed properties; as `headers` those values that are no text, are
 * not shown, or are shown with the value of a property; as `added` the names of what is shown and only a property says; as `wire` the bytes
 * of all of it, where these do not tell everything.
 */
export function nativeOf({ properties }: Message): Readonly<Record<string, unknown>> {
  const native = typedProperties(properties)
  const headers: Readonly<Record<string, unknown>> = properties.headers ?? {}
  let hidden: Record<string, unknown> | undefined
  const wire = wireOf(properties)
  const names = Object.keys(headers)
  // No table at all is another thing than an empty one.
  let isPlain = wire === undefined || (wire.isPlain && wire.names > 0 && wire.names === names.length)
  for (const name of names) {
    const value = headers[name]
    if (typeof value === 'string' && !isNotShown(name)) continue
    if (!isCounted(name)) isPlain = false
    setOwn((hidden ??= {}), name, withoutDeep(value))
  }
  let added: string[] | undefined
  const shown = (name: string, property: unknown): void => {
    if (property === undefined || property === '' || headers[name] === property) return
    if (!Object.hasOwn(headers, name)) (added ??= []).push(name)
    else setOwn((hidden ??= {}), name, headers[name])
  }
  shown(Header.ReplyToAddress, headers[Native.CallbackQueue] ?? properties.replyTo)
  shown(Header.CorrelationId, properties.correlationId)
  if (properties.deliveryMode === 1) shown(Native.NonPersistent, 'True')
  if (headers[Header.EnclosedMessageTypes] === undefined) shown(Header.EnclosedMessageTypes, properties.type)
  shown(Header.ContentType, properties.contentType)
  if (hidden) native['headers'] = hidden
  if (added) native['added'] = added
  if (!isPlain) native['wire'] = wire?.bytes
  return native
}

/** What is nested deeper than anybody looks would exhaust the stack of who writes it, into a file or back to a broker. */
function withoutDeep(value: unknown, depth = 0): unknown {
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return value
  if (depth === deepest) return textOf(value, depth)
  if (Array.isArray(value)) return value.map((each) => withoutDeep(each, depth + 1))
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, withoutDeep(each, depth + 1)]))
}

/** One after the other: every message is read with it, and by a computed name each takes several times as long. */
function typedProperties(from: MessageProperties): Record<string, unknown> {
  const typed: Record<string, unknown> = {}
  if (from.contentType !== undefined) typed['contentType'] = from.contentType
  if (from.contentEncoding !== undefined) typed['contentEncoding'] = from.contentEncoding
  if (from.deliveryMode !== undefined) typed['deliveryMode'] = from.deliveryMode
  if (from.priority !== undefined) typed['priority'] = from.priority
  if (from.correlationId !== undefined) typed['correlationId'] = from.correlationId
  if (from.replyTo !== undefined) typed['replyTo'] = from.replyTo
  if (from.expiration !== undefined) typed['expiration'] = from.expiration
  if (from.messageId !== undefined) typed['messageId'] = from.messageId
  if (from.timestamp !== undefined) typed['timestamp'] = from.timestamp
  if (from.type !== undefined) typed['type'] = from.type
  if (from.appId !== undefined) typed['appId'] = from.appId
  if (from.userId !== undefined) typed['userId'] = from.userId
  if (from.clusterId !== undefined) typed['clusterId'] = from.clusterId
  return typed
}

/** The properties that {@link nativeOf} and the headers were read from. */
export function unchangedProperties({ headers, native = {}, nativeId }: OutgoingMessage): NativeProperties {
  const shown: Record<string, unknown> = { ...headers }
  const { added, headers: hidden, wire } = native
  const original = Buffer.isBuffer(wire) ? wire : undefined
  if (Array.isArray(added)) for (const name of added) delete shown[String(name)]
  const all = { ...shown, ...(typeof hidden === 'object' ? hidden : {}) }
  const properties = new NativeProperties(rawHeaders(all, original !== undefined))
  properties.original = original
  const target = properties as unknown as Record<string, unknown>
  for (const name of propertyNames) target[name] = native[name]
  properties.expiration = undefined
  if (nativeId !== undefined) properties.messageId = nativeId
  return properties
}

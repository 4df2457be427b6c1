import { Header } from '../../message/headers.ts'
import { NsbError } from '../../message/nsb-error.ts'
import type { Headers, OutgoingMessage } from '../transport.ts'
import { Native, textOf } from './native-headers.ts'

/** The AMQP properties of a message, laid out once: every message has the same fields. */
export class NativeProperties {
  contentType: string | undefined = undefined
  contentEncoding: string | undefined = undefined
  headers: Readonly<Record<string, unknown>>
  deliveryMode: 1 | 2 = 2
  priority: number | undefined = undefined
  correlationId: string | undefined = undefined
  replyTo: string | undefined = undefined
  /** In ms. */
  expiration: string | undefined = undefined
  messageId: string | undefined = undefined
  /** In s since 1970. */
  timestamp: number | undefined = undefined
  type: string | undefined = undefined
  userId: string | undefined = undefined
  appId: string | undefined = undefined

  constructor(headers: Readonly<Record<string, unknown>>) {
    this.headers = headers
  }
}

/** A hook that may change the properties of a message last. */
export type CustomizeMessage = (properties: NativeProperties, message: OutgoingMessage) => void

/**
 * The AMQP properties of an outgoing message; headers that have a property of their own are in both places.
 *
 * @param delaySeconds undefined for a message that is not delayed
 * @source NServiceBus.RabbitMQ: BasicPropertiesExtensions.Fill
 */
export function propertiesOf(message: OutgoingMessage, delaySeconds: number | undefined): NativeProperties {
  const { headers } = message
  const properties = new NativeProperties(headers)
  properties.messageId = shortText('message-id', message.nativeId ?? message.id)
  properties.contentType = shortText('content-type', headers[Header.ContentType] ?? 'application/octet-stream')
  const correlationId = headers[Header.CorrelationId]
  if (correlationId !== undefined) properties.correlationId = shortText('correlation-id', correlationId)
  const replyTo = headers[Header.ReplyToAddress]
  if (replyTo !== undefined) properties.replyTo = shortText('reply-to', replyTo)
  properties.type = typeOf(headers)
  if (message.expiresAfterMs !== undefined) properties.expiration = String(Math.ceil(message.expiresAfterMs))
  const transient = headers[Native.NonPersistent]
  if (transient !== undefined || delaySeconds !== undefined) {
    const { [Native.NonPersistent]: _, ...rest } = headers
    properties.headers = delaySeconds === undefined ? rest : { ...rest, [Native.DelayInSeconds]: { '!': 'int32', value: delaySeconds } }
    if (transient !== undefined) properties.deliveryMode = 1
  }
  if (message.native) keepNative(properties, message.native)
  return properties
}

const kept = ['contentType', 'contentEncoding', 'correlationId', 'replyTo', 'type', 'priority', 'appId', 'timestamp'] as const

/**
 * What a copy keeps of its original beside the headers. Left out: `expiration`, because a second chance must not pass unseen, and
 * `user-id`, which a broker refuses from anybody else. Header values that are no text keep their type, as far as it is known.
 */
function keepNative(properties: NativeProperties, native: Readonly<Record<string, unknown>>): void {
  const target = properties as unknown as Record<string, unknown>
  for (const name of kept) if (native[name] !== undefined) target[name] = native[name]
  if (native['deliveryMode'] === 1) properties.deliveryMode = 1
  const typed = native['headers']
  if (typeof typed !== 'object' || typed === null) return
  const texts = properties.headers
  const same = Object.entries(typed).filter(([name, value]) => !Buffer.isBuffer(value) && texts[name] === textOf(value))
  if (same.length > 0) properties.headers = { ...texts, ...Object.fromEntries(same) }
}

/** The first type's full name: the wire has room for 255 bytes, and a list of types without assemblies has no comma. */
function typeOf(headers: Headers): string | undefined {
  const types = headers[Header.EnclosedMessageTypes]
  if (types === undefined) return undefined
  const end = types.search(/[,;]/)
  const first = end < 0 ? types : types.slice(0, end)
  // Longer than it may be, it is left out: readers take the header first.
  return fitsShortText(first) ? first : undefined
}

function fitsShortText(text: string): boolean {
  return text.length <= 85 || Buffer.byteLength(text) <= 255
}

function shortText(property: string, text: string): string {
  if (fitsShortText(text)) return text
  throw new NsbError({
    code: 'NSB_PROPERTY_TOO_LONG',
    message: `The property ${property} of a message is ${Buffer.byteLength(text)} bytes long; AMQP allows 255: ${text.slice(0, 80)}…`,
    suggestions: ['Use a shorter id or address'],
  })
}

import { createHash } from 'node:crypto'
import { Header } from '../../message/headers.ts'
import type { Headers, OutgoingMessage } from '../transport.ts'
import { Native, textOf } from './native-headers.ts'

/** The AMQP properties of a message, laid out once: every message has the same fields. */
export class NativeProperties {
  contentType: string | undefined = undefined
  contentEncoding: string | undefined = undefined
  headers: Readonly<Record<string, unknown>>
  /** 2: it is kept through a restart of the broker. */
  deliveryMode = 2
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
  clusterId: string | undefined = undefined
  /** Flags and values of the message that it is a copy of, as they were on the wire: what is still the same is written as it was. */
  original: Buffer | undefined = undefined

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
  const id = message.nativeId ?? message.id
  properties.messageId = shortText(id) ?? createHash('sha256').update(id).digest('hex')
  properties.contentType = shortText(headers[Header.ContentType] ?? 'application/octet-stream')
  properties.correlationId = shortText(headers[Header.CorrelationId])
  properties.replyTo = shortText(headers[Header.ReplyToAddress])
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

const kept = ['contentType', 'contentEncoding', 'correlationId', 'replyTo', 'type', 'priority', 'appId', 'timestamp', 'clusterId'] as const

/**
 * What a copy keeps of its original beside the headers. Left out: `expiration`, because a second chance must not pass unseen, and
 * `user-id`, which a broker refuses from anybody else. Header values that are no text keep their type.
 */
function keepNative(properties: NativeProperties, native: Readonly<Record<string, unknown>>): void {
  const target = properties as unknown as Record<string, unknown>
  // Clients of AMQP 1.0 need not say what a body is.
  if (properties.headers[Header.ContentType] === undefined && Object.keys(native).length > 0) properties.contentType = undefined
  for (const name of kept) if (native[name] !== undefined) target[name] = native[name]
  // Nobody but the message itself may say that it need not be kept.
  if (properties.deliveryMode === 2 && typeof native['deliveryMode'] === 'number') properties.deliveryMode = native['deliveryMode']
  if (Buffer.isBuffer(native['wire'])) properties.original = native['wire']
  const typed = native['headers']
  if (typeof typed !== 'object' || typed === null) return
  const texts = properties.headers
  const same = Object.entries(typed).filter(([name, value]) => texts[name] === textOf(value))
  if (same.length > 0) properties.headers = { ...texts, ...Object.fromEntries(same) }
}

/** The first type's full name: a list of types without assemblies has no comma. */
function typeOf(headers: Headers): string | undefined {
  const types = headers[Header.EnclosedMessageTypes]
  const end = types?.search(/[,;]/) ?? -1
  return shortText(end < 0 ? types : types?.slice(0, end))
}

/** AMQP has room for 255 bytes in a property. What is longer is left out: readers take the header, which is there too. */
function shortText(text: string | undefined): string | undefined {
  return text === undefined || text.length <= 85 || Buffer.byteLength(text) <= 255 ? text : undefined
}

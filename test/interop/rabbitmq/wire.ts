import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Channel, type ChannelModel, type Options, connect } from 'amqplib'
import { expect, vi } from 'vitest'
import { readProperties } from '../../../src/transport/rabbitmq/properties-frame.ts'
import { inBrokerOrder, isAtLeast } from '../../support/broker-version.ts'

// A plain AMQP client beside ours: it sees what is on the wire, with the field type of each header.

/** A message as a consumer of the recordings saw it. */
export interface WireMessage {
  readonly exchange: string
  readonly routingKey: string
  readonly properties: Readonly<Record<string, unknown>>
  readonly headers: Readonly<Record<string, unknown>>
  /** The AMQP field type of each header: `S` long string, `I` 32-bit integer, `l` 64-bit integer, `A` array. */
  readonly headerWireTypes: Readonly<Record<string, string>>
  readonly bodyText: string
}

export interface Wire {
  readonly channel: Channel
  /** The messages that reach any of the exchanges from now on, in a list that grows. @param bindings exchange and key */
  spy(...bindings: readonly (readonly [exchange: string, routingKey: string])[]): Promise<readonly WireMessage[]>
  /** Takes everything that comes to a queue. */
  drain(queue: string): Promise<readonly WireMessage[]>
  /** Publishes the bytes of a recorded message; its integers keep their width. */
  publish(exchange: string, routingKey: string, message: Recorded): void
  /** Writes a header frame as given, whatever amqplib would think of it. */
  publishFrames(exchange: string, routingKey: string, properties: Buffer, body: Buffer): void
  close(): Promise<void>
}

export type Recorded = Omit<Partial<WireMessage>, 'bodyText'> & { readonly bodyText?: string; readonly bodyBase64?: string }

export async function openWire(url: string): Promise<Wire> {
  const model = await connect(url)
  const types = listenToHeaderFrames(model)
  // Of deep tables amqplib runs out of stack.
  readProperties(model)
  const channel = await model.createChannel()
  const consume = async (queue: string): Promise<readonly WireMessage[]> => {
    const seen: WireMessage[] = []
    await channel.consume(
      queue,
      (message) => {
        const { content, fields, properties } = message as NonNullable<typeof message>
        const { headers, ...others } = properties
        seen.push({
          exchange: fields.exchange,
          routingKey: fields.routingKey,
          properties: Object.fromEntries(Object.entries(others).filter(([, value]) => value !== undefined)),
          headers: headers ?? {},
          headerWireTypes: types.shift() as Record<string, string>,
          bodyText: content.toString('utf8'),
        })
      },
      { noAck: true },
    )
    return seen
  }
  return {
    channel,
    async spy(...bindings) {
      const { queue } = await channel.assertQueue('', { exclusive: true, autoDelete: true })
      for (const [exchange, key] of bindings) await channel.bindQueue(queue, exchange, key)
      return consume(queue)
    },
    drain: consume,
    publish(exchange, routingKey, { bodyBase64, bodyText = '', headers = {}, headerWireTypes = {}, properties = {} }) {
      const typed = Object.entries(headers).map(([name, value]) => [name, asTyped(value, headerWireTypes[name])] as const)
      const body = bodyBase64 === undefined ? Buffer.from(bodyText) : Buffer.from(bodyBase64, 'base64')
      channel.publish(exchange, routingKey, body, { ...(properties as Options.Publish), headers: Object.fromEntries(typed) })
    },
    publishFrames(exchange, routingKey, properties, body) {
      const { ch } = channel as unknown as { readonly ch: number }
      const { stream } = model.connection as unknown as { readonly stream: NodeJS.WritableStream }
      const method = Buffer.concat([Buffer.from([0, 60, 0, 40, 0, 0]), shortString(exchange), shortString(routingKey), Buffer.from([0])])
      const header = Buffer.alloc(12)
      header.writeUInt16BE(60, 0)
      header.writeUInt32BE(body.length, 8)
      stream.write(frame(1, ch, method))
      stream.write(frame(2, ch, Buffer.concat([header, properties])))
      if (body.length > 0) stream.write(frame(3, ch, body))
    },
    close: () => model.close(),
  }
}

function asTyped(value: unknown, type: string | undefined): unknown {
  return type === 'I' ? { '!': 'int32', value } : type === 'l' ? { '!': 'int64', value } : value
}

function frame(type: number, channel: number, payload: Buffer): Buffer {
  const start = Buffer.alloc(7)
  start.writeUInt8(type, 0)
  start.writeUInt16BE(channel, 1)
  start.writeUInt32BE(payload.length, 3)
  return Buffer.concat([start, payload, Buffer.from([0xce])])
}

export function shortString(text: string | Buffer): Buffer {
  const bytes = Buffer.from(text as string)
  return Buffer.concat([Buffer.from([bytes.length]), bytes])
}

/** A field table of the given fields: name, type tag and the bytes of the value. */
export function fieldTable(fields: readonly (readonly [name: string | Buffer, tag: string, value: Buffer])[]): Buffer {
  return longString(Buffer.concat(fields.map(([name, tag, value]) => Buffer.concat([shortString(name), Buffer.from(tag), value]))))
}

export function longString(text: string | Buffer): Buffer {
  const bytes = Buffer.from(text as string)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

/** The properties of a header frame: headers, delivery mode 2 and, unless it is undefined, a message id. */
export function headerFrame(headers: Buffer, messageId: string | undefined): Buffer {
  const flags = Buffer.alloc(2)
  flags.writeUInt16BE(messageId === undefined ? 0x3000 : 0x3080)
  return Buffer.concat([flags, headers, Buffer.from([2]), ...(messageId === undefined ? [] : [shortString(messageId)])])
}

/** The header types of the messages that come in, in the order they come; amqplib itself does not tell them. */
function listenToHeaderFrames({ connection }: ChannelModel): Record<string, string>[] {
  const found: Record<string, string>[] = []
  const { stream } = connection as unknown as { readonly stream: { read(): Buffer | null } }
  const read = stream.read.bind(stream)
  let rest = Buffer.alloc(0)
  stream.read = () => {
    const chunk = read()
    if (chunk) rest = Buffer.concat([rest, chunk])
    while (rest.length >= 8 && rest.length >= 8 + rest.readUInt32BE(3)) {
      const size = rest.readUInt32BE(3)
      if (rest[0] === 2) found.push(headerTypes(rest.subarray(7, 7 + size)))
      rest = rest.subarray(8 + size)
    }
    return chunk
  }
  return found
}

function headerTypes(payload: Buffer): Record<string, string> {
  const flags = payload.readUInt16BE(12)
  let at = 14
  for (const bit of [0x8000, 0x4000]) if (flags & bit) at += 1 + payload.readUInt8(at)
  const types: Record<string, string> = {}
  if (!(flags & 0x2000)) return types
  const end = at + 4 + payload.readUInt32BE(at)
  for (at += 4; at < end; ) {
    const name = payload.toString('utf8', at + 1, at + 1 + payload.readUInt8(at))
    at += 1 + payload.readUInt8(at)
    const tag = String.fromCharCode(payload.readUInt8(at))
    Object.defineProperty(types, name, { value: tag, enumerable: true })
    const fixed = { t: 1, b: 1, B: 1, s: 2, u: 2, I: 4, i: 4, f: 4, D: 5, l: 8, d: 8, T: 8, V: 0 }[tag]
    at += 1 + (fixed ?? 4 + payload.readUInt32BE(at + 1))
  }
  return types
}

/** All exchanges a delayed message passes, for a spy. */
export const delayExchanges = [
  ...Array.from({ length: 28 }, (_, level) => [`nsb.v2.delay-level-${String(level).padStart(2, '0')}`, '#'] as const),
  ['nsb.v2.delay-delivery', '#'] as const,
]

const folder = join(import.meta.dirname, '../../fixtures/wire/rabbitmq')

// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the shape of a recording is what the test says it is
export function recording<T = WireMessage>(name: string): T {
  return JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')) as T
}

/** The first message that a condition holds for, once it is there. */
export async function until(messages: readonly WireMessage[], condition: (message: WireMessage) => boolean): Promise<WireMessage> {
  return vi.waitUntil(() => messages.find(condition), { timeout: 20_000, interval: 10 })
}

// Of brokers and client libraries, and what says that it was us.
const leftOut = new Set([
  'x-delivery-count',
  'x-acquired-count',
  'x-dotnet-pub-seq-no',
  'nsb.Version',
  // The recordings are older than the brokers that write them.
  ...(isAtLeast(4) ? ['x-last-death-exchange', 'x-last-death-queue', 'x-last-death-reason'] : []),
])
const stack = 'NServiceBus.ExceptionInfo.StackTrace'
const ofOnePlatform = new Set([stack, 'NServiceBus.ExceptionInfo.Data.node.stack', 'NServiceBus.ExceptionInfo.Data.code'])

/**
 * That a message equals a recorded one in all the recording says of it. Ids become `id1`, `id2` in the order they are met, so that
 * equal ones stay equal; times become dots.
 *
 * @param without headers that are left out as well
 */
export function expectSame(ours: Recorded, golden: Recorded, without: readonly string[] = []): void {
  const told = Object.fromEntries(Object.entries(ours).filter(([field]) => field in golden))
  expect(comparable(told, without), golden.exchange).toEqual(comparable(golden, without))
}

function comparable(
  { bodyText, exchange, headers = {}, headerWireTypes = {}, properties = {}, routingKey }: Recorded,
  without: readonly string[],
): unknown {
  const ids = new Map<string, string>()
  const plain = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(plain)
    if (typeof value === 'object' && value !== null) return '!' in value ? '…' : mapped(value, plain)
    if (typeof value !== 'string') return value
    if (/^[\da-f]{8}-([\da-f]{4}-){3}[\da-f]{12}$/.test(value)) {
      if (!ids.has(value)) ids.set(value, `id${ids.size + 1}`)
      return ids.get(value)
    }
    return /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d:\d{6} Z$/.test(value) ? '…' : value
  }
  const kept = (name: string): boolean => !leftOut.has(name) && !ofOnePlatform.has(name) && !without.includes(name)
  return {
    exchange,
    routingKey,
    properties: mapped(properties, plain),
    headers: mapped(headers, plain, kept),
    headerWireTypes: mapped(headerWireTypes, plain, kept),
    stackTrace: typeof headers[stack],
    bodyText,
  }
}

function mapped(
  fields: Readonly<object>,
  value: (value: unknown) => unknown,
  kept: (name: string) => boolean = () => true,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields)
      .filter(([name]) => kept(name))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, each]) => [name, value(each)]),
  )
}

/** The names of the headers in the order they were written, as far as a broker keeps it. */
export function written({ headers = {} }: Recorded): readonly string[] {
  return inBrokerOrder(Object.keys(headers).filter((name) => !leftOut.has(name)))
}

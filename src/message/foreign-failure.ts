import { Header } from './headers.ts'
import { deterministicGuid } from './ids.ts'
import { parseTimestampLeniently } from './wire-formats.ts'

type Headers = Readonly<Record<string, string>>

/** What an entry of an error queue has beside its headers, as far as it is known. */
export interface BesideHeaders {
  /** `HeldMessage.native`: what is no text, and what brokers add, is in its `headers`. */
  readonly native?: Readonly<Record<string, unknown>>
  readonly body?: Uint8Array
  /** The queue it lies in. */
  readonly queue?: string
}

/** What another system says of a message that failed; absent fields are undefined. */
export interface ForeignFailure {
  readonly messageId: string | undefined
  readonly type: string | undefined
  /** Where it failed, and where a replay sends it. */
  readonly queue: string | undefined
  readonly host: string | undefined
  /** ms since 1970. */
  readonly failedAt: number | undefined
  readonly sentAt: number | undefined
  readonly sender: string | undefined
  readonly conversationId: string | undefined
  readonly exceptionType: string | undefined
  readonly exceptionMessage: string | undefined
  readonly handler: string | undefined
}

const nothing: ForeignFailure = {
  messageId: undefined,
  type: undefined,
  queue: undefined,
  host: undefined,
  failedAt: undefined,
  sentAt: undefined,
  sender: undefined,
  conversationId: undefined,
  exceptionType: undefined,
  exceptionMessage: undefined,
  handler: undefined,
}

const present = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)

/** Whose it is, when no endpoint has written failure headers; undefined: nobody's that is known. */
export function foreignKindOf(headers: Headers, { native }: BesideHeaders): 'masstransit' | 'dlx' | undefined {
  // Faults, and what no consumer was there for.
  if (present(headers['MT-Reason']) !== undefined) return 'masstransit'
  return deathsOf(headers, native).some((death) => !isDelay(death.queue)) ? 'dlx' : undefined
}

function nativeHeaders(native: BesideHeaders['native']): Readonly<Record<string, unknown>> {
  const headers = native?.['headers']
  return typeof headers === 'object' && headers !== null ? (headers as Readonly<Record<string, unknown>>) : {}
}

export function foreignFailure(kind: 'masstransit' | 'dlx', headers: Headers, beside: BesideHeaders): ForeignFailure {
  return kind === 'dlx' ? deadLetter(headers, beside) : massTransitFault(headers, beside)
}

/**
 * A message that MassTransit moved to `<queue>_error` or `<queue>_skipped`: the envelope tells its id and types, or headers do when the
 * body is raw JSON.
 *
 * @source ServiceControl.Connector.MassTransit MassTransitConverter
 */
function massTransitFault(headers: Headers, beside: BesideHeaders): ForeignFailure {
  const of = (...names: readonly string[]): string | undefined => names.map((name) => present(headers[name])).find((value) => value)
  const id = of('MessageId', 'MT-MessageId', 'MT-Message-Id')
  const envelope = id === undefined ? envelopeOf(beside.body) : {}
  const types = Array.isArray(envelope['messageType']) ? envelope['messageType'] : []
  const typeNames = of('MessageType', 'MT-MessageType', 'MT-Message-Type') ?? present(types[0]) ?? of('MT-Fault-MessageType')
  return {
    messageId: id ?? present(envelope['messageId']),
    type: typeNames === undefined ? undefined : typeOfUrn(typeNames),
    queue: lastSegment(of('MT-Fault-InputAddress')) ?? withoutSuffix(beside.queue),
    host: of('MT-Host-MachineName'),
    failedAt: parseTimestampLeniently(of('MT-Fault-Timestamp')),
    sentAt: parseTimestampLeniently(present(envelope['sentTime']) ?? of('MT-Transport-SentTime')),
    sender: lastSegment(present(envelope['sourceAddress']) ?? of('SourceAddress', 'MT-Source-Address')),
    conversationId: present(envelope['conversationId']) ?? of('ConversationId', 'MT-ConversationId'),
    exceptionType: of('MT-Fault-ExceptionType'),
    exceptionMessage: of('MT-Fault-Message') ?? (headers['MT-Reason'] === 'fault' ? undefined : headers['MT-Reason']),
    handler: of('MT-Fault-ConsumerType'),
  }
}

/** A larger one is not read for an id and a type. */
const longestEnvelope = 4 * 1024 * 1024

function envelopeOf(body: Uint8Array | undefined): Readonly<Record<string, unknown>> {
  if (body === undefined || body.length === 0 || body.length > longestEnvelope) return {}
  try {
    const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8')
    const envelope: unknown = JSON.parse(text.charCodeAt(0) === 0xfeff ? text.slice(1) : text)
    return typeof envelope === 'object' && envelope !== null ? (envelope as Readonly<Record<string, unknown>>) : {}
  } catch {
    return {}
  }
}

/** `urn:message:Shop.Messages:PlaceOrder` is `Shop.Messages.PlaceOrder`; of several types the first. */
function typeOfUrn(types: string): string {
  const first = types.split(/[;,]/, 1)[0] as string
  return first.startsWith('urn:message:') ? first.slice('urn:message:'.length).replace(':', '.') : first
}

/** Of an address such as `rabbitmq://localhost/shop/sales?durable=true` or `queue:sales`. */
function lastSegment(address: string | undefined): string | undefined {
  return present(address?.split('?', 1)[0]?.split(/[/:]/).at(-1))
}

function withoutSuffix(queue: string | undefined): string | undefined {
  const name = queue?.replace(/_(?:error|skipped)$/, '')
  return name === queue ? undefined : present(name)
}

/**
 * A message that a broker dead-lettered. In a cycle of queues the first death is not the last entry of `x-death`, hence
 * `x-first-death-queue` goes first; newer brokers may overwrite it, so it has to be among the deaths.
 *
 * @source rabbitmq: dlx
 */
function deadLetter(headers: Headers, { native }: BesideHeaders): ForeignFailure {
  const deaths = deathsOf(headers, native).filter(({ queue }) => !isDelay(queue))
  const [latest] = deaths
  const first = firstDeathOf(headers, native).queue
  const known = deaths.some(({ queue }) => queue === first)
  return {
    ...nothing,
    queue: present(known ? first : deaths.at(-1)?.queue),
    failedAt: timeOf(latest?.time),
    exceptionMessage: present(latest?.reason),
  }
}

interface Death {
  readonly queue?: unknown
  readonly reason?: unknown
  readonly time?: unknown
}

/** What NServiceBus delays expires in these queues, one after the other. */
const isDelay = (queue: unknown): boolean => typeof queue === 'string' && /^nsb\.(?:v\d+\.)?delay-level-/.test(queue)

/** Where and why it died, the latest first: `x-death`, which is JSON where headers are texts, else what is known of the first time. */
function deathsOf(headers: Headers, native: BesideHeaders['native']): readonly Death[] {
  let deaths = nativeHeaders(native)['x-death'] ?? (Object.hasOwn(headers, 'x-death') ? headers['x-death'] : undefined)
  if (typeof deaths === 'string')
    try {
      deaths = JSON.parse(deaths)
    } catch {
      deaths = undefined
    }
  const read = Array.isArray(deaths) ? deaths.filter((death): death is Death => typeof death === 'object' && death !== null) : []
  const first = firstDeathOf(headers, native)
  return read.length > 0 || first.queue === undefined ? read : [first]
}

function firstDeathOf(headers: Headers, native: BesideHeaders['native']): Death {
  const typed = nativeHeaders(native)
  const of = (name: string): string | undefined => present(typed[name]) ?? present(headers[name])
  return { queue: of('x-first-death-queue'), reason: of('x-first-death-reason') }
}

/** AMQP counts seconds; `value` is of amqplib, `v` of a line that was saved. */
function timeOf(time: unknown): number | undefined {
  const typed = typeof time === 'object' && time !== null ? (time as { readonly value?: unknown; readonly v?: unknown }) : undefined
  const seconds = typed === undefined ? time : (typed.value ?? typed.v)
  if (typeof seconds === 'string') return parseTimestampLeniently(seconds)
  const ms = typeof seconds === 'number' ? seconds * 1000 : Number.NaN
  return Math.abs(ms) <= 8.64e15 ? ms : undefined
}

/** An id for what came without any: the same body has the same one. */
export function idOfBody(body: Uint8Array | undefined): string {
  return body === undefined ? '' : deterministicGuid(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('latin1'))
}

/** The stack trace of a failure, whoever wrote it. */
export function stackTraceOf(headers: Headers): string | undefined {
  return headers[Header.ExceptionStackTrace] ?? headers['MT-Fault-StackTrace']
}

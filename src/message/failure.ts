import { crc32 } from 'node:zlib'
import { type BesideHeaders, foreignFailure, foreignKindOf, idOfBody } from './foreign-failure.ts'
import { Header } from './headers.ts'
import { deterministicGuid, deterministicHostId } from './ids.ts'
import { shortTypeName } from './type-names.ts'
import { parseTimestampLeniently } from './wire-formats.ts'

type Headers = Readonly<Record<string, string>>

/** What an entry of an error queue is. */
export type FailedKind = 'failure' | 'poison' | 'ack' | 'masstransit' | 'dlx'

export const failedKinds: readonly FailedKind[] = ['failure', 'poison', 'ack', 'masstransit', 'dlx']

/** An entry of an error queue, by its headers; absent fields are undefined. */
export interface FailedMessage {
  /** The id of every error command, and ServiceControl's. */
  readonly uniqueId: string
  readonly messageId: string
  readonly kind: FailedKind
  /** The type header up to its first comma, as ServiceControl has it. */
  readonly type: string | undefined
  /** Where it was processed. */
  readonly endpoint: string | undefined
  /** `NServiceBus.FailedQ`: where a replay sends it. */
  readonly queue: string | undefined
  readonly host: string
  /** ms since 1970. */
  readonly failedAt: number | undefined
  readonly sentAt: number | undefined
  readonly sender: string | undefined
  readonly exceptionType: string | undefined
  readonly exceptionMessage: string | undefined
  readonly handler: string | undefined
  readonly conversationId: string | undefined
  readonly relatedTo: string | undefined
  /**
   * A checksum of the body and of when and in which conversation it was sent: producers use ids again, and two failures of one id in one
   * moment are told apart by it.
   */
  readonly contentMark: number
  /** How often it was replayed; 1 also when another tool did it, or it is an edited copy, and no count is kept. */
  readonly replayed: number
}

const present = (value: string | undefined): string | undefined => (value === undefined || value === '' ? undefined : value)

const beforeAt = (address: string | undefined): string | undefined => present(address?.split('@', 1)[0])

const afterAt = (address: string | undefined): string | undefined => {
  const at = address?.indexOf('@') ?? -1
  return at < 0 ? undefined : present(address?.slice(at + 1))
}

/**
 * Reads an entry of an error queue.
 *
 * @param nativeId stands in for a missing message id
 * @param unreadable the headers could not be read: a poison message, known by its native id
 * @param beside the message itself where there is one: what other systems write is not in headers alone
 */
export function readFailure(headers: Headers, nativeId: string, unreadable = false, beside: BesideHeaders = {}): FailedMessage {
  const kind = kindOf(headers, beside)
  const foreign = isForeign(kind) ? foreignFailure(kind, headers, beside) : undefined
  const ownId = present(headers[Header.MessageId])
  // The copy of a message that another system sent has another native id, and the same envelope.
  const id = ownId ?? foreign?.messageId ?? (nativeId === '' ? idOfBody(beside.body) : nativeId)
  const sender = senderOf(headers)
  const endpoint = endpointOf(headers)
  return {
    uniqueId: unreadable ? nativeId : uniqueIdOf(headers, id, foreign?.queue ?? endpoint),
    messageId: id,
    kind,
    type: typeOf(headers) ?? foreign?.type,
    endpoint: foreign?.queue ?? endpoint,
    queue: present(headers[Header.FailedQ]) ?? foreign?.queue,
    host: foreign?.host ?? hostOf(headers),
    failedAt: parseTimestampLeniently(headers[Header.TimeOfFailure]) ?? foreign?.failedAt,
    sentAt: parseTimestampLeniently(headers[Header.TimeSent]) ?? foreign?.sentAt,
    sender: sender?.endpoint ?? foreign?.sender,
    exceptionType: present(headers[Header.ExceptionType]) ?? foreign?.exceptionType,
    exceptionMessage: headers[Header.ExceptionMessage] ?? foreign?.exceptionMessage,
    handler: present(headers[`${Header.ExceptionData}Handler type`]) ?? foreign?.handler,
    conversationId: present(headers[Header.ConversationId]) ?? foreign?.conversationId,
    relatedTo: present(headers[Header.RelatedTo]),
    contentMark: contentMarkOf(headers, beside.body),
    replayed: replayCountOf(headers),
  }
}

/** By these a failure is known again, wherever its message lies: what failed again has a later time. */
export type FailureIdentity = Pick<FailedMessage, 'uniqueId' | 'failedAt' | 'contentMark'>

/** The same text for the same failure. */
export function identityOf({ contentMark, failedAt, uniqueId }: FailureIdentity): string {
  return `${uniqueId} ${failedAt ?? '?'} ${contentMark}`
}

function contentMarkOf(headers: Headers, body: Uint8Array | undefined): number {
  const sent = `${headers[Header.TimeSent] ?? ''} ${headers[Header.ConversationId] ?? ''}`
  return crc32(sent, body === undefined ? 0 : crc32(body))
}

/** @source ServiceControl HeaderExtensions.UniqueId */
export function uniqueIdOf(headers: Headers, messageId: string, endpoint = endpointOf(headers)): string {
  return present(headers[Header.RetryUniqueMessageId]) ?? deterministicGuid(messageId + (endpoint ?? ''))
}

export function kindOf(headers: Headers, beside: BesideHeaders = {}): FailedKind {
  if (headers[Header.RetrySuccessful] !== undefined) return 'ack'
  if (present(headers[Header.FailedQ]) !== undefined) return 'failure'
  return foreignKindOf(headers, beside) ?? 'poison'
}

/** Did another system write what is known of the failure? */
export function isForeign(kind: FailedKind): kind is 'masstransit' | 'dlx' {
  return kind === 'masstransit' || kind === 'dlx'
}

/** The type header up to its first comma. @source ServiceControl MessageTypeEnricher */
export function typeOf(headers: Headers): string | undefined {
  return present(headers[Header.EnclosedMessageTypes]?.split(',', 1)[0])
}

/** The type to show: names without an assembly make one odd type of the whole list, of which the first is meant. */
export function displayTypeOf(type: string): string {
  return (type.split(';', 1)[0] as string).trim()
}

/** The last segment of {@link displayTypeOf}, for narrow tables. */
export function narrowTypeOf(type: string): string {
  return shortTypeName(displayTypeOf(type))
}

/** @source ServiceControl HeaderExtensions.ProcessingEndpointName */
export function endpointOf(headers: Headers): string | undefined {
  return present(headers[Header.ProcessingEndpoint]) ?? beforeAt(headers[Header.FailedQ]) ?? beforeAt(headers[Header.ReplyToAddress])
}

/** @source ServiceControl EndpointDetailsParser */
export function hostOf(headers: Headers): string {
  return (
    present(headers[Header.HostDisplayName]) ?? present(headers[Header.ProcessingMachine]) ?? afterAt(headers[Header.FailedQ]) ?? 'unknown'
  )
}

/** The receiving endpoint as ServiceControl's endpoint classifiers see it: never the reply address. */
export function receivingEndpointOf(headers: Headers): { readonly name: string; readonly hostId: string } | undefined {
  const name = present(headers[Header.ProcessingEndpoint]) ?? beforeAt(headers[Header.FailedQ])
  if (name === undefined) return undefined
  const given = /^[{(]?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})[)}]?$/i.exec(headers[Header.HostId] ?? '')
  return { name, hostId: given ? given.slice(1).join('').toLowerCase() : deterministicHostId(name + hostOf(headers)) }
}

/** Who sent it: endpoint and machine when both are there, else the originating address. */
export function senderOf(headers: Headers): { readonly endpoint: string; readonly machine: string | undefined } | undefined {
  const endpoint = present(headers[Header.OriginatingEndpoint])
  const machine = present(headers[Header.OriginatingMachine])
  if (endpoint !== undefined && machine !== undefined) return { endpoint, machine }
  const address = headers[Header.OriginatingAddress]
  const queue = beforeAt(address)
  return queue === undefined ? undefined : { endpoint: queue, machine: afterAt(address) }
}

function replayCountOf(headers: Headers): number {
  const count = headers[Header.ReplayCount]
  if (count !== undefined && /^\d{1,9}$/.test(count)) return Number(count)
  return Object.keys(headers).some(isMarkOfReplay) ? 1 : 0
}

// Two letters tell it of nearly all names.
function isMarkOfReplay(name: string): boolean {
  return name[0] === 'S' ? name.startsWith('ServiceControl.') : name[1] === 's' && name.startsWith('Nsb.Replay.')
}

/** A message of the platform rather than of the business. @source ServiceControl MessageTypeEnricher */
export function isSystemMessage(headers: Headers): boolean {
  return (
    headers[Header.ControlMessage] !== undefined ||
    (headers[Header.EnclosedMessageTypes]?.includes('NServiceBus.Scheduling.Messages.ScheduledTask') ?? false)
  )
}

/** May the body be shown as text? No content type counts as binary. @source ServiceControl HeaderExtensions.IsBinary */
export function isTextBody(headers: Headers): boolean {
  if (headers['Content-Encoding'] !== undefined) return false
  const contentType = headers[Header.ContentType]?.toLowerCase() ?? ''
  return !contentType.includes('binary') && (contentType.startsWith('text/') || contentType.includes('xml') || contentType.includes('json'))
}

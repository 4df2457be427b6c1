import type { FailedMessage } from '../../message/failure.ts'
import { Header } from '../../message/headers.ts'
import { setOwn } from '../../message/own-property.ts'
import { formatTimestamp } from '../../message/wire-formats.ts'
import type { Headers } from '../../transport/transport.ts'

/** ServiceControl's filter, ordinal prefixes. @source ServiceControl HeaderFilter */
const strippedByServiceControl = [
  'NServiceBus.Retries',
  Header.FailedQ,
  Header.TimeOfFailure,
  Header.ExceptionPrefix,
  'ServiceControl.EditOf',
]

/** Leftovers of the failure and of its transport. */
const alsoStripped: ReadonlySet<string> = new Set([
  Header.FLRetries,
  Header.DeliverAt,
  Header.ProcessingEndpoint,
  Header.ProcessingMachine,
  Header.ProcessingStarted,
  Header.ProcessingEnded,
  Header.HostId,
  Header.HostDisplayName,
  'ServiceControl.Retry.StagingId',
  'ServiceControl.Retry.Attempt.MessageId',
  'ServiceControl.TargetEndpointAddress',
  'MT-Reason',
  'x-death',
  'x-delivery-count',
  'x-acquired-count',
  'x-dotnet-pub-seq-no',
  'CC',
  'BCC',
  'NServiceBus.Transport.RabbitMQ.DelayInSeconds',
  'NServiceBus.Transport.RabbitMQ.ConfirmationId',
])
const alsoStrippedPrefixes = ['x-first-death-', 'x-last-death-', 'MT-Fault-']

export interface CopyMarks {
  readonly operation: string
  /** ms since 1970. */
  readonly now: number
  /** Queue for the acknowledgement; undefined removes the header, since an address nobody owns makes a success fail. */
  readonly acknowledgeTo: string | undefined
  /** Keep the address that is there. */
  readonly keepAcknowledgeTo?: boolean
}

/** Headers of the copy a replay sends: failure removed, identity and business kept, marks of the replay set. */
export function replayHeaders(headers: Headers, failed: FailedMessage, marks: CopyMarks): Headers {
  const copy: Record<string, string> = { [Header.MessageId]: failed.messageId }
  for (const name of Object.keys(headers)) {
    if (!isKept(name) || (name === Header.RetryAcknowledgementQueue && marks.keepAcknowledgeTo !== true)) continue
    setOwn(copy, name, headers[name] as string)
  }
  copy[Header.RetryUniqueMessageId] = failed.uniqueId
  if (marks.acknowledgeTo !== undefined) copy[Header.RetryAcknowledgementQueue] = marks.acknowledgeTo
  copy[Header.ReplayCount] = String(ownReplays(headers) + 1)
  copy[Header.ReplayAt] = formatTimestamp(marks.now)
  copy[Header.ReplayOperation] = marks.operation
  return copy
}

/** The same names come with every message; how many are remembered is bounded, because a message may bring any. */
const decided = new Map<string, boolean>()
const mostDecided = 1000

/** Does a header belong to the business rather than to the failure or to its transport? */
export function isKept(name: string): boolean {
  const known = decided.get(name)
  if (known !== undefined) return known
  const kept =
    !strippedByServiceControl.some((prefix) => name.startsWith(prefix)) &&
    !alsoStripped.has(name) &&
    !alsoStrippedPrefixes.some((prefix) => name.startsWith(prefix))
  if (decided.size < mostDecided) decided.set(name, kept)
  return kept
}

/** How often nsb replayed it; what other tools did is not counted. */
export function ownReplays(headers: Headers): number {
  const count = headers[Header.ReplayCount] ?? ''
  return /^\d{1,9}$/.test(count) ? Number(count) : 0
}

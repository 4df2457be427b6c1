import type { FailedMessage } from '../../../message/failure.ts'
import { Header } from '../../../message/headers.ts'
import type { Headers, QueueFacts } from '../../../transport/transport.ts'

export const schema = 'nsb.snapshot/5'

export interface Head {
  readonly schema: typeof schema
  readonly takenAt: number
  readonly facts: QueueFacts
}

/** An entry on its line, the values in the order of {@link keptNames}: most of what it says the one before has said as well. */
export type Line = readonly [
  nativeId: string,
  enqueuedAt: number,
  unreadable: string | null,
  others: Headers | null,
  failed: FailedMessage | null,
  ...values: readonly (string | typeof asBefore | null)[],
]
export const asBefore = 0

/** One of them comes before the body of an entry, on the line after it: what only lists does not read it. */
export const bodyMark = { text: '=', base64: ':' } as const

/** The last line, without which the file is not whole. */
export interface End {
  readonly entries: number
}

/** What lists and groups are made of. */
export const keptNames: readonly string[] = [
  Header.MessageId,
  Header.EnclosedMessageTypes,
  Header.ContentType,
  'Content-Encoding',
  Header.ProcessingEndpoint,
  Header.ProcessingMachine,
  Header.HostDisplayName,
  Header.HostId,
  Header.FailedQ,
  Header.TimeOfFailure,
  Header.TimeSent,
  Header.ReplyToAddress,
  Header.OriginatingEndpoint,
  Header.OriginatingMachine,
  Header.OriginatingAddress,
  Header.ConversationId,
  Header.RelatedTo,
  Header.ControlMessage,
  Header.ExceptionType,
  Header.ExceptionMessage,
  Header.ExceptionSource,
  Header.ExceptionStackTrace,
  `${Header.ExceptionData}Handler type`,
  'NServiceBus.Metric.InstanceId',
  'MT-Reason',
  'x-death',
]

import { randomUUID } from 'node:crypto'
import type { FailedMessage } from '../../../message/failure.ts'
import { Header } from '../../../message/headers.ts'
import { setOwn } from '../../../message/own-property.ts'
import type { HeldMessage, Headers, OutgoingMessage } from '../../../transport/transport.ts'
import { isKept } from '../copy.ts'

/** What a person or a patch has made of a message. */
export interface Edited {
  readonly headers: Headers
  readonly body: Uint8Array
}

/** What is set of the copy, beside what was edited. */
export interface EditMarks {
  /** Queue it goes to. */
  readonly target: string
  /** It goes back into the error queue as a failure, instead of to an endpoint. */
  readonly staysFailed: boolean
  /** Of the copy; {@link newMessageId} makes one. */
  readonly messageId: string
}

/** A receiver that keeps the ids of what it has handled must not take the copy for the original. */
export const newMessageId = (): string => randomUUID()

const editOf = 'ServiceControl.EditOf'

/** AMQP properties that stand for a header too; one that was changed there must not come back from here. */
const mirrored: Readonly<Record<string, string>> = {
  contentType: Header.ContentType,
  correlationId: Header.CorrelationId,
  replyTo: Header.ReplyToAddress,
  type: Header.EnclosedMessageTypes,
}

/**
 * The message that is sent in the place of one that was changed: a message of its own, whose failure would be a new entry. It has a new
 * message id, as header and as native id, names the original in `ServiceControl.EditOf`, and has neither marks of replays nor an address
 * for their acknowledgement. Of a failure nothing is left, unless it stays one.
 *
 * @param message as it is held
 * @source ServiceControl EditHandler, but for an older `ServiceControl.Retry.UniqueMessageId`, which it leaves, and which would tie a new
 * failure to the original
 */
export function editedMessage(
  message: Pick<HeldMessage, 'headers' | 'native'>,
  failed: Pick<FailedMessage, 'uniqueId'>,
  edited: Edited,
  { messageId, staysFailed, target }: EditMarks,
): OutgoingMessage {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(edited.headers))
    if (!isMarkOfReplay(name) && (isKept(name) || (staysFailed && isOfFailure(name)))) setOwn(headers, name, value)
  headers[Header.MessageId] = messageId
  headers[editOf] = failed.uniqueId
  const native = Object.entries(message.native).filter(([property]) => {
    const header = mirrored[property]
    return header === undefined || message.headers[header] === edited.headers[header]
  })
  return { id: messageId, headers, body: edited.body, to: { exactQueue: target }, native: Object.fromEntries(native) }
}

function isMarkOfReplay(name: string): boolean {
  return name.startsWith('ServiceControl.Retry.') || name.startsWith('Nsb.Replay.') || name === editOf
}

const ofFailure = [Header.FailedQ, Header.TimeOfFailure, Header.ExceptionPrefix, 'NServiceBus.Processing', '$.diagnostics.host', 'MT-']

function isOfFailure(name: string): boolean {
  return ofFailure.some((prefix) => name.startsWith(prefix))
}

import type { MessageDefinition } from '../../../message/declaration.ts'
import { type FailedMessage, isTextBody } from '../../../message/failure.ts'
import { Header } from '../../../message/headers.ts'
import { NsbError } from '../../../message/nsb-error.ts'
import type { HeldMessage } from '../../../transport/transport.ts'
import { checkEditable, contentOf } from './editable.ts'
import type { Edited } from './edited-message.ts'
import { type ChangedHeaders, type HeaderChanges, changeHeaders } from './header-changes.ts'
import { checkContent, checkSchema } from './valid-body.ts'

/** A change that may be sent. */
export interface Attempt {
  readonly edited: Edited
  readonly headers: ChangedHeaders
  readonly isBodyChanged: boolean
}

export const isUnchanged = ({ headers, isBodyChanged }: Attempt): boolean => !isBodyChanged && headers.changed.length === 0

/** @throws {NsbError} NSB_NOT_EDITABLE: not a message that was to be handled, or not readable */
export function checkIsMessage({ kind, messageId }: FailedMessage, { unreadable }: HeldMessage): void {
  const why =
    unreadable !== undefined
      ? `its headers cannot be read: ${unreadable}`
      : kind === 'ack'
        ? 'it only says that a replay went well'
        : undefined
  if (why === undefined) return
  throw new NsbError({
    code: 'NSB_NOT_EDITABLE',
    message: `Message '${messageId}' cannot be edited: ${why}.`,
    suggestions: ['nsb errors show <id> --raw'],
  })
}

/**
 * Checks a change as a whole.
 *
 * @param body as it is to be; the same bytes are no change
 * @param definition of the message's type; undefined: no schema is known
 * @throws {NsbError} NSB_LOCKED_HEADER, NSB_BAD_HEADER, NSB_BODY_NOT_EDITABLE, NSB_NOT_TEXT, NSB_NOT_JSON, NSB_NOT_XML, NSB_BODY_INVALID
 */
export function attempt(
  message: Pick<HeldMessage, 'body' | 'headers'>,
  changes: HeaderChanges,
  body: Uint8Array,
  definition: MessageDefinition | undefined,
): Attempt {
  const headers = changeHeaders(message.headers, changes)
  const isBodyChanged = Buffer.compare(body, message.body) !== 0
  if (isBodyChanged) checkEditable(message.body, message.headers)
  if (isBodyChanged || headers.changed.includes(Header.ContentType)) checkContent(body, headers.headers)
  const isJson = isTextBody(headers.headers) && contentOf(headers.headers) === 'json'
  if (isBodyChanged && isJson && definition !== undefined) checkSchema(definition, body, message.body)
  return { edited: { headers: headers.headers, body }, headers, isBodyChanged }
}

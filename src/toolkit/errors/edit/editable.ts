import { isUtf8 } from 'node:buffer'
import { isTextBody } from '../../../message/failure.ts'
import { Header } from '../../../message/headers.ts'
import { NsbError } from '../../../message/nsb-error.ts'
import type { Headers } from '../../../transport/transport.ts'

/** A body as text; `mark` is its byte order mark or empty. */
export interface EditableText {
  readonly mark: string
  readonly text: string
}

/** @source NServiceBus.Encryption.MessageProperty EncryptionHeaders; older versions wrote the same names. */
const encryptionHeaders: ReadonlySet<string> = new Set(['nservicebus.rijndaelkeyidentifier', 'nservicebus.aeskeyidentifier'])
/** What a WireEncryptedString is serialised as. @source NServiceBus.Encryption.MessageProperty EncryptedValue */
const encryptedValue = /"EncryptedBase64Value"\s*:|<(?:\w+:)?EncryptedBase64Value[\s>/]/i

/**
 * Refuses a body that nobody can change, or replace, without breaking it.
 *
 * @throws {NsbError} NSB_BODY_NOT_EDITABLE: binary, compressed, or with encrypted properties
 */
export function checkEditable(body: Uint8Array, headers: Headers): void {
  const contentType = headers[Header.ContentType]
  const encoding = headers['Content-Encoding']
  if (encoding !== undefined) throw notEditable(`it is encoded (Content-Encoding: ${encoding})`)
  if (!isTextBody(headers))
    throw notEditable(contentType === undefined ? 'it has no content type, so it counts as binary' : `'${contentType}' is binary`)
  const encrypted = Object.keys(headers).find((name) => encryptionHeaders.has(name.toLowerCase()))
  if (encrypted !== undefined) throw notEditable(`properties of it are encrypted (header ${encrypted})`)
  if (encryptedValue.test(textOf(body))) throw notEditable('properties of it are encrypted (EncryptedBase64Value)')
}

/**
 * The text of a body that a person or a patch may change.
 *
 * @param wants `jsonFor`: it has to be JSON for that
 * @throws {NsbError} NSB_BODY_NOT_EDITABLE: as {@link checkEditable} does, or not UTF-8
 */
export function editableText(body: Uint8Array, headers: Headers, wants: { readonly jsonFor?: string } = {}): EditableText {
  checkEditable(body, headers)
  if (wants.jsonFor !== undefined && contentOf(headers) !== 'json')
    throw notEditable(`a ${wants.jsonFor} needs JSON, and it is '${headers[Header.ContentType]}'`)
  if (!isUtf8(body)) throw notEditable('it is not UTF-8')
  const whole = textOf(body)
  const mark = whole.startsWith('\uFEFF') ? '\uFEFF' : ''
  return { mark, text: whole.slice(mark.length) }
}

/** What is not UTF-8 becomes U+FFFD. */
export function textOf(body: Uint8Array): string {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8')
}

export function bodyOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** What a body says that it is. */
export function contentOf(headers: Headers): 'json' | 'xml' | 'text' {
  const contentType = headers[Header.ContentType]?.toLowerCase() ?? ''
  return contentType.includes('json') ? 'json' : contentType.includes('xml') ? 'xml' : 'text'
}

function notEditable(why: string): NsbError {
  return new NsbError({
    code: 'NSB_BODY_NOT_EDITABLE',
    message: `The body cannot be changed: ${why}.`,
    suggestions: ['nsb errors show <id> --headers', 'Its headers can be changed: nsb errors edit <id> --headers-only'],
  })
}

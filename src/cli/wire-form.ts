import { isTextBody } from '../message/failure.ts'
import { Header } from '../message/headers.ts'
import type { OutgoingMessage } from '../transport/transport.ts'
import { printable, printableLine } from './printable.ts'

/** Where a message goes, as text. */
export function destinationText({ to }: OutgoingMessage): string {
  return 'address' in to ? to.address : 'exactQueue' in to ? to.exactQueue : `the subscribers of ${to.event.fullName}`
}

/** The complete wire form, for `--dry-run`. */
export function wireForm(message: OutgoingMessage): string {
  const headers = Object.entries(message.headers).map(([name, value]) => `  ${printableLine(name)}: ${printableLine(value)}`)
  const body =
    message.body.length === 0
      ? '(no body)'
      : isTextBody(message.headers)
        ? printable(new TextDecoder().decode(message.body))
        : `(${message.body.length} bytes)`
  return [`to ${destinationText(message)}`, ...headers, '', body].join('\n')
}

/** The same as JSON. */
export function wireDocument(message: OutgoingMessage): Record<string, unknown> {
  return {
    messageId: message.id,
    destination: destinationText(message),
    headers: message.headers,
    ...(isTextBody(message.headers)
      ? { body: new TextDecoder().decode(message.body) }
      : { bodyBase64: Buffer.from(message.body).toString('base64') }),
    ...(message.deliverAt && { deliverAt: message.deliverAt.toISOString() }),
    contentType: message.headers[Header.ContentType],
  }
}

import { Header } from '../../message/headers.ts'
import { formatTimestamp } from '../../message/wire-formats.ts'
import type { Headers } from '../transport.ts'
import { checkAddress } from './layout.ts'
import type { Reading } from './listing.ts'
import { writeMetadata } from './metadata.ts'
import { newNativeId } from './native-id.ts'
import type { Copy } from './storage.ts'

/**
 * The copy for the error queue of a message that cannot be read. Broken metadata becomes its body; its size is not limited, since
 * refusing it would leave the message stuck.
 */
export function poisonCopy(
  unreadable: Extract<Reading, { kind: 'unreadable' }>,
  from: { readonly queue: string; readonly nativeId: string; readonly fileName: string },
  errorQueue: string,
  now: number,
): Copy {
  const headers: Headers = {
    [Header.MessageId]: from.nativeId || from.fileName,
    ...unreadable.headers,
    [Header.FailedQ]: from.queue,
    [Header.ExceptionType]: 'Nsb.PoisonMessage',
    [Header.ExceptionMessage]: poisonText(unreadable, from),
    [Header.TimeOfFailure]: formatTimestamp(now),
  }
  return {
    nativeId: newNativeId(now),
    queue: checkAddress(errorQueue),
    deliverAt: undefined,
    metadata: writeMetadata(headers, undefined),
    body: unreadable.headers ? new Uint8Array(0) : unreadable.raw,
    chosenId: false,
  }
}

function poisonText(
  unreadable: Extract<Reading, { kind: 'unreadable' }>,
  from: { readonly queue: string; readonly nativeId: string },
): string {
  const what = `The message was moved here unread: ${unreadable.reason}.`
  return unreadable.headers
    ? what
    : `${what} Its text is the body of this message; its own body, if there is one, stays in '${from.queue}/.bodies/${from.nativeId}.body.txt'.`
}

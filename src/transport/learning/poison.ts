import { Header } from '../../message/headers.ts'
import { formatTimestamp } from '../../message/wire-formats.ts'
import type { Headers } from '../transport.ts'
import { checkAddress } from './layout.ts'
import type { Reading } from './reading.ts'
import { writeMetadata } from './metadata.ts'
import { newNativeId } from './native-id.ts'
import type { Copy } from './storage.ts'

interface Origin {
  readonly queue: string
  readonly nativeId: string
  readonly fileName: string
}

/** A message that was in hand so many times when its process died is not handled again. */
export const mostKills = 6
export const killerReason = `its process died ${mostKills} times while it had the message in hand`

/**
 * The copy for the error queue of a message that cannot be read. Broken metadata becomes its body; its size is not limited, since
 * refusing it would leave the message stuck.
 */
export function poisonCopy(unreadable: Extract<Reading, { kind: 'unreadable' }>, from: Origin, errorQueue: string, now: number): Copy {
  const body = unreadable.headers ? new Uint8Array(0) : unreadable.raw
  return errorCopy(unreadable.headers, body, poisonText(unreadable, from), from, errorQueue, now)
}

/** The copy for the error queue of a message that seems to end whoever handles it: whole, so that it can be replayed. */
export function killerCopy(message: Extract<Reading, { kind: 'message' }>, from: Origin, errorQueue: string, now: number): Copy {
  return errorCopy(message.headers, message.body, `The message was not handled again: ${killerReason}.`, from, errorQueue, now)
}

function errorCopy(original: Headers | undefined, body: Uint8Array, text: string, from: Origin, errorQueue: string, now: number): Copy {
  const headers: Headers = {
    [Header.MessageId]: from.nativeId || from.fileName,
    ...original,
    [Header.FailedQ]: from.queue,
    [Header.ExceptionType]: 'Nsb.PoisonMessage',
    [Header.ExceptionMessage]: text,
    [Header.TimeOfFailure]: formatTimestamp(now),
  }
  return {
    nativeId: newNativeId(now),
    queue: checkAddress(errorQueue),
    deliverAt: undefined,
    metadata: writeMetadata(headers, undefined),
    body,
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

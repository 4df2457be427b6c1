import { Header } from '../../message/headers.ts'
import type { Outgoing } from './outgoing.ts'

/** An int or enum reply is a control message: the number in a header, and no body. */
export function returnCode({ content, headers }: Outgoing): void {
  if (content.kind !== 'returnCode') return
  headers[Header.ReturnCode] = content.code
  headers[Header.ControlMessage] = 'True'
}

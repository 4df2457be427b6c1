import { Header } from '../../message/headers.ts'
import type { Outgoing } from './outgoing.ts'

/** Message id, whether the receiver starts a trace of its own, and the intent. */
export function identity({ content, headers, id, intent, options }: Outgoing): void {
  headers[Header.MessageId] = id
  const trace =
    intent === 'Publish' ? (options.continueExistingTraceOnReceive ? 'False' : 'True') : options.startNewTraceOnReceive ? 'True' : 'False'
  if (intent !== 'Reply' && content.kind === 'message') headers[Header.StartNewTrace] = trace
  headers[Header.MessageIntent] = intent
}

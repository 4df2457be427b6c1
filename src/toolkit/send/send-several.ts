import type { OutgoingMessage, Transport } from '../../transport/transport.ts'
import { Pace } from './pace.ts'

/** How far several messages got. */
export interface SentSeveral {
  /** In order; what is safe in its queue. */
  readonly sent: readonly OutgoingMessage[]
  /** Why the rest stayed; undefined when all were sent. */
  readonly problem: unknown
}

const group = 100

/**
 * Sends several messages in order, and stops at the first that cannot be sent.
 *
 * @param build makes the message with this index when its turn comes, so that its time is that of its sending
 * @param options.perSecond undefined: as fast as the transport takes them, in groups
 * @param options.signal aborted: nothing further is sent, and its reason is the problem
 */
export async function sendSeveral(
  transport: Transport,
  count: number,
  build: (index: number) => OutgoingMessage,
  options: { readonly perSecond: number | undefined; readonly signal: AbortSignal; readonly progress: (sent: number) => void },
): Promise<SentSeveral> {
  const { perSecond, progress, signal } = options
  const sent: OutgoingMessage[] = []
  const pace = perSecond === undefined ? undefined : new Pace(perSecond)
  try {
    while (sent.length < count) {
      await pace?.ready(signal)
      signal.throwIfAborted()
      pace?.begin()
      const size = pace === undefined ? Math.min(group, count - sent.length) : 1
      const messages = Array.from({ length: size }, (_, index) => build(sent.length + index))
      await transport.dispatch(messages)
      sent.push(...messages)
      progress(sent.length)
    }
    return { sent, problem: undefined }
  } catch (error) {
    return { sent, problem: signal.aborted ? signal.reason : error }
  }
}

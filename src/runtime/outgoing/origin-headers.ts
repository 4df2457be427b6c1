import { Header } from '../../message/headers.ts'
import { NsbError } from '../../message/nsb-error.ts'
import { formatTimeSpan } from '../../message/wire-formats.ts'
import type { Engine } from '../engine.ts'
import { instanceAddress, requireInstance } from '../instance.ts'
import type { ReplyToOptions } from '../context.ts'
import type { Outgoing } from './outgoing.ts'

/** How long the message is of use, where replies go, and who sends it. */
export function originHeaders(outgoing: Outgoing): void {
  const { content, engine, headers, options } = outgoing
  const ttbr = content.kind === 'message' ? content.definition.timeToBeReceivedMs : undefined
  if (ttbr !== undefined) {
    headers[Header.TimeToBeReceived] = formatTimeSpan(ttbr)
    outgoing.expiresAfterMs = ttbr
  }
  const replyTo = replyToAddress(engine, options)
  if (replyTo !== undefined) headers[Header.ReplyToAddress] = replyTo
  headers[Header.OriginatingMachine] = engine.host.machine
  headers[Header.OriginatingEndpoint] = engine.name
  headers[Header.OriginatingHostId] = engine.host.id
}

function replyToAddress(engine: Engine, options: ReplyToOptions): string | undefined {
  const chosen = [options.routeReplyTo, options.routeReplyToThisInstance || undefined, options.routeReplyToAnyInstance || undefined].filter(
    (option) => option !== undefined,
  )
  if (chosen.length > 1)
    throw new NsbError({
      code: 'NSB_CONFLICTING_OPTIONS',
      message:
        'Already specified reply routing option for this message: more than one of routeReplyTo, routeReplyToThisInstance and routeReplyToAnyInstance.',
      suggestions: ['Keep one'],
    })
  if (options.routeReplyTo !== undefined) return options.routeReplyTo
  if (options.routeReplyToThisInstance) return instanceAddress(engine.name, requireInstance(engine))
  return engine.sendOnly ? undefined : engine.name
}

import { Header } from '../../message/headers.ts'
import { newCombId } from '../../message/ids.ts'
import { NsbError } from '../../message/nsb-error.ts'
import { newTrace, passTraceOn } from '../trace.ts'
import type { Outgoing } from './outgoing.ts'

/** Ties a message to the one being handled: related to, conversation, correlation, trace, and the saga that asked. */
export function causation(outgoing: Outgoing): void {
  const { headers, origin } = outgoing
  if (origin) headers[Header.RelatedTo] = origin.id
  conversation(outgoing)
  headers[Header.CorrelationId] = origin?.headers[Header.CorrelationId] || origin?.id || outgoing.id
  if (outgoing.intent === 'Reply') returnToSaga(outgoing)
  if (origin) passTraceOn(origin.trace, headers)
  else if (outgoing.engine.tracing) passTraceOn(newTrace(), headers)
}

/** @source NServiceBus AttachCausationHeadersBehavior */
function conversation({ headers, now, options, origin }: Outgoing): void {
  const incoming = origin?.headers[Header.ConversationId]
  const chosen = options.headers?.[Header.ConversationId]
  if (options.startNewConversation !== undefined) {
    if (chosen !== undefined)
      throw conversationError(`Cannot set the NServiceBus.ConversationId header to '${chosen}' as StartNewConversation() was called.`)
    if (incoming !== undefined) headers[Header.PreviousConversationId] = incoming
    headers[Header.ConversationId] = options.startNewConversation === true ? newCombId(now) : options.startNewConversation
    return
  }
  if (incoming !== undefined) {
    if (chosen !== undefined)
      throw conversationError(
        `Cannot set the NServiceBus.ConversationId header to '${chosen}' as it cannot override the incoming header value ('${incoming}').`,
      )
    headers[Header.ConversationId] = incoming
    return
  }
  headers[Header.ConversationId] = chosen ?? newCombId(now)
}

// Without this a .NET saga never sees the reply as its own.
function returnToSaga({ headers, origin }: Outgoing): void {
  const sagaId = origin?.headers[Header.OriginatingSagaId]
  const sagaType = origin?.headers[Header.OriginatingSagaType]
  if (sagaId !== undefined) headers[Header.SagaId] = sagaId
  if (sagaType !== undefined) headers[Header.SagaType] = sagaType
}

function conversationError(message: string): NsbError {
  return new NsbError({ code: 'NSB_CONVERSATION_FIXED', message, suggestions: ['Start a new one instead: { startNewConversation: true }'] })
}

import type { MessageKind } from '../../message/declaration.ts'
import type { Intent } from '../../message/headers.ts'
import { NsbError } from '../../message/nsb-error.ts'
import type { Outgoing } from './outgoing.ts'

/** Refuses what breaks the meaning of commands and events, before anything else happens. */
export function bestPractices({ content, engine, intent, options }: Outgoing): void {
  if (content.kind !== 'message') return
  const { fullName } = content.definition
  const kind = engine.kindOf(content.definition)
  if (kind === undefined)
    throw new NsbError({
      code: 'NSB_NOT_A_MESSAGE',
      message: `'${fullName}' is neither a command nor an event nor a message by the conventions of '${engine.name}'.`,
      suggestions: ['conventions: { isMessage: (fullName) => ... }'],
    })
  if (!options.doNotEnforceBestPractices) enforceBestPractices(intent, { fullName, kind })
}

/** @source NServiceBus Validations; the texts are the product's, the doubled "be" included */
export function enforceBestPractices(
  intent: Intent,
  { fullName, kind }: { readonly fullName: string; readonly kind: MessageKind | undefined },
): void {
  const refuse = (why: string, suggestion: string): never => {
    throw new NsbError({
      code: 'NSB_BEST_PRACTICE',
      message: `Best practice violation for message type '${fullName}'. ${why}`,
      suggestions: [suggestion],
    })
  }
  if (intent === 'Send' && kind === 'event')
    refuse('Events can have multiple recipients, so they should be published.', 'context.publish(...)')
  if (intent === 'Reply' && kind !== 'message')
    refuse(
      'Reply is not supported for commands or events. Commands should be sent to their logical owner. Events should be published.',
      `Declare the reply with message('${fullName}', schema)`,
    )
  if ((intent === 'Publish' || intent === 'Subscribe' || intent === 'Unsubscribe') && kind === 'command')
    refuse('Pub/sub is not supported for commands, so they should be be sent to their logical owner instead.', 'context.send(...)')
}

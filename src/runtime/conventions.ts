import type { MessageDefinition, MessageKind } from '../message/declaration.ts'

/**
 * What is a command, an event or a message, by its full name; each one that is given replaces what the declaration says.
 * A command or an event is a message too, and what is both counts as a command.
 *
 * @source NServiceBus Conventions (unobtrusive mode)
 */
export interface Conventions {
  readonly isCommand?: (fullName: string) => boolean
  readonly isEvent?: (fullName: string) => boolean
  readonly isMessage?: (fullName: string) => boolean
}

/** The kind that is in force for a type; undefined: no message by the endpoint's conventions. */
export type KindOf = (definition: MessageDefinition) => MessageKind | undefined

/** The kinds by conventions, asked once per type; without conventions those of the declarations. */
export function kindsBy(conventions: Conventions | undefined): KindOf {
  if (!conventions) return (definition) => definition.kind
  const { isCommand, isEvent, isMessage } = conventions
  const kinds = new Map<MessageDefinition, MessageKind | undefined>()
  const decide = ({ fullName, kind }: MessageDefinition): MessageKind | undefined => {
    if (isCommand ? isCommand(fullName) : kind === 'command') return 'command'
    if (isEvent ? isEvent(fullName) : kind === 'event') return 'event'
    // A declared kind that a convention has taken away leaves a plain message, unless there is a word on those too.
    return isMessage && !isMessage(fullName) ? undefined : 'message'
  }
  return (definition) => {
    if (!kinds.has(definition)) kinds.set(definition, decide(definition))
    return kinds.get(definition)
  }
}

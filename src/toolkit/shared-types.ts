import { type MessageDefinition, isAssignable } from '../message/declaration.ts'
import type { RegisteredHandler } from '../runtime/handlers.ts'

/** A message type for which several handlers run, as one unit: one fails, all run again. */
export interface SharedType {
  readonly type: string
  readonly kind: MessageDefinition['kind']
  /** In the order in which they run. */
  readonly handlers: readonly string[]
}

/** The message types that several handlers share, handlers of base types included. */
export function sharedTypes(handlers: readonly RegisteredHandler[], messages: readonly MessageDefinition[]): readonly SharedType[] {
  const definitions = new Map([...handlers.map(({ handles }) => handles), ...messages].map((each) => [each.fullName, each]))
  return [...definitions.values()].flatMap((definition) => {
    const running = handlers.filter(({ handles }) => isAssignable(definition, handles))
    return running.length < 2 ? [] : [{ type: definition.fullName, kind: definition.kind, handlers: running.map(({ name }) => name) }]
  })
}

import type { EventType } from '../message/event-type.ts'

/** Full names of the event, its base classes and all interfaces, nearest first, each once. */
export function namesOf(event: EventType): readonly string[] {
  const names = new Set<string>()
  const visit = (type: EventType): void => {
    names.add(type.fullName)
    if (type.base) visit(type.base)
    for (const parent of type.interfaces) if (!names.has(parent.fullName)) visit(parent)
  }
  visit(event)
  return [...names]
}

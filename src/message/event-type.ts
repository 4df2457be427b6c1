import { type MessageDefinition, type MessageKind, isAssignable } from './declaration.ts'

/** What routing by hierarchy needs to know of an event: its full name and everything it is assignable to. */
export interface EventType {
  readonly fullName: string
  readonly kind: 'class' | 'interface'
  /** The base class; `System.Object` has none, and neither has an interface. */
  readonly base: EventType | undefined
  /** All interfaces, inherited ones and the markers `NServiceBus.IMessage` and `NServiceBus.IEvent` included. */
  readonly interfaces: readonly EventType[]
}

const marker = (fullName: string, interfaces: readonly EventType[]): EventType => ({
  fullName,
  kind: 'interface',
  base: undefined,
  interfaces,
})
const systemObject: EventType = { fullName: 'System.Object', kind: 'class', base: undefined, interfaces: [] }
const iMessage = marker('NServiceBus.IMessage', [])
const markersOf: Record<MessageKind, readonly EventType[]> = {
  message: [iMessage],
  command: [marker('NServiceBus.ICommand', [iMessage]), iMessage],
  event: [marker('NServiceBus.IEvent', [iMessage]), iMessage],
}

/** The message type as routing sees it, with what .NET reflection would add: `System.Object` and the marker interfaces. */
export function eventTypeOf(definition: MessageDefinition): EventType {
  const base = definition.parents.find((parent) => !parent.isInterface && isNearestClass(definition, parent))
  return {
    fullName: definition.fullName,
    kind: definition.isInterface ? 'interface' : 'class',
    base: definition.isInterface ? undefined : base ? eventTypeOf(base) : systemObject,
    interfaces: [...definition.parents.filter((parent) => parent.isInterface).map(eventTypeOf), ...markersOf[definition.kind]],
  }
}

function isNearestClass(definition: MessageDefinition, candidate: MessageDefinition): boolean {
  return definition.parents
    .filter((parent) => !parent.isInterface)
    .every((parent) => parent === candidate || isAssignable(candidate, parent))
}

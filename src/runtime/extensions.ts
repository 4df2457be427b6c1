import { type HandleContext, type Hooks, type SendContext, chained, receiveHook } from './hooks.ts'
import type { EndpointDefinition } from './definition.ts'
import type { IncomingStep } from './incoming/incoming.ts'
import { type Mutator, having, mutateIncoming, mutateIncomingTransport, mutateOutgoing, mutateOutgoingTransport } from './mutators.ts'
import type { Outgoing } from './outgoing/outgoing.ts'

type AsyncOutgoingStep = (outgoing: Outgoing) => Promise<void>

/** What the hooks and mutators of an endpoint add; what is not configured is undefined and costs nothing. */
export interface Extensions {
  readonly receive: IncomingStep | undefined
  readonly incomingTransport: IncomingStep | undefined
  readonly incoming: IncomingStep | undefined
  readonly handle: ((context: HandleContext, next: () => Promise<void>) => Promise<void>) | undefined
  readonly send: ((context: SendContext, next: () => Promise<void>) => Promise<void>) | undefined
  readonly outgoing: AsyncOutgoingStep | undefined
  readonly outgoingTransport: AsyncOutgoingStep | undefined
}

export function extensionsOf(definition: Pick<EndpointDefinition, 'hooks' | 'mutators'>): Extensions {
  const mutators = definition.mutators ?? []
  const hooks: readonly Hooks[] = definition.hooks === undefined ? [] : [definition.hooks].flat()
  const step = <T>(name: keyof Mutator, make: (those: readonly Mutator[]) => T): T | undefined => {
    const those = having(mutators, name)
    return those && make(those)
  }
  const onReceive = chained(hooks, 'onReceive')
  return {
    receive: onReceive && receiveHook(onReceive),
    incomingTransport: step('incomingTransportMessage', mutateIncomingTransport),
    incoming: step('incomingMessage', mutateIncoming),
    handle: chained(hooks, 'onHandle'),
    send: chained(hooks, 'onSend'),
    outgoing: step('outgoingMessage', mutateOutgoing),
    outgoingTransport: step('outgoingTransportMessage', mutateOutgoingTransport),
  }
}

import type { Extensions } from './extensions.ts'
import { audit } from './incoming/audit.ts'
import { completeCallbacks } from './incoming/complete-callbacks.ts'
import { confirmRetry } from './incoming/confirm-retry.ts'
import { deserialize } from './incoming/deserialize.ts'
import type { IncomingStep } from './incoming/incoming.ts'
import { invokeHandlers } from './incoming/invoke-handlers.ts'
import { mapTypes } from './incoming/map-types.ts'
import { recover } from './incoming/recover.ts'
import { unitOfWork } from './incoming/unit-of-work.ts'
import { address } from './outgoing/address.ts'
import { bestPractices } from './outgoing/best-practices.ts'
import { causation } from './outgoing/causation.ts'
import { identity } from './outgoing/identity.ts'
import { originHeaders } from './outgoing/origin-headers.ts'
import type { Outgoing, OutgoingStep } from './outgoing/outgoing.ts'
import { returnCode } from './outgoing/return-code.ts'
import { senderInfo } from './outgoing/sender-info.ts'
import { serialize } from './outgoing/serialize.ts'

/** Outermost first. The order is the behaviour. */
export const incomingSteps: readonly IncomingStep[] = [
  recover,
  audit,
  confirmRetry,
  mapTypes,
  deserialize,
  completeCallbacks,
  unitOfWork,
  invokeHandlers,
]

/** In order; it is also the order of the headers on the wire. */
export const outgoingSteps: readonly OutgoingStep[] = [
  bestPractices,
  identity,
  causation,
  returnCode,
  originHeaders,
  address,
  serialize,
  senderInfo,
]

/** The incoming steps of one endpoint: those above, and what its hooks and mutators put between them. */
export function incomingStepsWith({ incoming, incomingTransport, receive }: Extensions): readonly IncomingStep[] {
  return incomingSteps
    .flatMap((step) => {
      if (step === recover) return [step, receive]
      if (step === mapTypes) return [incomingTransport, step]
      return step === deserialize ? [step, incoming] : [step]
    })
    .filter((step) => step !== undefined)
}

/** The outgoing steps of one endpoint: those above, and its mutators on both sides of the serializer. */
export function outgoingStepsWith({ outgoing, outgoingTransport }: Extensions): readonly ((outgoing: Outgoing) => void | Promise<void>)[] {
  return outgoingSteps
    .flatMap((step) => (step === serialize ? [outgoing, step, outgoingTransport] : [step]))
    .filter((step) => step !== undefined)
}

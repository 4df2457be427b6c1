import type { UnitOfWork } from '../definition.ts'
import type { Incoming, IncomingStep } from './incoming.ts'

/** Wraps all handlers of a message in the endpoint's own unit of work. */
export const unitOfWork: IncomingStep = (incoming, next) => {
  const own = incoming.engine.unitOfWork
  return own ? around(own, incoming, next) : next()
}

async function around(own: UnitOfWork, { extensions, headers, message, signal }: Incoming, next: () => Promise<void>): Promise<void> {
  await own({ messageId: message.id, headers, signal, extensions }, next)
}

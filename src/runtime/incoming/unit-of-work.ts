import type { IncomingStep } from './incoming.ts'

/** Wraps all handlers of a message in the endpoint's own unit of work. */
export const unitOfWork: IncomingStep = async ({ engine, extensions, headers, message, signal }, next) => {
  if (engine.unitOfWork) await engine.unitOfWork({ messageId: message.id, headers, signal, extensions }, next)
  else await next()
}

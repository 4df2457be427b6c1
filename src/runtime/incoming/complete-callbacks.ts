import type { IncomingStep } from './incoming.ts'

/** Gives a return code or an object to the request that waits for it; the message then counts as handled, and handlers still run. */
export const completeCallbacks: IncomingStep = (incoming, next) => {
  const { callbacks } = incoming.engine
  if (callbacks) {
    callbacks.completeWithCode(incoming.headers)
    for (const logical of incoming.logical) if (callbacks.completeWithObject(incoming.headers, logical)) logical.handled = true
  }
  return next()
}

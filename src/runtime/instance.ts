import { NsbError } from '../message/nsb-error.ts'
import type { Engine } from './engine.ts'

/** The queue of one instance of an endpoint. */
export function instanceAddress(endpoint: string, instance: string): string {
  return `${endpoint}-${instance}`
}

/** @throws {NsbError} NSB_NO_INSTANCE */
export function requireInstance(engine: Engine): string {
  if (engine.instance === undefined)
    throw new NsbError({
      code: 'NSB_NO_INSTANCE',
      message: `Endpoint '${engine.name}' has no instance id, so nothing can be sent or replied to this very instance.`,
      suggestions: [`defineEndpoint('${engine.name}', { instance: 'a1', ... })`, `nsb run --instance a1`],
    })
  return engine.instance
}

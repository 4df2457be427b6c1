import { type MessageType, instantiate } from '../../message/declaration.ts'
import { NsbError } from '../../message/nsb-error.ts'
import type { SendOptions } from '../../runtime/context.ts'
import { defineEndpoint } from '../../runtime/definition.ts'
import { contentOf } from '../../runtime/content.ts'
import { assemble } from '../../runtime/endpoint.ts'
import { silentLogger } from '../../runtime/logger.ts'
import type { OutgoingMessage, Transport } from '../../transport/transport.ts'
import { routesOf } from '../project-code.ts'
import type { Project } from '../project.ts'

/**
 * Builds the message that a test send puts on the wire: headers as the runtime writes them, from the project's endpoint, or `nsb`
 * outside a project; without a reply address unless the options say one.
 *
 * @param body what the schema accepted, or anything for a type that is not validated
 * @throws {NsbError} NSB_NO_ROUTE with the known endpoints, NSB_BEST_PRACTICE
 */
export function envelope(
  project: Project,
  transport: Transport,
  type: MessageType,
  body: object,
  intent: 'Send' | 'Publish',
  options: SendOptions,
): OutgoingMessage {
  const sender = defineEndpoint(project.endpoint.name ?? 'nsb', { sendOnly: true })
  const engine = assemble({ ...sender, routes: routesOf(project), messages: [type] }, { transport, logger: silentLogger })
  try {
    return engine.prepare(intent, contentOf(instantiate(type, body)), options, undefined)
  } catch (error) {
    if (error instanceof NsbError && error.code === 'NSB_NO_ROUTE') throw noRoute(error, project)
    throw error
  }
}

function noRoute(error: NsbError, project: Project): NsbError {
  const known = [...new Set(Object.values(project.routing))]
  return new NsbError({
    code: 'NSB_NO_ROUTE',
    message: `${error.message}, and --to does not say one.`,
    suggestions: [
      `Say where to: --to ${known[0] ?? project.endpoint.name ?? 'Sales'}`,
      known.length > 0
        ? `Endpoints in the routing of nsb.json: ${known.join(', ')}`
        : `Or add a route to nsb.json: "routing": { "Shop.*": "Shop" }`,
    ],
    cause: error,
  })
}

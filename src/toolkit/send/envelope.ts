import { type MessageType, instantiate, messageSymbol } from '../../message/declaration.ts'
import { Header } from '../../message/headers.ts'
import { NsbError } from '../../message/nsb-error.ts'
import type { SendOptions } from '../../runtime/context.ts'
import { defineEndpoint } from '../../runtime/definition.ts'
import { contentOf } from '../../runtime/content.ts'
import { assemble } from '../../runtime/endpoint.ts'
import { silentLogger } from '../../runtime/logger.ts'
import type { OutgoingMessage, Transport } from '../../transport/transport.ts'
import { routesOf } from '../project-code.ts'
import type { Project } from '../project.ts'

/** What a test send carries: a value that is serialized, or bytes that go out as they are. */
export type MessageBody =
  | { readonly kind: 'value'; readonly value: object; readonly line?: number }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array; readonly contentType: string }

/**
 * Builds the messages that a test send puts on the wire: headers as the runtime writes them, from the project's endpoint, or `nsb`
 * outside a project; without a reply address unless the options say one.
 *
 * @returns throws {NsbError} NSB_NO_ROUTE with the known endpoints, NSB_BEST_PRACTICE
 */
export function envelopes(
  project: Project,
  transport: Transport,
  type: MessageType,
  intent: 'Send' | 'Publish',
): (body: MessageBody, options: SendOptions) => OutgoingMessage {
  const sender = defineEndpoint(project.endpoint.name ?? 'nsb', { sendOnly: true })
  const engine = assemble({ ...sender, routes: routesOf(project), messages: [type] }, { transport, logger: silentLogger })
  return (body, options) => {
    try {
      const value = body.kind === 'value' ? body.value : {}
      const message = engine.prepare(intent, contentOf(instantiate(type, value)), options, undefined)
      if (body.kind === 'value') return message
      return { ...message, headers: { ...message.headers, [Header.ContentType]: body.contentType }, body: body.bytes }
    } catch (error) {
      if (error instanceof NsbError && error.code === 'NSB_NO_ROUTE') throw noRoute(error, project)
      // The runtime's advice is about code.
      if (error instanceof NsbError && error.code === 'NSB_BEST_PRACTICE')
        throw new NsbError({
          code: error.code,
          message: error.message,
          suggestions: [`nsb ${intent === 'Send' ? 'publish' : 'send'} ${type[messageSymbol].fullName}`],
          cause: error,
        })
      throw error
    }
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

import { eventTypeOf } from '../../message/event-type.ts'
import { Header } from '../../message/headers.ts'
import { NsbError } from '../../message/nsb-error.ts'
import type { Destination } from '../../transport/transport.ts'
import { instanceAddress, requireInstance } from '../instance.ts'
import type { Outgoing } from './outgoing.ts'

const routingOptions = ['destination', 'routeToThisEndpoint', 'routeToThisInstance', 'routeToSpecificInstance'] as const

/** Where the message goes: an option, the route of its type, the reply address, or its subscribers. */
export function address(outgoing: Outgoing): void {
  const { content, intent, options } = outgoing
  const chosen = routingOptions.filter((option) => options[option] !== undefined && options[option] !== false)
  if (chosen.length > 1)
    throw new NsbError({
      code: 'NSB_CONFLICTING_OPTIONS',
      message: `Already specified routing option for this message: ${chosen.join(' and ')}.`,
      suggestions: ['Keep one'],
    })
  if (intent === 'Publish' && content.kind === 'message') outgoing.to = { event: eventTypeOf(content.definition) }
  else outgoing.to = unicast(outgoing)
}

function unicast({ content, engine, intent, options, origin }: Outgoing): Destination {
  const fullName = content.kind === 'message' ? content.definition.fullName : 'return code'
  if (options.destination !== undefined) return { address: options.destination }
  if (intent === 'Reply') {
    const replyTo = origin?.headers[Header.ReplyToAddress]
    if (replyTo) return { address: replyTo }
    throw new NsbError({
      code: 'NSB_NO_REPLY_ADDRESS',
      message: `No \`ReplyToAddress\` found on the ${origin?.headers[Header.EnclosedMessageTypes]?.split(',', 1)[0] ?? 'message'} being processed: its sender has no queue, or did not say which.`,
      suggestions: ['Send the request from an endpoint that receives, or say where to: context.reply(message, { destination })'],
    })
  }
  if (options.routeToThisEndpoint) {
    if (engine.sendOnly)
      throw new NsbError({
        code: 'NSB_SEND_ONLY',
        message: `'${engine.name}' is send-only and has no queue to send '${fullName}' to.`,
        suggestions: ['Leave out sendOnly'],
      })
    return { address: engine.name }
  }
  if (options.routeToThisInstance) return { address: instanceAddress(engine.name, requireInstance(engine)) }
  const routed = content.kind === 'message' ? engine.routing.destinationOf(content.definition) : undefined
  if (routed === undefined)
    throw new NsbError({
      code: 'NSB_NO_ROUTE',
      message: `No destination specified for message: ${fullName}`,
      suggestions: [
        `defineEndpoint('${engine.name}', { routes: [route('${fullName}', 'Endpoint')] })`,
        `or in nsb.json: "routing": { "${fullName}": "Endpoint" }`,
      ],
    })
  return { address: options.routeToSpecificInstance === undefined ? routed : instanceAddress(routed, options.routeToSpecificInstance) }
}

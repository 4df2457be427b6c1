import { messageSymbol } from '../../message/declaration.ts'
import { Header, parseIntent } from '../../message/headers.ts'
import { NsbError } from '../../message/nsb-error.ts'
import type { Mapping } from '../../message/type-map.ts'
import { serializerFor } from '../../serialization/serializer.ts'
import { MessageDeserializationError } from '../errors.ts'
import { typeNameInBody } from '../infer-type.ts'
import { type Incoming, type IncomingStep, isControl } from './incoming.ts'

/** Finds the message types that the type header means; without one, the type that a JSON body names. */
export const mapTypes: IncomingStep = (incoming, next) => {
  if (!isControl(incoming)) {
    try {
      incoming.mapping = mappingOf(incoming)
    } catch (error) {
      throw new MessageDeserializationError(incoming.message.id, error)
    }
  }
  return next()
}

function mappingOf(incoming: Incoming): Mapping {
  const { engine, headers, message } = incoming
  const header = headers[Header.EnclosedMessageTypes]
  const mapping = header === undefined ? inferred(incoming) : engine.types.map(header)
  if (mapping && mapping.roots.length > 0) return mapping
  if (!engine.inferTypes) throw inferenceIsOff()
  if (header !== undefined && parseIntent(headers[Header.MessageIntent]) !== 'Publish')
    engine.logger.warn(`Could not determine message type from message header '${header}'. MessageId: ${message.id}`)
  throw unknownType(header, engine.types.types.length)
}

/** Later steps, and the audit copy, see the name of the type that was found. @source NServiceBus InferredMessageTypeEnricherBehavior */
function inferred({ body, engine, headers }: Incoming): Mapping | undefined {
  const isJson = serializerFor(headers[Header.ContentType], engine.serializers).contentType.startsWith('application/json')
  const name = engine.inferTypes && isJson ? typeNameInBody(body) : undefined
  if (name === undefined) return undefined
  const mapping = engine.types.map(name)
  const [root] = mapping.roots
  if (root) headers[Header.EnclosedMessageTypes] = root[messageSymbol].fullName
  return mapping
}

/** @source NServiceBus DeserializeMessageConnector: its text */
function inferenceIsOff(): NsbError {
  return new NsbError({
    code: 'NSB_UNKNOWN_TYPE',
    message: `Could not determine the message type from the '${Header.EnclosedMessageTypes}' header and message type inference from the message body has been disabled. Ensure the header is set or enable message type inference.`,
    suggestions: ['Send it with the header; the full name is enough', 'inferTypes: true'],
  })
}

function unknownType(header: string | undefined, known: number): NsbError {
  return new NsbError({
    code: 'NSB_UNKNOWN_TYPE',
    message:
      header === undefined
        ? 'The message has no NServiceBus.EnclosedMessageTypes header, and a JSON body does not say what it is: the serializer requires message types to be defined.'
        : `Could not determine message type from message header '${header}': none of the ${known} known types has that name.`,
    suggestions: [
      header === undefined ? 'Send it with the header; the full name is enough' : `See how it was mapped: nsb explain '${header}'`,
      `Accept another name: command('…', schema, { aliases: ['…'] })`,
    ],
  })
}

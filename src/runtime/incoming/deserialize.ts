import { type MessageType, MessageValidationError, instantiate, messageSymbol } from '../../message/declaration.ts'
import { Header } from '../../message/headers.ts'
import { serializerFor } from '../../serialization/serializer.ts'
import { typed } from '../../serialization/typed.ts'
import { MessageDeserializationError } from '../errors.ts'
import { type IncomingStep, type LogicalMessage, isControl } from './incoming.ts'

/** Decodes the body once, and makes one instance for each root type; the schema decides before any handler runs. */
export const deserialize: IncomingStep = (incoming, next) => {
  const { body, engine, headers, mapping, message } = incoming
  if (!isControl(incoming) && mapping) {
    try {
      const serializer = serializerFor(headers[Header.ContentType], engine.serializers)
      // Handlers and the audit copy are told what it was read as.
      headers[Header.ContentType] ??= serializer.contentType
      const tree = serializer.deserialize(body)
      // Nobody sees the message as a further base type that has no handler, so the body need not be of its shape.
      const alsoAs = mapping.alsoAs
        .filter((type) => engine.handlers.matching(type[messageSymbol]).length > 0)
        .map((type) => ({ definition: type[messageSymbol], instance: instanceOf(type, tree) }))
      incoming.logical = mapping.roots.map(
        (type): LogicalMessage => ({
          type,
          definition: type[messageSymbol],
          instance: instanceOf(type, tree),
          alsoAs,
          handled: false,
        }),
      )
    } catch (error) {
      throw new MessageDeserializationError(message.id, error)
    }
  }
  return next()
}

function instanceOf(type: MessageType, tree: unknown): object {
  const definition = type[messageSymbol]
  const result = typed(definition, tree)
  if (result.issues) throw new MessageValidationError(definition, result.issues)
  return instantiate(type, result.value)
}

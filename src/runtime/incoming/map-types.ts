import { Header } from '../../message/headers.ts'
import { NsbError } from '../../message/nsb-error.ts'
import { MessageDeserializationError } from '../errors.ts'
import { type IncomingStep, isControl } from './incoming.ts'

/** Finds the message types that the type header means. */
export const mapTypes: IncomingStep = async (incoming, next) => {
  if (!isControl(incoming)) {
    const { engine, headers, message } = incoming
    try {
      const header = headers[Header.EnclosedMessageTypes]
      incoming.mapping = header === undefined ? { entries: [], roots: [] } : engine.types.map(header)
      if (incoming.mapping.roots.length === 0) throw unknownType(header, engine.types.types.length)
    } catch (error) {
      throw new MessageDeserializationError(message.id, error)
    }
  }
  await next()
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

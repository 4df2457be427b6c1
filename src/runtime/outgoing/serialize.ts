import { Header } from '../../message/headers.ts'
import type { Outgoing } from './outgoing.ts'

/** The body, its content type and the type names; a return code has none of them. */
export function serialize(outgoing: Outgoing): void {
  const { content, engine, headers } = outgoing
  if (content.kind !== 'message') return
  const [serializer] = engine.serializers
  outgoing.body = serializer.serialize(content.instance)
  headers[Header.ContentType] = serializer.contentType
  headers[Header.EnclosedMessageTypes] = content.definition.enclosedTypes
}

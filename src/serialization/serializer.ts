import { jsonSerializer } from './json.ts'

/** Turns messages into bodies and back; it knows bytes and plain values, no message types. */
export interface Serializer {
  /** What is written into `NServiceBus.ContentType`. */
  readonly contentType: string
  /** True for other content types whose bodies it can read. */
  accepts(contentType: string): boolean
  serialize(message: object): Uint8Array
  /**
   * A plain tree of objects, arrays, strings, booleans, null and numbers; a number whose digits a JavaScript number cannot keep is a
   * `Decimal`. `typed` makes the tree what a message type's schema accepts.
   */
  deserialize(body: Uint8Array): unknown
}

/** Every serializer there is; the first is the main one unless an endpoint brings its own. */
export const serializers: Serializers = [jsonSerializer]

/** The serializers of an endpoint: the first is its main one, which writes, and reads what nobody else claims. */
export type Serializers = readonly [Serializer, ...Serializer[]]

/** The serializer for an incoming message: exactly its content type, else one that accepts it, else (unknown or missing) the main one. */
export function serializerFor(contentType: string | undefined, available: Serializers = serializers): Serializer {
  return (
    available.find((serializer) => serializer.contentType === contentType) ??
    available.find((serializer) => contentType !== undefined && serializer.accepts(contentType)) ??
    available[0]
  )
}

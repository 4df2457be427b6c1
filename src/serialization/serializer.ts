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
export const serializers: readonly Serializer[] = [jsonSerializer]

/** An endpoint's serializers. */
export interface Serializers {
  /** What it writes with, and what it reads messages with whose content type nobody knows or nobody wrote. */
  readonly main: Serializer
  /** Exactly that content type first, then one that accepts it, then the main one. */
  forContentType(this: void, contentType: string | undefined): Serializer
}

/** @param own an endpoint's own serializers, which come before the built-in ones: the first is its main one */
export function serializersOf(own: readonly Serializer[] = []): Serializers {
  const available = [...own, ...serializers]
  const main = available[0] as Serializer
  return {
    main,
    forContentType: (contentType) =>
      available.find((serializer) => serializer.contentType === contentType) ??
      available.find((serializer) => contentType !== undefined && serializer.accepts(contentType)) ??
      main,
  }
}

import { existsSync } from 'node:fs'
import type { Clock } from '../clock.ts'
import { Header } from '../../message/headers.ts'
import { NsbError } from '../../message/nsb-error.ts'
import { formatTimeSpan } from '../../message/wire-formats.ts'
import type { Destination, OutgoingMessage } from '../transport.ts'
import { checkAddress, checkName } from './layout.ts'
import { writeMetadata } from './metadata.ts'
import { newNativeId } from './native-id.ts'
import { type Copy, type StorageFolder, moveIfThere, removeIfPossible } from './storage.ts'
import type { Subscriptions } from './subscriptions.ts'
import { unsentPath } from './unsent.ts'

/** Header text and body together, in bytes. */
const largestMessage = 65_536

/** A copy that is being written. */
interface Written {
  /** Of its metadata file, until it is moved to the target. */
  readonly metadata: string
  readonly target: string
  /** The path of its body, once it is this copy's. */
  readonly bodies: readonly string[]
}

/** Turns outgoing messages into copies, and writes copies into queues. */
export class Sending {
  readonly #storage: StorageFolder
  readonly #subscriptions: Subscriptions
  readonly #clock: Clock
  readonly #restrictSize: boolean
  readonly #prefix: () => string

  /** @param prefix of this process, which is asked for when something is written */
  constructor(storage: StorageFolder, subscriptions: Subscriptions, clock: Clock, restrictSize: boolean, prefix: () => string) {
    this.#storage = storage
    this.#prefix = prefix
    this.#subscriptions = subscriptions
    this.#clock = clock
    this.#restrictSize = restrictSize
  }

  /** One copy for each message and destination; whatever is wrong with any of them is found before anything is written. */
  copiesOf(outgoing: readonly OutgoingMessage[]): readonly Copy[] | Promise<readonly Copy[]> {
    const only = outgoing.length === 1 ? (outgoing[0] as OutgoingMessage) : undefined
    // The usual single message needs no waiting for subscription files.
    return only && 'address' in only.to
      ? [this.#copyOf(only, checkAddress(only.to.address), this.#metadataOf(only))]
      : this.#allCopies(outgoing)
  }

  async #allCopies(outgoing: readonly OutgoingMessage[]): Promise<readonly Copy[]> {
    const copies: Copy[] = []
    for (const message of outgoing) {
      const queues = await this.#queuesOf(message.to)
      if (queues.length === 0) continue
      const metadata = this.#metadataOf(message)
      for (const queue of queues) copies.push(this.#copyOf(message, queue, metadata))
    }
    return copies
  }

  #queuesOf(to: Destination): readonly string[] | Promise<readonly string[]> {
    if ('address' in to) return [checkAddress(to.address)]
    if ('exactQueue' in to) return [this.#storage.checkExists(to.exactQueue)]
    return this.#subscriptions.addressesOf(to.event)
  }

  #copyOf(message: OutgoingMessage, queue: string, metadata: string): Copy {
    return {
      nativeId: message.nativeId === undefined ? newNativeId(this.#clock.now()) : checkName(message.nativeId, 'a message file'),
      queue,
      deliverAt: message.deliverAt,
      metadata,
      body: message.body,
      chosenId: message.nativeId !== undefined,
    }
  }

  /** All copies, or none and an error: bodies first, and the metadata files appear when all of them are written. */
  write(copies: readonly Copy[]): void {
    const prefix = copies.length === 0 ? '' : this.#prefix()
    const written: Written[] = []
    try {
      for (const copy of copies) {
        const metadata = unsentPath(this.#storage, prefix, copy.queue, copy.nativeId)
        const bodies: string[] = []
        written.push({ metadata, target: this.#storage.metadataPath(copy), bodies })
        // Before the body, so that whoever finds a body of a dead process knows that it has no message.
        this.#storage.write(metadata, copy.metadata)
        this.writeBody(copy, bodies)
      }
      for (const { metadata, target } of written) this.#storage.move(metadata, target)
    } catch (error) {
      for (const each of written.toReversed()) this.#undo(each)
      throw error
    }
  }

  #undo({ bodies, metadata, target }: Written): void {
    // The metadata before its body: a metadata file without one is fatal to a .NET receiver.
    const isSent = !existsSync(metadata)
    // Somebody has taken it already.
    if (isSent && !moveIfThere(this.#storage, target, metadata)) return
    for (const body of bodies) removeIfPossible(body)
    removeIfPossible(metadata)
  }

  /** @param done gets the path, for the case that the copy is not sent after all */
  writeBody(copy: Copy, done: string[]): void {
    const path = this.#storage.bodyPath(copy.queue, copy.nativeId)
    if (!copy.chosenId) done.push(path)
    this.#storage.writeBody(copy)
    if (copy.chosenId) done.push(path)
  }

  #metadataOf(message: OutgoingMessage): string {
    if (message.deliverAt !== undefined && message.expiresAfterMs !== undefined)
      throw new NsbError({
        code: 'NSB_DELAYED_AND_EXPIRING',
        message: `Message '${message.id}' has both a delay and a time to be received; the learning transport has no format for that.`,
        suggestions: ['Leave one of them out'],
      })
    const metadata = writeMetadata(
      message.headers,
      message.expiresAfterMs === undefined ? undefined : formatTimeSpan(message.expiresAfterMs),
    )
    // The text is pure ASCII, so characters are bytes.
    if (
      this.#restrictSize &&
      metadata.length + message.body.length > largestMessage &&
      message.unchanged !== true &&
      !isCopy(message.headers)
    )
      throw new NsbError({
        code: 'NSB_MESSAGE_TOO_LARGE',
        message:
          `Message '${message.id}' to ${destinationText(message.to)} is too large: ` +
          `${metadata.length} bytes of headers and ${message.body.length} bytes of body, together more than ${largestMessage}.`,
        suggestions: ['Send a reference to the data instead', 'Lift the limit on this endpoint: restrictPayloadSize: false'],
        details: { headerBytes: metadata.length, bodyBytes: message.body.length, limit: largestMessage },
      })
    return metadata
  }
}

// The copy of a message for the error queue, the audit queue, a delayed retry or a replay is larger than the message was. Refusing it would
// leave the message where it is, to fail again for ever.
function isCopy(headers: OutgoingMessage['headers']): boolean {
  return [Header.FailedQ, Header.ProcessingEnded, Header.Retries, Header.RetryUniqueMessageId].some((name) => headers[name] !== undefined)
}

function destinationText(to: Destination): string {
  if ('event' in to) return `the subscribers of '${to.event.fullName}'`
  return `'${'address' in to ? to.address : to.exactQueue}'`
}

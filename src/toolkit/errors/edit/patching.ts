import type { MessageDefinition } from '../../../message/declaration.ts'
import { type FailedMessage, typeOf } from '../../../message/failure.ts'
import { Header } from '../../../message/headers.ts'
import { deterministicGuid } from '../../../message/ids.ts'
import type { HeldMessage, Headers, OutgoingMessage } from '../../../transport/transport.ts'
import { ArchiveFile } from '../archive/archive-file.ts'
import { archivePath } from '../archive/archive-folder.ts'
import { type Attempt, attempt, checkIsMessage } from './attempt.ts'
import { editedMessage } from './edited-message.ts'
import { type BodyChange, bodyPatch } from './patch.ts'

export interface PatchingOptions {
  readonly stateFolder: string
  /** The name of the archive. */
  readonly archive: string
  /** Where the messages are saved as coming from. */
  readonly queue: string
  readonly operation: string
  /** ms since 1970. */
  readonly now: number
  /** The schema of a message's type; undefined: none is known. Asked once for each type. */
  readonly definitionOf: (headers: Headers) => Promise<MessageDefinition | undefined>
}

interface Waiting {
  readonly message: HeldMessage
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * Changes the bodies of a replay by one JSON Patch, by the rules of an edit: each copy is a message of its own, and its original is in
 * the archive before it is sent. A message that the patch does not fit is not sent.
 */
export class Patching {
  /** Where the originals are; undefined: there are none yet. */
  archivedIn: string | undefined
  readonly #change: BodyChange
  readonly #options: PatchingOptions
  readonly #definitions = new Map<string, Promise<MessageDefinition | undefined>>()
  #file: Promise<ArchiveFile> | undefined
  #waiting: Waiting[] = []
  #working = false

  /** @param patch a JSON array of operations @throws {NsbError} NSB_BAD_PATCH */
  constructor(patch: string, options: PatchingOptions) {
    this.#change = bodyPatch(patch)
    this.#options = options
  }

  /**
   * The copy to be sent in the place of a message. The same message gives the same copy, so that whoever goes on after a crash sends no
   * second one under another id.
   *
   * @param acknowledgeTo queue where its outcome is waited for, under its own id: its failure is a new entry too then; undefined: nowhere
   * @throws {NsbError} NSB_PATCH_FAILED, NSB_BODY_NOT_EDITABLE, NSB_NOT_JSON, NSB_BODY_INVALID, NSB_NOT_EDITABLE, NSB_ARCHIVE_UNWRITABLE
   */
  async copyOf(message: HeldMessage, failed: FailedMessage, target: string, acknowledgeTo: string | undefined): Promise<OutgoingMessage> {
    const { edited } = await this.try(message, failed)
    await this.#archive(message)
    const messageId = deterministicGuid(`${this.#options.operation} ${failed.uniqueId} ${failed.failedAt ?? message.nativeId}`)
    const copy = editedMessage(message, failed, edited, { target, staysFailed: false, messageId })
    if (acknowledgeTo === undefined) return copy
    const answer = { [Header.RetryUniqueMessageId]: messageId, [Header.RetryAcknowledgementQueue]: acknowledgeTo }
    return { ...copy, headers: { ...copy.headers, ...answer } }
  }

  /** What would be sent in the place of a message; nothing is kept. @throws as {@link copyOf} does, but for the archive */
  async try(message: HeldMessage, failed: FailedMessage): Promise<Attempt> {
    checkIsMessage(failed, message)
    const body = this.#change(message.body, message.headers)
    return attempt(message, { set: {}, unset: [] }, body, await this.#definitionOf(message.headers))
  }

  async close(): Promise<void> {
    await (await this.#file?.catch(() => undefined))?.close()
  }

  #definitionOf(headers: Headers): Promise<MessageDefinition | undefined> {
    const type = typeOf(headers) ?? ''
    const known = this.#definitions.get(type) ?? this.#options.definitionOf(headers)
    this.#definitions.set(type, known)
    return known
  }

  /** Messages that come while others are written are written together: each writing waits for the disk. */
  #archive(message: HeldMessage): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ message, resolve, reject })
      if (!this.#working) void this.#archiveAll()
    })
  }

  async #archiveAll(): Promise<void> {
    const { archive, now, operation, queue, stateFolder } = this.#options
    this.#working = true
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const group = this.#waiting
      this.#waiting = []
      try {
        this.#file ??= ArchiveFile.open(archivePath(stateFolder, archive, queue, now, 'edited'), { isOwn: true })
        const file = await this.#file
        await file.add(
          group.map(({ message }) => message),
          { queue, exportedAt: now, operation },
        )
        this.archivedIn = file.path
        for (const { resolve } of group) resolve()
      } catch (error) {
        for (const { reject } of group) reject(error)
      }
    }
    this.#working = false
  }
}

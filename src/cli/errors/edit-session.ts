import { NsbError } from '../../message/nsb-error.ts'
import type { HeldMessage } from '../../transport/transport.ts'
import { contentOf } from '../../toolkit/errors/edit/editable.ts'
import { type BodyText, type EditedPart, bodyText, editText, readEditText } from '../../toolkit/errors/edit/edit-text.ts'
import type { HeaderChanges } from '../../toolkit/errors/edit/header-changes.ts'
import { EditFile, runEditor } from './edit-file.ts'

export interface EditSessionOptions {
  readonly part: EditedPart
  readonly notes: readonly string[]
  readonly editor: readonly [string, ...string[]]
  readonly signal: AbortSignal
  /** Shows why a text is refused, and asks whether it should be edited again. */
  again(this: void, problem: NsbError): Promise<boolean>
}

/** A person's editing of one message, from opening the editor to what is left of the file. */
export class EditSession<Result> {
  readonly #options: EditSessionOptions
  readonly #message: HeldMessage
  readonly #body: BodyText | undefined
  readonly #text: string
  readonly #file: EditFile

  private constructor(message: HeldMessage, body: BodyText | undefined, options: EditSessionOptions) {
    const { notes, part } = options
    this.#options = options
    this.#message = message
    this.#body = body
    this.#text = editText(message.headers, body?.text ?? '', part, notes)
    const extension = { json: 'json', xml: 'xml', text: 'txt' }[contentOf(message.headers)]
    this.#file = new EditFile(this.#text, part === 'body' ? extension : 'txt')
  }

  /** @throws {NsbError} NSB_BODY_NOT_EDITABLE */
  static begin<Result>(message: HeldMessage, options: EditSessionOptions): EditSession<Result> {
    const body = options.part === 'headers' ? undefined : bodyText(message)
    return new EditSession(message, body, options)
  }

  /**
   * Opens the editor until what is saved is accepted, or the person gives up.
   *
   * @param accept makes something of the changes, or says why not
   * @throws {NsbError} NSB_EDITOR_FAILED, and the last problem of a text that is not edited again
   */
  async run(accept: (changes: HeaderChanges, body: Uint8Array) => Result): Promise<Result> {
    const { again, editor, part, signal } = this.#options
    for (;;) {
      await runEditor(editor, this.#file.path)
      signal.throwIfAborted()
      try {
        const text = this.#file.read()
        if (text === this.#text) return accept({ set: {}, unset: [] }, this.#message.body)
        const { body, changes } = readEditText(text, this.#message.headers, part)
        return accept(changes, this.#bytesOf(body))
      } catch (error) {
        if (!(error instanceof NsbError) || !(await again(error))) throw error
      }
    }
  }

  #bytesOf(text: string | undefined): Uint8Array {
    return text === undefined || this.#body === undefined ? this.#message.body : this.#body.bytesOf(text)
  }

  /** It is over, and what was written is not needed any more. */
  remove(): void {
    this.#file.remove()
  }

  /** The path of what was written, which is kept; undefined: nothing was, and nothing is left. */
  keep(): string | undefined {
    try {
      if (this.#file.read() !== this.#text) return this.#file.path
    } catch {
      // What cannot be read may still be of use to who wrote it.
      return this.#file.path
    }
    this.remove()
    return undefined
  }
}

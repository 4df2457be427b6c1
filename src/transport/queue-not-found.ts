import { nearest } from '../message/nearest.ts'
import { NsbError } from '../message/nsb-error.ts'

/** A queue that was named exactly does not exist; the suggestions name similar ones. */
export class QueueNotFoundError extends NsbError {
  // Not as properties of the object, which a failed message would tell in its headers.
  readonly #queue: string
  readonly #existing: readonly string[]

  constructor(queue: string, existing: readonly string[], where: string) {
    const near = nearest(queue, existing)
    super({
      code: 'NSB_QUEUE_NOT_FOUND',
      message: `There is no queue '${queue}' ${where}.`,
      suggestions:
        near.length > 0
          ? [`Similar names: ${near.map((name) => `'${name}'`).join(', ')}`]
          : ['Start its endpoint once, or name another queue'],
      details: { queue, near },
    })
    this.#queue = queue
    this.#existing = existing
  }

  get queue(): string {
    return this.#queue
  }

  /** Those that are there, as far as the transport lists any. */
  get existing(): readonly string[] {
    return this.#existing
  }
}

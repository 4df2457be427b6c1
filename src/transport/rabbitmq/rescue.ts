import { errorText } from '../../message/nsb-error.ts'
import type { Clock } from '../clock.ts'
import type { HeldMessage } from '../transport.ts'
import { isOutage } from './broker-error.ts'
import type { Publisher, RawMessage } from './publisher.ts'
import { RescuedMessages } from './rescued-messages.ts'

/** How often a copy is tried again, a second apart, while there is no connection to publish on. */
const tries = 10

export interface RescueOptions {
  readonly publisher: Publisher
  readonly clock: Clock
  readonly queue: string
  /** Which one it is, without a login. */
  readonly broker: string
  readonly stateFolder: string | undefined
  readonly warn: (warning: string) => void
}

/** What can be published again. */
export type Copy = Pick<RawMessage, 'content' | 'properties'>

/** Moves messages that the broker would drop, were they given back, to the end of their queue, where their count begins anew. */
export class Rescue {
  readonly #options: RescueOptions
  readonly #files: RescuedMessages | undefined

  constructor(options: RescueOptions) {
    this.#options = options
    this.#files = options.stateFolder === undefined ? undefined : new RescuedMessages(options.stateFolder, options.broker, options.queue)
  }

  /** What no copy can be made of is written to a file before it is given back. @returns whether there is a copy now */
  async rescue(copy: Copy, message: HeldMessage): Promise<boolean> {
    const { queue, warn } = this.#options
    try {
      await this.#publish(copy)
      return true
    } catch (error) {
      const kept = await this.#keep(message)
      warn(`Message '${message.id}' of '${queue}' is at its delivery limit, and no copy could be made: ${errorText(error)} ${kept}`)
      return false
    }
  }

  async #publish(copy: Copy): Promise<void> {
    const { clock, publisher, queue } = this.#options
    for (let left = tries; ; left--) {
      try {
        return await publisher.dispatchRaw({
          route: { exchange: '', routingKey: queue },
          ...copy,
          to: { exactQueue: queue },
        })
      } catch (error) {
        if (!isOutage(error) || left === 1) throw error
      }
      await new Promise<void>((resolve) => clock.after(1000, resolve))
    }
  }

  /** @returns where it is now, for people */
  async #keep(message: HeldMessage): Promise<string> {
    if (this.#files === undefined) return 'No folder is known to keep it whole.'
    try {
      return `It was written whole to '${await this.#files.add(message, this.#options.clock.now())}'.`
    } catch (error) {
      return `It could not be written to a file: ${errorText(error)}.`
    }
  }
}

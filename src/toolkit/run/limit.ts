import type { Transport, Verdict } from '../../transport/transport.ts'

const putBack: Verdict = { kind: 'putBack', attempted: false }

/**
 * Lets a number of messages through and no more, whatever the concurrency. What is taken beyond waits in hand, in case one of those
 * before it is to be tried again, and is put back when the endpoint stops.
 */
export class Limit {
  #left: number
  #closed = false
  #waiting: (() => void)[] = []
  /** Native ids of those that were decided on, and whose verdict has not been carried out. */
  readonly #decided = new Set<string>()

  /** @param messages how many */
  constructor(messages: number) {
    this.#left = messages
  }

  /** One that was let through will come again. */
  returned(): void {
    this.#left++
    this.#waiting.shift()?.()
  }

  /** Nothing is let through until the next {@link on}, and nobody waits any longer. */
  close(): void {
    this.#closed = true
    for (const go of this.#waiting.splice(0)) go()
  }

  /** The transport, with receivers that ask here first. */
  on(transport: Transport): Transport {
    this.#closed = false
    const receive: Transport['receive'] = (options, decide) =>
      transport.receive(
        {
          ...options,
          onSettled: (message) => {
            this.#decided.delete(message.nativeId)
            options.onSettled(message)
          },
        },
        async (message, signal) => {
          // Its verdict could not be carried out, as on a full disk: it comes again in the place it has.
          const again = this.#decided.delete(message.nativeId)
          if (!again && !(await this.#enter(signal))) return putBack
          try {
            return await decide(message, signal)
          } finally {
            this.#decided.add(message.nativeId)
          }
        },
      )
    return new Proxy(transport, {
      get(target, key) {
        if (key === 'receive') return receive
        const value: unknown = Reflect.get(target, key, target)
        return typeof value === 'function' ? (value.bind(target) as unknown) : value
      },
    })
  }

  async #enter(signal: AbortSignal): Promise<boolean> {
    while (this.#left === 0 && !this.#closed && !signal.aborted)
      await new Promise<void>((resolve) => {
        const go = (): void => {
          signal.removeEventListener('abort', go)
          resolve()
        }
        this.#waiting.push(go)
        signal.addEventListener('abort', go)
      })
    if (this.#closed || signal.aborted) return false
    this.#left--
    return true
  }
}

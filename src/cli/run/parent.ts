import { NsbError } from '../../message/nsb-error.ts'
import { Pause } from '../../toolkit/run/pause.ts'
import type { FromEndpoint, ToEndpoint } from '../../toolkit/run/protocol.ts'

const orphanGraceMs = 5000

/** The `nsb run` that started this process for one of its endpoints. */
export class RunParent {
  /** Aborted when the endpoint is to stop, also because the parent is gone. */
  readonly signal: AbortSignal
  readonly pause = new Pause()
  graceMs = orphanGraceMs
  readonly #abort = new AbortController()
  #confirmed = (): void => undefined

  constructor() {
    this.signal = this.#abort.signal
    process.on('message', (message: ToEndpoint) => {
      if (message.kind === 'pause') this.pause.set(message.paused)
      else if (message.kind === 'confirmed') this.#confirmed()
      else this.#stop(message.graceMs)
    })
    process.once('disconnect', () => this.#stop(orphanGraceMs))
  }

  /** Resolves when it is on its way. */
  tell(message: FromEndpoint): Promise<void> {
    return new Promise((resolve) => {
      if (process.send === undefined || !process.connected) resolve()
      else process.send(message, undefined, undefined, () => resolve())
    })
  }

  /** Asks whoever sits in front of the parent. */
  confirm(question: string, typed: string | undefined): Promise<void> {
    void this.tell({ kind: 'confirm', question, typed })
    return new Promise((resolve, reject) => {
      this.#confirmed = resolve
      this.signal.addEventListener('abort', () =>
        reject(new NsbError({ code: 'NSB_NOT_CONFIRMED', message: 'Not confirmed; nothing was done.' })),
      )
    })
  }

  /** The last word; the process may then end. */
  async leave(): Promise<void> {
    await this.tell({ kind: 'ended' })
    if (process.connected) process.disconnect()
  }

  #stop(graceMs: number): void {
    this.graceMs = graceMs
    this.#abort.abort()
  }
}

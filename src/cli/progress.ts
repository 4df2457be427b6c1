/** Shows how far long work is; where to write and what time it is are given. */
export interface ProgressOptions {
  readonly write: (text: string) => void
  readonly terminal: boolean
  readonly now: () => number
}

/** How far it is. */
export interface ProgressStep {
  readonly doing: string
  readonly done: number
  /** undefined: nobody knows yet. */
  readonly of: number | undefined
  readonly failed: number
  /** What else is worth knowing, such as `batch 2`. */
  readonly note?: string | undefined
}

const firstAfterMs = 1000
const redrawMs = 100
const lineEveryMs = 10_000
const barWidth = 10

/** A bar that is redrawn on a terminal, else a line every 10 s; nothing for what takes less than a second. */
export class Progress {
  readonly #options: ProgressOptions
  readonly #start: number
  #last = 0
  #drawn = false

  constructor(options: ProgressOptions) {
    this.#options = options
    this.#start = options.now()
  }

  show(step: ProgressStep): void {
    const now = this.#options.now()
    const { terminal, write } = this.#options
    const since = this.#last === 0 ? now - this.#start : now - this.#last
    if (since < (this.#last === 0 ? (terminal ? firstAfterMs : lineEveryMs) : terminal ? redrawMs : lineEveryMs)) return
    this.#last = now
    const text = progressText(step, now - this.#start, terminal)
    write(terminal ? `\r\u001b[K${text}` : `${text}\n`)
    this.#drawn = terminal
  }

  end(): void {
    if (this.#drawn) this.#options.write('\r\u001b[K')
  }
}

export function progressText({ doing, done, failed, note, of }: ProgressStep, elapsedMs: number, bar: boolean): string {
  const filled = of === undefined || of === 0 ? 0 : Math.floor((done / of) * barWidth)
  const rate = elapsedMs > 0 ? (done / elapsedMs) * 1000 : 0
  return [
    doing.padEnd(9),
    ...(bar && of !== undefined ? [`${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)}`] : []),
    of === undefined ? String(done) : `${done}/${of}`,
    ...(rate >= 1 ? [`${Math.round(rate)}/s`] : []),
    ...(note === undefined ? [] : [note]),
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(of !== undefined && rate >= 1 && done < of ? [`${Math.ceil((of - done) / rate)} s left`] : []),
  ].join('  ')
}

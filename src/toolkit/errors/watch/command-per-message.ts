import { spawn } from 'node:child_process'
import { errorText } from '../../../message/nsb-error.ts'

/** How a command ended for one message. */
export interface CommandEnded {
  readonly uniqueId: string
  /** Undefined: it could not be run, or a signal ended it. */
  readonly exitCode: number | undefined
  /** Why there is no exit code. */
  readonly problem: string | undefined
}

export interface CommandOptions {
  /** A command line for the shell; nothing of a message is put into it. */
  readonly command: string
  ended(this: void, ended: CommandEnded): void
  /** So many messages came while there was no room for them, and there is room again. */
  skipped(this: void, ids: { readonly count: number; readonly first: string; readonly last: string }): void
}

const mostWaiting = 1000
/** Characters of the messages that wait. */
const mostText = 32 * 1024 * 1024
/** A command that was asked to end is given so long. */
const endsWithinMs = 5000

interface Waiting {
  readonly uniqueId: string
  readonly text: string
}

/** Runs a command for each message, one at a time and in order, with the message on stdin. What comes while too many wait is skipped and counted. */
export class CommandPerMessage {
  readonly #options: CommandOptions
  readonly #waiting: Waiting[] = []
  #textWaiting = 0
  #running: ReturnType<typeof spawn> | undefined
  #isStopped = false
  #skipping: { count: number; first: string; last: string } | undefined
  #idle: (() => void)[] = []
  /** Commands that were started, those of them that did not end with 0, and messages that no command was run for. */
  readonly counts = { run: 0, failed: 0, skipped: 0 }

  constructor(options: CommandOptions) {
    this.#options = options
  }

  /** @param text asked for only if there is room for it */
  add(uniqueId: string, text: () => string): void {
    if (this.#isStopped) return
    if (this.#waiting.length >= mostWaiting || this.#textWaiting >= mostText) {
      this.counts.skipped++
      if (this.#skipping === undefined) this.#skipping = { count: 1, first: uniqueId, last: uniqueId }
      else this.#skipping = { ...this.#skipping, count: this.#skipping.count + 1, last: uniqueId }
      return
    }
    const waiting = { uniqueId, text: text() }
    this.#waiting.push(waiting)
    this.#textWaiting += waiting.text.length
    this.#next()
  }

  /** Resolves when a command was run for each message that waits. */
  async finish(): Promise<void> {
    if (this.#running !== undefined || this.#waiting.length > 0) await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  /** Ends the command that runs, and starts no other one. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.counts.skipped += this.#waiting.length
    const [first, last] = [this.#waiting[0], this.#waiting.at(-1)]
    if (first !== undefined && last !== undefined) {
      const { count = 0 } = this.#skipping ?? {}
      this.#skipping = { count: count + this.#waiting.length, first: first.uniqueId, last: this.#skipping?.last ?? last.uniqueId }
    }
    this.#waiting.length = 0
    this.#tellSkipped()
    const running = this.#running
    if (running === undefined) return
    signalGroup(running, 'SIGTERM')
    const timer = setTimeout(() => signalGroup(running, 'SIGKILL'), endsWithinMs)
    await this.finish()
    clearTimeout(timer)
  }

  #next(): void {
    if (this.#running !== undefined) return
    const next = this.#waiting.shift()
    if (next === undefined) {
      for (const resolve of this.#idle.splice(0)) resolve()
      return
    }
    this.#textWaiting -= next.text.length
    this.#tellSkipped()
    this.#run(next)
  }

  #run({ text, uniqueId }: Waiting): void {
    this.counts.run++
    // A group of its own: the shell may have started others, which must not outlive it. What it prints is not our result.
    const child = spawn(this.#options.command, { shell: true, stdio: ['pipe', 2, 2], detached: process.platform !== 'win32' })
    this.#running = child
    // This process may be ended without being asked.
    const kill = (): void => signalGroup(child, 'SIGKILL')
    process.once('exit', kill)
    let hasEnded = false
    const end = (exitCode: number | undefined, problem: string | undefined): void => {
      if (hasEnded) return
      hasEnded = true
      process.off('exit', kill)
      this.#running = undefined
      if (exitCode !== 0) this.counts.failed++
      this.#options.ended({ uniqueId, exitCode, problem })
      this.#next()
    }
    child.once('error', (error) => end(undefined, `cannot be run: ${errorText(error)}`))
    child.once('close', (code, signal) => end(code ?? undefined, code === null ? `was ended by ${signal}` : undefined))
    // It need not read all of it, or anything.
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(text)
  }

  #tellSkipped(): void {
    const skipped = this.#skipping
    this.#skipping = undefined
    if (skipped !== undefined) this.#options.skipped(skipped)
  }
}

function signalGroup(child: ReturnType<typeof spawn>, signal: NodeJS.Signals): void {
  try {
    if (process.platform === 'win32' || child.pid === undefined) child.kill(signal)
    else process.kill(-child.pid, signal)
  } catch {
    // It has ended by itself.
  }
}

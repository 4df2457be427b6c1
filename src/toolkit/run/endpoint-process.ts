import { type ChildProcess, spawn } from 'node:child_process'
import type { FromEndpoint, Refusal, ToEndpoint } from './protocol.ts'

/** How to start the process of an endpoint. */
export interface ProcessStart {
  /** Of node. */
  readonly words: readonly string[]
  readonly folder: string
  readonly env: NodeJS.ProcessEnv
  /** undefined: it writes where we do. Otherwise told of it. */
  readonly output?: ProcessOutput | undefined
}

export interface ProcessOutput {
  write(stream: 'stdout' | 'stderr', chunk: Uint8Array): void
  /** No more comes. */
  end(): void
}

/** How the process of an endpoint came to its end. */
export type Ended = { readonly kind: 'ended' } | Refusal | { readonly kind: 'died'; readonly how: string; readonly exitCode: number }

/** What a process may still need after the grace period: a second until a handler that ignores its abort is given up, and closing. */
const closingMs = 3000

const living = new Set<EndpointProcess>()
let killsAtExit = false

/** A process that runs an endpoint. When this process ends, however it ends, that one does too. */
export class EndpointProcess {
  readonly #child: ChildProcess
  #deadline: NodeJS.Timeout | undefined
  #isOverdue = false
  /** It says that it is ready or paused, or it is over. */
  readonly settled: Promise<void>
  readonly ended: Promise<Ended>

  constructor({ env, folder, output, words }: ProcessStart, told: (message: FromEndpoint) => void) {
    if (!killsAtExit) process.on('exit', () => living.forEach((each) => each.kill()))
    killsAtExit = true
    const stream = output === undefined ? 'inherit' : 'pipe'
    // A process group of its own: Ctrl-C in the terminal is for us, and what it starts can be ended with it.
    const detached = process.platform !== 'win32'
    this.#child = spawn(process.execPath, words, {
      cwd: folder,
      env,
      stdio: ['ignore', stream, stream, 'ipc'],
      detached,
      windowsHide: true,
    })
    living.add(this)
    for (const name of ['stdout', 'stderr'] as const) this.#child[name]?.on('data', (chunk: Buffer) => output?.write(name, chunk))
    let refused: Refusal | undefined
    let saidGoodbye = false
    let ready = (): void => undefined
    this.settled = new Promise((resolve) => (ready = resolve))
    this.#child.on('message', (message: FromEndpoint) => {
      if (message.kind === 'ready' || message.kind === 'paused') ready()
      if (message.kind === 'refused') refused = message
      if (message.kind === 'ended') saidGoodbye = true
      told(message)
    })
    this.ended = new Promise((resolve) => {
      const over = (how: string, exitCode: number): void => {
        clearTimeout(this.#deadline)
        // What the handlers have started goes with them.
        this.kill()
        living.delete(this)
        output?.end()
        ready()
        resolve(refused ?? (saidGoodbye ? { kind: 'ended' } : { kind: 'died', how, exitCode }))
      }
      this.#child.on('error', (error) => over(error.message, 1))
      this.#child.on('exit', (code, signal) => {
        const how = this.#isOverdue ? 'it did not stop in time' : signal === null ? `exit code ${code}` : signal
        // The last of its output and of its words come after the end; what a grandchild keeps open does not count.
        const wait = setTimeout(() => over(how, code ?? 1), 1000)
        this.#child.once('close', () => {
          clearTimeout(wait)
          over(how, code ?? 1)
        })
      })
    })
  }

  send(message: ToEndpoint): void {
    if (this.#child.connected) this.#child.send(message, () => undefined)
  }

  /** Lets it finish what is in hand; one that does not end is ended, and its messages are taken back at the next start. */
  async stop(graceMs: number): Promise<Ended> {
    this.send({ kind: 'stop', graceMs })
    clearTimeout(this.#deadline)
    this.#deadline = setTimeout(() => {
      this.#isOverdue = true
      this.kill()
    }, graceMs + closingMs)
    return this.ended
  }

  kill(): void {
    const { pid } = this.#child
    if (pid === undefined) return
    try {
      process.kill(process.platform === 'win32' ? pid : -pid, 'SIGKILL')
    } catch {
      // Nobody is left.
    }
  }
}

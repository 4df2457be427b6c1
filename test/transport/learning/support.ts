import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach } from 'vitest'
import { until } from '../../../src/testing/transport-contract/support.ts'
import { type LearningOptions, learningTransport } from '../../../src/transport/learning/transport.ts'
import type { IncomingMessage, OutgoingMessage, ReceiveOptions, Receiving, Transport, Verdict } from '../../../src/transport/transport.ts'
import { compiled } from '../../support/compiled.ts'

export {
  consume,
  contents,
  depthIs,
  hasCode,
  holdOptions,
  look,
  message,
  putBack,
  textOf,
  until,
} from '../../../src/testing/transport-contract/support.ts'

const open: Transport[] = []
const children: ChildProcess[] = []
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  await Promise.all(open.splice(0).map((transport) => transport.close()))
})

/** A learning transport that is closed after the test. */
export function openLearning(storage: string, options: Partial<LearningOptions> = {}): Transport {
  const transport = learningTransport({ storage, ...options })
  open.push(transport)
  return transport
}

export interface Seen extends Omit<Receiving, 'inHand'> {
  readonly deliveries: IncomingMessage[]
  readonly errors: unknown[]
}

/** Receives with the error queue `error`, and consumes unless told otherwise. */
export async function receive(
  transport: Transport,
  queue: string,
  decide: (message: IncomingMessage, signal: AbortSignal) => Promise<Verdict> = async () => ({ kind: 'consume', outgoing: [] }),
  options: Partial<ReceiveOptions> = {},
): Promise<Seen> {
  const deliveries: IncomingMessage[] = []
  const errors: unknown[] = []
  const receiving = await transport.receive(
    {
      queue,
      errorQueue: 'error',
      concurrency: 1,
      transactionMode: 'sendsAtomicWithReceive',
      onDispatchFailed: async () => ({ kind: 'putBack' }),
      onCriticalError: (error) => errors.push(error),
      onSettled: () => undefined,
      onPoison: () => undefined,
      ...options,
    },
    async (incoming, signal) => {
      deliveries.push(incoming)
      return decide(incoming, signal)
    },
  )
  return { deliveries, errors, stop: (stopping) => receiving.stop(stopping) }
}

/** Every file below a folder, relative to it; `.nsb` is left out. */
export function filesIn(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(join(folder, name)).isFile() && !name.startsWith('.nsb/'))
    .toSorted()
}

/** Every file below `.nsb`, relative to the storage. */
export function ownFilesIn(storage: string): readonly string[] {
  return readdirSync(storage, { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.startsWith('.nsb/') && statSync(join(storage, name)).isFile(),
  )
}

/** Writes a message by hand, as some other program would. */
export function writeByHand(storage: string, queue: string, name: string, metadata: string | Uint8Array, body?: string): void {
  const folder = join(storage, queue)
  mkdirSync(join(folder, '.bodies'), { recursive: true })
  if (body !== undefined) writeFileSync(join(folder, '.bodies', `${name}.body.txt`), body)
  writeFileSync(join(folder, `${name}.metadata.txt`), metadata)
}

/** A child process that runs one of the scripts beside this file; killed after the test. */
export function startScript(script: string, ...args: readonly string[]): ChildProcess & { lines(): readonly string[] } {
  const path = fileURLToPath(new URL(`scripts/${script}.ts`, import.meta.url))
  const child = spawn(process.execPath, [compiled(path), ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  let output = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (output += text))
  return Object.assign(child, { lines: () => output.split('\n').slice(0, -1) })
}

/** Waits until a process has ended; its exit code or the signal that killed it. */
export async function ended(child: ChildProcess): Promise<number | NodeJS.Signals> {
  await until(`process ${child.pid} ends`, () => child.exitCode !== null || child.signalCode !== null)
  return child.exitCode ?? (child.signalCode as NodeJS.Signals)
}

export const toAddress = (address: string, id = 'm'): OutgoingMessage => ({ id, headers: {}, body: new Uint8Array(0), to: { address } })

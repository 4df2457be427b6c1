import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterEach } from 'vitest'
import { until } from '../../../src/testing/transport-contract/support.ts'
import { parseConnection } from '../../../src/transport/rabbitmq/connection-settings.ts'
import { type RabbitOptions, rabbitTransport } from '../../../src/transport/rabbitmq/transport.ts'
import type { IncomingMessage, OutgoingMessage, ReceiveOptions, Receiving, Transport, Verdict } from '../../../src/transport/transport.ts'
import { compiled } from '../../support/compiled.ts'

export {
  consume,
  depthIs,
  hasCode,
  holdOptions,
  look,
  message,
  textOf,
  until,
} from '../../../src/testing/transport-contract/support.ts'

const open: Transport[] = []
const children: ChildProcess[] = []
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  await Promise.all(open.splice(0).map((transport) => transport.close()))
})

export interface OpenedTransport extends Transport {
  readonly warnings: readonly string[]
}

/** A transport that is closed after the test, reconnects soon, and collects its warnings. */
export function openRabbit(url: string, options: Partial<RabbitOptions> = {}): OpenedTransport {
  const warnings: string[] = []
  const transport = rabbitTransport({
    settings: parseConnection(url).settings,
    recoveryDelaysMs: [20, 50, 100],
    warn: (warning) => warnings.push(warning),
    ...options,
  })
  open.push(transport)
  return Object.assign(transport, { warnings })
}

export interface Seen extends Pick<Receiving, 'stop'> {
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
      concurrency: 4,
      transactionMode: 'receiveOnly',
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

/** Dispatches until it succeeds, as a sender that does not give up. @returns how often it failed */
export async function dispatchInsistently(transport: Transport, message: OutgoingMessage): Promise<number> {
  for (let failures = 0; ; failures++) {
    try {
      await transport.dispatch([message])
      return failures
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
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

export async function killed(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL')
  await until(`process ${child.pid} ends`, () => child.exitCode !== null || child.signalCode !== null)
}

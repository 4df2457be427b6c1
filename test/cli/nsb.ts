import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, onTestFinished } from 'vitest'

const run = fileURLToPath(new URL('../../bin/run.js', import.meta.url))
const recordings = fileURLToPath(new URL('../fixtures/wire/learning/', import.meta.url))

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  /** stdout as one JSON document. */
  readonly json: () => Record<string, unknown>
}

export interface NsbOptions {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  /** What stdin holds; by default it is empty and closed. `open`: it never ends. */
  readonly input?: string | Uint8Array
}

/** Environment without anything that steers nsb or its colours. */
function quietEnvironment(): Record<string, string> {
  const steering = /^(NSB_|XDG_CONFIG_HOME$|CI$|NO_COLOR$|FORCE_COLOR$|TERM$|NODE_ENV$)/
  const kept = Object.entries(process.env).flatMap(([name, value]) => (value === undefined || steering.test(name) ? [] : [[name, value]]))
  // Nobody's own settings, and nobody's own state.
  stateFolder ??= mkdtempSync(join(tmpdir(), 'nsb-state-'))
  return { ...(Object.fromEntries(kept) as Record<string, string>), XDG_CONFIG_HOME: '/nonexistent', NSB_STATE_DIR: stateFolder }
}

let stateFolder: string | undefined
afterAll(() => {
  if (stateFolder !== undefined) rmSync(stateFolder, { recursive: true, force: true })
  stateFolder = undefined
})

/** Runs the built command line as a process of its own. */
export function nsb(words: readonly string[], { cwd, env = {}, input }: NsbOptions): Promise<Ended> {
  const child = spawn(process.execPath, [run, ...words], { cwd, env: { ...quietEnvironment(), ...env } })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  // It need not read all of it.
  child.stdin.on('error', () => undefined)
  if (input !== 'open') child.stdin.end(input ?? '')
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => {
      child.stdin.destroy()
      resolve({ code, stdout, stderr, json: () => JSON.parse(stdout) as Record<string, unknown> })
    })
  })
}

/** A new folder that is removed after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'nsb-test-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export type Recording = '12-error-queue' | '13-error-queue-deserialization' | '15-after-second-handler-failed'

/** A project folder with a storage folder that holds these recordings, and the endpoint's queue. */
export function projectWith(...cases: readonly Recording[]): { readonly folder: string; readonly storage: string } {
  const folder = temporaryFolder()
  const storage = join(folder, '.learningtransport')
  mkdirSync(join(storage, 'Shop.Server', '.bodies'), { recursive: true })
  for (const name of cases) cpSync(join(recordings, name, 'storage'), storage, { recursive: true })
  return { folder, storage }
}

/** Puts a message into a queue folder, as any sender would. */
export function putMessage(storage: string, queue: string, id: string, headers: Readonly<Record<string, string>>, body = '{}'): void {
  mkdirSync(join(storage, queue, '.bodies'), { recursive: true })
  writeFileSync(join(storage, queue, '.bodies', `${id}.body.txt`), body)
  writeFileSync(join(storage, queue, `${id}.metadata.txt`), JSON.stringify(headers))
}

export interface StoredMessage {
  readonly file: string
  readonly headers: Record<string, string>
  readonly body: string
}

/** What waits in a queue folder. */
export function messagesIn(storage: string, queue: string): StoredMessage[] {
  return readdirSync(join(storage, queue))
    .filter((name) => name.endsWith('.metadata.txt'))
    .map((file) => ({
      file,
      headers: JSON.parse(readFileSync(join(storage, queue, file), 'utf8').replace(/^\uFEFF/, '')) as Record<string, string>,
      body: readFileSync(join(storage, queue, '.bodies', file.replace('.metadata.txt', '.body.txt')), 'utf8'),
    }))
}

/** Headers of a failed message, as an endpoint writes them. */
export function failureHeaders(messageId: string, more: Readonly<Record<string, string>> = {}): Record<string, string> {
  return {
    'NServiceBus.MessageId': messageId,
    'NServiceBus.ContentType': 'application/json',
    'NServiceBus.EnclosedMessageTypes': 'Shop.Messages.PlaceOrder, Shop.Messages',
    'NServiceBus.ProcessingEndpoint': 'Sales',
    'NServiceBus.FailedQ': 'Sales',
    'NServiceBus.TimeOfFailure': '2026-11-21 00:21:15:973439 Z',
    'NServiceBus.ExceptionInfo.ExceptionType': 'System.Exception',
    'NServiceBus.ExceptionInfo.Message': 'no stock',
    'NServiceBus.ExceptionInfo.StackTrace':
      'System.Exception: no stock\n   at Sales.PlaceOrderHandler.Handle(PlaceOrder message, IMessageHandlerContext context) in /src/a.cs:line 58',
    ...more,
  }
}

import { spawn } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import assert from 'node:assert/strict'
import { expect, onTestFinished } from 'vitest'
import { nsb } from '../cli/nsb.ts'
import { startNsb } from '../support/running-nsb.ts'
import type { HeldMessage, OutgoingMessage, Transport } from '../../src/transport/transport.ts'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const page = readFileSync(here('../../docs/at-three-in-the-morning.md'), 'utf8')

/** A command of the page with what it prints, or a comment that asks a person for something. */
export interface Step {
  readonly line: string
  readonly printed: readonly string[]
}

/** What the console blocks of the page say, in order. */
export const steps: readonly Step[] = [...page.matchAll(/^```console\n([^]*?)^```$/gm)].flatMap(([, block = '']) => {
  const found: { line: string; printed: string[] }[] = []
  for (const line of block.split('\n').filter((each) => each !== ''))
    if (line.startsWith('$ ') || line.startsWith('# ')) found.push({ line, printed: [] })
    else found.at(-1)?.printed.push(line)
  return found
})

/** The project of the night, in a folder of its own. */
export class Night {
  readonly folder = largeFolder()
  readonly #env: Readonly<Record<string, string>>

  /** @param settings of the default profile */
  constructor(settings: Readonly<Record<string, unknown>>) {
    cpSync(here('../../examples/night'), this.folder, { recursive: true })
    mkdirSync(join(this.folder, '.learningtransport'))
    const config = JSON.parse(readFileSync(join(this.folder, 'nsb.json'), 'utf8')) as object
    writeFileSync(join(this.folder, 'nsb.json'), JSON.stringify({ ...config, profiles: { default: settings } }))
    const bin = join(this.folder, 'bin')
    mkdirSync(bin)
    writeFileSync(join(bin, 'nsb'), `#!/bin/sh\nexec '${process.execPath}' '${here('../../bin/run.js')}' "$@"\n`, { mode: 0o755 })
    this.#env = { PATH: `${bin}:${process.env['PATH']}`, NSB_STATE_DIR: join(this.folder, 'state') }
  }

  /** One failure of each kind, for real. */
  async failOnce(): Promise<void> {
    const bodies = { PlaceOrder: { OrderId: 'o1' }, ShipOrder: { OrderId: 's1' }, ImportPrice: { Sku: 'BOOK-1', Price: -1 } }
    // On a broker this makes the queues.
    await this.#nsb('run', '--until-idle', '1ms')
    for (const [type, body] of Object.entries(bodies)) await this.#nsb('send', type, JSON.stringify(body))
    await this.#nsb('send', 'ShipOrder', '{"OrderId":"s7","Country":"XX"}')
    const { stdout } = await this.#nsb('run', '--no-retries', '--until-idle', '500ms', '--log', 'json')
    expect(stdout).toContain('"failed":4')
  }

  /** The step as a person would do it. */
  async perform({ line, printed }: Step): Promise<void> {
    if (line.startsWith('# ')) return this.#edit(line)
    const [, command = '', , comment = ''] = /^\$ (.*?)(\s+#\s*(.*))?$/.exec(line) ?? []
    if (command === 'nsb run') return this.#run()
    const { code, text } = await this.#shell(command)
    assert.equal(code, Number(/^\d+/.exec(comment)?.[0] ?? 0), `${line}\n${text}`)
    let rest = text
    for (const expected of printed) {
      const found = patternOf(expected).exec(rest)
      assert.ok(found, `${line} does not print '${expected}', but\n${text}`)
      rest = rest.slice(found.index + found[0].length)
    }
  }

  #running: ReturnType<typeof startNsb> | undefined

  async #run(): Promise<void> {
    this.#running = startNsb(['run', '--no-retries', '--watch', '--log', 'json'], this.folder, this.#env)
    await this.#ready(1)
  }

  /** Waits until the endpoint was started so often. */
  async #ready(times: number): Promise<void> {
    await expect
      .poll(() => (this.#running?.stdout.match(/"event":"ready"/g) ?? []).length, { timeout: 30_000 })
      .toBeGreaterThanOrEqual(times)
  }

  /** Nothing runs any more. */
  async end(): Promise<void> {
    this.#running?.kill('SIGINT')
    await this.#running?.ended
  }

  async #edit(comment: string): Promise<void> {
    const file = join(this.folder, /src\/\S+\.ts/.exec(comment)?.[0] ?? 'nothing is named')
    const before = readFileSync(file, 'utf8')
    const after = before.replace('databaseIsUp = false', 'databaseIsUp = true').replace('order.Country as string', `order.Country ?? 'DE'`)
    assert.notEqual(after, before, comment)
    const started = (this.#running?.stdout.match(/"event":"ready"/g) ?? []).length
    writeFileSync(file, after)
    if (this.#running !== undefined) await this.#ready(started + 1)
  }

  #nsb(...words: readonly string[]): ReturnType<typeof nsb> {
    return nsb(words, { cwd: this.folder, env: this.#env })
  }

  /** Who reads sees it in a terminal. Where a question is asked nobody is there to answer, so it gets its yes. */
  #shell(command: string): Promise<{ readonly code: number | null; readonly text: string }> {
    const asks = /^nsb errors (replay|edit|archive|import|resume(?! --list))\b/.test(command)
    const script = join(this.folder, 'step.sh')
    writeFileSync(script, asks ? `${command} --yes 2>&1\n` : `stty cols 140\n${command}\n`)
    const words = asks ? ['sh', script] : ['script', '-qec', `sh ${script}`, '/dev/null']
    const env = { ...process.env, ...this.#env, ...(asks ? { CI: '1' } : { TERM: 'xterm', PAGER: 'cat', CI: undefined }) }
    const child = spawn(words[0] as string, words.slice(1), { cwd: this.folder, env })
    child.stdin.end()
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (more: string) => (text += more))
    return new Promise((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (code) => resolve({ code, text: plain(text) }))
    })
  }
}

/** A folder for a hundred thousand files: in memory where the system has such a place, because many disks take minutes for them. */
function largeFolder(): string {
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'nsb-night-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }), 120_000)
  return folder
}

/** Without the colours and carriage returns of a terminal. */
// oxlint-disable-next-line no-control-regex -- escapes are what it removes
const plain = (text: string): string => text.replaceAll(/\u001b\[[0-9;?]*[A-Za-z]/g, '').replaceAll('\r', '')

/** `…` is anything on the line, and blanks are as many as the table needs. */
function patternOf(line: string): RegExp {
  const parts = line.split(/(…|\s+)/).filter((part) => part !== '')
  return new RegExp(
    parts
      .map((part) => (part === '…' ? '.*?' : part.trim() === '' ? '[ \\t]+' : escape(part)))
      .join('')
      .replaceAll('[ \\t]+.*?[ \\t]+', '[ \\t].*?'),
  )
}

const escape = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')

/** Makes the night out of one failure of each kind: copies with ids, bodies and times of their own. */
export async function multiply(transport: Transport, counts: Readonly<Record<string, number>>): Promise<void> {
  const signal = new AbortController().signal
  const options = { purpose: 'look', overrule: [], page: 100, max: 100, signal, beforeRemove: () => undefined } as const
  const holding = await transport.hold('error', options)
  const originals: HeldMessage[] = []
  for await (const messages of holding.pages()) originals.push(...messages)
  await holding.giveBack()
  for (const original of originals) {
    const text = Buffer.from(original.body).toString('utf8')
    const type = /"Country"/.test(text) ? '' : (original.headers['NServiceBus.EnclosedMessageTypes'] as string)
    const count = Object.entries(counts).find(([name]) => type.includes(name))?.[1] ?? 1
    for (let from = 2; from <= count; from += 1000)
      await transport.dispatch(
        Array.from({ length: Math.min(1000, count - from + 1) }, (_, index): OutgoingMessage => {
          const id = `${original.id.slice(0, -6)}${String(from + index).padStart(6, '0')}`
          const headers = { ...original.headers, 'NServiceBus.MessageId': id }
          const body = Buffer.from(text.replace(/([os]|BOOK-)1"/, `$1${from + index}"`))
          return { id, headers, body, to: { exactQueue: 'error' } }
        }),
      )
  }
}

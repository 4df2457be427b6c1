// From the start of the process to the first handled message of the learning transport: one message waits, and `nsb run --log json`
// says "handled". In interleaved rounds, next to bare Node in the same run. The variants leave things out, to show what they take, and a
// profile of one start says where its time goes.
// node bench/first-message.mjs [rounds]
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cpuProfile } from './cpu-profile.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const run = join(root, 'bin', 'run.js')
const rounds = Number(process.argv[2] ?? 15)
/** Half of what NServiceBus 10 needs on .NET 10, and what bare Node needed on the machine where that was measured. */
const [wantedMs, bareThereMs] = [138, 46.5]

const top = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'nsb-first-'))

const zodSchema = `import { z } from 'zod'
const schema = z.object({ OrderId: z.string() })`
const ownSchema = `const schema = { '~standard': { version: 1, vendor: 'bench', validate: (value) => ({ value }) } }`

/**
 * @param {string} name
 * @param {string} schema
 */
function project(name, schema) {
  const folder = join(top, name)
  mkdirSync(join(folder, 'node_modules'), { recursive: true })
  mkdirSync(join(folder, '.learningtransport', 'Shop', '.bodies'), { recursive: true })
  symlinkSync(root, join(folder, 'node_modules', 'nsbus'))
  symlinkSync(realpathSync(join(root, 'node_modules', 'zod')), join(folder, 'node_modules', 'zod'))
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, type: 'module', private: true }))
  writeFileSync(join(folder, 'nsb.json'), JSON.stringify({ endpoint: { name: 'Shop' } }))
  writeFileSync(
    join(folder, 'place-order.handler.ts'),
    `${schema}
import { command } from 'nsbus'
export class PlaceOrder extends command('Shop.PlaceOrder', schema) {}
export class PlaceOrderHandler {
  static readonly handles = PlaceOrder
  async handle(message: PlaceOrder) { if (!message.OrderId) throw new Error('no order') }
}
`,
  )
  return folder
}

let sent = 0
/** @param {string} folder */
function sendTo(folder) {
  const queue = join(folder, '.learningtransport', 'Shop')
  const id = `m${sent++}`
  writeFileSync(join(queue, '.bodies', `${id}.body.txt`), '{"OrderId":"0f4c3a52-6d1e-4b7a-9c58-2e7f81d9a001"}')
  const headers = {
    'NServiceBus.MessageId': id,
    'NServiceBus.EnclosedMessageTypes': 'Shop.PlaceOrder',
    'NServiceBus.ContentType': 'application/json',
  }
  writeFileSync(join(queue, `${id}.metadata.txt`), JSON.stringify(headers))
}

/**
 * ms until "ready" and until "handled".
 *
 * @param {string} folder
 * @returns {Promise<{ ready: number, handled: number }>}
 */
function firstMessage(folder) {
  sendTo(folder)
  return new Promise((resolve, reject) => {
    const start = performance.now()
    const child = spawn(process.execPath, [run, 'run', '--log', 'json'], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
    let [text, errors] = ['', '']
    let ready = Number.NaN
    let handled = Number.NaN
    child.stderr.on('data', (chunk) => (errors += chunk))
    child.stdout.on('data', (chunk) => {
      text += chunk
      if (Number.isNaN(ready) && text.includes('"event":"ready"')) ready = performance.now() - start
      if (!Number.isNaN(handled) || !text.includes('"event":"handled"')) return
      handled = performance.now() - start
      child.kill('SIGTERM')
    })
    child.on('close', () => {
      if (Number.isNaN(handled)) reject(new Error(`no message was handled: ${text}${errors}`))
      else resolve({ ready, handled })
    })
  })
}

/** @param {readonly string[]} words */
function whole(words) {
  const start = performance.now()
  const { status, stderr } = spawnSync(process.execPath, words, { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] })
  if (status !== 0) throw new Error(`${words.join(' ')} ended with ${status}: ${stderr.toString()}`)
  return { handled: performance.now() - start, ready: Number.NaN }
}

const esbuildOnce = `const { build } = await import('esbuild')
await build({ stdin: { contents: 'export const a: number = 1', loader: 'ts' }, write: false })
process.exit()`
/** @type {readonly { name: string, measure: () => { ready: number, handled: number } | Promise<{ ready: number, handled: number }> }[]} */
const variants = [
  { name: 'node -e 0', measure: () => whole(['-e', '0']) },
  {
    name: 'first message',
    measure: (
      (folder) => () =>
        firstMessage(folder)
    )(project('shop', zodSchema)),
  },
  {
    name: 'first message, built anew',
    measure: ((folder) => () => {
      rmSync(join(folder, 'node_modules', '.cache'), { recursive: true, force: true })
      return firstMessage(folder)
    })(project('anew', zodSchema)),
  },
  {
    name: 'first message, no zod',
    measure: (
      (folder) => () =>
        firstMessage(folder)
    )(project('plain', ownSchema)),
  },
  { name: 'node, zod loaded', measure: () => whole(['--input-type=module', '-e', `await import('zod')`]) },
  { name: 'node, oclif loaded', measure: () => whole(['--input-type=module', '-e', `await import('@oclif/core')`]) },
  { name: 'node, esbuild loaded', measure: () => whole(['--input-type=module', '-e', `await import('esbuild')`]) },
  { name: 'node, one esbuild build', measure: () => whole(['--input-type=module', '-e', esbuildOnce]) },
]
/** What the time of a start went into. @param {import('./cpu-profile.mjs').Frame} frame */
function kindOf({ functionName, url }) {
  if (functionName === '(idle)') return 'waiting for files and timers'
  if (functionName === '(garbage collector)') return 'garbage collector'
  if (/^(compileSourceTextModule|wrapSafe|compileFunction.*|compileForInternalLoader)$/.test(functionName)) return 'compiling modules'
  if (/node_modules\/zod\//.test(url)) return 'zod, running'
  if (/place-order\.handler/.test(url)) return 'handler, running'
  if (url.startsWith('file:')) return 'nsb and oclif, running'
  if (/^node:(internal\/modules|internal\/url|path)/.test(url)) return 'finding and linking modules'
  return 'Node itself: start, files, streams'
}

/** @type {{ ready: number, handled: number }[][]} */
const figures = variants.map(() => [])

/** @type {[string, number][]} */
let parts = []
try {
  for (let round = -1; round < rounds; round++)
    for (const [index, { measure }] of variants.entries()) {
      const figure = await measure()
      // The first round only warms the file cache.
      if (round >= 0) figures[index]?.push(figure)
    }
  sendTo(join(top, 'shop'))
  parts = cpuProfile([run, 'run', '--log', 'json', '--max', '1'], { cwd: join(top, 'shop') }, kindOf)
} finally {
  rmSync(top, { recursive: true, force: true })
}

/** @param {number[]} values */
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
const bare = median((figures[0] ?? []).map(({ handled }) => handled))
const wantedHereMs = (wantedMs * bare) / bareThereMs
const processor = `${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown'}`
console.log(`Node ${process.versions.node}, ${processor}, ${rounds} interleaved rounds; wall ms from the start of the process`)
console.log('                            median  ratio     min   ready   wanted')
figures.forEach((runs, index) => {
  const all = runs.map(({ handled }) => handled)
  const ready = median(runs.map((each) => each.ready))
  const cells = `${median(all).toFixed(1).padStart(8)}${(median(all) / bare).toFixed(2).padStart(7)}${Math.min(...all)
    .toFixed(1)
    .padStart(8)}`
  const { name } = variants[index] ?? { name: '' }
  const wanted = name === 'first message' ? `<= ${wantedMs} ms; on this machine ${wantedHereMs.toFixed(0)} ms` : ''
  console.log(`${name.padEnd(26)}${cells}${(Number.isNaN(ready) ? '' : ready.toFixed(1)).padStart(8)}   ${wanted}`.trimEnd())
})
console.log(`\nBare Node took ${bareThereMs} ms where ${wantedMs} ms were set as the goal, and takes ${bare.toFixed(1)} ms here.`)
console.log('One start under the profiler, until the end of the process: ms')
for (const [kind, ms] of parts) console.log(`${ms.toFixed(1).padStart(8)}  ${kind}`)

// An error queue of the learning transport with very many messages, looked at, exported and replayed: wall time, processor time and the
// most memory of whole processes, next to bare Node scripts over the same folder in the same run. On tmpfs where there is one; a million
// messages need 9 GiB there.
// node bench/error-folder.mjs [messages] [rounds] [rows whose name has this word]
import { spawnSync } from 'node:child_process'
import { existsSync, linkSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const run = fileURLToPath(new URL('../bin/run.js', import.meta.url))
const messages = Number(process.argv[2] ?? 100_000)
const rounds = Number(process.argv[3] ?? 3)
const wanted = process.argv[4] ?? ''

const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'nsb-errors-'))
const queue = join(folder, '.learningtransport', 'error')
const types = ['PlaceOrder', 'CancelOrder', 'BillOrder', 'ShipOrder']
const exceptions = ['TimeoutException', 'InvalidOperationException', 'OutOfStockException', 'FormatException', 'SocketException']

/** The names are in another order than the files are made. @param {number} index */
const guid = (index) => `${((index * 2_654_435_761) >>> 0).toString(16).padStart(8, '0')}-6d1e-4b7a-9c58-${String(index).padStart(12, '0')}`

/** @param {number} index */
function failed(index) {
  const type = types[index % types.length]
  const exception = exceptions[index % exceptions.length]
  const id = guid(index)
  // Neither the order of the names nor that of the file times, so that sorting is not free.
  const failedAt = new Date(Date.UTC(2026, 10, 1) + ((index * 7919) % messages) * 1000).toISOString().slice(0, 19)
  return {
    'NServiceBus.MessageId': id,
    'NServiceBus.MessageIntent': 'Send',
    'NServiceBus.ConversationId': id,
    'NServiceBus.CorrelationId': id,
    'NServiceBus.ReplyToAddress': 'Shop.Client',
    'NServiceBus.OriginatingMachine': 'shop-host',
    'NServiceBus.OriginatingEndpoint': 'Shop.Client',
    'NServiceBus.ContentType': 'application/json',
    'NServiceBus.EnclosedMessageTypes': `Shop.Messages.${type}, Shop.Messages, Version=1.0.0.0, Culture=neutral, PublicKeyToken=null`,
    'NServiceBus.Version': '10.2.8',
    'NServiceBus.TimeSent': '2026-10-31 23:59:59:917061 Z',
    'NServiceBus.ProcessingMachine': 'sales-host',
    'NServiceBus.ProcessingEndpoint': 'Sales',
    'NServiceBus.FailedQ': 'Sales',
    'NServiceBus.ExceptionInfo.ExceptionType': `Shop.${exception}`,
    'NServiceBus.ExceptionInfo.Message': `order ${index} failed`,
    'NServiceBus.ExceptionInfo.StackTrace': `Shop.${exception}: order ${index} failed\n${`   at Shop.${type}Handler.Handle(${type} message, IMessageHandlerContext context) in /src/Shop/${type}Handler.cs:line 58\n`.repeat(15)}`,
    'NServiceBus.TimeOfFailure': `${failedAt.replace('T', ' ')}:973439 Z`,
  }
}

// What VmHWM says belongs to this program alone; the maximum of resourceUsage() also counts what started it.
const watched = `process.on('exit', () => {
  const { readFileSync, writeSync } = require('node:fs')
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage()
  let kib = maxRSS
  try { kib = Number(/VmHWM:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? kib) } catch {}
  writeSync(3, JSON.stringify({ mib: kib / 1024, cpuMs: (userCPUTime + systemCPUTime) / 1000 }))
})`
const times = `const fs = require('node:fs')
const files = fs.readdirSync(${JSON.stringify(queue)}).filter((name) => !name.startsWith('.'))
  .map((name) => ({ name, time: fs.statSync(${JSON.stringify(`${queue}/`)} + name).mtimeMs }))
  .sort((a, b) => b.time - a.time)
`
const headers = `${times}
let newest = ''
for (const { name } of files) {
  const failedAt = JSON.parse(fs.readFileSync(${JSON.stringify(`${queue}/`)} + name, 'utf8'))['NServiceBus.TimeOfFailure']
  if (failedAt > newest) newest = failedAt
}`

const hold = `--max-hold=${messages}`
const part = Math.ceil(messages / exceptions.length)
/**
 * Words for node, what is in the output, and the most that is wanted: a ratio to the first, and MiB. What changes the queue comes last
 * and once; lines of messages go to nowhere, for a million of them are 5 GiB.
 *
 * @typedef {{ name: string, words: string[], says?: string, mostMiB?: number, mostRatio?: number, once?: boolean, toNowhere?: boolean }} Variant
 * @type {readonly Variant[]}
 */
const variants = [
  { name: 'folder and file times', words: ['-e', times] },
  { name: '  and every header file', words: ['-e', headers] },
  { name: 'errors groups', words: [run, 'errors', 'groups', '--json', hold], says: `"total":${messages}`, mostMiB: 150 },
  {
    name: 'errors list --exception',
    words: [run, 'errors', 'list', '--count', '--exception', exceptions[0] ?? '', hold],
    says: String(part),
    mostMiB: 150,
  },
  { name: 'errors list, 50', words: [run, 'errors', 'list', '--json', '--limit', '50', hold], says: `"total":${messages}`, mostRatio: 2 },
  { name: 'errors export', words: [run, 'errors', 'export', hold], says: `exported${messages}`, toNowhere: true, mostMiB: 150 },
  {
    name: 'errors replay --all',
    words: [run, 'errors', 'replay', '--all', '--yes', '--json', hold],
    says: `"published":${messages}`,
    mostMiB: 150,
    once: true,
  },
].filter(({ name }, index) => index === 0 || name.includes(wanted))
/** @type {{ ms: number, cpuMs: number, mib: number }[][]} */
const figures = variants.map(() => [])

/** Bodies that are one file: it need not be written a million times. A file system may not allow more names for one. */
const bodiesPerFile = 10_000

function makeQueue() {
  mkdirSync(join(queue, '.bodies'), { recursive: true })
  mkdirSync(join(folder, '.learningtransport', 'Sales', '.bodies'), { recursive: true })
  const body = JSON.stringify({ OrderId: '0f4c3a52-6d1e-4b7a-9c58-2e7f81d9a001', Text: 'x'.repeat(960) })
  let first = ''
  for (let index = 0; index < messages; index++) {
    const bodyFile = `${queue}/.bodies/${guid(index)}.body.txt`
    if (index % bodiesPerFile === 0) writeFileSync((first = bodyFile), body)
    else linkSync(first, bodyFile)
    writeFileSync(`${queue}/${guid(index)}.metadata.txt`, JSON.stringify(failed(index), undefined, 2))
  }
}

/** @param {Variant} variant */
function measure({ name, says, toNowhere, words }) {
  const start = performance.now()
  const ended = spawnSync(process.execPath, ['--require', preload, ...words], {
    cwd: folder,
    stdio: ['ignore', toNowhere === true ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    env,
  })
  const ms = performance.now() - start
  const output = (toNowhere === true ? ended.stderr : ended.stdout)?.toString() ?? ''
  if (ended.status !== 0) throw new Error(`${name} ended with ${ended.status}: ${ended.stderr.toString().slice(-2000)}`)
  if (says !== undefined && !output.replaceAll(' ', '').includes(says))
    throw new Error(`${name} does not say ${says}: ${output.slice(-500)}`)
  return { ms, ...JSON.parse(ended.output[3]?.toString() ?? '{}') }
}

const preload = join(folder, 'watched.cjs')
const env = { ...process.env, XDG_STATE_HOME: join(folder, 'state') }
try {
  makeQueue()
  writeFileSync(preload, watched)
  for (let round = -1; round < rounds; round++)
    variants.forEach((variant, index) => {
      // The first round only warms the file cache, which has been warm since so many files were written.
      if ((round < 0 && messages > 200_000) || (variant.once === true && round < rounds - 1)) return
      const figure = measure(variant)
      if (round >= 0) figures[index]?.push(figure)
    })
} finally {
  rmSync(folder, { recursive: true, force: true })
}

/** @param {number[]} values */
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
const rows = figures.map((runs) => ({
  ms: median(runs.map(({ ms }) => ms)),
  cpuMs: median(runs.map(({ cpuMs }) => cpuMs)),
  mib: Math.max(...runs.map(({ mib }) => mib)),
}))
const bare = rows[0]?.ms ?? Number.NaN
const processor = `${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown'}`
console.log(`Node ${process.versions.node}, ${processor}, ${rounds} interleaved rounds, ${messages} failed messages`)
console.log('                         median ms   ratio   CPU ms   peak MiB   wanted')
rows.forEach(({ cpuMs, mib, ms }, index) => {
  const { name, mostMiB, mostRatio } = variants[index] ?? { name: '' }
  const most = mostMiB === undefined ? (mostRatio === undefined ? '' : `<= ${mostRatio}x`) : `<= ${mostMiB} MiB`
  const cells = `${ms.toFixed(0).padStart(9)}${(ms / bare).toFixed(2).padStart(8)}${cpuMs.toFixed(0).padStart(9)}${mib.toFixed(0).padStart(11)}`
  console.log(`${name.padEnd(25)}${cells}   ${most}`.trimEnd())
})

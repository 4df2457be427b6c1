// Looking at an error queue of the learning transport with very many messages: wall time and the most memory of whole processes, next
// to bare Node scripts over the same folder in the same run. On tmpfs where there is one.
// node bench/error-folder.mjs [messages] [rounds]
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const run = fileURLToPath(new URL('../bin/run.js', import.meta.url))
const messages = Number(process.argv[2] ?? 100_000)
const rounds = Number(process.argv[3] ?? 3)

const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'nsb-errors-'))
const queue = join(folder, '.learningtransport', 'error')
const types = ['PlaceOrder', 'CancelOrder', 'BillOrder', 'ShipOrder']
const exceptions = ['TimeoutException', 'InvalidOperationException', 'OutOfStockException', 'FormatException', 'SocketException']

/** @param {number} index */
function failed(index) {
  const type = types[index % types.length]
  const exception = exceptions[index % exceptions.length]
  const id = `0f4c3a52-6d1e-4b7a-9c58-${String(index).padStart(12, '0')}`
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
  let kib = process.resourceUsage().maxRSS
  try { kib = Number(/VmHWM:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? kib) } catch {}
  writeSync(3, String(kib))
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

const hold = [`--max-hold=${messages}`]
/** Words for node, and the most that is wanted: a ratio to the first, and MiB. */
const variants = [
  { name: 'folder and file times', words: ['-e', times] },
  { name: '  and every header file', words: ['-e', headers] },
  { name: 'nsb errors groups', words: [run, 'errors', 'groups', '--json', ...hold], mostMiB: 150 },
  { name: 'nsb errors list, 50', words: [run, 'errors', 'list', '--json', '--limit', '50', ...hold], mostRatio: 2 },
]
/** @type {{ ms: number, mib: number }[][]} */
const figures = variants.map(() => [])

try {
  mkdirSync(join(queue, '.bodies'), { recursive: true })
  const body = JSON.stringify({ OrderId: '0f4c3a52-6d1e-4b7a-9c58-2e7f81d9a001', Text: 'x'.repeat(960) })
  for (let index = 0; index < messages; index++) {
    writeFileSync(join(queue, '.bodies', `m${index}.body.txt`), body)
    writeFileSync(join(queue, `m${index}.metadata.txt`), JSON.stringify(failed(index), undefined, 2))
  }
  const preload = join(folder, 'watched.cjs')
  writeFileSync(preload, watched)
  for (let round = -1; round < rounds; round++)
    variants.forEach(({ name, words }, index) => {
      const start = performance.now()
      const ended = spawnSync(process.execPath, ['--require', preload, ...words], {
        cwd: folder,
        stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      })
      const ms = performance.now() - start
      if (ended.status !== 0) throw new Error(`${name} ended with ${ended.status}: ${ended.stderr.toString()}`)
      if (name.startsWith('nsb') && !ended.stdout.includes(`"total": ${messages}`) && !ended.stdout.includes(`"total":${messages}`))
        throw new Error(`${name} did not see ${messages} messages: ${ended.stdout.toString().slice(-300)}`)
      // The first round only warms the file cache.
      if (round >= 0) figures[index]?.push({ ms, mib: Number(ended.output[3]?.toString()) / 1024 })
    })
} finally {
  rmSync(folder, { recursive: true, force: true })
}

/** @param {number[]} values */
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
const rows = figures.map((runs) => ({ ms: median(runs.map(({ ms }) => ms)), mib: Math.max(...runs.map(({ mib }) => mib)) }))
const bare = rows[0]?.ms ?? Number.NaN
const processor = `${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown'}`
console.log(`Node ${process.versions.node}, ${processor}, ${rounds} interleaved rounds, ${messages} failed messages`)
console.log('                         median ms   ratio   peak MiB   wanted')
rows.forEach(({ mib, ms }, index) => {
  const { name, mostMiB, mostRatio } = variants[index] ?? { name: '' }
  const wanted = mostMiB === undefined ? (mostRatio === undefined ? '' : `<= ${mostRatio}x`) : `<= ${mostMiB} MiB`
  const cells = `${ms.toFixed(0).padStart(9)}${(ms / bare).toFixed(2).padStart(8)}${mib.toFixed(0).padStart(11)}`
  console.log(`${name.padEnd(25)}${cells}   ${wanted}`.trimEnd())
})

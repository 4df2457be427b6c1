// W8: wall time of whole processes, in interleaved rounds, against bare Node in the same run.
// node bench/w8-start.mjs [rounds]
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const run = fileURLToPath(new URL('../bin/run.js', import.meta.url))
const rounds = Number(process.argv[2] ?? 15)
const messages = 20

const folder = mkdtempSync(join(tmpdir(), 'nsb-bench-'))
const errorQueue = join(folder, '.learningtransport', 'error')
mkdirSync(join(errorQueue, '.bodies'), { recursive: true })
for (let index = 0; index < messages; index++) {
  writeFileSync(join(errorQueue, '.bodies', `m${index}.body.txt`), '{"OrderId":"0f4c3a52-6d1e-4b7a-9c58-2e7f81d9a001"}')
  writeFileSync(
    join(errorQueue, `m${index}.metadata.txt`),
    JSON.stringify({
      'NServiceBus.MessageId': `m${index}`,
      'NServiceBus.EnclosedMessageTypes': 'Shop.PlaceOrder, Shop',
      'NServiceBus.ProcessingEndpoint': 'Sales',
      'NServiceBus.FailedQ': 'Sales',
      'NServiceBus.TimeOfFailure': '2026-11-21 00:21:15:973439 Z',
      'NServiceBus.ExceptionInfo.ExceptionType': 'System.Exception',
      'NServiceBus.ExceptionInfo.Message': 'no stock',
      'NServiceBus.ExceptionInfo.StackTrace': `System.Exception: no stock\n${'   at A.B.Handle(C d, E f) in /src/a.cs:line 58\n'.repeat(40)}`,
    }),
  )
}

/** Words for node, and the most that is wanted as a ratio of medians to bare Node. */
const variants = [
  { name: 'node -e 0', words: ['-e', '0'], wanted: '' },
  { name: 'nsb --version', words: [run, '--version'], wanted: '<= 1.2' },
  { name: 'nsb --help', words: [run, '--help'], wanted: '<= 2.0' },
  { name: 'nsb errors list --json', words: [run, 'errors', 'list', '--json'], wanted: '<= 2.0' },
  { name: 'nsb errors list', words: [run, 'errors', 'list'], wanted: '' },
]
/** @type {number[][]} */
const times = variants.map(() => [])

try {
  for (let round = -1; round < rounds; round++)
    variants.forEach(({ name, words }, index) => {
      const start = performance.now()
      const ended = spawnSync(process.execPath, words, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
      const ms = performance.now() - start
      if (ended.status !== 0) throw new Error(`${name} ended with ${ended.status}: ${ended.stderr.toString()}`)
      // The first round only warms the file cache.
      if (round >= 0) times[index]?.push(ms)
    })
} finally {
  rmSync(folder, { recursive: true, force: true })
}

/** @param {number[]} values */
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
const figures = times.map((values) => ({ middle: median(values), least: Math.min(...values) }))
const bare = figures[0] ?? { middle: Number.NaN, least: Number.NaN }
const processor = `${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown'}`
console.log(`Node ${process.versions.node}, ${processor}, ${rounds} interleaved rounds, ${messages} messages; wall ms`)
console.log('                          median  ratio     min  ratio   wanted')
figures.forEach(({ middle, least }, index) => {
  const cells = [middle.toFixed(1).padStart(8), (middle / bare.middle).toFixed(2).padStart(7), least.toFixed(1).padStart(8)]
  const { name, wanted } = variants[index] ?? { name: '', wanted: '' }
  console.log(`${name.padEnd(24)}${cells.join('')}${(least / bare.least).toFixed(2).padStart(7)}   ${wanted}`.trimEnd())
})

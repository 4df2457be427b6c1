/**
 * W1, W2, W3 and W6 of RabbitMQ: sending, receiving, request and reply, handling and sending, beside plain amqplib doing the same.
 *
 *   node --import tsx bench/rabbitmq.ts [repeats] [workload …]
 *
 * A private broker with quorum queues; 1 KiB of JSON, 15 headers, persistent, publisher confirms. Each contestant runs in a process of
 * its own, from the built package, with new queues; the order rotates. The figure is the client's CPU time for one message, all
 * threads, after a warm-up of 4,000 messages (500 requests). Writes `docs/rabbitmq-figures.md`.
 */
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { availableParallelism, cpus, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { startBroker } from '../test/support/broker.ts'

/** What a contestant prints. */
interface Figures {
  /** CPU time of the process for one message. */
  readonly cpuMicros: number
  readonly perSecond: number
  /** Of a request; 0 elsewhere. */
  readonly p50Ms: number
  /** The most the process had. */
  readonly rssMiB: number
}

interface Workload {
  readonly title: string
  readonly goal: number
  /** What the ratio is of. */
  readonly of: 'cpuMicros' | 'p50Ms'
  readonly words: readonly string[]
}

const workloads: Readonly<Record<string, Workload>> = {
  W1: { title: 'send 20,000, 1,000 under way', goal: 1.15, of: 'cpuMicros', words: ['send', '20000', '1000'] },
  'W2-100': { title: 'receive 12,000, 100 at once', goal: 1.15, of: 'cpuMicros', words: ['receive', '12000', '100'] },
  'W2-10': { title: 'receive 12,000, 10 at once', goal: 1.15, of: 'cpuMicros', words: ['receive', '12000', '10'] },
  'W3-1': { title: 'request and reply, 4,000, one at a time', goal: 1.15, of: 'p50Ms', words: ['request', '4000', '1'] },
  'W3-32': { title: 'request and reply, 6,000, 32 under way', goal: 1.15, of: 'p50Ms', words: ['request', '6000', '32'] },
  'W6-100': { title: 'two handlers, a send each, 8,000, 100 at once', goal: 1.15, of: 'cpuMicros', words: ['handle', '8000', '100'] },
  'W6-10': { title: 'two handlers, a send each, 8,000, 10 at once', goal: 1.15, of: 'cpuMicros', words: ['handle', '8000', '10'] },
}

const repeats = Number(process.argv[2] ?? 3)
const chosen = process.argv.length > 3 ? process.argv.slice(3) : Object.keys(workloads)
const contestants = ['amqplib', 'nsb'] as const

const broker = await startBroker()
const { rabbitmq_version: version } = (await broker.api('GET', 'overview')) as { readonly rabbitmq_version: string }
const machine = `node ${process.version}, RabbitMQ ${version}, amqplib 2.3.1, ${availableParallelism()} x ${cpus()[0]?.model ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${repeats} runs`
console.log(machine)
const lines: string[] = []
try {
  for (const name of chosen) {
    const workload = workloads[name]
    if (!workload) throw new Error(`No workload '${name}'. There are ${Object.keys(workloads).join(', ')}.`)
    const figures = new Map(contestants.map((contestant) => [contestant, [] as Figures[]]))
    for (let round = 0; round < repeats; round++)
      for (const contestant of round % 2 === 0 ? contestants : contestants.toReversed())
        figures.get(contestant)?.push(await run(contestant, workload, `${name}.${contestant}.${round}`))
    const line = report(name, workload, figures.get('amqplib') ?? [], figures.get('nsb') ?? [])
    console.log(line)
    lines.push(line)
  }
} finally {
  await broker.remove()
}
if (process.argv.length <= 3) writeFileSync(fileURLToPath(new URL('../docs/rabbitmq-figures.md', import.meta.url)), page(lines))

async function run(contestant: string, { words }: Workload, queue: string): Promise<Figures> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [
      fileURLToPath(new URL('rabbitmq/contestant.mjs', import.meta.url)),
      contestant,
      `amqp://guest:guest@127.0.0.1:${broker.port}`,
      queue,
      ...words,
    ],
    { env: { ...process.env, NODE_ENV: 'production' } },
  )
  return JSON.parse(stdout) as Figures
}

function report(name: string, { title, goal, of }: Workload, amqplib: readonly Figures[], nsb: readonly Figures[]): string {
  const ratio = median(nsb.map((figures) => figures[of])) / median(amqplib.map((figures) => figures[of]))
  const cell = (all: readonly Figures[]): string =>
    `${median(all.map(({ cpuMicros }) => cpuMicros)).toFixed(1)} (${range(all.map(({ cpuMicros }) => cpuMicros))}) | ${Math.round(Math.max(...all.map(({ perSecond }) => perSecond)))} | ${median(all.map(({ p50Ms }) => p50Ms)).toFixed(2)} | ${Math.round(Math.max(...all.map(({ rssMiB }) => rssMiB)))}`
  return `| ${name} ${title} | ${cell(amqplib)} | ${cell(nsb)} | ${ratio.toFixed(2)} of ${of === 'p50Ms' ? 'p50' : 'CPU'} (${goal}) |`
}

function range(values: readonly number[]): string {
  return `${Math.min(...values).toFixed(1)}–${Math.max(...values).toFixed(1)}`
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  return ((sorted[Math.floor(middle)] ?? 0) + (sorted[Math.ceil(middle) - 1] ?? 0)) / 2
}

function page(rows: readonly string[]): string {
  return `# RabbitMQ figures

Written by \`node --import tsx bench/rabbitmq.ts ${repeats}\`. ${machine}.

CPU is that of the client for one message in µs, all threads: median (least–most). The rate is the best. Ratios are nsb over plain amqplib
in the same run, with the goal in brackets.

| | amqplib: CPU µs | per s | p50 ms | RSS MiB | nsb: CPU µs | per s | p50 ms | RSS MiB | ratio (goal) |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|
${rows.join('\n')}
`
}

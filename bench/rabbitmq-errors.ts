/**
 * The error queue on RabbitMQ, as whole processes beside plain amqplib doing the same under the same safety rules: what is sent is
 * confirmed before the original is removed, and what is looked at is given back in order, without a channel closed while holding.
 *
 *   node --import tsx bench/rabbitmq-errors.ts [part …] [--rounds n] [--scale x]
 *
 * Parts: replay (W4), journal, list (W5), half, groups, files; and held (200,000), million and million-export, which are run only when
 * they are named, once, and take some minutes. What is left in the error queue has to be in its old order.
 * `--scale 0.1` takes a tenth of the messages.
 *
 * A private broker with quorum queues; error messages have 1 KiB of JSON and 26 headers, a stack trace of 1.3 KiB among them. The wall
 * time is that of the whole process, its start included; memory is the most it had. With nothing said, `docs/rabbitmq-figures.md` gets
 * what is printed.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type ConfirmChannel, type ConsumeMessage, connect } from 'amqplib'
import { startBroker } from '../test/support/broker.ts'

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '3' }, scale: { type: 'string', default: '1' } },
})
const rounds = Number(values.rounds)
const countedWithinMs = 10_000
const scaled = (messages: number): number => Math.round(messages * Number(values.scale))

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const nsb = here('../bin/run.js')
const plain = here('rabbitmq/plain-errors.mjs')
const typescript = ['--import', import.meta.resolve('tsx')]
const replayOnly = here('rabbitmq/replay.ts')

interface Figures {
  readonly ms: number
  readonly mib: number
  readonly cpuMs: number
}

interface Contestant {
  readonly name: string
  readonly words: readonly string[]
  /** Of the error queue; default: none. */
  readonly deliveryLimit?: number
  /** Messages that have to be in a queue afterwards. */
  readonly ends: Readonly<Partial<Record<'error' | 'target', number>>>
  /** The error queue is empty at first. Default: false. */
  readonly isEmpty?: boolean
  /** The broker has the messages in its segment files alone, as those of yesterday. Default: also in memory, as those of the last minutes. */
  readonly isOld?: boolean
}

const folder = mkdtempSync(join(tmpdir(), 'nsb-bench-'))
const preload = join(folder, 'watched.cjs')
// What VmHWM says belongs to this program alone; the maximum of resourceUsage() also counts what started it.
writeFileSync(
  preload,
  `process.on('exit', () => {
  const { readFileSync, writeFileSync } = require('node:fs')
  const { user, system } = process.cpuUsage()
  writeFileSync(process.env.NSB_BENCH_FIGURES, JSON.stringify({
    mib: Number(/VmHWM:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? 0) / 1024, cpuMs: (user + system) / 1000,
    ...(globalThis.nsbBenchMs === undefined ? {} : { ms: globalThis.nsbBenchMs }) }))
})`,
)

/** What the parts measure, and what of it is a goal. */
const parts = {
  async replay(messages = scaled(50_000)) {
    const ends = { error: 0, target: messages }
    await compare(`W4 replay of ${messages}`, 'wall 1.11, 120 MiB with the window of 1,000', messages, [
      { name: 'plain amqplib, window 1,000', words: [plain, 'replay', String(messages), '1000'], ends },
      { name: 'nsb --window 1000', words: replay('--all', '--window', '1000'), ends },
      { name: 'nsb, its default window of 50', words: replay('--all'), ends },
    ])
  },
  async journal(messages = scaled(50_000)) {
    const ends = { error: 0, target: messages }
    const replaying = (kept: 'journal' | 'none', window: number): readonly string[] => [...typescript, replayOnly, kept, String(window)]
    // What is compared differs by less than equal runs do.
    const times = 2 * rounds
    for (const window of [1000, 50]) {
      const without = { name: 'without a journal', words: replaying('none', window), ends }
      const withIts = { name: 'with its journal', words: replaying('journal', window), ends }
      await compare(`replay of ${messages}, window ${window}`, 'wall 1.1', messages, [without, withIts], times)
    }
  },
  async list(messages = scaled(10_000)) {
    const ends = { error: messages }
    await compare(`W5 list of ${messages}`, 'wall 1.4, 100 MiB', messages, [
      { name: 'plain amqplib, all back in order', words: [plain, 'list', String(messages), '1000'], ends },
      { name: 'nsb errors list', words: [nsb, 'errors', 'list', ...look(messages), '--limit', '50'], ends },
    ])
  },
  async half(messages = scaled(50_000)) {
    const ends = { error: messages / 2, target: messages / 2 }
    const words = replay('--type', oddType, '--max-hold', String(messages))
    await compare(`replay of a half of ${messages}`, 'wall 1, without a delivery limit', messages, [
      { name: 'nsb, all of them', words: replay('--all'), ends: { error: 0, target: messages } },
      { name: 'nsb, every second one, the others back in order', words, ends },
      { name: 'the same with a delivery limit of 20', words, deliveryLimit: 20, ends },
    ])
    await compare(
      `replay of a half of ${messages} that are old`,
      'none: the broker reads each that is given back from its file',
      messages,
      [
        { name: 'nsb, all of them', words: replay('--all'), isOld: true, ends: { error: 0, target: messages } },
        { name: 'nsb, every second one, the others back in order', words, isOld: true, ends },
        { name: 'the same with a delivery limit of 20', words, isOld: true, deliveryLimit: 20, ends },
      ],
    )
  },
  async groups(messages = scaled(100_000)) {
    const ends = { error: messages }
    await compare(`groups of ${messages}`, 'wall 1.4, 150 MiB', messages, [
      { name: 'plain amqplib, all back in order', words: [plain, 'list', String(messages), '1000'], ends },
      { name: 'nsb errors groups', words: [nsb, 'errors', 'groups', ...look(messages)], ends },
    ])
  },
  async files(messages = scaled(50_000)) {
    const ends = { error: messages }
    const [ours, theirs] = [join(folder, 'nsb.ndjson'), join(folder, 'plain.ndjson')]
    const exportTo = ['errors', 'export', '--all', '--max-hold', String(messages), '--quiet', '--force', '--file']
    await compare(`export of ${messages}`, 'CPU 4', messages, [
      { name: 'plain amqplib to a file, all back in order', words: [plain, 'export', String(messages), '1000', theirs], ends },
      { name: 'nsb errors export', words: [nsb, ...exportTo, ours], ends },
    ])
    await compare(`import of ${messages}`, 'CPU 4', messages, [
      { name: 'plain amqplib from a file', words: [plain, 'import', String(messages), '1000', theirs], ends, isEmpty: true },
      { name: 'nsb errors import', words: [nsb, 'errors', 'import', ours, '--yes', '--quiet'], ends, isEmpty: true },
    ])
  },
  async held(messages = scaled(200_000)) {
    const half = ['--type', oddType, '--max-hold', String(messages)]
    await compare(
      `looks at ${messages} and a replay of half of them`,
      '150 MiB',
      messages,
      [
        { name: 'nsb errors groups', words: [nsb, 'errors', 'groups', ...look(messages)], ends: { error: messages } },
        {
          name: 'nsb errors list of a type',
          words: [nsb, 'errors', 'list', '--type', oddType, ...look(messages)],
          ends: { error: messages },
        },
        { name: 'nsb errors replay of a type', words: replay(...half), ends: { error: messages / 2, target: messages / 2 } },
      ],
      1,
    )
  },
  async million(messages = scaled(1_000_000)) {
    const words = replay('--all', '--window', '1000')
    await compare(
      `W4 replay of ${messages}`,
      '120 MiB',
      messages,
      [{ name: 'nsb --window 1000', words, ends: { error: 0, target: messages } }],
      1,
    )
  },
  async 'million-export'(messages = scaled(1_000_000)) {
    const words = [nsb, 'errors', 'export', '--all', '--remove', '--yes', '--quiet', '--file', join(folder, 'million.ndjson')]
    await compare(`export of ${messages}`, '150 MiB', messages, [{ name: 'nsb --remove', words, ends: { error: 0 } }], 1)
  },
}
const usual = ['replay', 'journal', 'list', 'half', 'groups', 'files'] as const
const chosen = positionals.length > 0 ? positionals : usual
for (const part of chosen) if (!Object.hasOwn(parts, part)) throw new Error(`There is no part '${part}': ${Object.keys(parts).join(', ')}.`)

const oddType = 'Shop.Messages.CancelOrder'
const replay = (...more: readonly string[]): readonly string[] => [nsb, 'errors', 'replay', ...more, '--yes', '--quiet']
const look = (messages: number): readonly string[] => ['--max-hold', String(messages), '--json', '--refresh']

const broker = await startBroker()
const url = `amqp://guest:guest@127.0.0.1:${broker.port}`
// The management API tells that the queue has no delivery limit; without it everybody would have to give back 16 at a time.
const profile = { transport: 'rabbitmq', connection: url, management: `http://127.0.0.1:${broker.managementPort}` }
writeFileSync(join(folder, 'nsb.json'), JSON.stringify({ profiles: { default: profile } }))
const { rabbitmq_version: version } = (await broker.api('GET', 'overview')) as { readonly rabbitmq_version: string }
console.log(
  `node ${process.version}, RabbitMQ ${version}, amqplib 2.3.1, ${availableParallelism()} x ${cpus()[0]?.model ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${rounds} rounds`,
)
const lines: string[] = []
try {
  for (const part of chosen) await parts[part as keyof typeof parts]()
} finally {
  await broker.remove()
  rmSync(folder, { recursive: true, force: true })
}
const page = here('../docs/rabbitmq-figures.md')
if (process.argv.length <= 2 && existsSync(page)) {
  const [before = ''] = readFileSync(page, 'utf8').split('\n## The error queue\n')
  const head =
    '| | wall ms | per s | ratio of wall | CPU ms | ratio of CPU | peak RSS MiB | goal of nsb |\n|---|--:|--:|--:|--:|--:|--:|---|'
  writeFileSync(
    page,
    `${before.trimEnd()}\n\n## The error queue\n\nWritten by \`node --import tsx bench/rabbitmq-errors.ts\`, ${rounds} rounds. Ratios are those to the first row of the same title, in the same run; goals are at most.\n\n${head}\n${lines.join('\n')}\n`,
  )
}

/** Runs each contestant on queues made anew, in turns; then every message has to be where it should. */
async function compare(
  title: string,
  goal: string,
  messages: number,
  contestants: readonly Contestant[],
  times: number = rounds,
): Promise<void> {
  console.log(title)
  const figures = contestants.map((): Figures[] => [])
  for (let round = 0; round < times; round++)
    for (let turn = 0; turn < contestants.length; turn++) {
      const index = (turn + round) % contestants.length
      const contestant = contestants[index] as Contestant
      await emptyLog()
      await fill(contestant.isEmpty === true ? 0 : messages, contestant.deliveryLimit)
      if (contestant.isOld === true) await emptyLog()
      figures[index]?.push(await run(contestant))
      for (const [queue, count] of Object.entries(contestant.ends)) await expectAll(queue, count, contestant.name)
      await expectOrder(contestant.ends.error ?? 0, contestant.name)
    }
  const of = (index: number, figure: keyof Figures): number => median((figures[index] ?? []).map((each) => each[figure]))
  contestants.forEach(({ name }, index) => {
    const own = figures[index] ?? []
    const [ms, cpuMs] = [of(index, 'ms'), of(index, 'cpuMs')]
    const all = own.map((each) => Math.round(each.ms)).toSorted((a, b) => a - b)
    const cells = [
      `${title}: ${name}`,
      `${Math.round(ms)} (${all.join(', ')})`,
      Math.round((messages * 1000) / ms),
      (ms / of(0, 'ms')).toFixed(2),
      Math.round(cpuMs),
      (cpuMs / of(0, 'cpuMs')).toFixed(2),
      Math.round(Math.max(...own.map((each) => each.mib))),
      index === 0 && contestants.length > 1 ? '' : goal,
    ]
    const line = `| ${cells.join(' | ')} |`
    console.log(line)
    lines.push(line)
  })
}

async function run({ words }: Contestant): Promise<Figures> {
  const out = join(folder, 'figures.json')
  const start = performance.now()
  const child = spawn(process.execPath, ['--require', preload, ...words], {
    cwd: folder,
    env: {
      ...process.env,
      NSB_BENCH_CONNECTION: url,
      NSB_BENCH_FIGURES: out,
      NSB_STATE_DIR: join(folder, 'state'),
      NODE_ENV: 'production',
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const code = await new Promise((resolve) => child.once('exit', resolve))
  const ms = performance.now() - start
  if (code !== 0) throw new Error(`${words.join(' ')} ended with ${String(code)}`)
  // A part of the process may tell its own time.
  return { ms, ...(JSON.parse(readFileSync(out, 'utf8')) as Omit<Figures, 'ms'> & Partial<Figures>) }
}

/**
 * Everybody finds the broker in the same state: what it wrote before is in segment files. Otherwise that happens in the middle of some
 * runs, when its log has 512 MiB.
 */
async function emptyLog(): Promise<void> {
  await broker.control('eval', 'ra_log_wal:force_roll_over(ra_log_wal), ra_log_segment_writer:await(ra_log_segment_writer).')
}

async function fill(messages: number, deliveryLimit: number | undefined): Promise<void> {
  const connection = await connect(url, { noDelay: true })
  const channel = await connection.createConfirmChannel()
  for (const queue of ['error', 'target']) {
    await channel.deleteQueue(queue)
    const limit = deliveryLimit === undefined || queue !== 'error' ? {} : { 'x-delivery-limit': deliveryLimit }
    await channel.assertQueue(queue, { arguments: { 'x-queue-type': 'quorum', ...limit } })
    await channel.assertExchange(queue, 'fanout')
    await channel.bindQueue(queue, queue, '')
  }
  for (let number = 0; number < messages; number++) {
    publishFailed(channel, number)
    if (number % 1000 === 999) await channel.waitForConfirms()
  }
  await channel.waitForConfirms()
  await connection.close()
}

function publishFailed(channel: ConfirmChannel, number: number): void {
  const id = `0f4c3a52-6d1e-4b7a-9c58-${String(number).padStart(12, '0')}`
  const type = number % 2 === 0 ? 'Shop.Messages.PlaceOrder' : oddType
  channel.publish('', 'error', Buffer.from(JSON.stringify({ OrderId: id, Text: 'x'.repeat(960) })), {
    messageId: id,
    correlationId: id,
    replyTo: 'Shop.Client',
    type,
    contentType: 'application/json',
    persistent: true,
    headers: {
      'NServiceBus.MessageId': id,
      'NServiceBus.MessageIntent': 'Send',
      'NServiceBus.ConversationId': id,
      'NServiceBus.CorrelationId': id,
      'NServiceBus.ReplyToAddress': 'Shop.Client',
      'NServiceBus.OriginatingMachine': 'shop-host',
      'NServiceBus.OriginatingEndpoint': 'Shop.Client',
      '$.diagnostics.originating.hostid': '9a5bc0a55361f12743b646d323f22728',
      'NServiceBus.ContentType': 'application/json',
      'NServiceBus.EnclosedMessageTypes': `${type}, Shop.Messages, Version=1.0.0.0, Culture=neutral, PublicKeyToken=null`,
      'NServiceBus.Version': '10.2.8',
      'NServiceBus.TimeSent': '2026-10-31 23:59:59:917061 Z',
      'NServiceBus.ProcessingMachine': 'sales-host',
      'NServiceBus.ProcessingEndpoint': 'target',
      '$.diagnostics.hostid': '9a5bc0a55361f12743b646d323f22729',
      '$.diagnostics.hostdisplayname': 'sales-host',
      'NServiceBus.FailedQ': 'target',
      'NServiceBus.ExceptionInfo.ExceptionType': 'System.InvalidOperationException',
      'NServiceBus.ExceptionInfo.Message': `order ${number} failed`,
      'NServiceBus.ExceptionInfo.Source': 'Shop',
      'NServiceBus.ExceptionInfo.Data.Message type': type,
      'NServiceBus.ExceptionInfo.Data.Handler type': 'Shop.PlaceOrderHandler',
      'NServiceBus.ExceptionInfo.Data.Message ID': id,
      'NServiceBus.ExceptionInfo.StackTrace': `System.InvalidOperationException: order ${number} failed\n${'   at Shop.PlaceOrderHandler.Handle(PlaceOrder message, IMessageHandlerContext context) in /src/Shop/PlaceOrderHandler.cs:line 58\n'.repeat(10)}`,
      'NServiceBus.TimeOfFailure': '2026-11-01 00:21:15:973439 Z',
    },
  })
}

/** What was acknowledged last may be counted for a moment. */
async function expectAll(queue: string, messages: number, after: string): Promise<void> {
  const connection = await connect(url, { noDelay: true })
  const channel = await connection.createChannel()
  const end = performance.now() + countedWithinMs
  for (;;) {
    const { messageCount } = await channel.checkQueue(queue)
    if (messageCount === messages) break
    if (performance.now() > end) throw new Error(`After '${after}' queue '${queue}' holds ${messageCount} messages, not ${messages}.`)
    await pause(20)
  }
  await connection.close()
}

/** Takes what is left in the error queue. */
async function expectOrder(messages: number, after: string): Promise<void> {
  if (messages === 0) return
  const connection = await connect(url, { noDelay: true })
  const channel = await connection.createChannel()
  await channel.prefetch(1000)
  let [taken, last, disordered] = [0, '', 0]
  await new Promise<void>((resolve, reject) => {
    const take = (message: ConsumeMessage | null): void => {
      if (message === null) return reject(new Error(`After '${after}' the error queue is gone.`))
      const id = String(message.properties.messageId)
      if (id < last) disordered++
      last = id
      if (++taken % 500 === 0 || taken === messages) channel.ack(message, true)
      if (taken === messages) resolve()
    }
    channel.consume('error', take).catch(reject)
  })
  await connection.close()
  if (disordered > 0) throw new Error(`After '${after}' ${disordered} of ${messages} messages are before one that was before them.`)
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  return ((sorted[Math.floor(middle)] ?? 0) + (sorted[Math.ceil(middle) - 1] ?? 0)) / 2
}

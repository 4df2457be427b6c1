/**
 * W4 and W5 of RabbitMQ: sending an error queue back, and looking at one, as whole processes beside plain amqplib doing the same under
 * the same safety rules: what is sent is confirmed before the original is removed, and what is looked at is given back in order, in
 * batches that become visible one after the other, without a channel closed while holding.
 *
 *   node --import tsx bench/rabbitmq-errors.ts [messages to replay] [messages to list] [rounds]
 *
 * A private broker with quorum queues; error messages have 1 KiB of JSON and 26 headers, a stack trace of 1.3 KiB among them. The wall
 * time is that of the whole process, its start included; memory is the most it had. Appends to `docs/rabbitmq-figures.md` what it prints.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type ConfirmChannel, connect } from 'amqplib'
import { startBroker } from '../test/support/broker.ts'

const replayed = Number(process.argv[2] ?? 50_000)
const listed = Number(process.argv[3] ?? 10_000)
const rounds = Number(process.argv[4] ?? 3)

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const nsb = here('../bin/run.js')
const plain = here('rabbitmq/plain-errors.mjs')

interface Figures {
  readonly ms: number
  readonly mib: number
  readonly cpuMs: number
}

interface Contestant {
  readonly name: string
  readonly words: readonly string[]
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
    mib: Number(/VmHWM:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? 0) / 1024, cpuMs: (user + system) / 1000 }))
})`,
)

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
  const replay = (...more: readonly string[]): readonly string[] => [nsb, 'errors', 'replay', '--all', '--yes', '--quiet', ...more]
  await compare(
    `W4 replay of ${replayed}`,
    [
      { name: 'plain amqplib, window 1,000', words: [plain, 'replay', String(replayed), '1000'] },
      { name: 'nsb --window 1000', words: replay('--window', '1000') },
      { name: 'nsb, its default window of 50', words: replay() },
    ],
    replayed,
    'target',
  )
  const hold = ['--max-hold', String(listed), '--limit', '50', '--json', '--refresh']
  await compare(
    `W5 list of ${listed}`,
    [
      { name: 'plain amqplib, all back in order', words: [plain, 'list', String(listed), '1000'] },
      { name: 'nsb errors list', words: [nsb, 'errors', 'list', ...hold] },
    ],
    listed,
    'error',
  )
} finally {
  await broker.remove()
  rmSync(folder, { recursive: true, force: true })
}
const page = here('../docs/rabbitmq-figures.md')
if (process.argv.length <= 2 && existsSync(page)) {
  const [before = ''] = readFileSync(page, 'utf8').split('\n## The error queue\n')
  writeFileSync(
    page,
    `${before.trimEnd()}\n\n## The error queue\n\nWritten by \`node --import tsx bench/rabbitmq-errors.ts\`, ${rounds} rounds. The goals: a replay with the window of 1,000 in at most 1.11 of the wall time and 120 MiB, a list in at most 1.4.\n\n| | wall ms | per s | ratio of wall | CPU ms | peak RSS MiB |\n|---|--:|--:|--:|--:|--:|\n${lines.join('\n')}\n`,
  )
}

/** Runs each contestant on a queue made anew, in turns; every message has to be in `ends` afterwards. */
async function compare(title: string, contestants: readonly Contestant[], messages: number, ends: string): Promise<void> {
  console.log(title)
  const figures = contestants.map((): Figures[] => [])
  for (let round = 0; round < rounds; round++)
    for (let turn = 0; turn < contestants.length; turn++) {
      const index = (turn + round) % contestants.length
      await fill(messages)
      figures[index]?.push(await run(contestants[index] as Contestant))
      await expectAll(ends, messages)
    }
  const base = median((figures[0] ?? []).map(({ ms }) => ms))
  contestants.forEach(({ name }, index) => {
    const own = figures[index] ?? []
    const ms = median(own.map((each) => each.ms))
    const line = `| ${title}: ${name} | ${Math.round(ms)} (${own
      .map((each) => Math.round(each.ms))
      .toSorted((a, b) => a - b)
      .join(
        ', ',
      )}) | ${Math.round((messages * 1000) / ms)} | ${(ms / base).toFixed(2)} | ${Math.round(median(own.map((each) => each.cpuMs)))} | ${Math.round(Math.max(...own.map((each) => each.mib)))} |`
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
  return { ms, ...(JSON.parse(readFileSync(out, 'utf8')) as Omit<Figures, 'ms'>) }
}

async function fill(messages: number): Promise<void> {
  const connection = await connect(url, { noDelay: true })
  const channel = await connection.createConfirmChannel()
  for (const queue of ['error', 'target']) {
    await channel.deleteQueue(queue)
    await channel.assertQueue(queue, { arguments: { 'x-queue-type': 'quorum' } })
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
  channel.publish('', 'error', Buffer.from(JSON.stringify({ OrderId: id, Text: 'x'.repeat(960) })), {
    messageId: id,
    correlationId: id,
    replyTo: 'Shop.Client',
    type: 'Shop.Messages.PlaceOrder',
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
      'NServiceBus.EnclosedMessageTypes': 'Shop.Messages.PlaceOrder, Shop.Messages, Version=1.0.0.0, Culture=neutral, PublicKeyToken=null',
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
      'NServiceBus.ExceptionInfo.Data.Message type': 'Shop.Messages.PlaceOrder',
      'NServiceBus.ExceptionInfo.Data.Handler type': 'Shop.PlaceOrderHandler',
      'NServiceBus.ExceptionInfo.Data.Message ID': id,
      'NServiceBus.ExceptionInfo.StackTrace': `System.InvalidOperationException: order ${number} failed\n${'   at Shop.PlaceOrderHandler.Handle(PlaceOrder message, IMessageHandlerContext context) in /src/Shop/PlaceOrderHandler.cs:line 58\n'.repeat(10)}`,
      'NServiceBus.TimeOfFailure': '2026-11-01 00:21:15:973439 Z',
    },
  })
}

async function expectAll(queue: string, messages: number): Promise<void> {
  const connection = await connect(url, { noDelay: true })
  const channel = await connection.createChannel()
  const { messageCount } = await channel.checkQueue(queue)
  await connection.close()
  if (messageCount !== messages) throw new Error(`Queue '${queue}' holds ${messageCount} messages, not ${messages}.`)
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  return ((sorted[Math.floor(middle)] ?? 0) + (sorted[Math.ceil(middle) - 1] ?? 0)) / 2
}

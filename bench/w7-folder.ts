/**
 * W7: what a message costs in the learning transport, next to the same file operations without it.
 *
 *   node --import tsx bench/w7-folder.ts [repeats]
 *
 * Send: body file, header file to a temporary name, rename. Receive: a folder for each transaction, rename, read both, rename the
 * folder, delete. One message at a time, 1 KiB of JSON, 15 headers, on tmpfs where there is one. Each contestant runs bundled, as
 * the package is, in a process of its own, after a warm-up in the same process; the order rotates.
 */
import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  rmdirSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { learningTransport } from '../src/transport/learning/transport.ts'

/** Messages come in batches; each is sent once the one before was received, so that listing it is measured too. */
const batchSize = 4000
/**
 * The compiler works in the background on whatever it is given, until about the fifth listing of a folder, and the CPU time of this
 * process includes it: after a single large batch it added 10 µs to each message of the next one.
 */
const warmUpBatches = 5
const countedBatches = 4
const warmUp = warmUpBatches * batchSize
const messages = countedBatches * batchSize
const contestants = ['send baseline', 'send nsb', 'receive baseline', 'receive nsb'] as const
type Contestant = (typeof contestants)[number]

function headersOf(number: number): Record<string, string> {
  const id = randomUUID()
  return {
    'NServiceBus.MessageId': id,
    'NServiceBus.OpenTelemetry.StartNewTrace': 'False',
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
    'nsb.Version': '0.1.0',
    'NServiceBus.TimeSent': '2026-11-21 00:21:06:917061 Z',
    'Shop.Number': String(number),
  }
}

const bodyOf = (number: number): Buffer => Buffer.from(JSON.stringify({ OrderId: randomUUID(), Number: number, Text: 'x'.repeat(940) }))

function sendBaseline(folder: string, number: number): void {
  const id = randomUUID()
  writeFileSync(`${folder}/q/.bodies/${id}.body.txt`, bodyOf(number))
  writeFileSync(`${folder}/.nsb/tmp/${id}`, JSON.stringify(headersOf(number), undefined, 2))
  renameSync(`${folder}/.nsb/tmp/${id}`, `${folder}/q/${id}.metadata.txt`)
}

function receiveBaseline(folder: string): void {
  for (const name of readdirSync(`${folder}/q`)) {
    if (name.startsWith('.')) continue
    const transaction = randomUUID()
    const pending = `${folder}/q/.pending/${transaction}`
    const committed = `${folder}/q/.committed/${transaction}`
    const body = `${folder}/q/.bodies/${name.slice(0, -'.metadata.txt'.length)}.body.txt`
    mkdirSync(pending)
    renameSync(`${folder}/q/${name}`, `${pending}/${name}`)
    const headers: Record<string, string> = JSON.parse(readFileSync(`${pending}/${name}`, 'utf8'))
    if (readFileSync(body).length === 0 || !headers['Shop.Number']) throw new Error('unexpected message')
    renameSync(pending, committed)
    unlinkSync(`${committed}/${name}`)
    rmdirSync(committed)
    unlinkSync(body)
  }
}

/** CPU time of this process in µs, user and system. */
function cpuTime(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

function sendAll(folder: string, count: number): void {
  for (let number = 0; number < count; number++) sendBaseline(folder, number)
}

async function sendNsb(folder: string): Promise<number> {
  const transport = learningTransport({ storage: folder })
  let started = 0
  for (let number = 0; number < warmUp + messages; number++) {
    if (number === warmUp) started = cpuTime()
    const headers = headersOf(number)
    await transport.dispatch([{ id: headers['NServiceBus.MessageId'] as string, headers, body: bodyOf(number), to: { address: 'q' } }])
  }
  const used = cpuTime() - started
  await transport.close()
  return used
}

async function receiveNsb(folder: string): Promise<number> {
  const transport = learningTransport({ storage: folder })
  let received = 0
  let started = 0
  let used = 0
  const consume = { kind: 'consume', outgoing: [] } as const
  await new Promise<void>((resolve, reject) => {
    void transport.receive(
      {
        queue: 'q',
        errorQueue: 'error',
        concurrency: 1,
        transactionMode: 'sendsAtomicWithReceive',
        onDispatchFailed: async () => ({ kind: 'putBack' }),
        onCriticalError: reject,
        onSettled: () => undefined,
        onPoison: () => undefined,
      },
      async (message) => {
        if (message.body.length === 0 || !message.headers['Shop.Number']) throw new Error('unexpected message')
        received++
        if (received > warmUp && received % batchSize === 0) used += cpuTime() - started
        if (received === warmUp + messages) setImmediate(resolve)
        else if (received % batchSize === 0) {
          sendAll(folder, batchSize)
          started = cpuTime()
        }
        return consume
      },
    )
  })
  await transport.close()
  return used
}

const runs: Record<Contestant, (folder: string) => number | Promise<number>> = {
  'send baseline': (folder) => {
    sendAll(folder, warmUp)
    const started = cpuTime()
    sendAll(folder, messages)
    return cpuTime() - started
  },
  'send nsb': sendNsb,
  'receive baseline': (folder) => {
    let used = 0
    for (let batch = 1; batch <= warmUpBatches + countedBatches; batch++) {
      sendAll(folder, batchSize)
      const started = cpuTime()
      receiveBaseline(folder)
      if (batch > warmUpBatches) used += cpuTime() - started
    }
    return used
  },
  'receive nsb': (folder) => {
    sendAll(folder, batchSize)
    return receiveNsb(folder)
  },
}

/** CPU µs for each message. */
async function measure(contestant: Contestant): Promise<number> {
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'nsb-w7-'))
  for (const path of ['q/.bodies', 'q/.pending', 'q/.committed', '.nsb/tmp']) mkdirSync(`${folder}/${path}`, { recursive: true })
  try {
    const used = await runs[contestant](folder)
    const left = readdirSync(`${folder}/q`).filter((name) => !name.startsWith('.')).length
    if (left !== (contestant.startsWith('receive') ? 0 : warmUp + messages)) throw new Error(`${contestant}: ${left} messages in the queue`)
    return used / messages
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] as number

async function compare(repeats: number): Promise<void> {
  const { buildSync } = await import('esbuild')
  const figures = new Map<Contestant, number[]>(contestants.map((contestant) => [contestant, []]))
  const bundle = join(mkdtempSync(join(tmpdir(), 'nsb-w7-')), 'w7.mjs')
  buildSync({
    entryPoints: [fileURLToPath(import.meta.url)],
    outfile: bundle,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
  })
  for (let repeat = 0; repeat < repeats; repeat++)
    for (let turn = 0; turn < contestants.length; turn++) {
      const contestant = contestants[(turn + repeat) % contestants.length] as Contestant
      const output = execFileSync(process.execPath, [bundle, '--run', contestant], { encoding: 'utf8' })
      figures.get(contestant)?.push(Number(output))
    }
  rmSync(dirname(bundle), { recursive: true })
  const row = (contestant: Contestant): string => {
    const numbers = figures.get(contestant) as number[]
    return `${contestant.padEnd(18)}${median(numbers).toFixed(1).padStart(8)}   ${Math.min(...numbers).toFixed(1)}–${Math.max(...numbers).toFixed(1)}`
  }
  const ratio = (what: 'send' | 'receive'): string =>
    `${what.padEnd(18)}${(median(figures.get(`${what} nsb`) as number[]) / median(figures.get(`${what} baseline`) as number[])).toFixed(2).padStart(8)}x  (goal: at most 1.3x)`
  process.stdout.write(
    `W7 folder: ${messages} messages, 1 KiB body, 15 headers, ${existsSync('/dev/shm') ? 'tmpfs' : tmpdir()}; ` +
      `Node ${process.versions.node}, ${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, ${repeats} repeats, after ${warmUp} messages\n\n` +
      `${'CPU µs/message'.padEnd(18)}${'median'.padStart(8)}   min–max\n${contestants.map(row).join('\n')}\n\n${ratio('send')}\n${ratio('receive')}\n`,
  )
}

if (process.argv[2] === '--run') process.stdout.write(String(await measure(process.argv[3] as Contestant)))
else await compare(Number(process.argv[2] ?? 7))

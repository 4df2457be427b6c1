/**
 * What the pipeline itself costs: from the bytes and headers of an incoming message, through two handlers that each send one message,
 * to the verdict. No transport takes part. The baseline only parses the same body once and writes it twice.
 *
 *   node --import tsx bench/pipeline.ts [repeats]
 *
 * 1 KiB of JSON, 15 headers, one message at a time. Each contestant runs bundled, as the package is, in a process of its own, after a
 * warm-up in the same process; the order rotates. The contestants after the second leave something out, to show what it takes, and a
 * profile of the second says where its time goes.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { cpuProfile } from './cpu-profile.mjs'
import { type MessageHandlerContext, type StandardSchema, command, defineEndpoint, handler, route } from '../src/index.ts'
import { assemble } from '../src/runtime/endpoint.ts'
import { silentLogger } from '../src/runtime/logger.ts'
import { receiver } from '../src/runtime/receive.ts'
import { jsonSerializer } from '../src/serialization/json.ts'
import { memoryTransport } from '../src/transport/memory/transport.ts'

const messages = 20_000
const warmUp = 20_000
const cold = 1000
const contestants = ['baseline', 'pipeline', 'production', 'no schema check', 'no sending', 'codec alone'] as const
type Contestant = (typeof contestants)[number]

const what: Readonly<Record<Contestant, string>> = {
  baseline: 'JSON.parse and two JSON.stringify of the same body',
  pipeline: 'two handlers, each sends one message',
  production: 'NODE_ENV=production: without remembering who called send',
  'no schema check': 'a schema that accepts everything',
  'no sending': 'two handlers that do nothing',
  'codec alone': "nsb's serializer: one read, two writes",
}

const order = {
  OrderId: '0f4c3a52-6d1e-4b7a-9c58-2e7f81d9a001',
  Customer: 'Ada Lovelace',
  Total: 123.45,
  PlacedAt: '2026-03-01T09:30:15.25Z',
  Lines: Array.from({ length: 13 }, (_, index) => ({ Sku: `BOOK-${index}`, Quantity: index + 1, UnitPrice: 61.75, Note: 'plain text' })),
}
const body = Buffer.from(JSON.stringify(order))

const checking = z.object({
  OrderId: z.string(),
  Customer: z.string(),
  Total: z.number(),
  PlacedAt: z.string(),
  Lines: z.array(z.object({ Sku: z.string(), Quantity: z.number(), UnitPrice: z.number(), Note: z.string() })),
})
const accepting: StandardSchema<z.input<typeof checking>, z.output<typeof checking>> = {
  '~standard': { version: 1, vendor: 'bench', validate: (value) => ({ value: value as z.output<typeof checking> }) },
}

const headers: Readonly<Record<string, string>> = {
  'NServiceBus.MessageId': '8d5f1c7e-58a8-4bb6-9f5e-b40d00a53d11',
  'NServiceBus.OpenTelemetry.StartNewTrace': 'False',
  'NServiceBus.MessageIntent': 'Send',
  'NServiceBus.ConversationId': '8d5f1c7e-58a8-4bb6-9f5e-b40d00a53d12',
  'NServiceBus.CorrelationId': '8d5f1c7e-58a8-4bb6-9f5e-b40d00a53d11',
  'NServiceBus.ReplyToAddress': 'Shop.Client',
  'NServiceBus.OriginatingMachine': 'shop-host',
  'NServiceBus.OriginatingEndpoint': 'Shop.Client',
  '$.diagnostics.originating.hostid': '9a5bc0a55361f12743b646d323f22728',
  'NServiceBus.ContentType': 'application/json',
  'NServiceBus.EnclosedMessageTypes': 'Shop.Messages.PlaceOrder, Shop.Messages, Version=1.0.0.0, Culture=neutral, PublicKeyToken=null',
  'NServiceBus.Version': '10.2.8',
  'nsb.Version': '0.1.0',
  'NServiceBus.TimeSent': '2026-11-21 00:21:06:917061 Z',
  'Shop.Number': '1',
}

/** One message, to the verdict. */
function pipelineOf(contestant: Contestant): () => Promise<void> {
  const schema = contestant === 'no schema check' ? accepting : checking
  class PlaceOrder extends command('Shop.Messages.PlaceOrder', schema) {}
  class BillOrder extends command('Shop.Messages.BillOrder', schema) {}
  class ShipOrder extends command('Shop.Messages.ShipOrder', schema) {}
  const sends = contestant !== 'no sending'
  const bill = async (placed: PlaceOrder, context: MessageHandlerContext): Promise<void> => {
    if (sends) await context.send(new BillOrder(placed))
  }
  const ship = async (placed: PlaceOrder, context: MessageHandlerContext): Promise<void> => {
    if (sends) await context.send(new ShipOrder(placed))
  }
  const definition = defineEndpoint('Sales', {
    handlers: [handler(PlaceOrder, bill), handler(PlaceOrder, ship)],
    routes: [route(BillOrder, 'Billing'), route(ShipOrder, 'Shipping')],
  })
  const { decide, onSettled } = receiver(assemble(definition, { transport: memoryTransport(), logger: silentLogger }), undefined)
  const { signal } = new AbortController()
  let number = 0
  return async () => {
    const message = {
      id: headers['NServiceBus.MessageId'] as string,
      nativeId: String(number++),
      headers,
      body,
      queue: 'Sales',
      attempt: 1,
    }
    const verdict = await decide(message, signal)
    if (verdict.kind !== 'consume' || verdict.outgoing.length !== (sends ? 2 : 0)) throw new Error(`unexpected verdict '${verdict.kind}'`)
    onSettled(message)
  }
}

function workOf(contestant: Contestant): () => Promise<void> {
  let bytes = 0
  if (contestant === 'baseline')
    return async () => {
      const read: unknown = JSON.parse(body.toString())
      bytes += Buffer.from(JSON.stringify(read)).length + Buffer.from(JSON.stringify(read)).length
    }
  if (contestant === 'codec alone')
    return async () => {
      const read = jsonSerializer.deserialize(body) as object
      bytes += jsonSerializer.serialize(read).length + jsonSerializer.serialize(read).length
    }
  return pipelineOf(contestant)
}

/** CPU time of this process in µs, user and system. */
function cpuTime(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

/** CPU µs for each message: of the first ones, and after the warm-up. */
async function measure(contestant: Contestant): Promise<readonly [first: number, warm: number]> {
  const work = workOf(contestant)
  const many = async (count: number): Promise<number> => {
    const started = cpuTime()
    for (let done = 0; done < count; done++) await work()
    return (cpuTime() - started) / count
  }
  const first = await many(cold)
  await many(warmUp - cold)
  return [first, await many(messages)]
}

const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] as number

async function compare(repeats: number): Promise<void> {
  const { buildSync } = await import('esbuild')
  const figures = new Map<Contestant, (readonly [number, number])[]>(contestants.map((contestant) => [contestant, []]))
  const bundle = join(mkdtempSync(join(tmpdir(), 'nsb-pipeline-')), 'pipeline.mjs')
  buildSync({
    entryPoints: [fileURLToPath(import.meta.url)],
    outfile: bundle,
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['esbuild'],
  })
  for (let repeat = 0; repeat < repeats; repeat++)
    for (let turn = 0; turn < contestants.length; turn++) {
      const contestant = contestants[(turn + repeat) % contestants.length] as Contestant
      const env = { ...process.env, NODE_ENV: contestant === 'production' ? 'production' : 'development' }
      const output = execFileSync(process.execPath, [bundle, '--run', contestant], { encoding: 'utf8', env })
      figures.get(contestant)?.push(JSON.parse(output) as [number, number])
    }
  const profile = profiled(bundle)
  rmSync(dirname(bundle), { recursive: true })
  const warmOf = (contestant: Contestant): number[] => (figures.get(contestant) as [number, number][]).map(([, warm]) => warm)
  const bare = median(warmOf('baseline'))
  const row = (contestant: Contestant): string => {
    const warm = warmOf(contestant)
    const first = median((figures.get(contestant) as [number, number][]).map(([early]) => early))
    const range = `${Math.min(...warm).toFixed(1)}–${Math.max(...warm).toFixed(1)}`
    const cells = `${median(warm).toFixed(1).padStart(8)}${(median(warm) / bare).toFixed(2).padStart(7)}x  ${range.padEnd(13)}`
    return `${contestant.padEnd(18)}${cells}${first.toFixed(0).padStart(9)}   ${what[contestant]}`
  }
  process.stdout.write(
    `Pipeline: ${messages} messages, ${body.byteLength} bytes body, ${Object.keys(headers).length} headers, no transport; ` +
      `Node ${process.versions.node}, ${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, ${repeats} repeats, ` +
      `after a warm-up of ${warmUp} messages\n\n` +
      `${'CPU µs/message'.padEnd(18)}${'median'.padStart(8)}${'ratio'.padStart(8)}  ${'min–max'.padEnd(13)}first ${cold}\n` +
      `${contestants.map(row).join('\n')}\n\n` +
      `Where the time of 'pipeline' goes, warm-up included: share of the samples by source file\n${profile.join('\n')}\n`,
  )
}

const shownFiles = 20

/** Lines of the profile of a process that runs the pipeline. */
function profiled(bundle: string): readonly string[] {
  // esbuild names the source above what comes from it.
  const sources: string[] = []
  for (const line of readFileSync(bundle, 'utf8').split('\n'))
    sources.push(/^\/\/ (\S+\.[cm]?[jt]s)$/.exec(line)?.[1] ?? sources.at(-1) ?? '')
  const parts = cpuProfile([bundle, '--run', 'pipeline'], {}, ({ functionName, lineNumber, url }) => {
    if (url.startsWith('file:')) return (sources[lineNumber] ?? '').replace(/^.*node_modules\/((?:@[^/]+\/)?[^/]+).*/, '$1')
    if (functionName.startsWith('RegExp: ')) return 'regular expressions'
    return url === '' ? functionName || 'engine' : 'Node'
  })
  const total = parts.reduce((sum, [, ms]) => sum + ms, 0)
  const line = (kind: string, ms: number): string => `${((100 * ms) / total).toFixed(1).padStart(6)} %  ${kind}`
  const rest = parts.slice(shownFiles).reduce((sum, [, ms]) => sum + ms, 0)
  return [...parts.slice(0, shownFiles).map(([kind, ms]) => line(kind, ms)), line(`${Math.max(parts.length - shownFiles, 0)} others`, rest)]
}

if (process.argv[2] === '--run') process.stdout.write(JSON.stringify(await measure(process.argv[3] as Contestant)))
else await compare(Number(process.argv[2] ?? 5))

// How long does a body of 1 KiB take to read and to write, next to JSON.parse and JSON.stringify? Run: npx tsx bench/json.ts
import { cpus } from 'node:os'
import { jsonSerializer } from '../src/serialization/json.ts'

const order = {
  OrderId: '0f4c3a52-6d1e-4b7a-9c58-2e7f81d9a001',
  Customer: 'Ada Lovelace',
  Total: 123.45,
  PlacedAt: '2026-03-01T09:30:15.25Z',
  Lines: Array.from({ length: 13 }, (_, index) => ({ Sku: `BOOK-${index}`, Quantity: index + 1, UnitPrice: 61.75, Note: 'plain text' })),
}
const body = Buffer.from(JSON.stringify(order))
const withDecimals = Buffer.from(body.toString().replaceAll('61.75', '61.70'))

const questions: readonly (readonly [name: string, run: () => unknown])[] = [
  ['JSON.parse', () => JSON.parse(body.toString()) as unknown],
  ['read', () => jsonSerializer.deserialize(body)],
  ['read, 13 decimals', () => jsonSerializer.deserialize(withDecimals)],
  ['JSON.stringify', () => Buffer.from(JSON.stringify(order))],
  ['write', () => jsonSerializer.serialize(order)],
]

const [rounds, perRound] = [7, 20_000]
const best = questions.map(() => Number.POSITIVE_INFINITY)
// Interleaved, so that a busy moment hits all of them.
for (let round = 0; round < rounds; round++)
  for (const [index, [, run]] of questions.entries()) {
    const start = performance.now()
    for (let times = 0; times < perRound; times++) run()
    best[index] = Math.min(best[index] as number, ((performance.now() - start) / perRound) * 1000)
  }

console.log(`node ${process.version}, ${cpus()[0]?.model ?? 'unknown processor'}, ${body.byteLength} bytes, best of ${rounds} rounds`)
for (const [index, [name]] of questions.entries()) console.log(`${name.padEnd(20)} ${(best[index] as number).toFixed(2)} µs`)

import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { command, defineEndpoint, handler } from '../../src/index.ts'
import { Header } from '../../src/message/headers.ts'
import { startEndpoint } from '../../src/runtime/endpoint.ts'
import { silentLogger } from '../../src/runtime/logger.ts'
import { testEndpoint } from '../../src/testing/index.ts'
import { learningTransport } from '../../src/transport/learning/transport.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { anyText, dictionaryOf, inCampaign } from './runs.ts'

class PlaceOrder extends command('Shop.PlaceOrder', z.object({ OrderId: z.string() })) {}
const handled = handler(PlaceOrder, () => undefined)
const noRetries = { immediateRetries: 0, delayedRetries: 0 }

const knownName = fc.constantFrom(...Object.values(Header).filter((name) => name !== Header.MessageId))
const value = fc.oneof(anyText, fc.constantFrom('Shop.PlaceOrder', 'application/json', 'text/xml', 'Send', 'Reply', 'True', '00:00:01'))
const headersOf = dictionaryOf(fc.oneof(knownName, anyText), value)
const bodyOf = fc.oneof(
  fc.uint8Array({ maxLength: 60 }),
  fc.json().map((text) => Buffer.from(text)),
  fc.constant(Buffer.from('{"OrderId":"1"}')),
)

it('every malformed message ends handled or in the error queue', async () => {
  let endpoint = await testEndpoint({ handlers: [handled], recoverability: noRetries })
  let received = 0
  await fc.assert(
    fc.asyncProperty(headersOf, bodyOf, async (given, body) => {
      // A world remembers all it saw.
      if (++received % 500 === 0) {
        await endpoint.world.stop()
        endpoint = await testEndpoint({ handlers: [handled], recoverability: noRetries })
      }
      const id = `m${received}`
      const headers = Object.assign({ 'NServiceBus.EnclosedMessageTypes': 'Shop.PlaceOrder' }, given, { [Header.MessageId]: id })
      const outcome = await endpoint.receiveRaw({ headers, body })
      if (outcome.status === 'retried') await endpoint.world.advance('1d')
      const { status } = endpoint.outcome(id)
      expect(['ok', 'failed', 'discarded']).toContain(status)
      if (status === 'failed') expect(endpoint.world.errorQueue.at(-1)?.id).toBe(id)
    }),
    { numRuns: inCampaign ? 100_000 : 300 },
  )
  await endpoint.world.stop()
})

const place = fc.constantFrom(
  'Shop',
  'Shop/.delayed',
  'Shop/.delayed/20200101000000',
  'Shop/.delayed/nonsense',
  'Shop/.bodies',
  '.events',
  '.events/Shop.X',
)
const content = fc.oneof(
  anyText.map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 60 }),
  headersOf.map((each) => Buffer.from(JSON.stringify(each))),
)
const ending = fc.constantFrom('.metadata.txt', '.body.txt', '.txt', '', '.metadata', '.subscription')
const someFiles = fc.array(fc.record({ place, content, ending, withBody: fc.boolean() }), { minLength: 1, maxLength: 20 })

it('a storage folder with malformed files stops no endpoint, and none of them stays in its queue', async () => {
  const rounds = inCampaign ? 200 : 6
  const perRound = 10
  for (let round = 0; round < rounds; round++) {
    const storage = tempFolder()
    const seen: string[] = []
    const warnings: string[] = []
    for (const folder of ['Shop/.delayed/20200101000000', 'Shop/.delayed/nonsense', 'Shop/.bodies', '.events/Shop.X'])
      mkdirSync(join(storage, folder), { recursive: true })
    const files = fc.sample(someFiles, perRound).flat().slice(0, perRound)
    for (const [index, file] of files.entries()) {
      writeFileSync(join(storage, file.place, `f${index}${file.ending}`), file.content)
      if (file.withBody) writeFileSync(join(storage, 'Shop/.bodies', `f${index}.body.txt`), '{}')
    }
    const transport = learningTransport({ storage, warn: (warning) => warnings.push(warning) })
    const endpoint = await startEndpoint(
      defineEndpoint('Shop', {
        handlers: [handler(PlaceOrder, ({ OrderId }) => void seen.push(OrderId))],
        recoverability: noRetries,
      }),
      { transport, logger: silentLogger },
    )
    onTestFinished(() => endpoint.stop())

    await endpoint.sendLocal(new PlaceOrder({ OrderId: 'well-formed' }))

    await expect.poll(() => seen).toContain('well-formed')
    const inQueue = (): readonly string[] => readdirSync(join(storage, 'Shop')).filter((name) => !name.startsWith('.'))
    await expect.poll(inQueue).toEqual([])
    await endpoint.stop()
    await transport.close()
    expect(readdirSync(join(storage, 'Shop', '.pending'))).toEqual([])
    expect(readdirSync(join(storage, 'Shop', '.committed'))).toEqual([])
  }
})

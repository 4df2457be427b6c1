import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { holdOptions, look, message, openRabbit, textOf, until } from '../../transport/rabbitmq/faults-support.ts'
import { type VirtualHost, makeVirtualHost } from '../../support/virtual-host.ts'

const inCampaign = process.env['NSB_CAMPAIGN'] === '1'
const count = Number(process.env['NSB_CAMPAIGN_HELD'] ?? 10_000)

describe.skipIf(!inCampaign)('looking at 10,000 messages, which needs NSB_CAMPAIGN=1', () => {
  let host: VirtualHost
  beforeAll(async () => {
    host = await makeVirtualHost()
  })
  afterAll(() => host.remove())

  for (const [name, arguments_] of [
    ['classic', {}],
    ['quorum without a limit', { 'x-queue-type': 'quorum' }],
    ['quorum with a limit', { 'x-queue-type': 'quorum', 'x-delivery-limit': 20 }],
  ] as const)
    it(`E-14 E-18 ${name}: all are shown and come back in their order, while others keep arriving`, async () => {
      const queue = name.replaceAll(' ', '-')
      await host.api('PUT', `queues/${host.name}/${queue}`, { durable: true, arguments: arguments_ })
      const transport = openRabbit(host.url, { management: host.management })
      const texts = Array.from({ length: count }, (_, number) => `m${number}`)
      const put = (each: readonly string[]): Promise<void> =>
        transport.dispatch(each.map((text) => ({ ...message(text, queue), to: { exactQueue: queue } })))
      await put(texts)
      await until('all are there', async () => (await transport.inspect(queue))?.depth === count)
      const options = { purpose: 'look', page: 1000, max: 100_000 } as const

      const begin = performance.now()
      const holding = await transport.hold(queue, holdOptions(options))
      const shown: string[] = []
      for await (const page of holding.pages()) shown.push(...page.map(textOf))
      const held = performance.now()
      const arriving = Array.from({ length: 200 }, (_, number) => `n${number}`)
      const [result] = await Promise.all([
        holding.giveBack(),
        (async (): Promise<void> => {
          for (const text of arriving) await put([text])
        })(),
      ])
      const end = performance.now()

      expect(shown).toEqual(texts)
      const after = (await look(transport, queue, options)).flat().map(textOf)
      expect(after.toSorted()).toEqual([...texts, ...arriving].toSorted())
      const old = after.filter((text) => text.startsWith('m'))
      console.log(
        JSON.stringify({
          queue: name,
          messages: count,
          holdMs: Math.round(held - begin),
          giveBackMs: Math.round(end - held),
          inOrder: old.every((text, index) => text === texts[index]),
          newerBeforeOld: after.slice(0, after.lastIndexOf(`m${count - 1}`)).filter((text) => text.startsWith('n')).length,
          newerCounted: result.newerArrivals,
        }),
      )
    }, 300_000)
})

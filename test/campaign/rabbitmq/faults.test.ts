import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Broker, startBroker } from '../../support/broker.ts'
import { type TcpProxy, startTcpProxy } from '../../support/tcp-proxy.ts'
import { underFire } from '../../transport/rabbitmq/under-fire.ts'

const inCampaign = process.env['NSB_CAMPAIGN'] === '1'
const messages = Number(process.env['NSB_CAMPAIGN_MESSAGES'] ?? 20_000)

describe.skipIf(!inCampaign)('20,000 messages under fire, which takes minutes and needs NSB_CAMPAIGN=1', () => {
  let broker: Broker
  let proxy: TcpProxy
  beforeAll(async () => {
    broker = await startBroker()
    proxy = await startTcpProxy(broker.port)
  })
  afterAll(async () => {
    await proxy.close()
    await broker.remove()
  })

  it('RMQ-13 nothing is lost while connections are reset, cut, stalled and closed, and the broker ends and comes back', async () => {
    const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
    const account = await underFire({
      url: `amqp://guest:guest@127.0.0.1:${proxy.port}`,
      calmUrl: `amqp://guest:guest@127.0.0.1:${broker.port}`,
      messages,
      async fault(number) {
        await pause(100 + Math.random() * 300)
        switch (number % 12) {
          case 5:
            // A quorum queue of RabbitMQ 3.10 whose broker is killed within seconds of its creation may never answer again.
            if (number === 5) await pause(5000)
            await broker.stop()
            await pause(Math.random() * 1000)
            await broker.start()
            break
          case 3:
          case 8:
            proxy.become('stall')
            await pause(300)
            if (Math.random() < 0.5) proxy.reset()
            proxy.become('pass')
            break
          case 1:
          case 7:
          case 10: {
            const open = (await broker.api('GET', 'connections').catch(() => [])) as readonly { readonly name: string }[]
            for (const { name } of open) await broker.api('DELETE', `connections/${encodeURIComponent(name)}`).catch(() => undefined)
            break
          }
          case 2:
          case 6:
          case 11:
            proxy.cutAfter(1 + Math.floor(Math.random() * 20_000))
            break
          default:
            proxy.reset()
        }
      },
      async calm() {
        proxy.become('pass')
        proxy.cutAfter(Number.POSITIVE_INFINITY)
      },
    })

    console.log(JSON.stringify(account))
    expect(account).toMatchObject({ messages, lost: 0, strange: 0 })
  }, 1_200_000)
})

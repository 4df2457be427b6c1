import { expect, it, onTestFinished } from 'vitest'
import { rabbitTransport } from '../../../src/transport/rabbitmq/transport.ts'
import { makeVirtualHost } from '../../support/virtual-host.ts'
import { Night, multiply, steps } from '../../acceptance/night.ts'

// Two minutes of looks at 50,000 messages of a quorum queue; on folders it is a part of every run.
it.skipIf(process.env['NSB_CAMPAIGN'] !== '1')(
  'E-39 the night with 50,000 failures goes as its page says, on RabbitMQ',
  { timeout: 300_000 },
  async () => {
    const host = await makeVirtualHost()
    onTestFinished(() => host.remove())
    const night = new Night({ transport: 'rabbitmq', connection: host.url, management: host.management.url })
    await night.failOnce()
    const transport = rabbitTransport({ settings: host.settings })
    await multiply(transport, { PlaceOrder: 30_000, ShipOrder: 14_999, ImportPrice: 5_000 })
    await transport.close()

    expect(steps.length).toBeGreaterThan(15)
    for (const step of steps) await night.perform(step)
    await night.end()
  },
)

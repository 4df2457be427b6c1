import { join } from 'node:path'
import { expect, it } from 'vitest'
import { learningTransport } from '../../src/transport/learning/transport.ts'
import { Night, multiply, steps } from './night.ts'

it('E-39 the night with 50,000 failures goes as its page says, on the learning transport', { timeout: 300_000 }, async () => {
  const night = new Night({ transport: 'learning' })
  await night.failOnce()
  const transport = learningTransport({ storage: join(night.folder, '.learningtransport') })
  await multiply(transport, { PlaceOrder: 30_000, ShipOrder: 14_999, ImportPrice: 5_000 })
  await transport.close()

  expect(steps.length).toBeGreaterThan(15)
  for (const step of steps) await night.perform(step)
  await night.end()
})

import { expect, it } from 'vitest'
import { z } from 'zod'
import { command, handler } from '../../src/index.ts'
import { testEndpoint } from '../../src/testing/index.ts'

class PlaceOrder extends command('Shop.PlaceOrder', z.object({ OrderId: z.string() })) {}

const order = (headers: Readonly<Record<string, string>>) => ({
  headers: { 'NServiceBus.EnclosedMessageTypes': 'Shop.PlaceOrder', 'NServiceBus.MessageId': 'm1', ...headers },
  body: '{"OrderId":"1"}',
})

it('a message whose batch cannot leave is in the error queue, and the batch is not told as dispatched', async () => {
  const endpoint = await testEndpoint({
    handlers: [handler(PlaceOrder, (order, context) => context.send(order, { destination: '' }))],
    recoverability: { immediateRetries: 0, delayedRetries: 0 },
  })

  const outcome = await endpoint.receiveRaw(order({}))

  expect(outcome.status).toBe('failed')
  expect(outcome.dispatched.map(({ to }) => to)).toEqual(['error'])
  expect(endpoint.world.errorQueue.map(({ id }) => id)).toEqual(['m1'])
  await endpoint.world.stop()
})

it('a retry whose acknowledgement address is empty is acknowledged to nobody, and succeeds', async () => {
  const endpoint = await testEndpoint({ handlers: [handler(PlaceOrder, () => undefined)] })

  const outcome = await endpoint.receiveRaw(
    order({ 'ServiceControl.Retry.UniqueMessageId': 'u1', 'ServiceControl.Retry.AcknowledgementQueue': '' }),
  )

  expect(outcome.status).toBe('ok')
  expect(outcome.dispatched).toEqual([])
  await endpoint.world.stop()
})

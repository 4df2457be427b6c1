import { describe, expect, it, vi } from 'vitest'
import { defineEndpoint, handler } from '../../../src/index.ts'
import { IOrderCancelled, IOrderEvent, OrderPlaced, PriorityOrderPlaced, sampleOrderId } from '../../support/shop.ts'
import { expectSameTrace, recordedTrace, sorted } from '../tracing.ts'
import { system } from './endpoints.ts'
import type { WireMessage } from './wire.ts'

// Traces of a real NServiceBus 10.2.8 endpoint, compared with ours: what it did, and what was on the wire.

function seenOnTheWire(messages: readonly WireMessage[]): readonly unknown[] {
  return messages.map(({ bodyText, exchange, properties }) => ({ exchange, type: String(properties['type']).split('.').at(-1), bodyText }))
}

describe('on RabbitMQ the same happens as in a real endpoint', () => {
  const cases: readonly [name: string, mainType: string, ids: string][] = [
    ['second-handler-fails', 'ShipOrder', 'U-4 U-6 U-10'],
    ['first-handler-fails', 'MoveOrder', 'U-4'],
    ['flaky-default-retries', 'FlakyOrder', 'RC-1 RMQ-12'],
    ['batch-order', 'SplitOrder', 'H-1'],
  ]
  for (const [name, mainType, ids] of cases)
    it.concurrent(`${ids} in rabbitmq-${name}`, async () => {
      const golden = recordedTrace(`rabbitmq-${name}`)
      const shop = await system()
      const transport = shop.transport('Shop.Server')
      await transport.createQueues(['Shop.Server'])
      await shop.wire.channel.assertExchange('Shop.Messages:OrderPlaced', 'fanout', { durable: true })
      const seen = await shop.wire.spy(['Shop.Server', ''], ['Shop.Messages:OrderPlaced', ''])

      await expectSameTrace(transport, 'receiveOnly', golden, mainType)

      // What is told of a message may come before the copy that is watched.
      await vi.waitFor(() => expect(sorted(seenOnTheWire(seen))).toEqual(sorted(golden.messagesSeenOnTheWire ?? [])), { timeout: 20_000 })
    })

  it('H-4 in rabbitmq-event-two-handlers: one delivery, two handlers', async () => {
    const { deliveries, messagesSeenOnTheWire } = recordedTrace('rabbitmq-event-two-handlers')
    const shop = await system()
    const ran: string[] = []
    let delivered = 0
    const named = (name: string) => [() => void ran.push(name), { name }] as const
    const billing = await shop.start(
      defineEndpoint('Shop.Billing', {
        messages: [PriorityOrderPlaced],
        handlers: [
          handler(OrderPlaced, ...named('OrderPlacedHandler')),
          handler(IOrderEvent, ...named('OrderEventHandler')),
          handler(IOrderCancelled, ...named('OrderCancelledHandler')),
        ],
      }),
      { observe: () => void (delivered += 1) },
    )
    const seen = await shop.wire.spy(['Shop.Billing', ''])

    await billing.publish(new PriorityOrderPlaced({ Priority: 9, OrderId: sampleOrderId, Total: '123.40', Status: 1 }))

    await expect.poll(() => delivered).toBe(1)
    expect(ran).toEqual(deliveries[0]?.handlersInvoked)
    await expect.poll(() => seenOnTheWire(seen)).toEqual(messagesSeenOnTheWire)
  })
})

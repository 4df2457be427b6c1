import type { ContractGroup } from './contract.ts'
import { consume, contents, depthIs, hasCode, look, message, openWithQueue, putBack, receive, rejects, same, until } from './support.ts'

export const dispatching: ContractGroup = {
  name: 'dispatching',
  cases: [
    {
      name: 'a batch arrives whole, each message at its address',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const other = world.unique('billing')
        await transport.createQueues([other])

        await transport.dispatch([message('a', queue), message('b', other), message('c', queue)])
        await depthIs(transport, queue, 2)
        await depthIs(transport, other, 1)

        same(await contents(transport, queue), ['a', 'c'])
        same(await contents(transport, other), ['b'])
      },
    },
    {
      name: 'an empty batch is nothing',
      async run(world) {
        const { transport } = await openWithQueue(world)

        await transport.dispatch([])
      },
    },
    {
      name: 'a message to a queue that does not exist is refused or kept, never dropped',
      async run(world) {
        const { transport } = await openWithQueue(world)
        const missing = world.unique('missing')

        const refused = await transport.dispatch([message('kept', missing)]).then(
          () => false,
          () => true,
        )

        if (!refused) same(await contents(transport, missing), ['kept'])
      },
    },
    {
      name: 'a message to exactly one queue is refused when that queue does not exist',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)

        await rejects(transport.dispatch([message('x', '', { to: { exactQueue: `${queue}.typo` } })]), hasCode('NSB_QUEUE_NOT_FOUND'))
        await transport.dispatch([message('x', '', { to: { exactQueue: queue } })])

        await depthIs(transport, queue, 1)
        same(await transport.inspect(`${queue}.typo`), undefined)
      },
    },
    {
      name: 'a chosen native id is used',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)

        await transport.dispatch([message('a', queue, { nativeId: 'chosen-id-0001' })])
        await depthIs(transport, queue, 1)

        same(
          (await look(transport, queue)).flat().map((held) => held.nativeId),
          ['chosen-id-0001'],
        )
      },
    },
    {
      name: 'without a chosen native id every copy has a new one',
      needs: 'ownNativeIds',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)

        await transport.dispatch([message('a', queue), message('b', queue), message('b', queue)])
        await depthIs(transport, queue, 3)

        const ids = (await look(transport, queue)).flat().map((held) => held.nativeId)
        same(new Set(ids).size, 3)
      },
    },
    {
      name: 'what a verdict sends arrives, and the message is gone',
      modes: ['none', 'receiveOnly', 'sendsAtomicWithReceive'],
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const other = world.unique('billing')
        await transport.createQueues([other])
        const seen = await receive(world, transport, queue, async () => consume(message('first', other), message('second', other)))

        await transport.dispatch([message('order', queue)])
        await depthIs(transport, other, 2)
        await seen.stop()

        same(await contents(transport, other), ['first', 'second'])
        await depthIs(transport, queue, 0)
        same(seen.errors, [])
      },
    },
    {
      name: 'nothing of a batch leaves when a part of it cannot be sent',
      modes: ['sendsAtomicWithReceive'],
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const other = world.unique('billing')
        await transport.createQueues([other])
        const batch = [message('half', other), message('other half', '', { to: { exactQueue: world.unique('missing') } })]
        const seen = await receive(world, transport, queue, async (incoming) => (incoming.attempt === 1 ? consume(...batch) : consume()), {
          onDispatchFailed: async () => putBack,
        })

        await transport.dispatch([message('order', queue)])
        await until('it is delivered twice', () => seen.deliveries.length === 2)
        await seen.stop()

        await depthIs(transport, other, 0)
        await depthIs(transport, queue, 0)
      },
    },
  ],
}

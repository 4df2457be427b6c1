import type { ContractGroup } from './contract.ts'
import { depthIs, message, openWithQueue, receive, same, until, yes } from './support.ts'

export const delay: ContractGroup = {
  name: 'delay',
  cases: [
    {
      name: 'a delayed message is never delivered early, and others pass it',
      modes: ['none', 'receiveOnly', 'sendsAtomicWithReceive'],
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const due = Date.now() + 1200
        let arrived = 0
        const seen = await receive(world, transport, queue, async () => {
          arrived = Date.now()
          return { kind: 'consume', outgoing: [] }
        })

        await transport.dispatch([message('later', queue, { deliverAt: new Date(due) }), message('now', queue)])
        await until('both messages arrive', () => seen.deliveries.length === 2)

        same(seen.texts(), ['now', 'later'])
        yes(arrived >= due, `due at ${due}, delivered at ${arrived}`)
      },
    },
    {
      name: 'a delayed message survives the end of its sender and of the receiver',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const earlier = await receive(world, transport, queue)
        await transport.dispatch([message('later', queue, { deliverAt: new Date(Date.now() + 700) })])
        await earlier.stop()
        await transport.close()

        const seen = await receive(world, await world.open(), queue)
        await until('the message arrives', () => seen.deliveries.length === 1)

        same([...earlier.texts(), ...seen.texts()], ['later'])
      },
    },
    {
      name: 'a message that nobody took in time vanishes',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        await transport.dispatch([message('expires', queue, { expiresAfterMs: 30 }), message('stays', queue, { expiresAfterMs: 600_000 })])
        const end = Date.now() + 60
        await until('its time is over', () => Date.now() > end)

        const seen = await receive(world, transport, queue)
        await until('the other message arrives', () => seen.deliveries.length > 0)
        await depthIs(transport, queue, 0)
        await seen.stop()

        same(seen.texts(), ['stays'])
      },
    },
  ],
}

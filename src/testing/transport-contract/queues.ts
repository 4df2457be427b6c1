import type { IncomingMessage } from '../../transport/transport.ts'
import type { ContractGroup } from './contract.ts'
import { depthIs, fill, hasCode, message, openWithQueue, rejects, same, textOf, until, yes } from './support.ts'

export const queues: ContractGroup = {
  name: 'queues',
  cases: [
    {
      name: 'are listed and inspected with their depth; one that does not exist is unknown',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        await fill(transport, queue, 3)

        same((await transport.inspect(queue))?.depth, 3)
        yes((await transport.queues()).some((facts) => facts.queue === queue && facts.depth === 3))
        same(await transport.inspect(world.unique('missing')), undefined)
      },
    },
    {
      name: 'can be created twice without harm',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        await fill(transport, queue, 1)

        await transport.createQueues([queue])

        await depthIs(transport, queue, 1)
      },
    },
    {
      name: 'are purged, and the number of messages is told',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        await fill(transport, queue, 4)

        same(await transport.purge(queue), 4)

        await depthIs(transport, queue, 0)
        await rejects(transport.purge(world.unique('missing')), hasCode('NSB_QUEUE_NOT_FOUND'))
      },
    },
    {
      name: 'can be created for what may be lost, twice as well, and take messages',
      async run(world) {
        const { transport } = await openWithQueue(world)
        const queue = world.unique('nsb.unread')
        const bounds = { messagesExpireAfterMs: 60_000, mostMessages: 1000 }
        await transport.createBoundedQueue(queue, bounds)

        await transport.dispatch([message('one', queue)])
        await transport.createBoundedQueue(queue, bounds)

        await depthIs(transport, queue, 1)
      },
    },
    {
      name: 'can be tapped: new messages are shown and stay',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        if (!transport.can.tap) return
        await fill(transport, queue, 1)
        const seen: IncomingMessage[] = []
        const tap = await transport.tap(queue, (incoming) => seen.push(incoming))

        await transport.dispatch([message('new', queue, { headers: { Word: 'shown' } })])
        await until('the new message is shown', () => seen.length > 0)
        await tap.stop()

        same(seen.map(textOf), ['new'])
        same(seen[0]?.headers['Word'], 'shown')
        await depthIs(transport, queue, 2)
      },
    },
  ],
}

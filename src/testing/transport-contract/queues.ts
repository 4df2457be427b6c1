import type { IncomingMessage } from '../../transport/transport.ts'
import type { ContractGroup } from './contract.ts'
import { depthIs, fill, hasCode, holdOptions, message, openWithQueue, rejects, same, textOf, until, yes } from './support.ts'

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
      name: 'can be created like another one, twice as well, take exactly their messages, and are listed by their prefix',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const like = world.unique('nsb.like')
        await transport.createQueueLike(like, queue)

        await transport.dispatch([message('one', '', { to: { exactQueue: like } })])
        await transport.createQueueLike(like, queue)

        await depthIs(transport, like, 1)
        same(
          (await transport.queues(like.slice(0, -1))).map((facts) => facts.queue),
          [like],
        )
      },
    },
    {
      name: 'are removed when they are empty, and only then',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const like = world.unique('nsb.like')
        await transport.createQueueLike(like, queue)
        await transport.dispatch([message('one', '', { to: { exactQueue: like } })])
        await depthIs(transport, like, 1)

        same(await transport.removeIfEmpty(like), false)
        const held = await transport.hold(like, holdOptions())
        for await (const page of held.pages()) for (const each of page) await held.consume(each, [])
        await held.giveBack()
        await depthIs(transport, like, 0)

        same(await transport.removeIfEmpty(like), true)
        same(await transport.inspect(like), undefined)
        same(await transport.removeIfEmpty(like), true)
      },
    },
    {
      name: 'are not removed while their messages are held to be changed',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        await fill(transport, queue, 1)
        const held = await transport.hold(queue, holdOptions())
        for await (const page of held.pages()) same(page.length, 1)

        same(await (await world.open()).removeIfEmpty(queue), false)

        await held.giveBack()
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

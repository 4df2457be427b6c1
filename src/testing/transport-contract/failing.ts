import type { IncomingMessage, Verdict } from '../../transport/transport.ts'
import type { ContractGroup } from './contract.ts'
import { consume, contents, depthIs, hasCode, message, openWithQueue, putBack, receive, same, textOf, until, yes } from './support.ts'

export const failing: ContractGroup = {
  name: 'failing',
  cases: [
    {
      name: 'a message that is put back is delivered again, unchanged and under its native id',
      modes: ['receiveOnly', 'sendsAtomicWithReceive'],
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const seen = await receive(world, transport, queue, async (incoming) => (incoming.attempt === 1 ? putBack : consume()))

        await transport.dispatch([message('again', queue, { headers: { Word: 'kept' } })])
        await until('it is delivered twice', () => seen.deliveries.length === 2)
        await seen.stop()

        const [first, second] = seen.deliveries
        same(second?.nativeId, first?.nativeId)
        same(second?.headers['Word'], 'kept')
        same(second && textOf(second), 'again')
        same(seen.errors, [])
        await depthIs(transport, queue, 0)
      },
    },
    {
      name: 'what nobody tried to handle counts no attempt',
      needs: 'uncountedLooks',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        let times = 0
        const seen = await receive(world, transport, queue, async () =>
          ++times < 3 ? ({ kind: 'putBack', attempted: false } as const) : consume(),
        )

        await transport.dispatch([message('again', queue)])
        await until('it is delivered three times', () => seen.deliveries.length === 3)

        same(
          seen.deliveries.map((incoming) => incoming.attempt),
          [1, 1, 1],
        )
      },
    },
    {
      name: 'a rejected decision is reported, and the message is delivered again',
      modes: ['receiveOnly', 'sendsAtomicWithReceive'],
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const reason = new Error('the decision failed')
        const seen = await receive(world, transport, queue, async (incoming) => {
          if (incoming.attempt === 1) throw reason
          return consume()
        })

        await transport.dispatch([message('again', queue)])
        await until('it is delivered twice', () => seen.deliveries.length === 2)

        same(seen.errors, [reason])
      },
    },
    {
      name: 'a verdict is said to be settled once it was carried out, and only then',
      modes: ['receiveOnly', 'sendsAtomicWithReceive'],
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const missing = { to: { exactQueue: world.unique('missing') } }
        const settled: string[] = []
        const decide = async (incoming: IncomingMessage): Promise<Verdict> =>
          incoming.attempt === 1 ? consume(message('unsendable', '', missing)) : consume()
        const seen = await receive(world, transport, queue, decide, {
          onSettled: (incoming) => settled.push(`attempt ${incoming.attempt}`),
        })

        await transport.dispatch([message('order', queue)])
        await until('it is consumed', () => settled.includes('attempt 2'))
        await seen.stop()

        // The first verdict could not be carried out; what replaced it, "put back", could.
        same(settled, ['attempt 1', 'attempt 2'])
      },
    },
    {
      name: 'without a transaction a rejected decision is reported, and the message is gone',
      modes: ['none'],
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const seen = await receive(world, transport, queue, async (incoming) => {
          if (textOf(incoming) === 'lost') throw new Error('the decision failed')
          return consume()
        })

        await transport.dispatch([message('lost', queue)])
        await transport.dispatch([message('marker', queue)])
        await until('the second message arrives', () => seen.texts().includes('marker'))
        await seen.stop()

        same(seen.texts(), ['lost', 'marker'])
        yes(seen.errors.length > 0)
        await depthIs(transport, queue, 0)
      },
    },
    {
      name: 'a batch that cannot be dispatched is answered by another verdict, which is carried out',
      modes: ['none', 'receiveOnly', 'sendsAtomicWithReceive'],
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const errorQueue = world.unique('error')
        await transport.createQueues([errorQueue])
        const refused: unknown[] = []
        const seen = await receive(
          world,
          transport,
          queue,
          async () => consume(message('unsendable', '', { to: { exactQueue: world.unique('missing') } })),
          {
            onDispatchFailed: async (incoming, error) => {
              refused.push(error)
              return consume(message(`failed: ${textOf(incoming)}`, errorQueue))
            },
          },
        )

        await transport.dispatch([message('order', queue)])
        await depthIs(transport, errorQueue, 1)
        await seen.stop()

        same(await contents(transport, errorQueue), ['failed: order'])
        same(refused.length, 1)
        hasCode('NSB_QUEUE_NOT_FOUND')(refused[0])
        same(seen.deliveries.length, 1)
        await depthIs(transport, queue, 0)
      },
    },
    {
      name: 'when the second verdict fails as well, that is reported, and the message is delivered again',
      modes: ['receiveOnly', 'sendsAtomicWithReceive'],
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const unsendable = message('unsendable', '', { to: { exactQueue: world.unique('missing') } })
        const seen = await receive(
          world,
          transport,
          queue,
          async (incoming) => (incoming.attempt === 1 ? consume(unsendable) : consume()),
          {
            onDispatchFailed: async () => consume(unsendable),
          },
        )

        await transport.dispatch([message('order', queue)])
        await until('it is delivered twice', () => seen.deliveries.length === 2)
        await seen.stop()

        same(seen.errors.length, 1)
        hasCode('NSB_QUEUE_NOT_FOUND')(seen.errors[0])
        await depthIs(transport, queue, 0)
      },
    },
  ],
}

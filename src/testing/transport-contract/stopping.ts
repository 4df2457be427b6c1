import type { ContractGroup } from './contract.ts'
import { consume, depthIs, fill, message, openWithQueue, receive, same, until, yes } from './support.ts'

export const stopping: ContractGroup = {
  name: 'stopping',
  cases: [
    {
      name: 'waits for work in hand, and takes nothing new',
      modes: ['none', 'receiveOnly', 'sendsAtomicWithReceive'],
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const other = world.unique('billing')
        await transport.createQueues([other])
        await fill(transport, queue, 3)
        let finish = (): void => {}
        const work = new Promise<void>((resolve) => {
          finish = resolve
        })
        const seen = await receive(world, transport, queue, async () => {
          await work
          return consume(message('done', other))
        })
        await until('work has begun', () => seen.deliveries.length === 1)

        let stopped = false
        const stop = seen.stop().then(() => {
          stopped = true
        })
        await new Promise(setImmediate)
        yes(!stopped)
        finish()
        await stop

        await depthIs(transport, other, 1)
        await depthIs(transport, queue, 2)
        same(seen.deliveries.length, 1)
      },
    },
    {
      name: 'aborts the signal when the grace period is over, and puts back what then rejects',
      modes: ['receiveOnly', 'sendsAtomicWithReceive'],
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        await fill(transport, queue, 1)
        const seen = await receive(
          world,
          transport,
          queue,
          (_, signal) =>
            new Promise((_resolve, reject) => {
              signal.addEventListener('abort', () => reject(signal.reason as Error))
            }),
        )
        await until('work has begun', () => seen.deliveries.length === 1)

        await seen.stop({ graceMs: 20 })

        await depthIs(transport, queue, 1)
        same(seen.deliveries.length, 1)
      },
    },
    {
      name: 'does not wait for ever: a decision that ignores the abort loses its message to the queue, and its verdict is ignored',
      modes: ['receiveOnly', 'sendsAtomicWithReceive'],
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const other = world.unique('billing')
        await transport.createQueues([other])
        await fill(transport, queue, 1)
        let finish = (): void => {}
        const seen = await receive(world, transport, queue, async () => {
          await new Promise<void>((resolve) => {
            finish = resolve
          })
          return consume(message('too late', other))
        })
        await until('work has begun', () => seen.deliveries.length === 1)

        await seen.stop({ graceMs: 0 })
        await depthIs(transport, queue, 1)
        const reported = seen.errors.length
        finish()
        await until('the late verdict is reported', () => seen.errors.length > reported)

        await depthIs(transport, queue, 1)
        await depthIs(transport, other, 0)
      },
    },
    {
      name: 'twice is fine, also at the same time',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const seen = await receive(world, transport, queue)

        await Promise.all([seen.stop(), seen.stop({ graceMs: 0 })])
        await seen.stop()
      },
    },
    {
      name: 'leaves the rest for the next receiver',
      modes: ['none', 'receiveOnly', 'sendsAtomicWithReceive'],
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const sent = await fill(transport, queue, 30)
        const early = await receive(world, transport, queue)
        await until('some are handled', () => early.deliveries.length > 0)
        await early.stop()

        const late = await receive(world, await world.open(), queue)
        await until('all are handled', () => early.deliveries.length + late.deliveries.length === 30)

        same([...early.texts(), ...late.texts()].toSorted(), sent)
      },
    },
    {
      name: 'closing the transport stops its receivers',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const seen = await receive(world, transport, queue)

        await transport.close()
        const other = await world.open()
        await other.dispatch([message('for nobody', queue)])

        await depthIs(other, queue, 1)
        same(seen.deliveries.length, 0)
      },
    },
  ],
}

import type { ContractGroup } from './contract.ts'
import { contents, depthIs, message, openWithQueue, same, yes } from './support.ts'

const minute = 60_000
const twoDays = 2 * 24 * 60 * minute

export const temporary: ContractGroup = {
  name: 'temporary',
  cases: [
    {
      name: 'a temporary queue takes messages, and outlives its maker',
      async run(world) {
        const { transport: maker } = await openWithQueue(world)
        const { address } = await maker.temporaryQueue(world.unique('nsb.reply'), 10 * minute)
        await maker.close()

        const other = await world.open()
        await other.dispatch([message('reply', address)])

        await depthIs(other, address, 1)
        same(await contents(other, address), ['reply'])
      },
    },
    {
      name: 'each has its own address',
      async run(world) {
        const { transport } = await openWithQueue(world)
        const prefix = world.unique('nsb.reply')

        const one = await transport.temporaryQueue(prefix, minute)
        const two = await transport.temporaryQueue(prefix, minute)

        yes(one.address !== two.address)
      },
    },
    {
      name: 'it goes when it is removed',
      async run(world) {
        const { transport } = await openWithQueue(world)
        const temporaryQueue = await transport.temporaryQueue(world.unique('nsb.reply'), 10 * minute)

        await temporaryQueue.remove()
        await temporaryQueue.remove()

        same(await transport.inspect(temporaryQueue.address), undefined)
      },
    },
    {
      name: 'it goes by itself, or with a later call, when its time is over',
      needs: 'elapse',
      async run(world) {
        const { transport } = await openWithQueue(world)
        const prefix = world.unique('nsb.reply')
        const { address } = await transport.temporaryQueue(prefix, 10 * minute)
        const other = world.unique('nsb.reply.of-somebody')
        await transport.createQueues([other])

        world.elapse?.(5 * minute)
        await transport.temporaryQueue(prefix, 10 * minute)
        yes(await transport.inspect(address))
        world.elapse?.(twoDays)
        await transport.temporaryQueue(prefix, 10 * minute)

        same(await transport.inspect(address), undefined)
        yes(await transport.inspect(other))
      },
    },
  ],
}

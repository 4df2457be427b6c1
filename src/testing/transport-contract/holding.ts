import type { HeldMessage, OutgoingMessage } from '../../transport/transport.ts'
import type { ContractGroup } from './contract.ts'
import {
  contents,
  depthIs,
  fill,
  hasCode,
  holdOptions,
  look,
  message,
  openWithQueue,
  receive,
  rejects,
  same,
  textOf,
  until,
  yes,
} from './support.ts'

async function firstPage(pages: AsyncIterable<readonly HeldMessage[]>): Promise<readonly HeldMessage[]> {
  for await (const page of pages) return page
  return []
}

export const holding: ContractGroup = {
  name: 'holding',
  cases: [
    {
      name: 'shows each message once, in the order of the queue, page by page',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const sent = await fill(transport, queue, 10)

        const pages = await look(transport, queue, { page: 3 })

        same(pages.flat().map(textOf), sent)
        yes(pages.every((page) => page.length <= 3))
      },
    },
    {
      name: 'shows the newest first where it can, reading no more than is asked for',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        if (!transport.can.newestFirst) return
        const sent = await fill(transport, queue, 10)

        const pages = await look(transport, queue, { page: 3, newestFirst: true })
        const held = await transport.hold(queue, holdOptions({ purpose: 'look', page: 3, newestFirst: true }))
        const newest = await firstPage(held.pages())
        const { returned } = await held.giveBack()

        same(pages.flat().map(textOf), sent.toReversed())
        same(newest.map(textOf), sent.slice(-3).toReversed())
        same([held.facts.depth, returned], [10, 3])
        same(await contents(transport, queue), sent)
      },
    },
    {
      name: 'a look that wants no bodies shows the same messages',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const sent = await fill(transport, queue, 3)

        const pages = await look(transport, queue, { withoutBodies: true })

        same(
          pages.flat().map(({ id, unreadable }) => [id, unreadable]),
          sent.map((text) => [text, undefined]),
        )
        yes(pages.flat().every((each) => each.body.length === 0 || textOf(each) === each.id))
        same(await contents(transport, queue), sent)
      },
    },
    {
      name: '45 looks lose nothing and change no order',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const sent = await fill(transport, queue, 5)

        // A queue may have a limit without anybody's doing.
        const overrule = ['NSB_LOOKS_EXHAUSTED']
        for (let time = 0; time < 45; time++) {
          same((await look(transport, queue, { overrule })).flat().map(textOf), sent)
          await depthIs(transport, queue, 5)
        }
      },
    },
    {
      name: 'held messages are invisible to others until they are given back',
      needs: 'hideHeld',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const sent = await fill(transport, queue, 3)
        const held = await transport.hold(queue, holdOptions({ purpose: 'look' }))
        await firstPage(held.pages())

        same((await transport.inspect(queue))?.depth, 0)
        await held.giveBack()

        same(await contents(transport, queue), sent)
      },
    },
    {
      name: 'moves the selected messages and gives the others back in their old order',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const target = world.unique('target')
        await transport.createQueues([target])
        const sent = await fill(transport, queue, 10)
        const odd = (text: string): boolean => Number(text.slice(-3)) % 2 === 1
        const held = await transport.hold(queue, holdOptions({ page: 4 }))

        for await (const page of held.pages())
          for (const each of page)
            if (odd(textOf(each))) await held.consume(each, [message(textOf(each), '', { to: { exactQueue: target } })])
        const { returned } = await held.giveBack()

        same(returned, 5)
        await depthIs(transport, queue, 5)
        await depthIs(transport, target, 5)
        same(
          await contents(transport, queue),
          sent.filter((text) => !odd(text)),
        )
        same(await contents(transport, target), sent.filter(odd))
      },
    },
    {
      name: 'a message that is moved unchanged comes out as it went in',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const target = world.unique('target')
        await transport.createQueues([target])
        const [text = ''] = await fill(transport, queue, 1)
        const [before] = (await look(transport, queue)).flat()
        const held = await transport.hold(queue, holdOptions())

        for await (const page of held.pages())
          for (const each of page) {
            const { body, headers, id, native } = each
            await held.consume(each, [{ id, headers, body, native, to: { exactQueue: target }, unchanged: true }])
          }
        await held.giveBack()

        const [after] = (await look(transport, target)).flat()
        same([textOf(after ?? { body: new Uint8Array() }), after?.headers, after?.native], [text, before?.headers, before?.native])
      },
    },
    {
      name: 'consuming calls may overlap',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const target = world.unique('target')
        await transport.createQueues([target])
        const sent = await fill(transport, queue, 20)
        const journal: string[] = []
        const held = await transport.hold(queue, holdOptions({ beforeRemove: (group) => void journal.push(...group.map(textOf)) }))

        for await (const page of held.pages()) await Promise.all(page.map((each) => held.consume(each, [message(textOf(each), target)])))
        await held.giveBack()

        same(journal, sent)
        await depthIs(transport, queue, 0)
        await depthIs(transport, target, 20)
      },
    },
    {
      name: 'a message whose removal is refused stays, with those of its group',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const sent = await fill(transport, queue, 3)
        const reason = new Error('the journal is full')
        const held = await transport.hold(
          queue,
          holdOptions({
            beforeRemove: async () => {
              throw reason
            },
          }),
        )

        for (const each of await firstPage(held.pages())) await rejects(held.consume(each, []), (error) => error === reason)
        same((await held.giveBack()).returned, 3)

        same(await contents(transport, queue), sent)
      },
    },
    {
      name: 'a message whose copy cannot be sent stays',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const sent = await fill(transport, queue, 1)
        const held = await transport.hold(queue, holdOptions())
        const [only] = await firstPage(held.pages())
        yes(only)

        await rejects(
          held.consume(only, [message('copy', '', { to: { exactQueue: world.unique('missing') } })]),
          hasCode('NSB_QUEUE_NOT_FOUND'),
        )
        await held.giveBack()

        same(await contents(transport, queue), sent)
      },
    },
    {
      name: 'messages that may be emptied are whole where they arrive and where they stay',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const [target, missing] = [world.unique('target'), world.unique('missing')]
        await transport.createQueues([target])
        const [one, two] = await fill(transport, queue, 2)
        const journal: string[] = []
        const held = await transport.hold(
          queue,
          holdOptions({ mayEmpty: true, beforeRemove: (group) => void journal.push(...group.map(({ id }) => id)) }),
        )
        const [first, second] = (await firstPage(held.pages())).map((each) => ({ each, body: each.body, id: each.id }))
        yes(first && second)

        const copyTo = (exactQueue: string, { body, id }: typeof first): OutgoingMessage => ({ id, headers: {}, body, to: { exactQueue } })
        await held.consume(first.each, [copyTo(target, first)])
        await rejects(held.consume(second.each, [copyTo(missing, second)]), hasCode('NSB_QUEUE_NOT_FOUND'))
        await held.giveBack()

        same(journal, [first.id])
        same(await contents(transport, target), [one])
        same(await contents(transport, queue), [two])
      },
    },
    {
      name: 'a message that was consumed cannot be consumed again, nor any after giving back',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        await fill(transport, queue, 2)
        const held = await transport.hold(queue, holdOptions())
        const [one, two] = await firstPage(held.pages())
        yes(one && two)
        await held.consume(one, [])

        await rejects(held.consume(one, []))
        await held.giveBack()
        await rejects(held.consume(two, []))

        await depthIs(transport, queue, 1)
      },
    },
    {
      name: 'never holds more than its limit, and goes on when there is room again',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const sent = await fill(transport, queue, 6)

        const limited = await look(transport, queue, { page: 2, max: 4 })
        same(limited.flat().map(textOf), sent.slice(0, 4))

        const held = await transport.hold(queue, holdOptions({ page: 2, max: 2 }))
        for await (const page of held.pages()) for (const each of page) await held.consume(each, [])
        await held.giveBack()
        await depthIs(transport, queue, 0)
      },
    },
    {
      name: 'shows no new page once it is aborted',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const sent = await fill(transport, queue, 6)
        const abort = new AbortController()
        const held = await transport.hold(queue, holdOptions({ purpose: 'look', page: 2, signal: abort.signal }))
        const shown: string[] = []

        for await (const page of held.pages()) {
          shown.push(...page.map(textOf))
          abort.abort()
        }
        same((await held.giveBack()).returned, 2)

        same(shown, sent.slice(0, 2))
        same(await contents(transport, queue), sent)
      },
    },
    {
      name: 'messages that come later are neither shown nor lost, but counted',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const sent = await fill(transport, queue, 2)
        const held = await transport.hold(queue, holdOptions({ purpose: 'look', page: 1 }))
        same(held.facts.depth, 2)
        await transport.dispatch([message('newer', queue)])

        const shown: string[] = []
        for await (const page of held.pages()) shown.push(...page.map(textOf))
        const { newerArrivals } = await held.giveBack()

        same(shown, sent)
        same(newerArrivals, 1)
        same(await contents(transport, queue), [...sent, 'newer'])
      },
    },
    {
      name: 'giving back twice is giving back once',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const sent = await fill(transport, queue, 2)
        const held = await transport.hold(queue, holdOptions({ purpose: 'look' }))
        await firstPage(held.pages())

        same(await held.giveBack(), await held.giveBack())

        same(await contents(transport, queue), sent)
      },
    },
    {
      name: 'closing the transport gives back what is held',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const sent = await fill(transport, queue, 2)
        const held = await transport.hold(queue, holdOptions())
        await firstPage(held.pages())

        await transport.close()

        same(await contents(await world.open(), queue), sent)
      },
    },
    {
      name: 'a message is consumed by one of two operators',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        await fill(transport, queue, 1)
        const target = world.unique('target')
        await transport.createQueues([target])
        const attempt = async (): Promise<void> => {
          const held = await (await world.open()).hold(queue, holdOptions())
          const [only] = await firstPage(held.pages())
          await new Promise(setImmediate)
          try {
            if (only) await held.consume(only, [message('moved', target)])
          } finally {
            await held.giveBack()
          }
        }

        await Promise.allSettled([attempt(), attempt()])

        await depthIs(transport, queue, 0)
        await depthIs(transport, target, 1)
      },
    },
    {
      name: 'a queue that does not exist cannot be held',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)

        await rejects(transport.hold(`${queue}.typo`, holdOptions()), hasCode('NSB_QUEUE_NOT_FOUND'))
      },
    },
    {
      name: 'what is given back is received',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const sent = await fill(transport, queue, 5)
        await look(transport, queue)

        const seen = await receive(world, transport, queue)
        await until('all messages arrive', () => seen.deliveries.length === 5)

        same(seen.texts(), sent)
      },
    },
    {
      name: 'a look does not count as an attempt',
      needs: 'uncountedLooks',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        await fill(transport, queue, 5)
        await look(transport, queue)

        const seen = await receive(world, transport, queue)
        await until('all messages arrive', () => seen.deliveries.length === 5)

        yes(seen.deliveries.every((incoming) => incoming.attempt === 1))
      },
    },
  ],
}

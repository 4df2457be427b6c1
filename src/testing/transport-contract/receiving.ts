import { Header } from '../../message/headers.ts'
import type { IncomingMessage } from '../../transport/transport.ts'
import type { ContractGroup } from './contract.ts'
import { consume, fill, headersOf, message, openWithQueue, putBack, receive, same, textOf, until, yes } from './support.ts'

const everyByte = Uint8Array.from({ length: 40_000 }, (_, index) => index % 256)

export const receiving: ContractGroup = {
  name: 'receiving',
  cases: [
    {
      name: 'headers arrive unchanged, whatever characters they hold',
      modes: ['none', 'receiveOnly', 'sendsAtomicWithReceive'],
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const headers = {
          [Header.MessageId]: 'the id',
          '$.diagnostics.originating.hostid': '9a5bc0a55361f12743b646d323f22728',
          'Handler type': 'a name with a blank',
          Unicode: 'Grüße – 訂單 🚚 \u2028',
          Controls: 'tab\tline\r\nquote"backslash\\slash/',
          Markup: `<a href='x'>&amp;+\`</a>`,
          Empty: '',
        }
        const seen = await receive(world, transport, queue)

        await transport.dispatch([message('the id', queue, { headers })])
        await until('the message arrives', () => seen.deliveries.length === 1)

        const [incoming] = seen.deliveries
        yes(incoming)
        for (const [name, value] of Object.entries(headers)) same(incoming.headers[name], value)
        same(incoming.id, 'the id')
        same(incoming.queue, queue)
        same(incoming.attempt, 1)
      },
    },
    {
      name: 'an empty body arrives as an empty body',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const seen = await receive(world, transport, queue)

        await transport.dispatch([message('control message', queue, { body: new Uint8Array(0) })])
        await until('the message arrives', () => seen.deliveries.length === 1)

        same(seen.deliveries[0]?.body.length, 0)
      },
    },
    {
      name: 'a body of 40,000 arbitrary bytes arrives byte for byte',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const seen = await receive(world, transport, queue)

        await transport.dispatch([message('large', queue, { body: everyByte })])
        await until('the message arrives', () => seen.deliveries.length === 1)

        yes(Buffer.from(everyByte).equals(seen.deliveries[0]?.body as Uint8Array))
      },
    },
    {
      name: 'changing what was dispatched afterwards does not change the message',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const body = Buffer.from('before')
        const headers: Record<string, string> = { [Header.MessageId]: 'kept', Word: 'before' }

        await transport.dispatch([{ id: 'kept', headers, body, to: { address: queue } }])
        body.write('after!')
        headers['Word'] = 'after'
        const seen = await receive(world, transport, queue)
        await until('the message arrives', () => seen.deliveries.length === 1)

        same(textOf(seen.deliveries[0] as IncomingMessage), 'before')
        same(headersOf(seen.deliveries[0] as IncomingMessage)['Word'], 'before')
      },
    },
    {
      name: 'a message without an id header has its native id',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const seen = await receive(world, transport, queue)

        await transport.dispatch([{ id: 'of the sender', headers: { Word: 'x' }, body: Buffer.from('x'), to: { address: queue } }])
        await until('the message arrives', () => seen.deliveries.length === 1)

        const [incoming] = seen.deliveries
        yes(incoming && incoming.nativeId !== '')
        same(incoming.id, incoming.nativeId)
      },
    },
    {
      name: 'attempts of one message are counted, those of others are not',
      modes: ['receiveOnly', 'sendsAtomicWithReceive'],
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const seen = await receive(world, transport, queue, async (incoming) =>
          textOf(incoming) === 'fails twice' && incoming.attempt < 3 ? putBack : consume(),
        )

        await transport.dispatch([message('fails twice', queue)])
        await transport.dispatch([message('works', queue)])
        await until('four deliveries', () => seen.deliveries.length === 4)

        const attemptsOf = (text: string): readonly number[] =>
          seen.deliveries.filter((incoming) => textOf(incoming) === text).map((incoming) => incoming.attempt)
        same(attemptsOf('fails twice'), [1, 2, 3])
        same(attemptsOf('works'), [1])
      },
    },
    {
      name: 'as many messages as the concurrency allows are decided on at once, and never more',
      modes: ['none', 'receiveOnly', 'sendsAtomicWithReceive'],
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        await fill(transport, queue, 10)
        let current = 0
        let most = 0
        let finish = (): void => {}
        const full = new Promise<void>((resolve) => {
          finish = resolve
        })
        const seen = await receive(
          world,
          transport,
          queue,
          async () => {
            most = Math.max(most, ++current)
            if (current === 3) finish()
            await full
            await new Promise(setImmediate)
            current--
            return consume()
          },
          { concurrency: 3 },
        )

        await until('all messages are handled', () => seen.deliveries.length === 10)

        same(most, 3)
      },
    },
    {
      name: 'with concurrency 1, messages come in the order of sending',
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const sent = await fill(transport, queue, 20)

        const seen = await receive(world, transport, queue)
        await until('all messages arrive', () => seen.deliveries.length === 20)

        same(seen.texts(), sent)
      },
    },
    {
      name: 'competing receivers get each message once',
      modes: ['none', 'receiveOnly', 'sendsAtomicWithReceive'],
      async run(world) {
        const { transport, queue } = await openWithQueue(world)
        const sent = await fill(transport, queue, 50)

        const receivers = [await receive(world, transport, queue), await receive(world, await world.open(), queue)]
        const texts = (): readonly string[] => receivers.flatMap((seen) => seen.texts())
        await until('all messages arrive', () => new Set(texts()).size === 50)
        for (const seen of receivers) await seen.stop()

        same(texts().toSorted(), sent)
      },
    },
  ],
}

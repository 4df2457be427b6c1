import { createHash } from 'node:crypto'
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { hostname, userInfo } from 'node:os'
import { join } from 'node:path'
import { connect } from 'amqplib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readCaptured } from '../../../src/testing/captured.ts'
import { type Clock, systemClock } from '../../../src/transport/clock.ts'
import type { RabbitOptions } from '../../../src/transport/rabbitmq/transport.ts'
import type { HeldMessage } from '../../../src/transport/transport.ts'
import { temporaryFolder } from '../../cli/nsb.ts'
import { fieldTable, headerFrame, longString, openWire } from '../../interop/rabbitmq/wire.ts'
import { givingBackCounts } from '../../support/broker-version.ts'
import { ErrorQueue } from '../../support/error-queue.ts'
import { type VirtualHost, makeVirtualHost } from '../../support/virtual-host.ts'
import { depthIs, hasCode, holdOptions, look, message, openRabbit, receive, textOf, until } from './faults-support.ts'
import type { OpenedTransport } from './faults-support.ts'

let host: VirtualHost
beforeAll(async () => {
  host = await makeVirtualHost()
})
afterAll(() => host.remove())

let queues = 0

/** A queue with so many messages. */
async function filled(
  count: number,
  arguments_: Readonly<Record<string, unknown>>,
): Promise<{ readonly queue: string; readonly texts: readonly string[] }> {
  const queue = `error${++queues}`
  await host.api('PUT', `queues/${host.name}/${queue}`, { durable: true, arguments: arguments_ })
  const texts = Array.from({ length: count }, (_, number) => `m${number}`)
  await withMessages(queue, texts)
  return { queue, texts }
}

/** @param ready how many are to be seen then; default: all of them */
async function withMessages(queue: string, texts: readonly string[], ready = texts.length): Promise<void> {
  const transport = openRabbit(host.url)
  await transport.dispatch(texts.map((text) => ({ ...message(text, queue), to: { exactQueue: queue } })))
  await depthIs(transport, queue, ready)
}

/** One of a client with room for more headers than amqplib has. */
async function withForeign(queue: string, stack: string): Promise<void> {
  const wire = await openWire(host.url)
  const headers = fieldTable([
    ['NServiceBus.FailedQ', 'S', longString('Sales')],
    ['count', 'I', Buffer.from([0, 0, 0, 7])],
    ['NServiceBus.ExceptionInfo.StackTrace', 'S', longString(stack)],
  ])
  wire.publishFrames('', queue, headerFrame(headers, 'foreign'), Buffer.from('foreign body'))
  await depthIs(openRabbit(host.url), queue, 1)
  await wire.close()
}

const open = (told: boolean, more: Pick<RabbitOptions, 'timeoutMs' | 'warn'> = {}): OpenedTransport =>
  openRabbit(host.url, { management: told ? host.management : { url: 'http://127.0.0.1:1' }, ...more })
/** It waits no longer than that for somebody else. */
const impatient = { timeoutMs: 1000 }
const all = { max: 100_000, page: 1000 }
const classic = {}
const quorum = { 'x-queue-type': 'quorum' }
const limited = (limit: number): Readonly<Record<string, unknown>> => ({ ...quorum, 'x-delivery-limit': limit })

const textsOf = async (transport: OpenedTransport, queue: string): Promise<readonly string[]> =>
  (await look(transport, queue, all)).flat().map(textOf)

const forced = { ...all, overrule: ['NSB_LOOKS_EXHAUSTED'] }

/** A forced look that is a failed delivery of what it does not rescue, also where giving back is none. */
async function spendLook(transport: OpenedTransport, queue: string): Promise<readonly HeldMessage[]> {
  const shown = (await look(transport, queue, forced)).flat()
  if (!givingBackCounts && shown.every(({ givenBack }) => givenBack === 0)) await ErrorQueue.open(host, queue).failDeliveries(1)
  return shown
}

describe('looking', () => {
  for (const [id, name, arguments_, count, told] of [
    ['E-10', 'a classic queue', classic, 1000, true],
    ['E-11', 'a quorum queue without a limit', quorum, 100, true],
    ['E-11', 'a quorum queue without a limit', quorum, 1500, true],
    ['E-11', 'a quorum queue with a limit', limited(20), 100, true],
    ['E-11', 'a quorum queue with a limit', limited(20), 1500, true],
    ['E-11', 'a quorum queue with a limit that only its refusal tells', limited(20), 100, false],
    ['E-11', 'a quorum queue whose limit nobody tells', quorum, 100, false],
    ['E-18', 'a quorum queue with more than 2,000 messages', quorum, 2500, true],
  ] as const)
    it(`${id} at ${count} messages of ${name} shows all of them and leaves them in their order`, async () => {
      const { queue, texts } = await filled(count, arguments_)
      const transport = open(told)

      expect(await textsOf(transport, queue)).toEqual(texts)
      await depthIs(transport, queue, count)
      expect(await textsOf(transport, queue)).toEqual(texts)
    })

  it('E-12 ten times at a queue with a limit of 3 is refused from the third look on where looks spend it, and loses nothing', async () => {
    const { queue, texts } = await filled(40, limited(3))
    const transport = open(true)

    const outcomes: string[] = []
    for (let number = 0; number < 10; number++) {
      outcomes.push(
        await textsOf(transport, queue).then(
          (shown) => String(shown.length),
          (error: unknown) => (error as { code: string }).code,
        ),
      )
      await depthIs(transport, queue, texts.length)
    }

    expect(outcomes).toEqual(['40', '40', ...Array.from({ length: 8 }, () => (givingBackCounts ? 'NSB_LOOKS_EXHAUSTED' : '40'))])
  })

  it('E-12 ten times by a new process each time loses nothing, and what is at its limit moves to the end with its count reset', async () => {
    const { queue, texts } = await filled(40, limited(3))

    const outcomes: string[] = []
    for (let number = 0; number < 10; number++) {
      const transport = open(true)
      outcomes.push(
        await textsOf(transport, queue).then(
          (shown) => String(shown.length),
          (error: unknown) => (error as { code: string }).code,
        ),
      )
      await depthIs(transport, queue, texts.length)
    }

    expect(outcomes.slice(0, 4)).toEqual(['40', '40', ...Array(2).fill(givingBackCounts ? 'NSB_LOOKS_EXHAUSTED' : '40')])
    const [shown] = await look(open(true), queue, { ...all, overrule: ['NSB_LOOKS_EXHAUSTED'] })
    expect(shown?.map(textOf).toSorted()).toEqual(texts.toSorted())
  })

  it('E-12 a refusal is known to the next process until the queue is empty, its limit another, a day over, or it is forced', async ({
    skip,
  }) => {
    if (!givingBackCounts) return skip('looks cost nothing on this broker, so none is refused')
    const { queue } = await filled(5, limited(3))
    const stateFolder = temporaryFolder()
    const process = (options: Partial<RabbitOptions> = {}): OpenedTransport =>
      openRabbit(host.url, { management: host.management, stateFolder, ...options })
    const looksAt = (transport: OpenedTransport): Promise<string> =>
      textsOf(transport, queue).then(
        (shown) => `${shown.length}`,
        (error: unknown) => (error as { code: string }).code,
      )
    for (const outcome of ['5', '5', 'NSB_LOOKS_EXHAUSTED']) expect(await looksAt(process())).toBe(outcome)
    const [note = ''] = readdirSync(join(stateFolder, 'exhausted'))
    expect(statSync(join(stateFolder, 'exhausted', note)).mode & 0o777).toBe(0o600)

    // One look more would have cost the messages their last one, and moved them.
    for (let number = 0; number < 5; number++) expect(await looksAt(process())).toBe('NSB_LOOKS_EXHAUSTED')
    await expect(process().hold(queue, holdOptions())).rejects.toSatisfy(hasCode('NSB_LOOKS_EXHAUSTED'))

    const tomorrow = { ...systemClock, now: () => Date.now() + 25 * 3_600_000 }
    const forced = await look(process(), queue, { ...all, overrule: ['NSB_LOOKS_EXHAUSTED'] })
    expect(forced.flat().map(({ givenBack }) => givenBack)).toEqual([3, 3, 3, 3, 3])
    for (const outcome of ['5', '5', 'NSB_LOOKS_EXHAUSTED', 'NSB_LOOKS_EXHAUSTED']) expect(await looksAt(process())).toBe(outcome)
    expect(await looksAt(process({ clock: tomorrow }))).toBe('NSB_LOOKS_EXHAUSTED')
    // That one has read them, and rescued all.
    expect((await look(process(), queue, { ...all, overrule: ['NSB_LOOKS_EXHAUSTED'] })).flat().map(({ givenBack }) => givenBack)).toEqual([
      0, 0, 0, 0, 0,
    ])
    await process().purge(queue)
    expect(await looksAt(process())).toBe('0')
    await withMessages(queue, ['new'])
    expect(await looksAt(process())).toBe('1')
  })

  it('E-12 a message with headers that amqplib has no room for is rescued whole', async () => {
    const { queue } = await filled(0, limited(1))
    const transport = openRabbit(host.url, { management: host.management })
    const large = 's'.repeat(120_000)
    await withForeign(queue, large)

    for (const givenBack of [0, 1, 0, 1, 0]) {
      const shown = await spendLook(transport, queue)
      expect(shown.map((each) => [textOf(each), each.givenBack])).toEqual([['foreign body', givenBack]])
      expect(shown[0]?.headers).toMatchObject({ 'NServiceBus.ExceptionInfo.StackTrace': large, count: '7' })
      await depthIs(transport, queue, 1)
    }
  })

  it.each(['a folder', 'no folder', 'a folder that cannot be written'])(
    'E-12 a message at its limit that its queue takes no copy of is said to be lost, and kept whole where there is %s',
    async (folder) => {
      const { queue } = await filled(0, { ...limited(1), 'x-max-length': 1, 'x-overflow': 'reject-publish' })
      const file = join(temporaryFolder(), 'file')
      writeFileSync(file, '')
      const stateFolder = { 'a folder': temporaryFolder(), 'a folder that cannot be written': file }[folder]
      const transport = openRabbit(host.url, { management: host.management, ...(stateFolder !== undefined && { stateFolder }) })
      const large = 's'.repeat(90_000)
      await withForeign(queue, large)
      await spendLook(transport, queue)

      const holding = await transport.hold(queue, holdOptions({ ...forced, purpose: 'look' }))
      for await (const _ of holding.pages());
      // They take its place.
      const filling = Array.from({ length: 3 }, (_, number) => ({ ...message(`m${number}`, queue), to: { exactQueue: queue } }))
      await Promise.allSettled(filling.map((each) => transport.dispatch([each])))
      await holding.giveBack()

      expect(transport.warnings).toContainEqual(
        expect.stringMatching(
          /^Message 'foreign' .* no copy could be made: .* (It was written whole to|No folder is known|It could not be written)/,
        ),
      )
      if (folder !== 'a folder') return
      // A queue of this name on another broker has a file of its own.
      const broker = createHash('sha256').update(host.settings.toString().replace('guest:***@', '')).digest('hex').slice(0, 8)
      const path = join(stateFolder ?? '', 'rescued', broker, `${queue}.ndjson`)
      const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
      expect(lines.length).toBe(1)
      expect(JSON.parse(lines[0] ?? '')).toMatchObject({
        schema: 'nsb.message/1',
        messageId: 'foreign',
        kind: 'failure',
        queue,
        properties: { messageId: 'foreign' },
        headers: { 'NServiceBus.ExceptionInfo.StackTrace': large, 'NServiceBus.FailedQ': 'Sales', count: { '!': 'int', v: 7 } },
        body: { encoding: 'utf8', data: 'foreign body' },
        sha256: createHash('sha256').update('foreign body').digest('hex'),
      })
      expect(readCaptured(lines[0] ?? '').headers).toEqual({ count: '7' })
      expect(statSync(path).mode & 0o777).toBe(0o600)
    },
  )

  it('E-12 a forced look at the limit rescues every message', async () => {
    const { queue, texts } = await filled(250, limited(1))
    const transport = open(true)

    for (let number = 0; number < 4; number++) {
      const shown = await spendLook(transport, queue)
      expect(shown.map(textOf)).toEqual(texts)
      expect(shown[0]?.givenBack).toBe(number % 2)
      await depthIs(transport, queue, texts.length)
    }
  })

  it('E-12 a limit that a policy sets is known from the management API, and without it no message is given back a third time', async () => {
    const { queue, texts } = await filled(30, quorum)
    await host.api('PUT', `policies/${host.name}/limit`, {
      pattern: `^${queue}$`,
      'apply-to': 'queues',
      definition: { 'delivery-limit': 3 },
      priority: 1,
    })
    expect(await open(true).inspect(queue)).toMatchObject({ deliveryLimit: 3, looksLeft: givingBackCounts ? 3 : 'unlimited' })
    expect(await open(false).inspect(queue)).toMatchObject({
      deliveryLimit: 'unknown',
      looksLeft: givingBackCounts ? 'unknown' : 'unlimited',
    })

    for (let number = 0; number < 8; number++) {
      expect((await textsOf(open(false), queue)).toSorted()).toEqual(texts.toSorted())
      await depthIs(open(true), queue, texts.length)
    }
  })

  for (const [name, arguments_] of [
    ['a classic queue', classic],
    ['a quorum queue without a limit', quorum],
    ['a quorum queue with a limit', limited(20)],
  ] as const)
    it(`E-14 messages that come to ${name} meanwhile are neither shown nor lost, counted, and come last`, async () => {
      const { queue, texts } = await filled(300, arguments_)
      const transport = open(true)

      const holding = await transport.hold(queue, holdOptions({ purpose: 'look', page: 100 }))
      const shown: string[] = []
      for await (const page of holding.pages()) shown.push(...page.map(textOf))
      await withMessages(queue, ['new1', 'new2', 'new3'])
      const result = await holding.giveBack()

      expect(shown).toEqual(texts)
      expect(result).toMatchObject({ newerArrivals: 3, returned: 300, rescued: [] })
      expect(await textsOf(transport, queue)).toEqual([...texts, 'new1', 'new2', 'new3'])
    })

  it('E-14 messages that come while others go are counted, although a consumer has brought them already', async () => {
    const { queue } = await filled(20, quorum)
    const holding = await open(true).hold(queue, holdOptions({ ...all, page: 5, ahead: 50 }))
    const going: Promise<void>[] = []
    for await (const messages of holding.pages()) {
      if (going.length === 0) await withMessages(queue, ['late1', 'late2'], 0)
      going.push(...messages.map((held) => holding.consume(held, [])))
    }
    await Promise.all(going)

    const given = await holding.giveBack()

    expect(given.newerArrivals).toBe(2)
    expect(await textsOf(open(true), queue)).toEqual(['late1', 'late2'])
  })

  it('E-14 a broker that is silent for a moment has not shown everything', async () => {
    const { queue, texts } = await filled(1500, quorum)
    let silences = 0
    const impatient: Clock = {
      ...systemClock,
      after: (ms, then) => systemClock.after(ms === 1000 && silences-- > 0 ? 0 : ms, then),
    }
    const transport = openRabbit(host.url, { management: host.management, clock: impatient })
    const holding = await transport.hold(queue, holdOptions({ ...all, ahead: 50 }))
    const shown: string[] = []
    for await (const messages of holding.pages()) {
      shown.push(...messages.map(textOf))
      await Promise.all(messages.map((held) => holding.consume(held, [])))
      if (shown.length === messages.length) silences = 2
    }

    expect(silences).toBeLessThanOrEqual(0)
    expect(shown).toEqual(texts)
    expect(await holding.giveBack()).toMatchObject({ returned: 0 })
  })

  it('E-15 beside a consumer is warned of, and changing is refused unless it is forced', async () => {
    const { queue } = await filled(0, quorum)
    const transport = open(true)
    const seen = await receive(transport, queue)

    await look(transport, queue)
    expect(transport.warnings.some((warning) => warning.includes(`1 consumer(s) take messages from queue '${queue}'`))).toBe(true)
    await expect(transport.hold(queue, holdOptions())).rejects.toSatisfy(hasCode('NSB_QUEUE_HAS_CONSUMER'))
    const holding = await transport.hold(queue, holdOptions({ overrule: ['NSB_QUEUE_HAS_CONSUMER'] }))
    await holding.giveBack()
    await seen.stop()
  })

  it('E-15 that gives back beside a consumer does not wait for what it takes at once', async () => {
    const { queue, texts } = await filled(200, limited(20))
    const transport = open(true)
    const holding = await transport.hold(queue, holdOptions({ purpose: 'look' }))
    for await (const page of holding.pages()) expect(page.length).toBe(100)
    const seen = await receive(transport, queue)

    await holding.giveBack()
    await until('the consumer has all', () => seen.deliveries.length === texts.length)
    await seen.stop()

    expect(seen.deliveries.map(textOf).toSorted()).toEqual(texts.toSorted())
  })

  it('E-16 waits while somebody else looks, says for whom, and then sees the whole queue', async () => {
    const { queue, texts } = await filled(10, limited(20))
    const warnings: string[] = []
    const [first, second] = [open(true), open(true, { warn: (text) => warnings.push(text) })]
    const holding = await first.hold(queue, holdOptions({ purpose: 'change', ...all }))
    for await (const page of holding.pages()) if (page.length > 0) break

    const looking = look(second, queue, all)
    await until('it says that it waits', async () => warnings.length > 0)
    await holding.giveBack()

    expect((await looking).flat().map(textOf)).toEqual(texts)
    expect(warnings).toEqual([expect.stringContaining(`Queue '${queue}' is waited for, 30 s at most: another nsb has it in hand`)])
  })

  it('E-16 does not wait any more when it is interrupted', async () => {
    const { queue } = await filled(1, limited(20))
    const holding = await open(true).hold(queue, holdOptions({ purpose: 'look' }))
    const interrupting = new AbortController()
    const second = open(true, { warn: () => interrupting.abort(new Error('interrupted')) })

    await expect(second.hold(queue, holdOptions({ purpose: 'look', signal: interrupting.signal }))).rejects.toThrow('interrupted')
    await holding.giveBack()
  })

  it('E-16 is refused while somebody else looks for longer than it waits, without reading anything, and allowed afterwards', async () => {
    const { queue, texts } = await filled(10, limited(20))
    const [first, second] = [open(true), open(true, impatient)]

    const holding = await first.hold(queue, holdOptions({ purpose: 'look' }))
    await expect(look(second, queue)).rejects.toSatisfy(hasCode('NSB_QUEUE_LOCKED'))
    await holding.giveBack()

    const [page] = await look(second, queue)
    expect(page?.map(textOf)).toEqual(texts)
    expect(page?.[0]?.givenBack).toBe(0)
  })

  it('E-16 the refusal names who has the queue in hand, where the management API can tell', async () => {
    const { queue } = await filled(1, limited(20))
    const holding = await open(true).hold(queue, holdOptions({ purpose: 'look' }))
    const refusal = async (told: boolean): Promise<string> => {
      const { message } = await open(told, impatient)
        .hold(queue, holdOptions({ purpose: 'look' }))
        .then(
          () => expect.fail('it was not refused'),
          (error: Error) => error,
        )
      return message
    }

    // The broker tells it a moment after the queue was made.
    await until('the owner is told', async () =>
      (await refusal(true)).includes(`${userInfo().username} on ${hostname()} ('${queue} Browse'`),
    )

    expect(await refusal(false)).toBe(`Queue '${queue}' is not read: another nsb has it in hand.`)
    await holding.giveBack()
  })

  it('E-12 a count that a message brings with it from another queue is not believed', async () => {
    const { queue } = await filled(0, limited(3))
    const connection = await connect(host.url)
    const channel = await connection.createConfirmChannel()
    channel.sendToQueue(queue, Buffer.from('brought'), { headers: { 'x-delivery-count': 9, 'x-acquired-count': 9 } })
    await channel.waitForConfirms()
    await connection.close()
    await depthIs(open(true), queue, 1)

    const [page] = await look(open(true), queue)

    expect(page?.map(({ givenBack }) => givenBack)).toEqual([0])
  })

  it.each([
    ['a classic queue', classic],
    ['a quorum queue without a limit', quorum],
    ['a quorum queue with a limit', limited(20)],
  ])('E-11 what stays of %s while every third message goes, more than one channel holds, comes back in its order', async (_, kind) => {
    const { queue, texts } = await filled(7500, kind)
    const holding = await open(true).hold(queue, holdOptions({ ...all, ahead: 50 }))

    const going: Promise<void>[] = []
    for await (const messages of holding.pages())
      for (const held of messages) if (texts.indexOf(textOf(held)) % 3 === 0) going.push(holding.consume(held, []))
    await Promise.all(going)
    const given = await holding.giveBack()

    expect(given.returned).toBe(5000)
    expect(await textsOf(open(true), queue)).toEqual(texts.filter((_text, index) => index % 3 > 0))
  })

  it('E-11 what stays comes back in its order where one of eight stays, and more of them than a consumer keeps room for', async () => {
    const { queue, texts } = await filled(6400, quorum)
    const places = new Map(texts.map((text, place) => [text, place]))
    const holding = await open(true).hold(queue, holdOptions({ ...all, ahead: 50 }))

    const going: Promise<void>[] = []
    for await (const messages of holding.pages())
      for (const held of messages) if ((places.get(textOf(held)) as number) % 8 > 0) going.push(holding.consume(held, []))
    await Promise.all(going)
    const given = await holding.giveBack()

    expect(given.returned).toBe(800)
    expect(await textsOf(open(true), queue)).toEqual(texts.filter((_text, place) => place % 8 === 0))
  })

  it.each([
    ['a classic queue', classic],
    ['a quorum queue without a limit', quorum],
    ['a quorum queue with a limit', limited(20)],
  ])('E-11 what stays of %s comes back in its order when nobody goes on in the middle', async (_, kind) => {
    const { queue, texts } = await filled(4501, kind)
    const places = new Map(texts.map((text, place) => [text, place]))
    const interrupted = new AbortController()
    const holding = await open(true).hold(queue, holdOptions({ ...all, page: 100, ahead: 50, signal: interrupted.signal }))

    const going: Promise<void>[] = []
    const gone = new Set<string>()
    for await (const messages of holding.pages()) {
      for (const held of messages) {
        const text = textOf(held)
        if ((places.get(text) as number) % 2 === 0) continue
        gone.add(text)
        going.push(holding.consume(held, []))
      }
      if (gone.size > 1200) interrupted.abort()
    }
    await Promise.all(going)
    await holding.giveBack()

    expect(gone.size).toBeLessThan(1400)
    expect(await textsOf(open(true), queue)).toEqual(texts.filter((text) => !gone.has(text)))
  })

  it.each([
    ['a quorum queue without a limit', quorum],
    ['a quorum queue with a limit', limited(20)],
  ])('E-14 what comes to %s while every second message goes is behind what stays, in its order', async (_, kind) => {
    const { queue, texts } = await filled(3301, kind)
    const late = Array.from({ length: 40 }, (_late, number) => `late${number}`)
    const transport = openRabbit(host.url)
    const holding = await open(true).hold(queue, holdOptions({ ...all, page: 100, ahead: 50 }))

    const going: Promise<void>[] = []
    const shown: string[] = []
    for await (const messages of holding.pages()) {
      shown.push(...messages.map(textOf))
      going.push(...messages.filter((_held, index) => index % 2 === 1).map((held) => holding.consume(held, [])))
      const next = late.splice(0, 1)
      await transport.dispatch(next.map((text) => ({ ...message(text, queue), to: { exactQueue: queue } })))
    }
    await transport.dispatch(late.map((text) => ({ ...message(text, queue), to: { exactQueue: queue } })))
    await Promise.all(going)
    const given = await holding.giveBack()

    expect(shown).toEqual(texts)
    expect(given.newerArrivals).toBe(40)
    const left = await textsOf(open(true), queue)
    expect(left.filter((text) => text.startsWith('late'))).toEqual(Array.from({ length: 40 }, (_late, number) => `late${number}`))
    expect(left.slice(0, -40)).toEqual(texts.filter((text) => left.includes(text)))
    expect(left.length).toBe(3301 - going.length + 40)
  })

  it('E-18 that is closed in the middle of a page gives back what it has', async () => {
    const { queue, texts } = await filled(500, quorum)
    const transport = open(true)
    const holding = await transport.hold(queue, holdOptions({ purpose: 'look', page: 200 }))
    const pages = holding.pages()[Symbol.asyncIterator]()
    await pages.next()

    const next = pages.next()
    await transport.close()
    await next

    expect(await textsOf(open(true), queue)).toEqual(texts)
  })

  it.each([true, false])('a stream is refused, and shown as what it is, whether the management API tells it (%s) or not', async (told) => {
    const { queue } = await filled(3, { 'x-queue-type': 'stream' })
    const transport = open(told)

    await expect(look(transport, queue)).rejects.toSatisfy(hasCode('NSB_STREAM_QUEUE'))
    await expect(transport.hold(queue, holdOptions())).rejects.toSatisfy(hasCode('NSB_STREAM_QUEUE'))
    expect(await transport.inspect(queue)).toMatchObject({ kind: 'stream', looksLeft: 'unlimited' })
    expect((await open(true).queues()).find((facts) => facts.queue === queue)).toMatchObject({ kind: 'stream' })
  })

  it('a queue that is deleted while it is looked at is said to be gone', async () => {
    const { queue } = await filled(100, quorum)
    const transport = open(true)
    const holding = await transport.hold(queue, holdOptions({ purpose: 'look', page: 20 }))
    const pages = holding.pages()[Symbol.asyncIterator]()
    await pages.next()

    await host.api('DELETE', `queues/${host.name}/${queue}`)

    await expect(pages.next()).rejects.toSatisfy(hasCode('NSB_QUEUE_NOT_FOUND'))
    await holding.giveBack()
  })
})

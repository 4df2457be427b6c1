import assert from 'node:assert/strict'
import { describe, expect, it } from 'vitest'
import { leftoverOf } from '../../../../src/toolkit/errors/replay/resume-staged.ts'
import { StagedHolding, moveUnchanged, operationOf, stagingLeftovers, stagingQueue } from '../../../../src/toolkit/errors/replay/staging.ts'
import { NsbError } from '../../../../src/message/nsb-error.ts'
import { openTransport } from '../../../../src/transport/open.ts'
import type { HeldMessage, Transport } from '../../../../src/transport/transport.ts'
import { failureHeaders } from '../../../cli/nsb.ts'

const operation = '01JD3KAAAAAAAAAAAAAAAAAAAA'
const queue = stagingQueue(operation)
const never = new AbortController().signal

async function worldWith(count: number): Promise<Transport> {
  const transport = await openTransport('memory:')
  await transport.createQueues(['error', 'Sales', queue])
  for (let index = 1; index <= count; index++)
    await transport.dispatch([
      { id: `m${index}`, headers: failureHeaders(`m${index}`), body: Buffer.from(`${index}`), to: { exactQueue: queue } },
    ])
  return transport
}

const look = { purpose: 'look', overrule: [], page: 100, max: 1000, signal: never, beforeRemove: () => undefined } as const

async function messagesIn(transport: Transport, name: string): Promise<readonly HeldMessage[]> {
  const holding = await transport.hold(name, look)
  const found: HeldMessage[] = []
  for await (const page of holding.pages()) found.push(...page)
  await holding.giveBack()
  return found
}

const open = async (transport: Transport, turns?: { soon: number; ready(): boolean }): Promise<StagedHolding> =>
  (await StagedHolding.open(transport, {
    queue,
    turns,
    window: 50,
    settle: () => Promise.resolve(),
    overrule: [],
    signal: never,
    beforeRemove: () => undefined,
  })) as StagedHolding

describe('a staging queue', () => {
  it('has the name of its operation, and no other name is taken for one', () => {
    assert.equal(queue, `nsb.staging.${operation}`)
    assert.equal(operationOf(queue), operation)
    for (const name of [
      'error',
      'nsb.staging.',
      `${queue}1`,
      `nsb.staging.../../etc`,
      `nsb.staging.${'\u001b'.repeat(26)}`,
      queue.toLowerCase(),
      `x${queue}`,
    ])
      assert.equal(operationOf(name), undefined)
  })

  it('that was left behind is found, with its messages, and names of others are left out', async () => {
    const transport = await worldWith(3)
    await transport.createQueues(['nsb.staging.\u001b[31mevil', 'nsb.staging.01JD'])

    assert.deepEqual(await stagingLeftovers(transport), [{ operation, queue, depth: 3 }])
  })

  it('is found by the whole id of its operation where queues cannot be listed', async () => {
    const transport = await worldWith(3)
    transport.queues = () => Promise.reject(new NsbError({ code: 'NSB_MANAGEMENT_UNREACHABLE', message: 'no' }))

    assert.deepEqual(await leftoverOf(transport, operation.toLowerCase()), { operation, queue, depth: 3 })
    assert.equal(await leftoverOf(transport, `${operation.slice(0, 25)}B`), undefined)
    await assert.rejects(leftoverOf(transport, operation.slice(0, 8)), { code: 'NSB_MANAGEMENT_UNREACHABLE' })
  })
})

describe('the messages of a staging queue', () => {
  it('all come, in their order, when nothing slows them down', async () => {
    const transport = await worldWith(5)
    const holding = await open(transport)
    const seen: string[] = []

    for await (const page of holding.pages())
      for (const message of page) {
        seen.push(message.id)
        await holding.consume(message, [])
      }
    await holding.giveBack()

    assert.deepEqual(seen, ['m1', 'm2', 'm3', 'm4', 'm5'])
    assert.equal(await transport.removeIfEmpty(queue), true)
  })

  it('are left alone when none may begin any more', async () => {
    const transport = await worldWith(5)
    let left = 2
    const holding = await open(transport, { soon: 2, ready: () => left-- > 0 })
    const seen: string[] = []

    for await (const page of holding.pages()) {
      for (const message of page) seen.push(message.id)
      await Promise.all(page.map((message) => holding.consume(message, [])))
    }
    await holding.giveBack()

    expect((await messagesIn(transport, queue)).map(({ id }) => id)).toEqual(['m1', 'm2', 'm3', 'm4', 'm5'].slice(seen.length))
  })

  it('that cannot be removed do not come again for ever', async () => {
    const transport = await worldWith(2)
    const holding = await open(transport)
    let seen = 0

    for await (const page of holding.pages()) seen += page.length
    await holding.giveBack()

    assert.equal(seen, 2)
    assert.equal((await messagesIn(transport, queue)).length, 2)
  })

  it('undefined is what opens where there is no such queue', async () => {
    const transport = await openTransport('memory:')

    assert.equal(await open(transport), undefined)
  })
})

describe('moving a queue back', () => {
  const options = {
    from: queue,
    to: 'error',
    together: 100,
    overrule: [],
    signal: never,
    isSafe: () => false,
    begin: () => undefined,
    beforeRemove: () => undefined,
    progress: () => undefined,
  }

  it('moves each message as it is, in its order', async () => {
    const transport = await worldWith(250)
    const before = await messagesIn(transport, queue)

    const { moved, problem } = await moveUnchanged(transport, options)

    const after = await messagesIn(transport, 'error')
    assert.deepEqual([moved, problem], [250, undefined])
    assert.deepEqual(
      after.map(({ headers, body }) => [headers, Buffer.from(body).toString()]),
      before.map(({ headers, body }) => [headers, Buffer.from(body).toString()]),
    )
    assert.equal(await transport.removeIfEmpty(queue), true)
  })

  it('of a message that is there already only the original goes', async () => {
    const transport = await worldWith(3)

    await moveUnchanged(transport, { ...options, isSafe: ({ id }) => id === 'm2' })

    assert.deepEqual(
      (await messagesIn(transport, 'error')).map(({ id }) => id),
      ['m1', 'm3'],
    )
    assert.deepEqual(await messagesIn(transport, queue), [])
  })

  it('what cannot be moved stays, and the reason is told', async () => {
    const transport = await worldWith(3)

    const { moved, problem } = await moveUnchanged(transport, { ...options, to: 'gone' })

    assert.equal(moved, 0)
    assert.equal((problem as NsbError).code, 'NSB_QUEUE_NOT_FOUND')
    assert.equal((await messagesIn(transport, queue)).length, 3)
  })
})

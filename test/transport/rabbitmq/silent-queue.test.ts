import { connect } from 'amqplib'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { nsb, temporaryFolder } from '../../cli/nsb.ts'
import { type Broker, startBroker } from '../../support/broker.ts'
import { depthIs, hasCode, holdOptions, message, openRabbit } from './faults-support.ts'

// Issue 14: of a quorum queue whose leader does not answer the broker says that it is empty. The leader is stopped here, so the broker is nobody else's.

let broker: Broker
let url: string
beforeAll(async () => {
  broker = await startBroker()
  url = `amqp://guest:guest@127.0.0.1:${broker.port}`
})
afterAll(() => broker.remove())

let queues = 0

/** A quorum queue with so many messages. */
async function filled(count: number): Promise<string> {
  const queue = `silent${++queues}`
  const transport = openRabbit(url)
  await transport.createQueues([], [queue])
  await transport.dispatch(Array.from({ length: count }, (_, number) => message(`m${number}`, queue)))
  await depthIs(transport, queue, count)
  return queue
}

/** Stops the leader of a queue. @returns lets it go on */
async function suspendLeader(queue: string): Promise<() => Promise<unknown>> {
  const tell = (what: string): Promise<string> => broker.control('eval', `sys:${what}(whereis(list_to_atom("%2F_${queue}"))).`)
  await tell('suspend')
  let goesOn: Promise<unknown> | undefined
  const resume = (): Promise<unknown> => (goesOn ??= tell('resume'))
  onTestFinished(() => void resume())
  return resume
}

describe('a quorum queue whose leader does not answer', () => {
  it('is said by the broker to have no messages and no consumers, a quarter of a second later', async () => {
    const queue = await filled(3)
    const connection = await connect(url)
    const channel = await connection.createChannel()
    await suspendLeader(queue)

    const begun = performance.now()
    const answer = await channel.checkQueue(queue)

    expect(answer).toMatchObject({ messageCount: 0, consumerCount: 0 })
    expect(performance.now() - begun).toBeGreaterThanOrEqual(250)
    await connection.close()
  })

  it('is not taken for an empty one: it is asked until it answers', async () => {
    const queue = await filled(3)
    const transport = openRabbit(url)
    const resume = await suspendLeader(queue)

    const asking = transport.inspect(queue)
    await resume()

    expect(await asking).toMatchObject({ depth: 3 })
  })

  it('is named as silent after the time-out, and neither looked at nor removed', async () => {
    const queue = await filled(3)
    const transport = openRabbit(url, { timeoutMs: 2000 })
    await suspendLeader(queue)

    await expect(transport.inspect(queue)).rejects.toSatisfy(hasCode('NSB_QUEUE_SILENT'))
    await expect(transport.hold(queue, holdOptions({ purpose: 'look' }))).rejects.toThrow()
    await expect(transport.removeIfEmpty(queue)).rejects.toThrow()
  })

  it('CLI-3 makes nsb errors list --fail-if-any end with 5', async () => {
    const queue = await filled(3)
    await suspendLeader(queue)

    const listed = await nsb(['errors', 'list', '--fail-if-any', '--error-queue', queue, '--timeout', '1s', '--json'], {
      cwd: temporaryFolder(),
      env: { NSB_CONNECTION: url },
    })

    expect(listed.code).toBe(5)
    expect(listed.json()).toMatchObject({ error: { code: 'NSB_QUEUE_SILENT' } })
  })
})

describe('a quorum queue that has no leader', () => {
  /** @returns brings it back */
  async function stopLeader(queue: string): Promise<() => Promise<unknown>> {
    const tell = (what: string): Promise<string> =>
      broker.control('eval', `ra:${what}_server(quorum_queues, {list_to_atom("%2F_${queue}"), node()}).`)
    await tell('stop')
    let goesOn: Promise<unknown> | undefined
    const restart = (): Promise<unknown> => (goesOn ??= tell('restart'))
    onTestFinished(() => void restart())
    return restart
  }

  it('is said by the broker to have no messages and no consumers, at once', async () => {
    const queue = await filled(3)
    const connection = await connect(url)
    const channel = await connection.createChannel()
    await stopLeader(queue)

    expect(await channel.checkQueue(queue)).toMatchObject({ messageCount: 0, consumerCount: 0 })
    await connection.close()
  })

  it('is not taken for an empty one, by looks, by changes and by what removes empty queues', async () => {
    const queue = await filled(3)
    const transport = openRabbit(url)
    const restart = await stopLeader(queue)

    for (const purpose of ['look', 'change'] as const)
      await expect(transport.hold(queue, holdOptions({ purpose }))).rejects.toSatisfy(hasCode('NSB_CONNECTION_LOST'))
    await expect(transport.removeIfEmpty(queue)).rejects.toSatisfy(hasCode('NSB_CONNECTION_LOST'))
    await restart()

    await depthIs(transport, queue, 3)
  })
})

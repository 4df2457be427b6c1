import { connect } from 'amqplib'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Ended } from '../../cli/nsb.ts'
import { brokerShop } from '../../support/broker-shop.ts'
import { ErrorQueue } from '../../support/error-queue.ts'
import { makeVirtualHost } from '../../support/virtual-host.ts'

const errorOf = ({ json }: Ended): { readonly code: string; readonly hint: string; readonly details: Readonly<Record<string, unknown>> } =>
  json()['error'] as never

/** A virtual host with these queues, and a project that looks at it. */
async function shopBeside(...queues: readonly string[]): Promise<ReturnType<typeof brokerShop>> {
  const host = await makeVirtualHost()
  onTestFinished(() => host.remove())
  for (const queue of queues) await ErrorQueue.make(host, queue, { kind: 'classic' })
  return brokerShop(host)
}

describe('an error queue that a broker does not have', () => {
  it('ends errors list --fail-if-any with 4, so that a wrong virtual host does not pass', async () => {
    const shop = await shopBeside()

    const ended = await shop.run('errors', 'list', '--fail-if-any')

    expect(ended.code).toBe(4)
    expect(ended.stderr).toMatch(/NSB_QUEUE_NOT_FOUND: There is no queue 'error' on amqp:.*virtual host/s)
    expect(ended.stderr).not.toContain('empty')
  })

  it('is never taken for an empty one, though its name is the default', async () => {
    const shop = await shopBeside('billing.error')
    const readers = [
      [],
      ['groups'],
      ['list', '--count'],
      ['show', 'abcd'],
      ['edit', 'abcd', '--merge', '{}'],
      ['replay', '--all', '--yes'],
      ['replay', '--all', '--dry-run'],
      ['archive', '--all', '--yes'],
      ['export'],
      ['watch', '--exit-on-first'],
    ]

    const ended = await Promise.all(readers.map((words) => shop.run('errors', ...words, '--json')))

    expect(ended.map(({ code }) => code)).toEqual(readers.map(() => 4))
    for (const each of ended)
      expect(errorOf(each)).toMatchObject({ code: 'NSB_QUEUE_NOT_FOUND', details: { errorQueues: ['billing.error'] } })
  })

  it('is told as missing, and not as in hand, while another nsb looks for it too', async () => {
    const host = await makeVirtualHost()
    onTestFinished(() => host.remove())
    const other = await connect(host.url)
    onTestFinished(() => other.close())
    await (await other.createChannel()).assertQueue('nsb.lock.error', { exclusive: true, autoDelete: true, durable: false })

    const ended = await brokerShop(host).run('errors', 'watch', '--exit-on-first', '--json')

    expect(ended.code, ended.stderr).toBe(4)
    expect(errorOf(ended)).toMatchObject({ code: 'NSB_QUEUE_NOT_FOUND' })
  })

  it('is told with the queues that look like error queues', async () => {
    const shop = await shopBeside('Sales', 'billing.error', 'orders_error', 'dead-letter-queue')

    const ended = await shop.run('errors')

    expect(ended.stderr).toContain(
      `These look like error queues: 'billing.error', 'dead-letter-queue', 'orders_error'; name one: --error-queue <name>`,
    )
    expect(ended.stderr).not.toContain(`'Sales'`)
  })

  it('is named by send --await-reply, which would not see a failure', async () => {
    const shop = await shopBeside('Shop')

    const ended = await shop.run('send', 'PlaceOrder', '--data', 'OrderId=1', '--to', 'Shop', '--await-reply', '--reply-timeout', '100ms')

    expect(ended.code).toBe(7)
    expect(ended.stderr).toContain(`there is no error queue 'error', so a failure of the request would not be seen`)
  })
})

import { expect, it, onTestFinished } from 'vitest'
import { failureHeaders } from '../../cli/nsb.ts'
import { brokerShop } from '../../support/broker-shop.ts'
import { ErrorQueue } from '../../support/error-queue.ts'
import { makeVirtualHost } from '../../support/virtual-host.ts'

it('E-30 replay in batches tells in the direct topology what succeeded and what failed again, and ends there', {
  timeout: 90_000,
}, async () => {
  const host = await makeVirtualHost()
  onTestFinished(() => host.remove())
  const shop = brokerShop(host, { topology: 'direct' }, `if (message.OrderId === 'bad') throw new Error('no stock')`)
  const errors = await ErrorQueue.make(host, 'error', { kind: 'quorum' })
  const failure = { 'NServiceBus.EnclosedMessageTypes': 'Shop.PlaceOrder', 'NServiceBus.FailedQ': 'Shop' }
  await errors.put(
    ['1', 'bad', '3'].map((order) => ({
      body: JSON.stringify({ OrderId: order }),
      headers: failureHeaders(`m${order}`, failure),
      properties: { messageId: `m${order}` },
    })),
  )
  await errors.put([{ body: '{}', headers: failureHeaders('other', { 'NServiceBus.ExceptionInfo.ExceptionType': 'Other' }) }])
  const endpoint = shop.start('run', '--no-retries', '--log', 'json')
  await expect.poll(() => endpoint.stdout.includes('"event":"ready"') || endpoint.stderr, { timeout: 20_000 }).toBe(true)

  const words = ['--exception', 'System.Exception', '--batch', '1,1,rest', '--batch-pause', '1ms', '--wait', '20s', '--yes', '--json']
  const replayed = await shop.run('errors', 'replay', ...words)

  const ended = { stoppedAfterBatch: 2, published: 2, succeeded: 1, failedAgain: 1, noAnswer: 0, leftInQueue: 2, newerArrivals: 0 }
  expect(replayed.json(), replayed.stderr).toMatchObject({ ...ended, staged: { left: 1 } })
  expect(replayed.code).toBe(8)
  const resumed = await shop.run('errors', 'resume', '--yes', '--json')
  expect(resumed.json(), resumed.stderr).toMatchObject({ sentFirst: 1, succeeded: 1, failedAgain: 0, leftInQueue: 2 })
  expect(resumed.code).toBe(0)
  const lying = await errors.drain()
  expect(lying.map(({ body }) => body).toSorted()).toEqual(['{"OrderId":"bad"}', '{}'])
})

import { expect, it, onTestFinished } from 'vitest'
import { failureHeaders } from '../../cli/nsb.ts'
import { brokerShop } from '../../support/broker-shop.ts'
import { ErrorQueue } from '../../support/error-queue.ts'
import { makeVirtualHost } from '../../support/virtual-host.ts'
import { killReplays, replayKills } from '../replay.ts'

it(`E-24 a staged replay on a broker that is killed ${replayKills} times at random points and resumed loses nothing and announces what is sent twice`, {
  timeout: 1_200_000,
}, async () => {
  const host = await makeVirtualHost()
  onTestFinished(() => host.remove())
  const shop = brokerShop(host)
  const errors = await ErrorQueue.make(host, 'error', { kind: 'quorum' })
  const sales = await ErrorQueue.make(host, 'Sales', { kind: 'quorum' })

  const account = await killReplays(
    {
      folder: shop.folder,
      env: { NSB_STATE_DIR: shop.state, CI: '1' },
      fill: (ids) =>
        errors.put(
          ids.map((id) => ({ body: id, headers: failureHeaders(id, { 'NServiceBus.FailedQ': 'Sales' }), properties: { messageId: id } })),
        ),
      async drain() {
        const [error, target] = [await errors.drain(), await sales.drain()]
        return { error: error.map(({ body }) => body), target: target.map(({ body }) => body) }
      },
    },
    replayKills,
    { flags: ['--staged'], withinMs: 900 },
  )

  console.log(JSON.stringify(account))
  expect(account).toMatchObject({ lost: 0, oftener: 0, left: 0 })
})

import { expect, it, onTestFinished } from 'vitest'
import { failureHeaders } from '../../cli/nsb.ts'
import { brokerShop } from '../../support/broker-shop.ts'
import { ErrorQueue } from '../../support/error-queue.ts'
import { makeVirtualHost } from '../../support/virtual-host.ts'
import { bodyOf, editKills, killEdits } from '../edit.ts'

it(`E-24 E-34 an edit on a broker that is killed ${editKills} times at random points and resumed loses nothing, never sends twice, and says what may be there twice`, {
  timeout: 1_200_000,
}, async () => {
  const host = await makeVirtualHost()
  onTestFinished(() => host.remove())
  const { folder, state } = brokerShop(host)
  const errors = await ErrorQueue.make(host, 'error', { kind: 'quorum' })
  const sales = await ErrorQueue.make(host, 'Sales', { kind: 'quorum' })

  const account = await killEdits(
    {
      folder,
      state,
      env: { NSB_STATE_DIR: state, CI: '1' },
      fill: (id) => errors.put([{ body: bodyOf(id), headers: failureHeaders(id), properties: { messageId: id } }]),
      async drain() {
        const [error, target] = [await errors.drain(), await sales.drain()]
        return { error: error.map(({ body }) => body), target: target.map(({ body }) => body) }
      },
    },
    editKills,
  )

  console.log(JSON.stringify(account))
  expect(account).toMatchObject({ lost: 0, sentTwice: 0, unannounced: 0 })
})

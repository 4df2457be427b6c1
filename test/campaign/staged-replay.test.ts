import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { failureHeaders, messagesIn, projectWith, putMessage } from '../cli/nsb.ts'
import { killReplays, replayKills } from './replay.ts'

it(`E-24 a staged replay in folders that is killed ${replayKills} times at random points and resumed sends every message once`, {
  timeout: 1_200_000,
}, async () => {
  const { folder, storage } = projectWith()
  const taken = (queue: string): readonly string[] => {
    const ids = messagesIn(storage, queue).map(({ headers }) => String(headers['NServiceBus.MessageId']))
    for (const { file } of messagesIn(storage, queue)) rmSync(join(storage, queue, file))
    return ids
  }
  putMessage(storage, 'Shop.Server', 'there', { 'NServiceBus.MessageId': 'there' })
  taken('Shop.Server')

  const account = await killReplays(
    {
      folder,
      env: { NSB_STATE_DIR: join(folder, 'state') },
      async fill(ids) {
        for (const id of ids) putMessage(storage, 'error', id, failureHeaders(id, { 'NServiceBus.FailedQ': 'Shop.Server' }))
      },
      async drain() {
        return { error: taken('error'), target: taken('Shop.Server') }
      },
    },
    replayKills,
    { flags: ['--staged'], withinMs: 900 },
  )

  console.log(JSON.stringify(account))
  expect(account).toMatchObject({ lost: 0, twice: 0, oftener: 0, announced: 0, left: 0 })
})

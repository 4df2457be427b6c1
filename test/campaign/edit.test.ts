import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { failureHeaders, messagesIn, projectWith, putMessage } from '../cli/nsb.ts'
import { bodyOf, editKills, killEdits } from './edit.ts'

it(`E-24 E-34 an edit in folders that is killed ${editKills} times at random points and resumed leaves either the original or its copy`, {
  timeout: 1_200_000,
}, async () => {
  const { folder, storage } = projectWith()
  const state = join(folder, 'state')
  const taken = (queue: string): readonly string[] =>
    messagesIn(storage, queue).map(({ body, file }) => {
      rmSync(join(storage, queue, file))
      return body
    })

  const account = await killEdits(
    {
      folder,
      state,
      env: { NSB_STATE_DIR: state, CI: '1' },
      fill: (id) =>
        Promise.resolve(putMessage(storage, 'error', id, failureHeaders(id, { 'NServiceBus.FailedQ': 'Shop.Server' }), bodyOf(id))),
      drain: () => Promise.resolve({ error: taken('error'), target: taken('Shop.Server') }),
    },
    editKills,
  )

  console.log(JSON.stringify(account))
  expect(account).toMatchObject({ lost: 0, sentTwice: 0, unannounced: 0, announced: 0 })
})

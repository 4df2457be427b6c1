import assert from 'node:assert/strict'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseConnection } from '../../../../src/transport/rabbitmq/connection-settings.ts'
import { rabbitTransport } from '../../../../src/transport/rabbitmq/transport.ts'
import { ErrorQueue } from '../../../support/error-queue.ts'
import { tempFolder } from '../../../support/temp-folder.ts'
import { type VirtualHost, makeVirtualHost } from '../../../support/virtual-host.ts'
import { type KilledEdit, archivedIds, editUntil, resumed } from '../../errors/edit/killed-edit.ts'

let host: VirtualHost
beforeAll(async () => {
  host = await makeVirtualHost()
})
afterAll(() => host.remove())

async function world(name: string, staysFailed: boolean) {
  const errors = await ErrorQueue.make(host, `error-${name}`, { kind: 'quorum' })
  const sales = await ErrorQueue.make(host, `Sales-${name}`, { kind: 'quorum' })
  await errors.fill(2)
  const edit: KilledEdit = {
    kind: 'rabbitmq',
    at: host.url,
    queue: errors.name,
    state: join(tempFolder(), 'state'),
    target: staysFailed ? errors.name : sales.name,
    staysFailed,
  }
  const ids = async (queue: ErrorQueue): Promise<string[]> =>
    (await queue.drain()).map(({ headers }) => String(headers['NServiceBus.MessageId'])).toSorted()
  return {
    edit,
    /** @param ready messages that the killed process leaves in the error queue */
    resume: async (ready: number) => {
      await expect.poll(() => errors.depth()).toBe(ready)
      const transport = rabbitTransport({ settings: parseConnection(host.url).settings, warn: () => undefined })
      const result = await resumed(transport, edit.state)
      await transport.close()
      return { result, error: await ids(errors), sales: await ids(sales), archived: archivedIds(edit.state, errors.name) }
    },
  }
}

const untouched = { error: ['m1', 'm2'], sales: [] as string[], archived: ['m1'] }

describe('an edit that is killed, on a broker', () => {
  it.each([
    ['held', 2, { ...untouched, result: undefined, archived: [] }],
    ['selected', 2, { ...untouched, result: 'uncertain' }],
    // Sent, and nobody could note it: both are there, and that is what resume says.
    ['confirmed', 2, { ...untouched, sales: ['copy'], result: 'uncertain' }],
    ['noted', 2, { error: ['m2'], sales: ['copy'], archived: ['m1'], result: 'removed' }],
  ])('E-24 E-34 loses nothing and never sends twice: at "%s"', { timeout: 60_000 }, async (step, ready, expected) => {
    const { edit, resume } = await world(step, false)

    assert.equal(await editUntil(step, edit), 'SIGKILL')

    assert.deepEqual(await resume(ready), expected)
  })

  it.each([
    ['selected', 2, { ...untouched, result: 'notSent' }],
    ['confirmed', 3, { error: ['copy', 'm2'], sales: [], archived: ['m1'], result: 'removed' }],
    ['noted', 3, { error: ['copy', 'm2'], sales: [], archived: ['m1'], result: 'removed' }],
  ])('E-24 E-34 sees the copy that went back into the error queue: at "%s"', { timeout: 60_000 }, async (step, ready, expected) => {
    const { edit, resume } = await world(`stays-${step}`, true)

    assert.equal(await editUntil(step, edit), 'SIGKILL')

    assert.deepEqual(await resume(ready), expected)
  })
})

import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { openTransport } from '../../../../src/transport/open.ts'
import { failureHeaders, messagesIn, putMessage } from '../../../cli/nsb.ts'
import { tempFolder } from '../../../support/temp-folder.ts'
import { type KilledEdit, archivedIds, editUntil, resumed } from './killed-edit.ts'

/** A message in the error queue, and what is in the queues after an edit was killed and resumed. */
function world(staysFailed: boolean) {
  const folder = tempFolder()
  const storage = join(folder, 'storage')
  mkdirSync(join(storage, 'Sales', '.bodies'), { recursive: true })
  putMessage(storage, 'error', 'entry-1', failureHeaders('m1'))
  putMessage(storage, 'error', 'entry-2', failureHeaders('m2'))
  const edit: KilledEdit = {
    kind: 'learning',
    at: storage,
    queue: 'error',
    state: join(folder, 'state'),
    target: staysFailed ? 'error' : 'Sales',
    staysFailed,
  }
  const ids = (queue: string): string[] => messagesIn(storage, queue).map(({ headers }) => headers['NServiceBus.MessageId'] as string)
  return {
    edit,
    resume: async () => {
      const transport = await openTransport({ kind: 'learning', storage })
      const result = await resumed(transport, edit.state)
      await transport.close()
      return { result, error: ids('error').toSorted(), sales: ids('Sales'), archived: archivedIds(edit.state) }
    },
  }
}

const untouched = { error: ['m1', 'm2'], sales: [], archived: ['m1'] }
const done = { error: ['m2'], sales: ['copy'], archived: ['m1'] }

describe('an edit that is killed, on folders', () => {
  it.each([
    ['held', { ...untouched, result: undefined, archived: [] }],
    ['selected', { ...untouched, result: 'notSent' }],
    ['confirmed', { ...done, result: 'gone' }],
    ['noted', { ...done, result: 'gone' }],
    ['removed', { ...done, result: 'gone' }],
  ])('E-24 E-34 loses nothing and sends nothing twice: at "%s"', async (step, expected) => {
    const { edit, resume } = world(false)

    assert.equal(await editUntil(step, edit), 'SIGKILL')

    assert.deepEqual(await resume(), expected)
  })

  it.each([
    ['selected', { ...untouched, result: 'notSent' }],
    ['confirmed', { error: ['copy', 'm2'], sales: [], archived: ['m1'], result: 'gone' }],
  ])('E-24 E-34 nor where the copy goes back into the error queue: at "%s"', async (step, expected) => {
    const { edit, resume } = world(true)

    assert.equal(await editUntil(step, edit), 'SIGKILL')

    assert.deepEqual(await resume(), expected)
  })
})

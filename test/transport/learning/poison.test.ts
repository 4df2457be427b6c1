import { strict as assert } from 'node:assert'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { tempFolder } from '../../support/temp-folder.ts'
import {
  consume,
  depthIs,
  filesIn,
  hasCode,
  holdOptions,
  look,
  message,
  openLearning,
  receive,
  textOf,
  until,
  writeByHand,
} from './support.ts'

describe('L-14 a message that cannot be read', () => {
  it.each([
    ['half a file', '{"NServiceBus.MessageId":"1'],
    ['a numeric header', '{"NServiceBus.Retries":1}'],
    ['no JSON object', '"text"'],
  ])('%s: ends in the error queue with its raw text and the reason', async (_, text) => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    writeByHand(storage, 'sales', 'broken', text, 'the body')

    const seen = await receive(transport, 'sales')
    await depthIs(transport, 'error', 1)
    await seen.stop()

    const [poison] = (await look(transport, 'error')).flat()
    assert.ok(poison)
    assert.equal(textOf(poison), text)
    assert.equal(poison.id, 'broken')
    assert.equal(poison.headers['NServiceBus.FailedQ'], 'sales')
    assert.equal(poison.headers['NServiceBus.ExceptionInfo.ExceptionType'], 'Nsb.PoisonMessage')
    assert.match(poison.headers['NServiceBus.ExceptionInfo.Message'] ?? '', /broken\.metadata\.txt/)
    assert.match(poison.headers['NServiceBus.TimeOfFailure'] ?? '', /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d:\d{6} Z$/)
    assert.deepEqual(seen.deliveries, [])
    assert.deepEqual(seen.errors, [])
    // Its own body is all that is left of it, so it stays.
    assert.deepEqual(filesIn(join(storage, 'sales')), ['.bodies/broken.body.txt'])
  })

  it('without a body file ends in the error queue with its headers', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    writeByHand(storage, 'sales', 'nobody', '{"NServiceBus.MessageId":"1","Custom":"kept"}')

    const told: string[] = []
    const seen = await receive(transport, 'sales', undefined, { onPoison: ({ nativeId, reason }) => told.push(`${nativeId}: ${reason}`) })
    await depthIs(transport, 'error', 1)
    await seen.stop()

    assert.match(told.join(), /^nobody: .*has no body file/)
    const [poison] = (await look(transport, 'error')).flat()
    assert.equal(poison?.id, '1')
    assert.equal(poison?.headers['Custom'], 'kept')
    assert.match(poison?.headers['NServiceBus.ExceptionInfo.Message'] ?? '', /has no body file/)
    assert.equal(poison?.body.length, 0)
    assert.deepEqual(filesIn(join(storage, 'sales')), [])
  })

  it.each(['.DS_Store', '.hidden-x.metadata.txt', 'notes', 'notes.txt~', 'x.metadata.out'])(
    'a stray file %s does the same, and is not stuck',
    async (name) => {
      const storage = tempFolder()
      const transport = openLearning(storage)
      mkdirSync(join(storage, 'sales'), { recursive: true })
      writeFileSync(join(storage, 'sales', name), 'stray')

      const seen = await receive(transport, 'sales')
      await depthIs(transport, 'error', 1)
      await seen.stop()

      const [poison] = (await look(transport, 'error')).flat()
      assert.equal(poison && textOf(poison), 'stray')
      assert.match(poison?.headers['NServiceBus.ExceptionInfo.Message'] ?? '', new RegExp(`'${name.replaceAll('.', '\\.')}'`))
      assert.deepEqual(filesIn(join(storage, 'sales')), [])
    },
  )

  it('does not keep others waiting', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    writeByHand(storage, 'sales', 'broken', '', '')
    await transport.dispatch([message('order', 'sales')])

    const seen = await receive(transport, 'sales')
    await until('the other message arrives', () => seen.deliveries.length === 1)

    assert.ok(!existsSync(join(storage, 'error')))
  })

  it('is handled after all when its file is completed in time', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    writeByHand(storage, 'sales', 'slow', '{"NServiceBus.MessageId":', 'the body')
    const seen = await receive(transport, 'sales')
    const pending = join(storage, 'sales/.pending')
    await until('it is claimed', () => readdirSync(pending).length === 1)

    const [id = ''] = readdirSync(pending)
    writeFileSync(join(pending, id, 'slow.metadata.txt'), '{"NServiceBus.MessageId":"complete"}')
    await until('it arrives', () => seen.deliveries.length === 1)

    assert.equal(seen.deliveries[0]?.id, 'complete')
  })

  it('is put back when the receiver stops meanwhile', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    writeByHand(storage, 'sales', 'broken', '{', 'the body')
    const seen = await receive(transport, 'sales')
    await until('it is claimed', () => readdirSync(join(storage, 'sales/.pending')).length === 1)

    await seen.stop()

    assert.deepEqual(filesIn(join(storage, 'sales')), ['.bodies/broken.body.txt', 'broken.metadata.txt'])
  })

  it('is shown to an operator as unreadable, and can be taken away', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    writeByHand(storage, 'error', 'broken', '{"A":1}', 'the body')
    const held = await transport.hold('error', holdOptions())
    const pages = held.pages()[Symbol.asyncIterator]()
    const [broken] = (await pages.next()).value ?? []
    assert.ok(broken)

    assert.equal(broken.nativeId, 'broken')
    assert.match(broken.unreadable ?? '', /the value of 'A' is not a text/)
    assert.deepEqual(broken.headers, {})
    assert.equal(textOf(broken), '{"A":1}')
    await held.consume(broken, [])
    await held.giveBack()
    await depthIs(transport, 'error', 0)
  })

  it('stays in its queue when the error queue cannot be written', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    writeByHand(storage, 'sales', 'broken', '{', 'the body')
    writeFileSync(join(storage, 'error'), 'a file where the folder would be')

    const seen = await receive(transport, 'sales', async () => consume())
    await until('that is reported', () => seen.errors.length > 0)
    await seen.stop()

    assert.ok(filesIn(join(storage, 'sales')).includes('broken.metadata.txt'))
    await assert.rejects(receive(transport, 'sales', undefined, { errorQueue: '../x' }), hasCode('NSB_BAD_ADDRESS'))
  })
})

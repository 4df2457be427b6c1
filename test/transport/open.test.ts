import { strict as assert } from 'node:assert'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { openTransport } from '../../src/transport/open.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { depthIs, hasCode, message } from './learning/support.ts'

describe('openTransport', () => {
  it('opens a folder from a text and from settings', async () => {
    const storage = join(tempFolder(), 'storage')
    const one = await openTransport(`learning:${storage}`)
    const two = await openTransport({ kind: 'learning', storage })

    await one.dispatch([message('order', 'sales')])

    await depthIs(two, 'sales', 1)
  })

  it('hands settings on', async () => {
    const transport = await openTransport({ kind: 'learning', storage: tempFolder(), restrictPayloadSize: false })

    await transport.dispatch([message('large', 'sales', { body: Buffer.alloc(100_000) })])

    await depthIs(transport, 'sales', 1)
  })

  it('opens memory', async () => {
    assert.equal((await openTransport('memory:')).can.lookWithoutTrace, false)
  })

  it('names what it knows when it does not know the kind, and shows no password', async () => {
    for (const text of ['sqs://user:secret@host', 'secret', ''])
      await assert.rejects(openTransport(text), (error) => {
        hasCode('NSB_UNKNOWN_TRANSPORT')(error)
        assert.doesNotMatch(String(error), /secret/)
        assert.match(String(error), /learning:/)
        return true
      })
    await assert.rejects(openTransport({ kind: 'sqs' }), hasCode('NSB_UNKNOWN_TRANSPORT'))
  })

  it('wants a folder for the learning transport', async () => {
    await assert.rejects(openTransport('learning:'), hasCode('NSB_NO_STORAGE'))
  })
})

import assert from 'node:assert/strict'
import { describe, it, onTestFinished } from 'vitest'
import { type ReplyOutcome, sendAndAwait } from '../../../src/toolkit/send/await-reply.ts'
import { openTransport } from '../../../src/transport/open.ts'
import type { OutgoingMessage, Transport } from '../../../src/transport/transport.ts'
import { failureHeaders } from '../../cli/nsb.ts'

async function openWorld(changes: Partial<Transport>): Promise<Transport> {
  const transport = await openTransport('memory:')
  onTestFinished(() => transport.close())
  await transport.createQueues(['Sales', 'error'])
  return Object.assign(transport, changes)
}

const request: OutgoingMessage = { id: 'm1', headers: {}, body: new Uint8Array(), to: { address: 'Sales' } }
const failure: OutgoingMessage = { ...request, headers: failureHeaders('m1'), to: { exactQueue: 'error' } }

/** Nobody replies. @param sent told when the request is on its way */
async function awaited(transport: Transport, sent: () => void = () => undefined): Promise<ReplyOutcome> {
  const options = { errorQueue: 'error', timeoutMs: 200, signal: new AbortController().signal, sent }
  return (await sendAndAwait(transport, () => request, options)).outcome
}

describe('a request without a reply in time', () => {
  it('CLI-11 is looked for in the error queue when watching that was interrupted', async () => {
    const transport = await openWorld({
      tap: (_queue, _seen, events) => {
        events?.interrupted(new Error('it was lost'))
        return Promise.resolve({ stop: () => Promise.resolve() })
      },
    })

    const outcome = await awaited(transport, () => void transport.dispatch([failure]))

    assert.equal(outcome.status, 'failed')
  })

  it('CLI-11 has timed out also where the transport cannot be asked any more', async () => {
    const transport = await openWorld({ inspect: () => Promise.reject(new Error('it is away')) })

    const outcome = await awaited(transport)

    assert.deepEqual([outcome.status, outcome.status === 'timedOut' && outcome.whereabouts], ['timedOut', 'unknown'])
  })
})

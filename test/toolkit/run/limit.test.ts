import { describe, expect, it } from 'vitest'
import { consume, fill, message, openWithQueue, receive, until } from '../../../src/testing/transport-contract/support.ts'
import { memoryTransport } from '../../../src/transport/memory/transport.ts'
import { Limit } from '../../../src/toolkit/run/limit.ts'

const world = () => ({
  mode: 'receiveOnly' as const,
  unique: (name: string) => name,
  elapse: undefined,
  end: async () => undefined,
  open: async () => memoryTransport(),
})

describe('the limit of nsb run --max', () => {
  it('lets a message through again whose verdict could not be carried out, and counts it once', async () => {
    const { transport, queue } = await openWithQueue(world())
    await fill(transport, queue, 3)
    const settled: string[] = []
    const missing = message('copy', '', { to: { exactQueue: 'nowhere' } })
    let attempts = 0

    const seen = await receive(world(), new Limit(1).on(transport), queue, async () => (++attempts === 1 ? consume(missing) : consume()), {
      onDispatchFailed: () => Promise.reject(new Error('the disk is full')),
      onSettled: ({ id }) => settled.push(id),
      onCriticalError: () => undefined,
    })
    await until('one message is settled', () => settled.length > 0)
    await seen.stop({ graceMs: 0 })

    expect(settled).toContain('message 001')
    expect((await transport.inspect(queue))?.depth).toBe(2)
  })
})

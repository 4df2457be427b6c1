import { describe, expect, it } from 'vitest'
import { Limit } from '../../../src/toolkit/run/limit.ts'
import type { Decide, IncomingMessage, Transport } from '../../../src/transport/transport.ts'

/** The limited decision of a receiver, which answers `consume`. */
async function limited(limit: Limit): Promise<(signal?: AbortSignal) => Promise<string>> {
  let decide: Decide | undefined
  const transport = { receive: (_options: unknown, given: Decide) => Promise.resolve(void (decide = given)) } as unknown as Transport
  await limit.on(transport).receive({} as never, () => Promise.resolve({ kind: 'consume', outgoing: [] }))
  return async (signal = new AbortController().signal) => (await decide?.({} as IncomingMessage, signal))?.kind ?? ''
}

describe('Limit', () => {
  it('lets so many messages through, and another one for each that comes again', async () => {
    const limit = new Limit(1)
    const decide = await limited(limit)

    const first = await decide()
    const second = decide()
    limit.returned()

    expect([first, await second]).toEqual(['consume', 'consume'])
  })

  it('puts back what waits when it is closed, or when the receiver gives up', async () => {
    const limit = new Limit(1)
    const decide = await limited(limit)
    const abort = new AbortController()
    await decide()

    const [waiting, aborted] = [decide(), decide(abort.signal)]
    abort.abort()
    limit.close()

    expect(await Promise.all([waiting, aborted, decide()])).toEqual(['putBack', 'putBack', 'putBack'])
  })
})

import { describe, expect, it } from 'vitest'
import { readFailure } from '../../../../src/message/failure.ts'
import { Header } from '../../../../src/message/headers.ts'
import { type SnapshotEntry, SnapshotFile } from '../../../../src/toolkit/errors/browse/snapshot.ts'
import type { HeldMessage, QueueFacts } from '../../../../src/transport/transport.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

const facts: QueueFacts = { queue: 'error', depth: 2, consumers: 0, kind: 'quorum', deliveryLimit: 20, looksLeft: 20 }
const now = Date.UTC(2026, 10, 21)

const held = (id: string, headers: Readonly<Record<string, string>> = {}): HeldMessage => ({
  id,
  nativeId: id,
  headers: {
    [Header.MessageId]: id,
    [Header.FailedQ]: 'Sales',
    [Header.EnclosedMessageTypes]: 'Shop.PlaceOrder',
    [Header.ExceptionMessage]: `failed ${id}`,
    ...headers,
  },
  body: Buffer.from('{}'),
  queue: 'error',
  attempt: 1,
  native: {},
  givenBack: 0,
  enqueuedAt: now,
  unreadable: undefined,
})

async function kept(messages: readonly HeldMessage[]): Promise<SnapshotEntry[]> {
  const file = new SnapshotFile(tempFolder(), 'amqp://localhost', 'error')
  const writer = file.write(facts, now)
  for (const message of messages) writer.add(message, readFailure(message.headers, message.nativeId, false, message))
  await writer.keep()
  const entries: SnapshotEntry[] = []
  for await (const entry of (await file.read(now + 1))?.entries ?? []) entries.push(entry)
  return entries
}

describe('what a look keeps', () => {
  it('is whole, whatever ends lines elsewhere is in a message', async () => {
    const strange = 'one\u2028two\u2029three\u0085four\rfive\nsix'

    const entries = await kept([held('m1', { [Header.ExceptionMessage]: strange }), held('m2')])

    expect(entries.map(({ headers }) => headers[Header.ExceptionMessage])).toEqual([strange, 'failed m2'])
  })
})

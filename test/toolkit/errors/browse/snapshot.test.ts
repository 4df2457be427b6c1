import { existsSync, readFileSync, readdirSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readFailure } from '../../../../src/message/failure.ts'
import { Header } from '../../../../src/message/headers.ts'
import { type SnapshotEntry, SnapshotFile } from '../../../../src/toolkit/errors/browse/snapshot.ts'
import { removeOldSnapshots } from '../../../../src/toolkit/errors/browse/snapshot-life.ts'
import type { HeldMessage, QueueFacts } from '../../../../src/transport/transport.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

const facts: QueueFacts = { queue: 'error', depth: 2, consumers: 0, kind: 'quorum', deliveryLimit: 20, looksLeft: 20 }
const now = Date.UTC(2026, 10, 21)

const held = (
  id: string,
  headers: Readonly<Record<string, string>> = {},
  body: Uint8Array = Buffer.from(`{"Id":"${id}"}`),
): HeldMessage => ({
  id,
  nativeId: id,
  headers: {
    [Header.MessageId]: id,
    [Header.FailedQ]: 'Sales',
    [Header.EnclosedMessageTypes]: 'Shop.PlaceOrder',
    [Header.ExceptionMessage]: `failed ${id}`,
    ...headers,
  },
  body,
  queue: 'error',
  attempt: 1,
  native: {},
  givenBack: 0,
  enqueuedAt: now,
  unreadable: undefined,
})

interface Kept {
  readonly state: string
  readonly file: SnapshotFile
  /** Where it is. */
  readonly path: string
}

async function keep(messages: readonly HeldMessage[], more: { readonly keepsBodies?: boolean } = {}): Promise<Kept> {
  const state = tempFolder()
  const file = new SnapshotFile(state, 'amqp://localhost', 'error', more)
  const writer = file.write(facts, now)
  for (const message of messages) writer.add(message, readFailure(message.headers, message.nativeId, false, message))
  await writer.keep()
  const [name = ''] = readdirSync(join(state, 'snapshots'))
  return { state, file, path: join(state, 'snapshots', name) }
}

async function entriesOf(file: SnapshotFile): Promise<SnapshotEntry[]> {
  const entries: SnapshotEntry[] = []
  for await (const entry of (await file.read(now + 1))?.entries ?? []) entries.push(entry)
  return entries
}

describe('what a look keeps', () => {
  it('is whole, whatever ends lines elsewhere is in a message', async () => {
    const strange = 'one\u2028two\u2029three\u0085four\rfive\nsix'

    const entries = await entriesOf((await keep([held('m1', { [Header.ExceptionMessage]: strange }), held('m2')])).file)

    expect(entries.map(({ headers }) => headers[Header.ExceptionMessage])).toEqual([strange, 'failed m2'])
  })

  it('has the bodies byte for byte, those that are no text as well', async () => {
    const bodies = [Buffer.from('\uFEFF{"a":"\u2028 = \n"}'), Buffer.from([0xff, 0, 0x0a, 0x3d]), Buffer.alloc(0), Buffer.from('="x"')]

    const entries = await entriesOf((await keep(bodies.map((body, index) => held(`m${index}`, {}, body)))).file)

    expect(entries.map(({ keptBody }) => keptBody && Buffer.from(keptBody()))).toEqual(bodies)
  })

  it('has bodies up to 64 KiB each and 32 MiB in all, and every entry', async () => {
    const large = Buffer.alloc(64 * 1024, 'x')
    const messages = [
      held('larger', {}, Buffer.alloc(64 * 1024 + 1)),
      ...Array.from({ length: 513 }, (_, index) => held(`m${index}`, {}, large)),
    ]

    const { file, path } = await keep([...messages, held('last', {}, Buffer.from('y'))])
    const entries = await entriesOf(file)

    expect(entries.map(({ keptBody }) => keptBody !== undefined)).toEqual([false, ...Array<boolean>(512).fill(true), false, false])
    expect(entries).toHaveLength(515)
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  it('has no bodies where a profile does not want it', async () => {
    const { file, path } = await keep([held('m1', {}, Buffer.from('secret'))], { keepsBodies: false })

    expect((await entriesOf(file)).map(({ keptBody }) => keptBody)).toEqual([undefined])
    expect(readFileSync(path, 'utf8')).not.toContain('secret')
  })

  it('is not used where it is not whole: it is removed, and nothing is said of the queue', async () => {
    for (const cut of [2, 30, 100]) {
      const { file, path } = await keep([held('m1'), held('m2')])
      truncateSync(path, statSync(path).size - cut)

      await expect(entriesOf(file)).rejects.toMatchObject({ code: 'NSB_SNAPSHOT_DAMAGED' })

      expect(existsSync(path)).toBe(false)
    }
  })

  it('goes at the end of its ten minutes, and not before', async () => {
    const { path, state } = await keep([held('m1')])

    removeOldSnapshots(state, now + 10 * 60_000 - 1)
    expect(existsSync(path)).toBe(true)
    removeOldSnapshots(state, now + 10 * 60_000)
    expect(existsSync(path)).toBe(false)
    removeOldSnapshots(tempFolder(), now)
  })
})

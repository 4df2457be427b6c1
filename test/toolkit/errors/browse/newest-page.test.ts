import { strict as assert } from 'node:assert'
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { Header } from '../../../../src/message/headers.ts'
import { type ListOptions, listFailed } from '../../../../src/toolkit/errors/browse/browse.ts'
import { learningTransport } from '../../../../src/transport/learning/transport.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

const newest = 1_700_000_000

/** An error folder of the learning transport; the first is the newest, and so many came in the same tick of the file clock. */
function errorFolder(entries: readonly { readonly id: string; readonly headers: Readonly<Record<string, string>> }[], inTick = 1): string {
  const storage = tempFolder()
  mkdirSync(join(storage, 'error/.bodies'), { recursive: true })
  entries.forEach(({ headers, id }, index) => {
    const file = join(storage, 'error', `${id}.metadata.txt`)
    writeFileSync(join(storage, 'error/.bodies', `${id}.body.txt`), '{}')
    writeFileSync(file, JSON.stringify({ [Header.MessageId]: id, ...headers }))
    const at = newest - Math.floor(index / inTick)
    utimesSync(file, at, at)
  })
  return storage
}

const failure = (time: string): Readonly<Record<string, string>> => ({ [Header.FailedQ]: 'Sales', [Header.TimeOfFailure]: time })
const acknowledgement = { [Header.RetrySuccessful]: 'x' }
const failures = (count: number): ReturnType<typeof entry>[] =>
  Array.from({ length: count }, (_, index) => entry(`m${index}`, failure('2026-11-21 00:21:15:973439 Z')))
const entry = (id: string, headers: Readonly<Record<string, string>>) => ({ id, headers })

async function list(storage: string, rest: Partial<ListOptions> = {}): ReturnType<typeof listFailed> {
  const transport = learningTransport({ storage })
  const options = { queue: 'error', criteria: {}, now: newest * 1000, overrule: [], maxHold: 100_000, signal: new AbortController().signal }
  return listFailed(transport, { ...options, limit: 2, exact: false, ...rest })
}

const idsOf = ({ items }: Awaited<ReturnType<typeof listFailed>>): readonly string[] => items.map(({ failed }) => failed.messageId)

describe('the first page of a long error folder', () => {
  it('shows the newest by the time of their files, and counts the others without reading them', async () => {
    const storage = errorFolder([...failures(1100), entry('old acknowledgement', acknowledgement)])

    const listed = await list(storage)

    assert.deepEqual(idsOf(listed), ['m0', 'm1'])
    assert.deepEqual([listed.total, listed.unread, listed.facts?.depth], [1101, 101, 1101])
  })

  it('reads them all when the number must be exact, or when there is a criterion', async () => {
    const storage = errorFolder([...failures(1100), entry('old acknowledgement', acknowledgement)])

    const counted = await list(storage, { exact: true })
    const selected = await list(storage, { criteria: { failedQueue: ['Sales'] } })
    const acknowledgements = await list(storage, { criteria: { kind: ['ack'] } })

    assert.deepEqual([counted.total, counted.unread], [1100, 0])
    assert.deepEqual([selected.total, selected.unread, ...idsOf(selected)], [1100, 0, 'm0', 'm1'])
    assert.deepEqual([acknowledgements.total, ...idsOf(acknowledgements)], [1, 'old acknowledgement'])
  })

  it('reads on until the page is full, so that what is no failure takes no place on it', async () => {
    const acknowledgements = Array.from({ length: 1100 }, (_, index) => entry(`a${index}`, acknowledgement))
    const storage = errorFolder([...acknowledgements, entry('m', failure('2026-11-21 00:21:15:973439 Z'))])

    const listed = await list(storage, { limit: 1 })

    assert.deepEqual([listed.total, listed.unread, ...idsOf(listed)], [1, 0, 'm'])
  })
})

describe('a further page', () => {
  it('begins where the one before ended, by the files and in any order, and no entry is on two of them', async () => {
    // Ten files a tick, which are in the order of their failures.
    const storage = errorFolder(
      Array.from({ length: 1105 }, (_, index) => entry(`m${index}`, failure(`2026-11-21 00:00:${10 + ((7 * index) % 50)}:000000 Z`))),
      10,
    )
    const pages = async (limit: number, count: number, rest: Partial<ListOptions> = {}): Promise<readonly string[]> => {
      const listed = await Promise.all(Array.from({ length: count }, (_, page) => list(storage, { limit, skip: page * limit, ...rest })))
      assert.ok(listed.every(({ items, total }) => items.length <= limit && total === 1105))
      return listed.flatMap(idsOf)
    }
    const byId: ListOptions['order'] = (a, b) => (a.failed.messageId < b.failed.messageId ? -1 : 1)

    const [newest, sorted] = [await pages(150, 8), await pages(150, 8, { order: byId })]

    assert.deepEqual(newest, idsOf(await list(storage, { limit: 2000 })))
    assert.deepEqual(sorted, [...newest].toSorted())
    assert.equal(new Set(newest).size, 1105)
  })

  it('is told as it is met, and the entries before it are not', async () => {
    const storage = errorFolder(failures(20))
    const told: string[] = []

    const listed = await list(storage, { limit: 3, skip: 5, each: ({ failed }) => told.push(failed.messageId) })

    assert.deepEqual([told, listed.items, listed.total], [['m5', 'm6', 'm7'], [], 20])
  })
})

describe('a folder that is read whole', () => {
  it('is listed by the time of the files as well, whatever the headers say', async () => {
    const storage = errorFolder([
      entry('newest file', failure('2026-11-20 00:00:00:000000 Z')),
      entry('newest failure', failure('2026-11-21 00:00:00:000000 Z')),
    ])

    assert.deepEqual(idsOf(await list(storage)), ['newest file', 'newest failure'])
  })

  it('is not taken for an empty one where it is missing', async () => {
    await assert.rejects(list(tempFolder()), { code: 'NSB_QUEUE_NOT_FOUND' })
  })
})

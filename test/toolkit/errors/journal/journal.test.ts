import { execFileSync } from 'node:child_process'
import { appendFileSync, chmodSync, mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { Journal, type OperationHead, journalPath, thisProcess } from '../../../../src/toolkit/errors/journal/journal.ts'
import { KeySet } from '../../../../src/toolkit/errors/journal/key-set.ts'
import { hasKey, keyOf } from '../../../../src/toolkit/errors/journal/message-key.ts'
import { knownOperations, removeOldJournals } from '../../../../src/toolkit/errors/journal/operations.ts'
import { isRunning, operationIds, readJournal } from '../../../../src/toolkit/errors/journal/read-journal.ts'
import { newOperationId } from '../../../../src/toolkit/errors/operation-id.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

const head = (operation = newOperationId(Date.now())): OperationHead => ({
  schema: 'nsb.operation/1',
  operation,
  command: 'replay',
  where: 'learning /somewhere',
  profile: 'default',
  queue: 'error',
  startedAt: '2026-11-21T00:00:00.000Z',
  owner: thisProcess(),
  options: { to: 'Other' },
})

describe('the journal of an operation', () => {
  it('E-24 knows after a crash what was dealt with, and which copies are safe', async () => {
    const [folder, op] = [tempFolder(), head()]
    const journal = Journal.begin(folder, op)
    expect(journal.select(['a', 'b', undefined])).toBe(1)
    expect(journal.select(['c', 'd'])).toBe(4)
    journal.safe([2, 1, 3])
    journal.safe([5])

    const read = await readJournal(folder, op.operation)

    expect(read?.head).toEqual(op)
    expect({ selected: read?.selected, safeCount: read?.safeCount, end: read?.end }).toEqual({ selected: 5, safeCount: 4, end: undefined })
    expect(['a', 'b', 'c', 'd', 'e'].map((key) => [read?.keys.has(key), read?.safe.has(key)])).toEqual([
      [true, true],
      [true, true],
      [true, false],
      [true, true],
      [false, false],
    ])
    journal.end({ published: 5 })
    expect((await readJournal(folder, op.operation))?.end).toEqual({ published: 5 })
    expect(await operationIds(folder)).toEqual([op.operation])
  })

  it('has each line whole, whatever ends lines elsewhere is in an id', async () => {
    const [folder, op] = [tempFolder(), head()]
    const journal = Journal.begin(folder, op)
    const keys = ['a\u2028b', 'c\u2029d', 'e\u0085f\rg']
    journal.select(keys)
    journal.safe([1, 2, 3])

    const read = await readJournal(folder, op.operation)

    expect(keys.map((key) => read?.safe.has(key))).toEqual([true, true, true])
  })

  it('goes on after a line that was cut, and counts on from there', async () => {
    const [folder, op] = [tempFolder(), head()]
    const journal = Journal.begin(folder, op)
    journal.select(['a'])
    journal.select(['never dealt with'])
    journal.close()
    const path = journalPath(folder, op.operation)
    truncateSync(path, statSync(path).size - 5)

    const before = await readJournal(folder, op.operation)
    const resumed = Journal.resume(path, before?.selected ?? 0)
    expect(resumed.select(['b'])).toBe(2)
    resumed.safe([2])
    const after = await readJournal(folder, op.operation)

    expect([before?.selected, before?.keys.has('never dealt with')]).toEqual([1, false])
    expect([after?.safe.has('a'), after?.safe.has('b'), after?.owner]).toEqual([false, true, thisProcess()])
  })

  it('a phase begins anew', async () => {
    const [folder, op] = [tempFolder(), head()]
    const journal = Journal.begin(folder, op)
    journal.select(['a'])
    journal.safe([1])
    journal.phase('draining')
    expect(journal.select(['b'])).toBe(1)

    const read = await readJournal(folder, op.operation)

    expect([read?.phase, read?.selected, read?.keys.has('a'), read?.safeCount]).toEqual(['draining', 1, false, 0])
  })

  it('E-24 counts what each process left undone, a window of it at most', async () => {
    const [folder, op] = [tempFolder(), { ...head(), options: { window: 3 } }]
    const uncertain: (number | undefined)[] = []
    const look = async (): Promise<number> => {
      const read = await readJournal(folder, op.operation)
      uncertain.push(read?.uncertain)
      return read?.selected ?? 0
    }
    const journal = Journal.begin(folder, op)
    journal.select(['a', 'b', 'c', 'd', 'e', undefined])
    journal.safe([1])
    await look()
    journal.safe([2, 3])
    const resumed = Journal.resume(journal.path, await look())
    resumed.select(['d', 'e'])
    await look()
    resumed.safe([7])
    const again = Journal.resume(journal.path, await look())
    again.select(['e'])
    again.safe([9])
    await look()
    again.phase('draining', 4)
    again.select(['f'])
    await look()

    expect(uncertain).toEqual([3, 2, 4, 3, 3, 5])
  })

  it('E-43 is readable for nobody else', () => {
    const [folder, op] = [tempFolder(), head()]
    Journal.begin(folder, op).close()

    expect(statSync(journalPath(folder, op.operation)).mode & 0o777).toBe(0o600)
  })

  it('nothing is begun where none can be written', () => {
    const folder = tempFolder()
    writeFileSync(`${folder}/operations`, 'a file')

    expect(() => Journal.begin(folder, head())).toThrow(expect.objectContaining({ code: 'NSB_JOURNAL_UNWRITABLE' }))
  })

  it('no content of a journal makes reading it fail', async () => {
    const [folder, op] = [tempFolder(), head()]
    const journal = Journal.begin(folder, op)
    journal.select(['a'])
    journal.close()
    const path = journalPath(folder, op.operation)
    appendFileSync(
      path,
      '[]\nnull\n{"safe":[[1,1e300],[-5,3],"x",{},[1]]}\n{"safe":5}\n{"resumed":{"pid":-1}}\n\u0000\n{"selected":[{},7]}\n',
    )

    const read = await readJournal(folder, op.operation)
    writeFileSync(path, readFileSync(path).subarray(0, 10))

    expect([read?.selected, read?.safeCount]).toEqual([3, 0])
    expect(await readJournal(folder, op.operation)).toBeUndefined()
    expect(await readJournal(folder, '../../etc/passwd')).toBeUndefined()
    chmodSync(path, 0o600)
  })

  it.skipIf(process.platform === 'win32')('E-24 what is no file among the journals is passed by, and nobody waits for a pipe', async () => {
    const [folder, op, pipe] = [tempFolder(), head(), newOperationId(Date.now())]
    Journal.begin(folder, op).close()
    mkdirSync(journalPath(folder, newOperationId(Date.now())))
    execFileSync('mkfifo', [journalPath(folder, pipe)])

    const { damaged, open } = await knownOperations(folder)
    expect(open.map(({ operation }) => operation)).toEqual([op.operation])
    expect(damaged).toHaveLength(2)
    expect(await readJournal(folder, pipe)).toBeUndefined()
    await removeOldJournals(folder, Date.now() + 365 * 24 * 3_600_000)
    expect(await operationIds(folder)).toHaveLength(3)
  })

  it('tells whether the process that runs it lives', () => {
    expect(isRunning({ host: thisProcess().host, pid: process.ppid })).toBe(true)
    expect(isRunning({ host: 'another host', pid: process.ppid })).toBe(false)
    expect(isRunning({ host: thisProcess().host, pid: 2 ** 22 + 1 })).toBe(false)
  })
})

it('a set of keys tells a hundred thousand apart', () => {
  const keys = new KeySet()
  for (let number = 0; number < 100_000; number++) expect(keys.add(`key ${number}`)).toBe(true)

  expect([keys.size, keys.add('key 5'), keys.has('key 99999'), keys.has('key 100000')]).toEqual([100_000, false, true, false])
})

it('an entry is known again by its failure on a broker, and by its name in a folder', () => {
  const [message, failed] = [{ nativeId: 'n' }, { uniqueId: 'u', failedAt: 5, contentMark: 7 }]

  expect(keyOf(message, failed, 'quorum')).toBe('u 5 7')
  expect(keyOf(message, { ...failed, failedAt: undefined }, 'quorum')).toBeUndefined()
  expect(keyOf(message, failed, 'folder')).toBe('n')
})

it('a journal of version 0.1 names an entry without its content, and is understood', () => {
  const keys = new KeySet()
  for (const key of ['u 5', 'v 6 7']) keys.add(key)

  expect(['u 5 7', 'v 6 7', 'v 6 8', 'u 6 7', 'n'].map((key) => hasKey(keys, key))).toEqual([true, true, false, false, false])
})

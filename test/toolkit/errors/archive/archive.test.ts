import { createReadStream, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { archiveBeforeRemoving, removeSelected } from '../../../../src/toolkit/errors/archive/archive.ts'
import { ArchiveFile } from '../../../../src/toolkit/errors/archive/archive-file.ts'
import { archivePath } from '../../../../src/toolkit/errors/archive/archive-folder.ts'
import { importLines } from '../../../../src/toolkit/errors/archive/import.ts'
import { readLines } from '../../../../src/toolkit/read-lines.ts'
import { resumeArchive } from '../../../../src/toolkit/errors/archive/resume-archive.ts'
import { importedFile, resumeImport } from '../../../../src/toolkit/errors/archive/resume-import.ts'
import { type SelectionOptions, select } from '../../../../src/toolkit/errors/archive/selection.ts'
import { Journal, thisProcess } from '../../../../src/toolkit/errors/journal/journal.ts'
import { type ReadJournal, readJournal } from '../../../../src/toolkit/errors/journal/read-journal.ts'
import type { ResumeOptions } from '../../../../src/toolkit/errors/resume.ts'
import { openTransport } from '../../../../src/transport/open.ts'
import type { HeldMessage, HoldOptions, Transport } from '../../../../src/transport/transport.ts'
import { failureHeaders } from '../../../cli/nsb.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

const operation = '01K9Z3K9Z3K9Z3K9Z3K9Z3K9Z3'
const never = new AbortController().signal

const resumeOptions: ResumeOptions = {
  undo: false,
  overrule: [],
  maxHold: 1000,
  signal: never,
  clock: Date.now,
  progress: () => undefined,
}

interface World {
  readonly transport: Transport
  readonly state: string
  readonly path: string
}

/** A storage folder with failures `m1` … of which every one failed a second after the one before. */
async function worldWith(ids: readonly string[]): Promise<World> {
  const folder = tempFolder()
  const transport = await openTransport({ kind: 'learning', storage: join(folder, 'storage') })
  onTestFinished(() => transport.close())
  await transport.createQueues(['error', 'Sales'])
  for (const id of ids) await put(transport, id)
  return { transport, state: join(folder, 'state'), path: join(folder, 'archive.ndjson') }
}

async function put(transport: Transport, id: string, more: Record<string, string> = {}): Promise<void> {
  const second = String(Number(/\d+/.exec(id)?.[0] ?? 0) % 60).padStart(2, '0')
  const headers = failureHeaders(id, { 'NServiceBus.TimeOfFailure': `2026-11-21 00:00:${second}:000000 Z`, ...more })
  await transport.dispatch([{ id, headers, body: Buffer.from(`body of ${id}`), to: { exactQueue: 'error' } }])
}

const options = (more: Partial<SelectionOptions> = {}): SelectionOptions => ({
  queue: 'error',
  criteria: {},
  limit: undefined,
  newest: false,
  duplicates: false,
  now: Date.now(),
  overrule: [],
  maxHold: 1000,
  signal: never,
  ...more,
})

const begin = (state: string, command: string, more: object = {}): Journal =>
  Journal.begin(state, {
    schema: 'nsb.operation/1',
    operation,
    command,
    where: 'learning',
    profile: 'default',
    queue: 'error',
    startedAt: new Date().toISOString(),
    owner: thisProcess(),
    options: { ...more },
  })

const journalOf = async (state: string): Promise<ReadJournal> => (await readJournal(state, operation)) as ReadJournal

/** Archives what is selected. @param after steps in instead of the removal of a group */
async function archive({ path, state, transport }: World, more: Partial<SelectionOptions> = {}, after?: HoldOptions['beforeRemove']) {
  const journal = begin(state, 'archive', { file: path })
  const file = await ArchiveFile.open(path)
  let beforeRemove: HoldOptions['beforeRemove'] = () => undefined
  const selection = await select(transport, options(more), {
    purpose: 'change',
    mustCount: true,
    streams: true,
    beforeRemove: (group) => beforeRemove(group),
  })
  if (selection === undefined) throw new Error('no queue')
  const safe = archiveBeforeRemoving({
    operation,
    queue: 'error',
    journal,
    file: () => Promise.resolve(file),
    kind: selection.facts.kind,
    clock: Date.now,
  })
  beforeRemove = async (group) => {
    await safe(group)
    await after?.(group)
  }
  const run = { operation, queue: 'error', result: 'archived', everyItem: true, signal: never, progress: () => undefined } as const
  const report = await removeSelected(transport, selection, run)
  journal.close()
  await file.close()
  return report
}

async function bodiesIn(transport: Transport, queue: string): Promise<string[]> {
  const holding = await transport.hold(queue, {
    purpose: 'look',
    overrule: [],
    page: 100,
    max: 1000,
    signal: never,
    beforeRemove: () => undefined,
  })
  const held: HeldMessage[] = []
  for await (const page of holding.pages()) held.push(...page)
  await holding.giveBack()
  return held.map(({ body }) => Buffer.from(body).toString())
}

const archivedBodies = (path: string): string[] =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { body: { data: string } }).body.data)

const crash = (): never => {
  throw new Error('killed')
}

const bodies = (...ids: readonly string[]): string[] => ids.map((id) => `body of ${id}`)

describe('archiving', () => {
  it('E-36 moves what was selected to the file and leaves the rest', async () => {
    const world = await worldWith(['m1', 'm2', 'm3'])

    const report = await archive(world, { criteria: { ids: ['m2'] } })

    expect(report).toMatchObject({ selected: 1, done: 1, failed: 0, leftInQueue: 2 })
    expect(archivedBodies(world.path)).toEqual(bodies('m2'))
    expect(await bodiesIn(world.transport, 'error')).toEqual(bodies('m1', 'm3'))
  })

  it.each<[Partial<SelectionOptions>, readonly string[]]>([
    [{ limit: 2 }, ['m1', 'm2']],
    [{ limit: 2, newest: true }, ['m3', 'm4']],
    [{ criteria: { endpoint: ['Nobody'] } }, []],
    [{ criteria: { ids: ['m4', 'm1'] } }, ['m1', 'm4']],
  ])('takes with %o those that are meant', async (more, ids) => {
    const world = await worldWith(['m1', 'm2', 'm3', 'm4'])

    const report = await archive(world, more)

    expect(report.done).toBe(ids.length)
    if (ids.length > 0) expect(archivedBodies(world.path)).toEqual(bodies(...ids))
  })

  it('leaves a failure that is there twice once, until its copies are selected', async () => {
    const world = await worldWith(['m1', 'm1', 'm1', 'm2'])

    const first = await archive(world)
    rmSync(world.state, { recursive: true })
    const second = await archive(world, { duplicates: true })

    expect([first.done, first.duplicates, first.leftInQueue]).toEqual([2, 2, 2])
    expect([second.done, second.leftInQueue]).toEqual([1, 1])
  })

  it('E-37 removes nothing that is not safe', async () => {
    const world = await worldWith(['m1', 'm2'])

    const report = await archive(world, {}, crash)

    expect(report).toMatchObject({ done: 0, failed: 2, leftInQueue: 2 })
    expect(await bodiesIn(world.transport, 'error')).toEqual(bodies('m1', 'm2'))
  })
})

describe('an archive that was killed', () => {
  const resumed = async ({ state, transport }: World) => resumeArchive(transport, await journalOf(state), resumeOptions)

  it('E-36 after its lines were safe only removes the messages when it is resumed', async () => {
    const world = await worldWith(['m1', 'm2', 'm3'])
    await archive(world, { limit: 2 }, crash)

    const report = await resumed(world)

    expect(report).toMatchObject({ removed: 2, failed: 0, leftInQueue: 1, more: { archive: { archived: 0, uncertain: 0 } } })
    expect(archivedBodies(world.path)).toEqual(bodies('m1', 'm2'))
    expect(await bodiesIn(world.transport, 'error')).toEqual(bodies('m3'))
    expect((await journalOf(world.state)).end).toBeDefined()
  })

  it('E-36 before its lines were whole archives the messages when it is resumed', async () => {
    const world = await worldWith(['m1', 'm2', 'm3'])
    await archive(world, { limit: 2 }, crash)
    const [first = '', second = ''] = readFileSync(world.path, 'utf8').split('\n')
    writeFileSync(world.path, `${first}\n${second.slice(0, 100)}`)

    const report = await resumed(world)

    expect(report).toMatchObject({ removed: 1, failed: 0, leftInQueue: 1, more: { archive: { archived: 1 } } })
    const lines = readFileSync(world.path, 'utf8').trimEnd().split('\n')
    expect(lines).toHaveLength(3)
    expect((JSON.parse(lines[2] ?? '') as { body: { data: string } }).body.data).toBe('body of m2')
  })

  it('E-36 between two messages leaves what was not begun with where it is', async () => {
    const world = await worldWith(['m1', 'm2'])
    begin(world.state, 'archive', { file: world.path }).close()

    expect(await resumed(world)).toMatchObject({ removed: 0, leftInQueue: 2, more: { archive: { archived: 0 } } })
  })

  it('E-36 does not remove another message with the id of one that is in the file of another operation', async () => {
    const world = await worldWith(['m1'])
    await archive(world, {}, crash)
    writeFileSync(world.path, readFileSync(world.path, 'utf8').replaceAll(operation, '01K9Z3K9Z3K9Z3K9Z3K9Z3K9Z4'))

    const report = await resumed(world)

    expect(report).toMatchObject({ removed: 0, more: { archive: { archived: 1 } } })
    expect(archivedBodies(world.path)).toEqual(bodies('m1', 'm1'))
  })
})

describe('an archive that was killed, and whose folder became a link to somewhere else', () => {
  it('E-43 E-44 is not resumed through that link', async () => {
    const world = await worldWith(['m1'])
    const own = { ...world, path: archivePath(world.state, 'default', 'error', Date.now()) }
    await archive(own, {}, crash)
    const outside = tempFolder()
    rmSync(dirname(own.path), { recursive: true })
    symlinkSync(outside, dirname(own.path))

    const resumed = resumeArchive(world.transport, await journalOf(world.state), resumeOptions)

    await expect(resumed).rejects.toMatchObject({ code: 'NSB_ARCHIVE_UNWRITABLE', message: expect.stringContaining('is a link') as string })
    expect(readdirSync(outside)).toEqual([])
    expect(await bodiesIn(world.transport, 'error')).toEqual(bodies('m1'))
    expect((await journalOf(world.state)).end).toBeUndefined()
  })

  it('E-43 is resumed into it when its file was named', async () => {
    const world = await worldWith(['m1'])
    const [linked, outside] = [join(dirname(world.path), 'linked'), tempFolder()]
    symlinkSync(outside, linked)
    const named = { ...world, path: join(linked, 'archive.ndjson') }
    await archive(named, {}, crash)

    const report = await resumeArchive(world.transport, await journalOf(world.state), resumeOptions)

    expect(report).toMatchObject({ removed: 1, leftInQueue: 0, isOver: true })
    expect(archivedBodies(join(outside, 'archive.ndjson'))).toEqual(bodies('m1'))
  })
})

describe('an archive that is taken back', () => {
  it('E-36 removes nothing more', async () => {
    const world = await worldWith(['m1', 'm2'])
    await archive(world, { limit: 1 }, crash)

    const report = await resumeArchive(world.transport, await journalOf(world.state), { ...resumeOptions, undo: true })

    expect(report).toMatchObject({ undone: true, removed: 0, leftInQueue: 2, isOver: true })
    expect((await journalOf(world.state)).end).toBeDefined()
  })
})

describe('an import that was killed', () => {
  const record = (path: string, replay: boolean) => ({
    replay,
    redirects: {},
    file: importedFile(path),
    verifyHash: true,
    allowDuplicates: false,
    window: 2,
  })

  async function killedImport(replay: boolean): Promise<World> {
    const world = await worldWith(['m1', 'm2', 'm3', 'm4', 'm5'])
    await archive(world)
    rmSync(world.state, { recursive: true })
    const journal = begin(world.state, 'import', record(world.path, replay))
    let left = 3
    await importLines(world.transport, readLines(createReadStream(world.path)), {
      queue: replay ? undefined : 'error',
      replay,
      redirects: {},
      operation,
      // It is killed after the fourth message was sent, and before that was noted.
      journal: Object.assign(Object.create(journal) as Journal, {
        select: (keys: readonly string[]) => ((left -= 1) > 0 ? journal.select(keys) : crash()),
        safe: (numbers: readonly number[]) => (left > 1 ? journal.safe(numbers) : undefined),
      }),
      verifyHash: true,
      present: undefined,
      window: 2,
      everyItem: true,
      signal: never,
      clock: Date.now,
      progress: () => undefined,
    })
    journal.close()
    return world
  }

  it('E-36 goes on with the lines that are not in the queue', async () => {
    const world = await killedImport(false)

    const report = await resumeImport(world.transport, await journalOf(world.state), resumeOptions)

    expect(report).toMatchObject({ mayArriveTwice: 2, more: { import: { importedBefore: 2, imported: 1, skipped: 4 } } })
    expect((await bodiesIn(world.transport, 'error')).toSorted()).toEqual(bodies('m1', 'm2', 'm3', 'm4', 'm5'))
  })

  it('E-36 sends what may have been replayed once more, and says so', async () => {
    const world = await killedImport(true)

    const report = await resumeImport(world.transport, await journalOf(world.state), resumeOptions)

    expect(report).toMatchObject({ mayArriveTwice: 2, more: { import: { importedBefore: 2, imported: 3, skipped: 2 } } })
    expect((await bodiesIn(world.transport, 'Sales')).toSorted()).toEqual(bodies('m1', 'm2', 'm3', 'm3', 'm4', 'm4', 'm5'))
  })

  it('E-36 does not go on with another file', async () => {
    const world = await killedImport(false)
    writeFileSync(world.path, '')

    const resuming = resumeImport(world.transport, await journalOf(world.state), resumeOptions)

    await expect(resuming).rejects.toMatchObject({ code: 'NSB_CANNOT_RESUME', details: { imported: 2, uncertain: 2 } })
    expect((await journalOf(world.state)).end).toBeDefined()
  })
})

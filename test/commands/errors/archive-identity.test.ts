import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Ended, failureHeaders, messagesIn, nsb, putMessage, temporaryFolder } from '../../cli/nsb.ts'
import { archivesIn, learningArchive } from '../../support/archives.ts'

interface Project {
  readonly folder: string
  readonly storage: string
  run(...words: readonly string[]): Promise<Ended>
  ids(queue?: string): readonly string[]
}

/** A project with these failures in its error queue; its state is that of all. */
function project(state: string, ids: readonly string[], folder = temporaryFolder()): Project {
  const storage = join(folder, '.learningtransport')
  for (const queue of ['Sales', 'error']) mkdirSync(join(storage, queue), { recursive: true })
  for (const id of ids) putMessage(storage, 'error', id, failureHeaders(id))
  return {
    folder,
    storage,
    run: (...words) => nsb(['errors', ...words], { cwd: folder, env: { NSB_STATE_DIR: state } }),
    ids: (queue = 'error') => messagesIn(storage, queue).map(({ headers }) => headers['NServiceBus.MessageId'] ?? ''),
  }
}

const operationOf = (ended: Ended): string => String(ended.json()['operation'])
const codeOf = (ended: Ended): unknown => (ended.json()['error'] as { readonly code: string }).code
const fileOf = (state: string, { storage }: Project): string =>
  join(learningArchive(state, storage), 'error', `${new Date().toISOString().slice(0, 10)}.ndjson`)
const idsIn = (file: string): readonly string[] =>
  readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { readonly messageId: string }).messageId)

describe('the archives of two projects', () => {
  it('whose profiles and queues have one name are two files, and each imports its own', async () => {
    const state = temporaryFolder()
    const [one, other] = [project(state, ['a1', 'a2']), project(state, ['b1'])]

    const archived = [await one.run('archive', '--all', '--yes', '--json'), await other.run('archive', '--all', '--yes', '--json')]

    expect(archived.map((ended) => ended.json()['file'])).toEqual([fileOf(state, one), fileOf(state, other)])
    expect([idsIn(fileOf(state, one)).toSorted(), idsIn(fileOf(state, other))]).toEqual([['a1', 'a2'], ['b1']])
    expect(archivesIn(state)).toHaveLength(2)
  })

  it('are one where both are the same folder, however it is written', async () => {
    const state = temporaryFolder()
    const one = project(state, ['a1'])
    const linked = temporaryFolder()
    symlinkSync(one.storage, join(linked, '.learningtransport'))
    await one.run('archive', '--all', '--yes')
    putMessage(one.storage, 'error', 'a2', failureHeaders('a2'))

    const { code } = await nsb(['errors', 'archive', '--all', '--yes'], { cwd: linked, env: { NSB_STATE_DIR: state } })

    expect([code, idsIn(fileOf(state, one))]).toEqual([0, ['a1', 'a2']])
  })

  it('are pruned one by one; what an older nsb has kept for the profile is found by both', async () => {
    const state = temporaryFolder()
    const [one, other] = [project(state, ['a1']), project(state, ['b1'])]
    await one.run('archive', '--all', '--yes')
    await other.run('archive', '--all', '--yes')
    const olden = join(state, 'archive/default/error/2020-01-01.ndjson')
    const old = [one, other].map((each) => join(dirname(fileOf(state, each)), '2020-01-01.ndjson'))
    mkdirSync(dirname(olden), { recursive: true })
    for (const path of [olden, ...old]) {
      cpSync(fileOf(state, one), path)
      utimesSync(path, 1_577_900_000, 1_577_900_000)
    }

    const pruned = await one.run('archive', 'prune', '--older-than', '30d', '--yes', '--json')

    expect((pruned.json()['items'] as readonly { path: string }[]).map(({ path }) => path).toSorted()).toEqual(
      [olden, String(old[0])].toSorted(),
    )
    expect([olden, ...old].map((path) => existsSync(path))).toEqual([false, false, true])
  })
})

describe('errors import --operation', () => {
  it('brings back what one archive took, out of a file that has more', async () => {
    const state = temporaryFolder()
    const at = project(state, ['m1', 'm2', 'm3'])
    const first = operationOf(await at.run('archive', 'm1', '--yes', '--json'))
    const second = operationOf(await at.run('archive', 'm2', 'm3', '--yes', '--json'))

    const imported = await at.run('import', '--operation', second, '--yes', '--json')
    const between = at.ids().toSorted()
    const byItsBeginning = await at.run('import', '--operation', first.slice(0, 24).toLowerCase(), '--yes', '--json')

    expect(imported.json(), imported.stderr).toMatchObject({ read: 2, imported: 2 })
    expect(between).toEqual(['m2', 'm3'])
    expect([byItsBeginning.code, at.ids().toSorted()], byItsBeginning.stderr).toEqual([0, ['m1', 'm2', 'm3']])
  })

  it('finds the file that was named with --to-file, and takes the lines of the operation out of a file that is named', async () => {
    const state = temporaryFolder()
    const at = project(state, ['m1', 'm2'])
    const file = join(at.folder, 'a.ndjson')
    const first = operationOf(await at.run('archive', 'm1', '--to-file', file, '--yes', '--json'))
    const second = operationOf(await at.run('archive', 'm2', '--to-file', file, '--yes', '--json'))

    const found = await at.run('import', '--operation', first, '--yes')
    const named = await at.run('import', file, '--operation', second, '--dry-run', '--json')

    expect([found.code, at.ids()], found.stderr).toEqual([0, ['m1']])
    expect(named.json()).toMatchObject({ read: 1, imported: 1 })
  })

  it('finds it in the place where an older nsb has kept it, with no journal any more', async () => {
    const state = temporaryFolder()
    const at = project(state, ['m1'])
    const operation = operationOf(await at.run('archive', '--all', '--yes', '--json'))
    renameSync(learningArchive(state, at.storage), join(state, 'archive', 'default'))
    renameSync(join(state, 'operations'), join(state, 'gone'))

    const imported = await at.run('import', '--operation', operation, '--yes')

    expect([imported.code, at.ids()], imported.stderr).toEqual([0, ['m1']])
  })

  it('never imports what another project has archived', async () => {
    const state = temporaryFolder()
    const [one, other] = [project(state, ['a1']), project(state, [])]
    const operation = operationOf(await one.run('archive', '--all', '--yes', '--json'))

    const refused = await other.run('import', '--operation', operation, '--yes', '--json')
    renameSync(join(state, 'operations'), join(state, 'gone'))
    const unknown = await other.run('import', '--operation', operation, '--yes', '--json')

    expect([refused.code, codeOf(refused)]).toEqual([2, 'NSB_OPERATION_ELSEWHERE'])
    expect([unknown.code, codeOf(unknown)]).toEqual([4, 'NSB_NOTHING_MATCHED'])
    expect(other.ids()).toEqual([])
  })

  it('says which operation is not known, and what is missing', async () => {
    const at = project(temporaryFolder(), ['m1'])

    const short = await at.run('import', '--operation', '01ABC', '--json')
    const none = await at.run('import', '--json')
    const inFile = await at.run('archive', '--all', '--to-file', 'a.ndjson', '--yes', '--json')
    const another = await at.run('import', 'a.ndjson', '--operation', '01KB9GZ3C5W0N8Q2R4T6V8XAYD', '--json')

    expect([short.code, codeOf(short)]).toEqual([4, 'NSB_OPERATION_NOT_FOUND'])
    expect([none.code, codeOf(none)]).toEqual([2, 'NSB_BAD_ARGUMENTS'])
    expect([inFile.code, another.code, codeOf(another)]).toEqual([0, 4, 'NSB_NOTHING_MATCHED'])
    expect(another.stderr).toContain('of operation 01KB9GZ3C5W0N8Q2R4T6V8XAYD')
  })

  it('is resumed with the same lines', async () => {
    const state = temporaryFolder()
    const at = project(state, ['m1', 'm2'])
    const operation = operationOf(await at.run('archive', 'm1', '--yes', '--json'))
    await at.run('archive', 'm2', '--yes')
    const imported = operationOf(await at.run('import', '--operation', operation, '--yes', '--json'))
    // As if it had been killed before its first message.
    const journal = join(state, 'operations', `${imported}.ndjson`)
    writeFileSync(journal, `${readFileSync(journal, 'utf8').split('\n', 1)[0]}\n`)
    for (const name of readdirSync(join(at.storage, 'error')))
      if (name.endsWith('.txt')) renameSync(join(at.storage, 'error', name), join(at.folder, name))

    const resumed = await at.run('resume', imported, '--yes')

    expect([resumed.code, at.ids()], resumed.stderr).toEqual([0, ['m1']])
  })
})

describe('the originals of an edit', () => {
  it('are in a file of their own, which an import of what was archived leaves alone, and come back by their operation', async () => {
    const state = temporaryFolder()
    const at = project(state, ['m1', 'm2', 'm3'])

    const edited = await at.run('edit', 'm1', '--set-header', 'a=b', '--yes', '--json')
    const patched = await at.run('replay', 'm2', '--patch', '[{"op":"add","path":"/A","value":1}]', '--yes', '--json')
    await at.run('archive', 'm3', '--yes')
    const imported = await at.run('import', fileOf(state, at), '--yes', '--json')

    expect([edited.code, patched.code], edited.stderr + patched.stderr).toEqual([0, 0])
    expect(
      readdirSync(dirname(fileOf(state, at)))
        .map((name) => name.slice(10))
        .toSorted(),
    ).toEqual(['.edited.ndjson', '.ndjson'])
    expect([imported.json()['imported'], at.ids()]).toEqual([1, ['m3']])
    for (const [ended, id] of [
      [edited, 'm1'],
      [patched, 'm2'],
    ] as const) {
      const back = await at.run('import', '--operation', operationOf(ended), '--yes')
      expect([back.code, at.ids().includes(id)], back.stderr).toEqual([0, true])
    }
  })

  it('are pruned like the rest', async () => {
    const state = temporaryFolder()
    const at = project(state, ['m1'])
    await at.run('edit', 'm1', '--set-header', 'a=b', '--yes')
    const old = join(dirname(fileOf(state, at)), '2020-01-01.edited.ndjson')
    cpSync(fileOf(state, at).replace('.ndjson', '.edited.ndjson'), old)
    utimesSync(old, 1_577_900_000, 1_577_900_000)

    const pruned = await at.run('archive', 'prune', '--older-than', '30d', '--yes', '--json')

    expect([pruned.json()['removed'], existsSync(old)]).toEqual([1, false])
  })
})

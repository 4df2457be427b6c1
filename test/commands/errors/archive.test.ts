import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { type Ended, failureHeaders, messagesIn, nsb, putMessage, temporaryFolder } from '../../cli/nsb.ts'
import { learningArchive } from '../../support/archives.ts'
import { fillDisk, mountDisk, unmount, whyNoDisk } from '../../support/small-disk.ts'

const bin = fileURLToPath(new URL('../../../bin/run.js', import.meta.url))

interface Place {
  readonly folder: string
  readonly storage: string
  readonly state: string
  run(...words: readonly string[]): Promise<Ended>
}

/** A project with failures `m1` … in the error queue, oldest first. */
function place(count: number): Place {
  const folder = temporaryFolder()
  const storage = join(folder, '.learningtransport')
  const state = join(folder, 'state')
  mkdirSync(join(storage, 'Sales', '.bodies'), { recursive: true })
  for (let number = 1; number <= count; number++) {
    const time = `2026-11-21 00:00:${String(number % 60).padStart(2, '0')}:000000 Z`
    putMessage(storage, 'error', `m${number}`, failureHeaders(`m${number}`, { 'NServiceBus.TimeOfFailure': time }), `{"Number":${number}}`)
  }
  return { folder, storage, state, run: (...words) => nsb(words, { cwd: folder, env: { NSB_STATE_DIR: state } }) }
}

const today = (): string => new Date().toISOString().slice(0, 10)
const archiveOf = ({ state, storage }: Place, queue = 'error'): string => join(learningArchive(state, storage), queue, `${today()}.ndjson`)
const linesIn = (path: string): Record<string, unknown>[] =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .flatMap((line) => {
      try {
        return [JSON.parse(line) as Record<string, unknown>]
      } catch {
        // Of who was killed.
        return []
      }
    })
const codeOf = (ended: Ended): unknown => (ended.json()['error'] as { readonly code: string }).code

describe('errors archive', () => {
  it('E-36 E-43 moves messages to the file of the day, which nobody else may read, and import brings them back as they were', async () => {
    const at = place(3)
    const before = messagesIn(at.storage, 'error').map(({ body, headers }) => ({ body, headers }))

    const archived = await at.run('errors', 'archive', '--all', '--yes', '--json')

    const { operation, ...document } = archived.json()
    expect(archived.code).toBe(0)
    expect(operation).toMatch(/^[0-9A-Z]{26}$/)
    expect(document).toEqual({
      schema: 'nsb.errors.archive/1',
      profile: 'default',
      queue: 'error',
      file: archiveOf(at),
      selected: 3,
      archived: 3,
      failed: 0,
      leftInQueue: 0,
      newerArrivals: 0,
      items: linesIn(archiveOf(at)).map(({ uniqueId }) => ({ uniqueId, result: 'archived' })),
    })
    expect(statSync(archiveOf(at)).mode & 0o777).toBe(0o600)
    expect(messagesIn(at.storage, 'error')).toEqual([])
    expect(linesIn(archiveOf(at)).map((line) => line['operation'])).toEqual([operation, operation, operation])

    const imported = await at.run('errors', 'import', archiveOf(at), '--yes')

    expect(imported.code).toBe(0)
    const after = messagesIn(at.storage, 'error').map(({ body, headers }) => ({ body, headers }))
    expect(after).toHaveLength(3)
    expect(after).toEqual(expect.arrayContaining(before))
  })

  it('E-36 says which copies of a failure it has left out, with --yes too', async () => {
    const at = place(2)
    const m1 = failureHeaders('m1', { 'NServiceBus.TimeOfFailure': '2026-11-21 00:00:01:000000 Z' })
    for (const copy of ['copy-1', 'copy-2']) putMessage(at.storage, 'error', copy, m1, '{"Number":1}')

    const exported = await at.run('errors', 'export', '--file', 'a.ndjson')
    const archived = await at.run('errors', 'archive', '--all', '--yes')

    expect(exported.stderr).toContain('2 duplicates of other entries were left out; --duplicates selects them')
    expect(archived.stdout).toContain('selected 2, archived 2, duplicates 2, left in queue 2, operation ')
    expect(archived.stderr).toContain('2 duplicates of other entries stayed in the error queue: run it again for them')
  })

  it('E-36 says in one line how it ended', async () => {
    const at = place(3)

    const { code, stdout } = await at.run('errors', 'archive', '--until', '2026-11-21T00:00:03Z', '--yes')

    expect(code).toBe(0)
    expect(stdout).toMatch(/^selected 2, archived 2, left in queue 1, operation [0-9A-Z]{26}\n$/)
  })

  it('adds to a file that was named, and to what is in it', async () => {
    const at = place(2)
    await at.run('errors', 'archive', '--limit', '1', '--all', '--to-file', 'kept/a.ndjson', '--yes')

    const { code } = await at.run('errors', 'archive', '--all', '--to-file', 'kept/a.ndjson', '--yes')

    expect(code).toBe(0)
    expect(linesIn(join(at.folder, 'kept/a.ndjson')).map(({ messageId }) => messageId)).toEqual(['m1', 'm2'])
  })

  it('E-32 removes nothing without a yes, a selection, or a message that matches', async () => {
    const at = place(2)

    const answers = [
      await at.run('errors', 'archive', '--all', '--json'),
      await at.run('errors', 'archive', '--yes', '--json'),
      await at.run('errors', 'archive', 'ffff', '--yes', '--json'),
      await at.run('errors', 'archive', '--type', 'Other', '--yes', '--json'),
      await at.run('errors', 'archive', '--all', '--no-keep', '--to-file', 'a', '--yes', '--json'),
    ]

    expect(answers.map((ended) => [codeOf(ended), ended.code])).toEqual([
      ['NSB_NEEDS_CONFIRMATION', 6],
      ['NSB_NO_SELECTION', 2],
      ['NSB_MESSAGE_NOT_FOUND', 4],
      ['NSB_NOTHING_MATCHED', 4],
      ['NSB_BAD_FLAG', 2],
    ])
    expect(messagesIn(at.storage, 'error')).toHaveLength(2)
    expect(existsSync(join(at.state, 'archive'))).toBe(false)
  })

  it('asks for the name of a protected profile, whatever was said before', async () => {
    const at = place(1)
    writeFileSync(join(at.folder, 'nsb.json'), '{"profiles":{"default":{"transport":"learning","protect":true}}}')

    expect((await at.run('errors', 'archive', '--all', '--yes')).code).toBe(6)
    expect((await at.run('errors', 'archive', '--all', '--confirm', 'default')).code).toBe(0)
  })

  it('deletes for good with --no-keep, also by its other name', async () => {
    const at = place(1)

    const { code, json } = await at.run('errors', 'delete', '--all', '--no-keep', '--yes', '--json')

    expect(code).toBe(0)
    expect(json()).toMatchObject({ deleted: 1, leftInQueue: 0 })
    expect(existsSync(join(at.state, 'archive'))).toBe(false)
  })

  it('E-9 removes acknowledgements when they are selected, and leaves them otherwise', async () => {
    const at = place(1)
    putMessage(at.storage, 'error', 'ack', { 'NServiceBus.MessageId': 'ack', 'ServiceControl.Retry.Successful': 'now' }, '')

    const all = await at.run('errors', 'archive', '--all', '--yes', '--json')
    const acknowledgements = await at.run('errors', 'archive', '--kind', 'ack', '--yes', '--json')

    expect([all.json()['archived'], acknowledgements.json()['archived']]).toEqual([1, 1])
    expect(linesIn(archiveOf(at)).map(({ kind }) => kind)).toEqual(['failure', 'ack'])
  })

  it('E-43 keeps the archive of a queue with a foreign name inside its folder', async () => {
    const at = place(0)
    putMessage(at.storage, '%2E%2E', 'm1', failureHeaders('m1'))

    const { code } = await at.run('errors', 'archive', '--all', '--error-queue', '%2E%2E', '--yes')

    expect(code).toBe(0)
    expect(readdirSync(learningArchive(at.state, at.storage))).toEqual(['%252E%252E'])
  })

  it.each(['', 'error', 'day'])('E-43 E-44 writes nothing through a link in its folder (%s)', async (linked) => {
    const at = place(1)
    const outside = temporaryFolder()
    const path = join(learningArchive(at.state, at.storage), linked === 'day' ? `error/${today()}.ndjson` : linked)
    mkdirSync(join(path, '..'), { recursive: true })
    symlinkSync(linked === 'day' ? join(outside, 'file') : outside, path)

    const ended = await at.run('errors', 'archive', '--all', '--yes')
    const named = await at.run('errors', 'archive', '--all', '--yes', '--to-file', path, '--json')

    expect([ended.code, ended.stderr.includes('NSB_ARCHIVE_UNWRITABLE'), ended.stderr.includes('is a link')]).toEqual([5, true, true])
    // A file that somebody names may be a link.
    expect([named.code, readdirSync(outside)]).toEqual(linked === 'day' ? [0, ['file']] : [5, []])
  })

  it('E-37 removes nothing when the archive cannot be written', async () => {
    const at = place(3)
    mkdirSync(at.state)
    writeFileSync(join(at.state, 'archive'), '')

    const ended = await at.run('errors', 'archive', '--all', '--yes', '--json')

    expect([ended.code, codeOf(ended)]).toEqual([5, 'NSB_ARCHIVE_UNWRITABLE'])
    expect(messagesIn(at.storage, 'error')).toHaveLength(3)
  })

  it.skipIf(whyNoDisk() !== undefined)('E-37 removes nothing when the disk of the archive is full', async () => {
    const at = place(3)
    const disk = join(at.folder, 'disk')
    mountDisk(disk, 64)
    try {
      fillDisk(disk)

      const ended = await at.run('errors', 'archive', '--all', '--to-file', join(disk, 'a.ndjson'), '--yes', '--json')

      expect([ended.code, codeOf(ended)]).toEqual([5, 'NSB_ARCHIVE_UNWRITABLE'])
      expect(messagesIn(at.storage, 'error')).toHaveLength(3)
    } finally {
      unmount(disk)
    }
  })

  it('E-36 finishes with resume what was killed after it was safe', async () => {
    const at = place(2)
    await at.run('errors', 'archive', '--all', '--yes')
    const [journal = ''] = readdirSync(join(at.state, 'operations'))
    const path = join(at.state, 'operations', journal)
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
    writeFileSync(path, `${lines.slice(0, -1).join('\n')}\n`)
    // As it was before the messages were removed.
    for (const id of ['m1', 'm2']) {
      const line = linesIn(archiveOf(at)).find(({ messageId }) => messageId === id)
      putMessage(at.storage, 'error', id, line?.['headers'] as Record<string, string>, `{"Number":${id.slice(1)}}`)
    }

    const { code } = await at.run('errors', 'resume', '--yes')

    expect(code).toBe(0)
    expect(messagesIn(at.storage, 'error')).toEqual([])
    expect(linesIn(archiveOf(at))).toHaveLength(2)
  })
})

describe('errors archive that is killed', () => {
  it.each([0, 40, 200])(
    'E-24 E-36 with %i messages removed loses nothing and keeps nothing twice when it is resumed',
    { timeout: 60_000 },
    async (removed) => {
      const at = place(400)
      const child = spawn(process.execPath, [bin, 'errors', 'archive', '--all', '--yes'], {
        cwd: at.folder,
        env: { ...process.env, NSB_STATE_DIR: at.state },
        stdio: 'ignore',
      })
      const ended = new Promise((resolve) => child.on('close', resolve))
      const left = (): number => readdirSync(join(at.storage, 'error', '.bodies')).length
      await expect.poll(() => existsSync(archiveOf(at)) && left() <= 400 - removed, { timeout: 20_000, interval: 1 }).toBe(true)
      child.kill('SIGKILL')
      await ended

      const resumed = await at.run('errors', 'resume', '--yes', '--json')

      // It may have been over before it was killed.
      expect([0, 4], resumed.stderr).toContain(resumed.code)
      const archived = linesIn(archiveOf(at)).map(({ messageId }) => messageId)
      const waiting = messagesIn(at.storage, 'error').map(({ headers }) => headers['NServiceBus.MessageId'])
      expect(new Set([...archived, ...waiting]).size).toBe(400)
      expect(archived.length + waiting.length).toBe(400)
    },
  )
})

describe('errors archive prune', () => {
  it('removes the files of old days when somebody says yes', async () => {
    const at = place(1)
    await at.run('errors', 'archive', '--all', '--yes')
    const old = join(archiveOf(at), '../2020-01-01.ndjson')
    execFileSync('cp', [archiveOf(at), old])
    utimesSync(old, 1_577_900_000, 1_577_900_000)

    const refused = await at.run('errors', 'archive', 'prune', '--older-than', '30d', '--json')
    const pruned = await at.run('errors', 'archive', 'prune', '--older-than', '30d', '--yes', '--json')
    const again = await at.run('errors', 'archive', 'prune', '--older-than', '30d', '--yes', '--json')

    expect([refused.code, pruned.code, again.code]).toEqual([6, 0, 4])
    expect(pruned.json()).toMatchObject({
      schema: 'nsb.errors.prune/1',
      removed: 1,
      failed: 0,
      messages: 1,
      items: [{ path: old, messages: 1, result: 'removed' }],
    })
    expect([existsSync(old), existsSync(archiveOf(at))]).toEqual([false, true])
  })
})

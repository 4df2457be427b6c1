import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readSavedLine } from '../../../../src/message/saved-message.ts'
import { ArchiveFile } from '../../../../src/toolkit/errors/archive/archive-file.ts'
import { archivePath } from '../../../../src/toolkit/errors/archive/archive-folder.ts'
import { oldArchives, removeArchives } from '../../../../src/toolkit/errors/archive/prune.ts'
import { tempFolder } from '../../../support/temp-folder.ts'
import { fillDisk, mountDisk, unmount, whyNoDisk } from '../../../support/small-disk.ts'

const message = (id: string) =>
  ({
    headers: { 'NServiceBus.MessageId': id },
    native: {},
    nativeId: id,
    body: Buffer.from(`body of ${id}`),
    unreadable: undefined,
  }) as const
const facts = { queue: 'error', exportedAt: Date.UTC(2026, 10, 21) }
const idsIn = (path: string): string[] =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => readSavedLine(line, { verifyHash: true }).nativeId)
const codeOf = (act: Promise<unknown>): Promise<unknown> =>
  act.then(
    () => undefined,
    (error: { code?: string }) => error.code,
  )

describe('a file of an archive', () => {
  it('E-43 is for its owner alone, and so are the folders above it', async () => {
    const path = archivePath(tempFolder(), 'prod', 'error', facts.exportedAt)

    const file = await ArchiveFile.open(path)
    await file.add([message('m1')], facts)
    await file.close()

    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(statSync(join(path, '..')).mode & 0o777).toBe(0o700)
    expect(path.endsWith('/archive/prod/error/2026-11-21.ndjson')).toBe(true)
  })

  it('E-43 is inside the folder of archives, whatever profile and queue are called', () => {
    for (const name of ['..', '.', '../../etc', '/etc', 'a/b', '', 'ö'.repeat(300), '\ud800', 'nul\u0000', '.hidden', '%2E%2E']) {
      const [profile, queue, file, ...more] = archivePath('/state', name, name, 0).slice('/state/archive/'.length).split('/')

      expect([file, more]).toEqual(['1970-01-01.ndjson', []])
      expect([profile, queue]).toEqual([queue, profile])
      expect(profile).toMatch(/^[^./][^/]{0,254}$/)
    }
  })

  it('E-36 keeps what two write to it at once, and a line that was cut off spoils no other', async () => {
    const path = join(tempFolder(), 'a.ndjson')
    writeFileSync(path, '{"schema":"nsb.mess')
    const [one, two] = [await ArchiveFile.open(path), await ArchiveFile.open(path)]

    await Promise.all(
      Array.from({ length: 40 }, (_, index) => (index % 2 === 0 ? one : two).add([message(`a${index}`), message(`b${index}`)], facts)),
    )
    await one.close()
    await two.close()

    const [cut, ...lines] = readFileSync(path, 'utf8').trimEnd().split('\n')
    expect(cut).toBe('{"schema":"nsb.mess')
    expect(lines.filter((line) => line !== '')).toHaveLength(80)
  })

  it('is not replaced without being told to', async () => {
    const path = join(tempFolder(), 'a.ndjson')
    writeFileSync(path, 'mine\n', { mode: 0o644 })

    expect(await codeOf(ArchiveFile.open(path, { existing: 'refuse' }))).toBe('NSB_FILE_EXISTS')
    expect(readFileSync(path, 'utf8')).toBe('mine\n')
    const file = await ArchiveFile.open(path, { existing: 'replace' })
    await file.add([message('m1')], facts)
    await file.close()
    expect(idsIn(path)).toEqual(['m1'])
  })

  it('E-37 that is no place to keep something is refused', async () => {
    const folder = tempFolder()
    writeFileSync(join(folder, 'file'), '')

    expect(await codeOf(ArchiveFile.open(join(folder, 'file', 'a.ndjson')))).toBe('NSB_ARCHIVE_UNWRITABLE')
    expect(await codeOf(ArchiveFile.open('/dev/null'))).toBe('NSB_ARCHIVE_UNWRITABLE')
    expect(statSync('/dev/null').mode & 0o777).toBe(0o666)
  })

  it.skipIf(whyNoDisk() !== undefined)('E-37 on a full disk keeps whole lines only, and says that nothing more is safe', async () => {
    const disk = join(tempFolder(), 'disk')
    mountDisk(disk, 64)
    const path = join(disk, 'a.ndjson')
    const file = await ArchiveFile.open(path)
    await file.add([message('m1')], facts)
    fillDisk(disk)

    const large = { ...message('m2'), body: Buffer.alloc(100_000, 'x') }
    expect(await codeOf(file.add([large], facts))).toBe('NSB_ARCHIVE_UNWRITABLE')
    await file.close()

    expect(idsIn(path)).toEqual(['m1'])
    unmount(disk)
  })
})

describe('old archives', () => {
  const before = Date.UTC(2026, 10, 21, 12)

  function archived(state: string, day: string, changedAt = Date.parse(day)): string {
    const path = archivePath(state, 'default', 'error', Date.parse(day))
    mkdirSync(join(path, '..'), { recursive: true })
    writeFileSync(path, '{}\n{}\n')
    utimesSync(path, changedAt / 1000, changedAt / 1000)
    return path
  }

  it('are those of days that ended before, and that nobody has written to since', async () => {
    const state = tempFolder()
    const old = archived(state, '2026-11-20')
    archived(state, '2026-11-21')
    archived(state, '2026-11-19', before)
    writeFileSync(join(old, '..', 'notes.txt'), '')
    writeFileSync(join(old, '..', '2026-13-45.ndjson'), '')
    mkdirSync(join(old, '..', '2026-11-01.ndjson'))

    const found = await oldArchives(state, 'default', undefined, before)

    expect(found).toEqual([{ path: old, messages: 2, bytes: 6 }])
    expect(await oldArchives(state, 'prod', undefined, before)).toEqual([])
    expect(await oldArchives(state, 'default', ['other'], before)).toEqual([])
  })

  it('E-44 are not looked for behind a link', async () => {
    const [state, elsewhere] = [tempFolder(), tempFolder()]
    const outside = join(archived(elsewhere, '2026-11-20'), '..')
    mkdirSync(join(state, 'archive', 'default'), { recursive: true })
    symlinkSync(outside, join(state, 'archive', 'default', 'error'))
    symlinkSync(join(elsewhere, 'archive', 'default'), join(state, 'archive', 'prod'))

    expect(await oldArchives(state, 'default', undefined, before)).toEqual([])
    expect(await oldArchives(state, 'default', ['error'], before)).toEqual([])
    expect(await oldArchives(state, 'prod', undefined, before)).toEqual([])
  })

  it('stay when somebody has written to them since they were found', async () => {
    const state = tempFolder()
    const [path, other] = [archived(state, '2026-11-20'), archived(state, '2026-11-18')]
    const found = await oldArchives(state, 'default', ['error'], before)
    utimesSync(path, before / 1000, before / 1000)

    const { failed, removed } = await removeArchives(found, before)

    expect([removed.map((each) => each.path), failed.map((each) => each.path)]).toEqual([[other], [path]])
    expect([existsSync(path), existsSync(other)]).toEqual([true, false])
  })
})

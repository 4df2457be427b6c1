import assert from 'node:assert/strict'
import { chmod, readFile, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { lineDiff } from '../../../src/toolkit/scaffold/line-diff.ts'
import { folderInside, planFiles, refuseConflicts, writeFiles } from '../../../src/toolkit/scaffold/write-files.ts'
import { projectWith } from '../load-handlers/project.ts'

const files = [
  { path: 'src/new.ts', content: 'new\n' },
  { path: 'same.ts', content: 'same\n' },
  { path: 'other.ts', content: 'ours\n' },
]
const there = { 'same.ts': 'same\r\n', 'other.ts': 'theirs\n' }

describe('files that are to be written', () => {
  it('are new, the same already, or in conflict', async () => {
    await using project = await projectWith(there)

    const plan = await planFiles(project.root, files, false)

    assert.deepEqual(
      plan.map(({ action }) => action),
      ['create', 'same', 'conflict'],
    )
    expect(() => refuseConflicts(plan)).toThrow(expect.objectContaining({ code: 'NSB_FILE_CONFLICT' }))
  })

  it('are all written, and nothing is left aside', async () => {
    await using project = await projectWith(there)

    await writeFiles(project.root, await planFiles(project.root, files, true))

    assert.equal(await readFile(join(project.root, 'src/new.ts'), 'utf8'), 'new\n')
    assert.equal(await readFile(join(project.root, 'other.ts'), 'utf8'), 'ours\n')
    assert.deepEqual((await readdir(project.root)).toSorted(), ['other.ts', 'same.ts', 'src'])
  })

  it('are not written at all when one cannot be', async () => {
    await using project = await projectWith(there)
    const plan = await planFiles(project.root, [...files, { path: 'last/x.ts', content: '' }], true)
    // A file where the last one wants a folder: it came after the plan.
    await project.write('last', '')

    await assert.rejects(writeFiles(project.root, plan))

    assert.equal(await readFile(join(project.root, 'other.ts'), 'utf8'), 'theirs\n')
    assert.deepEqual((await readdir(project.root)).toSorted(), ['last', 'other.ts', 'same.ts'])
  })

  it.each(['src', 'src/a.ts/b.ts'])('refuse %s, where there is something else', async (path) => {
    await using project = await projectWith({ 'src/a.ts': '' })

    await expect(planFiles(project.root, [{ path, content: '' }], true)).rejects.toThrow(expect.objectContaining({ code: 'NSB_BAD_PATH' }))
  })

  it('keep the mode of their folder', async () => {
    await using project = await projectWith({ 'src/a.ts': '' })
    await chmod(join(project.root, 'src'), 0o750)

    await writeFiles(project.root, await planFiles(project.root, [{ path: 'src/b.ts', content: '' }], false))

    assert.equal((await stat(join(project.root, 'src'))).mode & 0o777, 0o750)
  })
})

it.each(['../other', '/elsewhere'])('a folder %s outside the project is refused', (folder) => {
  expect(() => folderInside('/shop', folder)).toThrow(expect.objectContaining({ code: 'NSB_BAD_PATH' }))
  assert.equal(folderInside('/shop', './src/x/'), 'src/x')
})

it('a diff marks what was taken away and what came', () => {
  assert.deepEqual(lineDiff('a\nb\nc', 'a\nc\nd'), ['  a', '- b', '  c', '+ d'])
  assert.deepEqual(lineDiff('', 'a'), ['- ', '+ a'])
})

import { strict as assert } from 'node:assert'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { NsbError } from '../../../src/message/nsb-error.ts'
import { StorageError, storageErrorOf } from '../../../src/transport/learning/storage-error.ts'
import { StorageFolder } from '../../../src/transport/learning/storage.ts'
import { fillDisk, mountDisk, unmount, whyNoDisk } from '../../support/small-disk.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { consume, depthIs, hasCode, message, openLearning, receive, toAddress, until } from './support.ts'

const systemError = (code: string, syscall = 'open'): Error =>
  Object.assign(new Error(`${code}: the system's words, ${syscall} '/data/q'`), { code, syscall })

describe('what the operating system refuses', () => {
  it.each([
    ['ENOSPC', 'NSB_DISK_FULL'],
    ['EDQUOT', 'NSB_DISK_FULL'],
    ['EROFS', 'NSB_DISK_READ_ONLY'],
    ['EACCES', 'NSB_CANNOT_ACCESS'],
    ['EPERM', 'NSB_CANNOT_ACCESS'],
    ['EMFILE', 'NSB_TOO_MANY_OPEN_FILES'],
    ['ENFILE', 'NSB_TOO_MANY_OPEN_FILES'],
    ['EIO', 'NSB_DISK_FAILED'],
    ['ENOTDIR', 'NSB_STORAGE_NOT_A_FOLDER'],
  ])('%s becomes %s, with the storage folder, the words of the system and a next step', (systemCode, code) => {
    const error = storageErrorOf(systemError(systemCode), '/data')

    assert.ok(error instanceof StorageError)
    assert.equal(error.code, code)
    assert.ok(error.message.includes(`'/data' (${systemCode}: the system's words, open '/data/q')`), error.message)
    assert.ok(error.suggestions.length > 0)
    assert.deepEqual(error.details, { storage: '/data', systemCode })
  })

  it('is left as it is when it is about one file: missing, or there already', () => {
    for (const error of [
      systemError('ENOENT'),
      systemError('EEXIST'),
      new NsbError({ code: 'NSB_BAD_NAME', message: 'x' }),
      new Error('x'),
      7,
    ])
      assert.equal(storageErrorOf(error, '/data'), error)
  })

  it('is a file in the way when a folder is there already', () => {
    hasCode('NSB_STORAGE_NOT_A_FOLDER')(storageErrorOf(systemError('EEXIST', 'mkdir'), '/data'))
  })
})

describe('a storage folder that is a file', () => {
  it('is refused by everything that needs it', async () => {
    const storage = join(tempFolder(), 'file')
    writeFileSync(storage, '')
    const transport = openLearning(storage)

    await assert.rejects(transport.dispatch([message('order', 'sales')]), hasCode('NSB_STORAGE_NOT_A_FOLDER'))
    await assert.rejects(transport.createQueues(['sales']), hasCode('NSB_STORAGE_NOT_A_FOLDER'))
    await assert.rejects(receive(transport, 'sales'), hasCode('NSB_STORAGE_NOT_A_FOLDER'))
  })
})

describe('a message whose destination refuses while the storage works', () => {
  it('is failed by the policy, and keeps no other message waiting', async () => {
    const storage = tempFolder()
    const transport = openLearning(storage)
    await transport.dispatch([message('bad', 'sales')])
    await transport.dispatch([message('good', 'sales')])
    writeFileSync(join(storage, 'billing'), 'in the way')
    const refused: unknown[] = []

    const seen = await receive(
      transport,
      'sales',
      async (incoming) => (Buffer.from(incoming.body).toString() === 'bad' ? consume(toAddress('billing')) : consume()),
      {
        onDispatchFailed: async (_, error) => {
          refused.push(error)
          return consume(toAddress('error'))
        },
      },
    )
    await until('both are settled', () => seen.deliveries.length === 2)
    await depthIs(transport, 'error', 1)

    hasCode('NSB_STORAGE_NOT_A_FOLDER')(refused[0])
    assert.deepEqual(seen.errors, [])
  })
})

describe('a transaction that cannot be finished', () => {
  it('keeps no message waiting, is told, and stays for the next time', async () => {
    const storage = tempFolder()
    const id = 'abcdef01-0000-4000-8000-000000000000'
    const folder = join(storage, 'sales/.committed', id)
    mkdirSync(folder, { recursive: true })
    mkdirSync(join(storage, '.nsb/owners'), { recursive: true })
    writeFileSync(join(storage, '.nsb/owners/abcdef01'), JSON.stringify({ pid: 2 ** 30, host: hostname() }))
    writeFileSync(join(folder, 'x.metadata.out'), '{}')
    writeFileSync(join(folder, 'targets.json'), JSON.stringify([{ nativeId: 'x', queue: 'billing' }]))
    writeFileSync(join(storage, 'billing'), 'in the way')
    const transport = openLearning(storage)
    await transport.dispatch([message('order', 'sales')])

    const seen = await receive(transport, 'sales')
    await until('the message is handled', () => seen.deliveries.length === 1)

    hasCode('NSB_STORAGE_NOT_A_FOLDER')(seen.errors[0])
    assert.equal(seen.errors.length, 1)
    assert.deepEqual(readdirSync(folder).toSorted(), ['targets.json', 'x.metadata.out'])
  })
})

it.skipIf(whyNoDisk() !== undefined)('E-37 on a full disk no temporary file is left behind', () => {
  const disk = join(tempFolder(), 'disk')
  mountDisk(disk, 64)
  const storage = new StorageFolder(disk)
  storage.writeWhole(join(disk, 'target'), 'a text', 'first')
  fillDisk(disk)

  assert.throws(() => storage.writeWhole(join(disk, 'target'), 'x'.repeat(10_000), 'second'), { code: 'ENOSPC' })

  assert.deepEqual(readdirSync(join(disk, '.nsb', 'tmp')), [])
  unmount(disk)
})

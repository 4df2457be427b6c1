import { existsSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { failureHeaders, messagesIn, nsb, putMessage } from '../cli/nsb.ts'
import { storedMessages } from '../support/folders.ts'
import { type RunningNsb, startRun } from '../support/running-nsb.ts'
import { fill, shop } from '../support/shop-project.ts'
import { fillDisk, mountAgain, mountDisk, remount, unmount, whyNoDisk } from '../support/small-disk.ts'

const outgoing = 4
const patient = { timeout: 20_000 }

/** A shop whose handler writes down when it runs, and sends several messages; its storage is a disk of its own. */
function shopOnDisk(kib: number, files?: number): { readonly folder: string; readonly storage: string } {
  const folder = shop(`appendFileSync('ran.log', message.OrderId + '\\n')
    await new Promise((resolve) => setTimeout(resolve, 3))
    for (let n = 0; n < ${outgoing}; n++) await context.send(new OrderAccepted({ OrderId: message.OrderId + ':' + n }), { destination: 'Out' })
  }
}
import { appendFileSync } from 'node:fs'
{ {`)
  const storage = join(folder, '.learningtransport')
  mountDisk(storage, kib, files)
  return { folder, storage }
}

const handlerRuns = (folder: string): number =>
  existsSync(join(folder, 'ran.log')) ? readFileSync(join(folder, 'ran.log'), 'utf8').trim().split('\n').length : 0

const arrived = (storage: string): string[] =>
  storedMessages(storage, 'Out')
    .map(({ body }) => (JSON.parse(body.toString()) as { OrderId: string }).OrderId)
    .sort()

const expectedOf = (messages: number): string[] =>
  Array.from({ length: messages }, (_, id) => Array.from({ length: outgoing }, (__, n) => `o${id}:${n}`))
    .flat()
    .sort()

const told = (run: RunningNsb, code: string): number => `${run.stdout}${run.stderr}`.split(code).length - 1

/** Nothing of the queue is left: no message, nothing half done, no body. */
function expectEmpty(storage: string): void {
  for (const stage of ['.pending', '.committed', '.bodies']) expect(readdirSync(join(storage, 'Shop', stage)), stage).toEqual([])
  expect(storedMessages(storage, 'Shop')).toEqual([])
  expect(storedMessages(storage, 'error')).toEqual([])
}

const reason = whyNoDisk()
if (reason !== undefined) console.log(`disk.test.ts is skipped: ${reason}`)

describe.skipIf(reason !== undefined)('a disk that fills up under a running endpoint', () => {
  it('loses nothing, tells it once, runs no handler in vain, and the endpoint goes on when there is room', async () => {
    const messages = 150
    const { folder, storage } = shopOnDisk(3 * 1024)
    await fill(folder, 0, messages)

    const run = await startRun(folder)
    await expect.poll(() => told(run, 'NSB_DISK_FULL'), patient).toBeGreaterThan(0)
    const ranWhenFull = handlerRuns(folder)
    // Takes a while, in which the endpoint could try again and again.
    const send = await nsb(['send', 'PlaceOrder', '--data', 'OrderId=late', '--to', 'Shop'], { cwd: folder })
    for (let look = 0; look < 4; look++) await nsb(['errors', 'list', '--json'], { cwd: folder })
    const ranWhileFull = handlerRuns(folder)
    await remount(storage, 'size=32768k')
    await expect.poll(() => arrived(storage).length, patient).toBe(messages * outgoing + (send.code === 0 ? outgoing : 0))
    run.kill('SIGINT')
    await run.ended

    expect(ranWhileFull - ranWhenFull).toBeLessThanOrEqual(1)
    expect(told(run, 'NSB_DISK_FULL')).toBeLessThanOrEqual(2)
    expect(run.stderr).toContain(`NSB_DISK_FULL: The disk of the storage folder is full: '${storage}' (ENOSPC: no space left on device`)
    expect(run.stderr).toContain(`Try: Make room: df -h '${storage}'`)
    expect(run.stderr).toContain(`! The storage folder '${storage}' can be used again; queue 'Shop' is received from.`)
    expect(arrived(storage).filter((id) => !id.startsWith('late'))).toEqual(expectedOf(messages))
    expectEmpty(storage)
  })

  it('loses nothing either when it is the number of files that is used up', async () => {
    const messages = 100
    const { folder, storage } = shopOnDisk(32 * 1024, 500)
    await fill(folder, 0, messages)

    const run = await startRun(folder)
    await expect.poll(() => told(run, 'NSB_DISK_FULL'), patient).toBeGreaterThan(0)
    const send = await nsb(['send', 'PlaceOrder', '--data', 'OrderId=late', '--to', 'Shop'], { cwd: folder })
    await remount(storage, 'nr_inodes=50000')
    const late = send.code === 0 ? outgoing : 0
    await expect.poll(() => arrived(storage).length, patient).toBe(messages * outgoing + late)
    run.kill('SIGINT')
    await run.ended

    expect(arrived(storage).filter((id) => !id.startsWith('late'))).toEqual(expectedOf(messages))
    expectEmpty(storage)
  })

  it('while several processes send: every message that was accepted is handled, and a refused one left nothing', async () => {
    const { folder, storage } = shopOnDisk(1024)
    await fill(folder, 0, 20)
    const run = await startRun(folder)
    await expect.poll(() => arrived(storage).length, patient).toBe(20 * outgoing)
    const accepted: string[] = []
    let refused = 0
    for (let round = 0; refused < 2 && round < 40; round++) {
      const ids = [`a${round}`, `b${round}`]
      const sent = await Promise.all(
        ids.map((id) => nsb(['send', 'PlaceOrder', '--data', `OrderId=${id}`, '--to', 'Shop', '--repeat', '5'], { cwd: folder })),
      )
      sent.forEach(({ code }, index) => {
        if (code === 0) accepted.push(ids[index] as string)
        else refused++
      })
    }
    await remount(storage, 'size=32768k')
    const isWaiting = (): boolean => storedMessages(storage, 'Shop').length > 0 || readdirSync(join(storage, 'Shop', '.bodies')).length > 0
    await expect.poll(isWaiting, patient).toBe(false)
    run.kill('SIGINT')
    await run.ended

    expect(refused).toBeGreaterThan(0)
    const ids = arrived(storage)
    for (const id of accepted) expect(ids.filter((each) => each === `${id}:0`)).toHaveLength(5)
    expect(readdirSync(join(storage, 'Out', '.bodies'))).toHaveLength(ids.length)
    expectEmpty(storage)
  })
})

describe.skipIf(reason !== undefined)('a disk that becomes read-only under a running endpoint', () => {
  it('loses nothing and doubles nothing, and the endpoint goes on when it can be written again', async () => {
    const messages = 150
    const { folder, storage } = shopOnDisk(32 * 1024)
    await fill(folder, 0, messages)

    const run = await startRun(folder)
    await expect.poll(() => handlerRuns(folder), { ...patient, interval: 5 }).toBeGreaterThan(10)
    await remount(storage, 'ro')
    await expect.poll(() => told(run, 'NSB_DISK_READ_ONLY'), patient).toBeGreaterThan(0)
    const ranWhenReadOnly = handlerRuns(folder)
    const send = await nsb(['send', 'PlaceOrder', '--data', 'OrderId=late', '--to', 'Shop'], { cwd: folder })
    const start = await nsb(['run', '--until-idle', '100ms'], { cwd: folder })
    const list = await nsb(['errors', 'list', '--json'], { cwd: folder })
    const ranWhileReadOnly = handlerRuns(folder)
    await remount(storage, 'rw')
    await expect.poll(() => arrived(storage).length, patient).toBe(messages * outgoing)
    run.kill('SIGINT')
    await run.ended

    for (const refused of [send, start]) {
      expect(refused.code).toBe(5)
      expect(refused.stderr).toContain(`Error NSB_DISK_READ_ONLY: The disk of the storage folder is read-only: '${storage}' (EROFS`)
      expect(refused.stderr).toContain('Try: ')
    }
    expect(list.code).toBe(0)
    expect(ranWhileReadOnly - ranWhenReadOnly).toBe(0)
    expect(told(run, 'NSB_DISK_READ_ONLY')).toBeLessThanOrEqual(2)
    expect(arrived(storage)).toEqual(expectedOf(messages))
    expectEmpty(storage)
  })
})

describe.skipIf(reason !== undefined)('commands on a full disk', () => {
  it('a send is refused with exit code 5, the path, the reason and the next step, and leaves nothing', async () => {
    const { folder, storage } = shopOnDisk(512)
    fillDisk(storage)

    const { code, stderr } = await nsb(['send', 'PlaceOrder', '--data', 'OrderId=1', '--to', 'Shop'], { cwd: folder })

    expect(code).toBe(5)
    expect(stderr).toContain(`Error NSB_DISK_FULL: The disk of the storage folder is full: '${storage}' (ENOSPC: no space left on device`)
    expect(stderr).toContain(`Try: Make room: df -h '${storage}'`)
    const left = readdirSync(storage, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    expect(left.map(({ name }) => name).filter((name) => name !== 'filler')).toEqual([])
  })

  it('errors replay keeps every message in the error queue, publishes none by half, and works when there is room', async () => {
    const messages = 30
    const { folder, storage } = shopOnDisk(512)
    for (let id = 0; id < messages; id++)
      putMessage(storage, 'error', `e${id}`, { ...failureHeaders(`m${id}`), 'NServiceBus.FailedQ': 'Shop' })
    putMessage(storage, 'Shop', 'waiting', failureHeaders('waiting'))
    fillDisk(storage)

    const full = await nsb(['errors', 'replay', '--all', '--yes', '--json'], { cwd: folder })
    const keptInError = messagesIn(storage, 'error').length
    const inShop = messagesIn(storage, 'Shop').length
    const bodies = readdirSync(join(storage, 'Shop', '.bodies')).length
    await remount(storage, 'size=8192k')
    const again = await nsb(['errors', 'replay', '--all', '--yes', '--json'], { cwd: folder })

    expect([full.code, keptInError, inShop, bodies], full.stdout + full.stderr).toEqual([3, messages, 1, 1])
    expect(full.stdout).toContain('NSB_DISK_FULL')
    expect([again.code, messagesIn(storage, 'Shop').length], again.stdout + again.stderr).toEqual([0, messages + 1])
    for (const stage of ['.pending', '.committed', '.bodies'])
      expect(existsSync(join(storage, 'error', stage)) ? readdirSync(join(storage, 'error', stage)) : []).toEqual([])
  })

  it('an endpoint does not start, with exit code 5', async () => {
    const { folder, storage } = shopOnDisk(512)
    fillDisk(storage)

    const { code, stderr } = await nsb(['run', '--until-idle', '100ms'], { cwd: folder })

    expect([code, stderr]).toEqual([5, expect.stringContaining('Error NSB_DISK_FULL: ')])
  })
})

describe('a storage folder that disappears under a running endpoint', () => {
  it('is made again, which is told, and the endpoint goes on', async () => {
    const folder = shop(`await context.send(new OrderAccepted({ OrderId: message.OrderId }), { destination: 'Out' })`)
    const storage = join(folder, '.learningtransport')
    const run = await startRun(folder)

    renameSync(storage, `${storage}.gone`)
    await expect.poll(() => told(run, 'NSB_STORAGE_REMOVED'), patient).toBe(1)
    await fill(folder, 0, 3)
    await expect.poll(() => arrived(storage), patient).toEqual(['o0', 'o1', 'o2'])
    run.kill('SIGINT')
    await run.ended

    expect(told(run, 'NSB_STORAGE_REMOVED')).toBe(1)
  })

  it.skipIf(reason !== undefined)('with its disk is waited for, and nothing is written where the disk was', async () => {
    const { folder, storage: disk } = shopOnDisk(8 * 1024)
    const storage = join(folder, 'mounted')
    mountAgain(disk, storage)
    await fill(folder, 0, 1)
    const run = await startRun(folder, '--storage', storage)
    await expect.poll(() => arrived(storage), patient).toEqual(expectedOf(1))

    unmount(storage)
    await expect.poll(() => told(run, 'NSB_STORAGE_GONE'), patient).toBe(1)
    await fill(folder, 1, 5)
    const writtenMeanwhile = readdirSync(storage)
    mountAgain(disk, storage)
    await expect.poll(() => arrived(storage), patient).toEqual(expectedOf(6))
    run.kill('SIGINT')
    await run.ended

    expect(writtenMeanwhile).toEqual([])
    expect(told(run, 'NSB_STORAGE_GONE')).toBe(1)
    expectEmpty(storage)
  })
})

describe('a storage folder that is a file', () => {
  it('is refused with exit code 2 and its path', async () => {
    const folder = shop()
    const storage = join(folder, '.learningtransport')
    rmSync(storage, { recursive: true })
    writeFileSync(storage, 'not a folder')

    for (const words of [
      ['run', '--storage', storage],
      ['send', 'PlaceOrder', '--data', 'OrderId=1', '--to', 'Shop', '--storage', storage],
    ]) {
      const { code, stderr } = await nsb(words, { cwd: folder })

      expect([code, stderr]).toEqual([2, expect.stringContaining(storage)])
    }
  })
})

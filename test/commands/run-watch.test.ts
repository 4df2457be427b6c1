import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { nsb } from '../cli/nsb.ts'
import { storedMessages } from '../support/folders.ts'
import { type RunningNsb, startRun as startOne } from '../support/running-nsb.ts'
import { placeOrderHandler, shop, write } from '../support/shop-project.ts'

// Its endpoint ends a moment after it, and only then may the folder go.
const started: RunningNsb[] = []
afterEach(async () => {
  for (const run of started.splice(0)) {
    const below = processesBelow(run.pid)
    run.kill('SIGTERM')
    await run.ended
    await expect.poll(() => below.filter(isAlive), soon).toEqual([])
  }
})

async function startRun(folder: string, ...flags: readonly string[]): Promise<RunningNsb> {
  const run = await startOne(folder, ...flags)
  started.push(run)
  return run
}

const soon = { timeout: 20_000 }
const handlerFile = 'src/handlers/place-order.handler.ts'
const record = (text: string): string => `process.stdout.write(JSON.stringify({ did: message.OrderId, by: '${text}' }) + '\\n')`
const send = (folder: string, ...ids: readonly string[]) =>
  nsb(['send', 'PlaceOrder', '--each', '--quiet', '--no-validate', '--to', 'Shop'], {
    cwd: folder,
    input: ids.map((OrderId) => JSON.stringify({ OrderId })).join('\n'),
  })
const did = (run: RunningNsb) => run.lines.filter((line) => line['did'] !== undefined)
const events = (run: RunningNsb, name: string) => run.lines.filter((line) => line['event'] === name)
const waiting = (folder: string) => storedMessages(join(folder, '.learningtransport'), 'Shop')

/** Processes that were started by this one, or by those, and live. */
function processesBelow(pid: number): readonly number[] {
  const rows = execFileSync('ps', ['-eo', 'pid=,ppid='], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((row) => row.trim().split(/\s+/).map(Number) as [number, number])
  const below = (parent: number): readonly number[] => rows.flatMap(([child, of]) => (of === parent ? [child, ...below(child)] : []))
  return below(pid)
}

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

describe('nsb run --watch', () => {
  it('reloads on a change and goes on with the new code, in a process that knows nothing of the old one', async () => {
    const folder = shop(`globalThis.seen = (globalThis.seen ?? 0) + 1; ${record("' + globalThis.seen + 'a")}`)
    const run = await startRun(folder, '--watch')
    await send(folder, '1')
    await expect.poll(() => did(run), soon).toHaveLength(1)

    write(folder, {
      [handlerFile]: placeOrderHandler(`globalThis.seen = (globalThis.seen ?? 0) + 1; ${record("' + globalThis.seen + 'b")}`),
    })
    await expect.poll(() => events(run, 'ready'), soon).toHaveLength(2)
    await send(folder, '2')

    await expect
      .poll(() => did(run), soon)
      .toEqual([
        { did: '1', by: '1a' },
        { did: '2', by: '1b' },
      ])
    expect(events(run, 'reloading')).toMatchObject([{ files: [handlerFile] }])
    run.kill('SIGTERM')
    expect(await run.ended).toBe(143)
    expect(run.lines.at(-1)).toMatchObject({ schema: 'nsb.summary/1', handled: 2 })
  })

  it('stays stopped while a file does not compile, keeps the messages, and starts again when it does', async () => {
    const folder = shop(record('a'))
    const run = await startRun(folder, '--watch')

    write(folder, { [handlerFile]: 'export class {' })
    await expect.poll(() => events(run, 'broken'), soon).toMatchObject([{ error: { code: 'NSB_HANDLER_DOES_NOT_COMPILE' } }])
    await send(folder, '1', '2')
    expect(run.stderr).toContain('place-order.handler.ts:1:')
    expect(waiting(folder)).toHaveLength(2)

    write(folder, { [handlerFile]: placeOrderHandler(record('b')) })
    await expect
      .poll(() => did(run), soon)
      .toEqual([
        { did: '1', by: 'b' },
        { did: '2', by: 'b' },
      ])
  })

  it('waits for a change when an endpoint is refused at the start, and when its process dies', async () => {
    const folder = shop(`setImmediate(() => { throw new Error('out of the blue') })\n await new Promise(() => undefined)`)
    const [good, bad] = [readFileSync(join(folder, 'nsb.json'), 'utf8'), '{ "endpoint": { "name": 7 } }']
    const run = await startRun(folder, '--watch')

    writeFileSync(join(folder, 'nsb.json'), bad)
    await expect.poll(() => events(run, 'broken'), soon).toMatchObject([{ error: { code: 'NSB_CONFIG_INVALID' } }])
    writeFileSync(join(folder, 'nsb.json'), good)
    await expect.poll(() => events(run, 'ready'), soon).toHaveLength(2)
    await send(folder, '1')
    await expect.poll(() => events(run, 'broken'), soon).toHaveLength(2)
    expect(events(run, 'broken')[1]).toMatchObject({ error: { message: expect.stringContaining('ended unexpectedly') as string } })

    write(folder, { [handlerFile]: placeOrderHandler(record('b')) })
    await expect.poll(() => did(run), soon).toEqual([{ did: '1', by: 'b' }])
  })

  it('does not reload for what is no code: tests, node_modules, dist, dot folders', async () => {
    const folder = shop(record('a'))
    write(folder, { 'node_modules/x/index.js': '', 'dist/x.js': '' })
    const run = await startRun(folder, '--watch')

    write(folder, { 'node_modules/x/index.js': '1', 'dist/x.js': '1', '.cache/x.js': '1', 'src/a.test.ts': '1', 'notes.txt': '1' })
    write(folder, { 'src/new/added.ts': 'export {}' })

    await expect.poll(() => events(run, 'reloading'), soon).toMatchObject([{ files: ['src/new/added.ts'] }])
  })

  it('counts --max over all generations', async () => {
    const folder = shop(record('a'))
    const run = await startRun(folder, '--watch', '--max', '2')
    await send(folder, '1')
    await expect.poll(() => did(run), soon).toHaveLength(1)
    write(folder, { [handlerFile]: placeOrderHandler(record('b')) })
    await expect.poll(() => events(run, 'ready'), soon).toHaveLength(2)

    await send(folder, '2', '3')

    expect(await run.ended).toBe(0)
    expect(did(run)).toHaveLength(2)
    expect(waiting(folder)).toHaveLength(1)
  })

  it('CLI-12 processes each of 100 messages exactly once while a file changes every 200 ms', { timeout: 120_000 }, async () => {
    const folder = shop(`await new Promise((resolve) => setTimeout(resolve, 15)); ${record('0')}`)
    const run = await startRun(folder, '--watch', '--no-retries')
    const settled = (): number => events(run, 'handled').length + events(run, 'failed').length
    let change = 0
    const editing = setInterval(() => {
      change++
      const text = placeOrderHandler(
        `await new Promise((resolve) => setTimeout(resolve, 15)); if (message.OrderId === 'bad') throw new Error('no'); ${record(String(change))}`,
      )
      // Now and then it does not compile.
      write(folder, { [handlerFile]: change % 7 === 3 ? text.slice(0, -40) : text })
    }, 200)
    const ids = Array.from({ length: 99 }, (_, index) => String(index))
    try {
      for (let from = 0; from < 99; from += 33) await send(folder, ...ids.slice(from, from + 33))
      await send(folder, 'bad')
      // Most of them are still to be handled once they are sent, so the changes go on.
      await expect.poll(settled, { timeout: 60_000 }).toBeGreaterThan(30)
    } finally {
      clearInterval(editing)
    }
    write(folder, {
      [handlerFile]: placeOrderHandler(`if (message.OrderId === 'bad') throw new Error('no'); ${record('last')}`),
    })

    await expect.poll(settled, { timeout: 60_000 }).toBe(100)
    run.kill('SIGTERM')
    expect(await run.ended).toBe(143)
    expect(waiting(folder)).toEqual([])
    expect(run.lines.at(-1)).toMatchObject({ handled: 99, failed: 1, retried: 0 })
    expect(
      did(run)
        .map((line) => Number(line['did']))
        .toSorted((a, b) => a - b),
    ).toEqual(ids.map(Number))
    expect(storedMessages(join(folder, '.learningtransport'), 'error')).toHaveLength(1)
    expect(events(run, 'reloading').length).toBeGreaterThan(1)
    expect(new Set(did(run).map((line) => line['by'])).size, 'versions that handled messages').toBeGreaterThan(1)
  })
})

describe('no process is left behind', () => {
  const stuck = `process.stdout.write('{"inHand":true}\\n'); setInterval(() => undefined, 1000); await new Promise(() => undefined)`

  it('CLI-13 after Ctrl-C and after SIGTERM, with a timer that nobody clears', async () => {
    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      const folder = shop(`setInterval(() => undefined, 1000); ${record('a')}`)
      const run = await startRun(folder, '--watch')
      await send(folder, '1')
      await expect.poll(() => did(run), soon).toHaveLength(1)
      const below = processesBelow(run.pid)

      run.kill(signal)

      expect(await run.ended).toBe(code)
      expect(below.length).toBeGreaterThan(0)
      await expect.poll(() => below.filter(isAlive), soon).toEqual([])
    }
  })

  it('CLI-13 after Ctrl-C twice while a handler hangs; its message is still there', async () => {
    const folder = shop(stuck)
    const run = await startRun(folder, '--watch')
    await send(folder, '1')
    await expect.poll(() => run.stdout, soon).toContain('inHand')
    const below = processesBelow(run.pid)

    run.kill('SIGINT')
    run.kill('SIGINT')
    // Two signals at once may arrive as one.
    const again = setInterval(() => run.kill('SIGINT'), 200)

    expect(await run.ended.finally(() => clearInterval(again))).toBe(130)
    await expect.poll(() => below.filter(isAlive), soon).toEqual([])
    write(folder, { [handlerFile]: placeOrderHandler(record('b')) })
    const after = await nsb(['run', '--max', '1', '--log', 'json'], { cwd: folder })
    expect(after.stdout).toContain('"by":"b"')
  })

  it('CLI-13 after the parent was killed', async () => {
    const folder = shop(record('a'))
    const run = await startRun(folder, '--watch')
    const below = processesBelow(run.pid)

    run.kill('SIGKILL')

    await run.ended
    expect(below.length).toBeGreaterThan(0)
    await expect.poll(() => below.filter(isAlive), soon).toEqual([])
  })

  it('CLI-13 without --watch, although a handler file left a timer behind', async () => {
    const folder = shop(`setInterval(() => undefined, 1000); ${record('a')}`)
    await send(folder, '1')

    expect((await nsb(['run', '--until-idle', '50ms', '--log', 'json'], { cwd: folder })).code).toBe(0)
  })
})

import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { type Ended, failureHeaders, messagesIn, nsb, putMessage, temporaryFolder } from '../../cli/nsb.ts'

const bin = fileURLToPath(new URL('../../../bin/run.js', import.meta.url))

interface Place {
  readonly folder: string
  readonly storage: string
  run(words: readonly string[], input?: string): Promise<Ended>
}

function place(count: number, body = (number: number): string => `{"Number":${number}}`): Place {
  const folder = temporaryFolder()
  const storage = join(folder, '.learningtransport')
  mkdirSync(join(storage, 'Sales', '.bodies'), { recursive: true })
  for (let number = 1; number <= count; number++) {
    const time = `2026-11-21 00:00:${String(number % 60).padStart(2, '0')}:000000 Z`
    putMessage(storage, 'error', `m${number}`, failureHeaders(`m${number}`, { 'NServiceBus.TimeOfFailure': time }), body(number))
  }
  return {
    folder,
    storage,
    run: (words, input) =>
      nsb(words, { cwd: folder, env: { NSB_STATE_DIR: join(folder, 'state') }, ...(input !== undefined && { input }) }),
  }
}

const linesOf = (text: string): Record<string, unknown>[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
const codeOf = (ended: Ended): unknown => (ended.json()['error'] as { readonly code: string }).code

/** Runs a line in a shell in which `nsb` is this build. */
function shell({ folder }: Place, line: string): Promise<{ code: number | null; stdout: string; stderr: string }> {
  mkdirSync(join(folder, 'bin'), { recursive: true })
  writeFileSync(join(folder, 'bin', 'nsb'), `#!/bin/sh\nexec '${process.execPath}' '${bin}' "$@"\n`, { mode: 0o755 })
  const child = spawn('/bin/sh', ['-c', line], {
    cwd: folder,
    env: { ...process.env, NSB_STATE_DIR: join(folder, 'state'), PATH: `${join(folder, 'bin')}:${process.env['PATH'] ?? ''}` },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr })))
}

describe('errors export', () => {
  it('E-38 prints a line for each message and leaves all of them where they are', async () => {
    const at = place(3)
    const before = messagesIn(at.storage, 'error')

    const { code, stderr, stdout } = await at.run(['errors', 'export'])

    expect(code).toBe(0)
    expect(linesOf(stdout).map(({ body, messageId, schema }) => [schema, messageId, (body as { data: string }).data])).toEqual([
      ['nsb.message/1', 'm1', '{"Number":1}'],
      ['nsb.message/1', 'm2', '{"Number":2}'],
      ['nsb.message/1', 'm3', '{"Number":3}'],
    ])
    expect(stderr).toBe('selected 3, exported 3, left in queue 3\n')
    expect(messagesIn(at.storage, 'error')).toEqual(before)
  })

  it('E-38 ends with a summary under --json, which import passes over', async () => {
    const at = place(2)

    const { stdout } = await at.run(['errors', 'export', '--json'])
    const imported = await at.run(['errors', 'import', '-', '--yes', '--json'], stdout)

    expect(linesOf(stdout).at(-1)).toEqual({
      schema: 'nsb.summary/1',
      profile: 'default',
      queue: 'error',
      selected: 2,
      exported: 2,
      failed: 0,
      leftInQueue: 2,
      newerArrivals: 0,
    })
    expect(imported.code).toBe(0)
    expect(imported.json()).toMatchObject({ read: 2, imported: 0, skipped: 2, rejected: 0 })
  })

  it('E-38 pipes through jq back to where the messages failed', async () => {
    const at = place(2)
    putMessage(at.storage, 'error', 'other', failureHeaders('other', { 'NServiceBus.EnclosedMessageTypes': 'Shop.Messages.Other' }))

    const { code, stderr } = await shell(
      at,
      `nsb errors export --type PlaceOrder | jq -c '.body.data |= (fromjson | .Quantity = 1 | tojson)' | nsb errors import - --replay --no-hash --yes`,
    )

    expect(code, stderr).toBe(0)
    const copies = messagesIn(at.storage, 'Sales')
    expect(copies.map(({ body }) => body).toSorted()).toEqual(['{"Number":1,"Quantity":1}', '{"Number":2,"Quantity":1}'])
    expect(copies.every(({ headers }) => headers['Nsb.Replay.Count'] === '1' && headers['NServiceBus.FailedQ'] === undefined)).toBe(true)
  })

  it('CLI-15 ends without a word when its reader goes away', async () => {
    const at = place(300, () => 'x'.repeat(20_000))

    const { code, stderr } = await shell(at, '{ nsb errors export; echo "code $?" >&2; } | head -1 > /dev/null')

    expect([code, stderr]).toEqual([0, 'code 0\n'])
    expect(messagesIn(at.storage, 'error')).toHaveLength(300)
  })

  it('E-13 is ended by Ctrl-C while nobody reads what it prints', { timeout: 60_000 }, async () => {
    const at = place(300, () => 'x'.repeat(20_000))
    const child = spawn(process.execPath, [bin, 'errors', 'export'], {
      cwd: at.folder,
      env: { ...process.env, NSB_STATE_DIR: join(at.folder, 'state') },
    })
    let heard = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (heard += text))
    const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
    // The first bytes are there; nobody takes more of them.
    await new Promise<void>((resolve) => child.stdout.once('readable', () => resolve()))

    child.kill('SIGINT')
    await expect.poll(() => heard, { timeout: 20_000 }).toContain('interrupted')
    child.stdout.resume()

    expect(await ended).toBe(130)
    expect(messagesIn(at.storage, 'error')).toHaveLength(300)
  })

  it('E-43 writes to a file that nobody else may read, and replaces none without being told to', async () => {
    const at = place(2)
    const path = join(at.folder, 'a.ndjson')

    const first = await at.run(['errors', 'export', '--file', 'a.ndjson', '--json'])
    const second = await at.run(['errors', 'export', '--file', 'a.ndjson', '--json'])
    const third = await at.run(['errors', 'export', 'm1', '--file', 'a.ndjson', '--force', '--json'])

    expect([first.code, second.code, third.code]).toEqual([0, 6, 0])
    expect(codeOf(second)).toBe('NSB_FILE_EXISTS')
    expect(first.json()).toMatchObject({ schema: 'nsb.errors.export/1', file: path, selected: 2, exported: 2, leftInQueue: 2 })
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(linesOf(readFileSync(path, 'utf8')).map(({ messageId }) => messageId)).toEqual(['m1'])
  })

  it('E-36 removes from the queue what is safe in the file when it is told to', async () => {
    const at = place(3)

    const unconfirmed = await at.run(['errors', 'export', '--all', '--remove', '--file', 'a.ndjson', '--json'])
    const nothing = await at.run(['errors', 'export', '--remove', '--file', 'a.ndjson', '--yes', '--json'])
    const nowhere = await at.run(['errors', 'export', '--all', '--remove', '--yes', '--json'])
    const removed = await at.run(['errors', 'export', '--all', '--remove', '--file', 'a.ndjson', '--yes', '--json'])

    expect([unconfirmed.code, nothing.code, nowhere.code, removed.code]).toEqual([6, 2, 2, 0])
    expect(removed.json()).toMatchObject({ exported: 3, removed: 3, leftInQueue: 0 })
    expect(linesOf(readFileSync(join(at.folder, 'a.ndjson'), 'utf8'))).toHaveLength(3)
    expect(messagesIn(at.storage, 'error')).toEqual([])
  })

  it('leaves bodies out when it is told to, and import refuses such lines', async () => {
    const at = place(1)

    const { stdout } = await at.run(['errors', 'export', '--no-body'])
    const imported = await at.run(['errors', 'import', '-', '--allow-duplicates', '--yes', '--json'], stdout)

    expect(linesOf(stdout)[0]).not.toHaveProperty('body')
    expect(imported.code).toBe(3)
    expect(imported.json()).toMatchObject({ rejected: 1, items: [{ line: 1, result: 'rejected', error: { code: 'NSB_BAD_LINE' } }] })
  })

  it('says that nothing matched, and makes no file', async () => {
    const at = place(1)

    const ended = await at.run(['errors', 'export', '--type', 'Other', '--file', 'a.ndjson', '--json'])

    expect([ended.code, codeOf(ended)]).toEqual([4, 'NSB_NOTHING_MATCHED'])
    expect(existsSync(join(at.folder, 'a.ndjson'))).toBe(false)
  })
})

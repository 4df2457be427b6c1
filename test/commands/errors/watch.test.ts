import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { failureHeaders, nsb, projectWith, putMessage } from '../../cli/nsb.ts'
import { type RunningNsb, startNsb } from '../../support/running-nsb.ts'

const run = fileURLToPath(new URL('../../../bin/run.js', import.meta.url))

interface World {
  readonly folder: string
  /** Puts a failure into the error queue. */
  readonly fail: (id: string, more?: Readonly<Record<string, string>>, queue?: string) => void
}

function makeWorld(): World {
  const { folder, storage } = projectWith()
  return {
    folder,
    fail: (id, more = {}, queue = 'error') => putMessage(storage, queue, id, failureHeaders(id, more), `{"OrderId":"${id}"}`),
  }
}

/** `nsb errors watch`, once it says that it watches so many queues. */
async function watching({ folder }: World, flags: readonly string[], queues = 1): Promise<RunningNsb> {
  const watch = startNsb(['errors', 'watch', ...flags], folder)
  await expect.poll(() => watch.stderr.split('watching ').length - 1, { timeout: 20_000 }).toBe(queues)
  return watch
}

const linesOf = (text: string): string[] => text.split('\n').slice(0, -1)
const events = (watch: RunningNsb, name: string): readonly Record<string, unknown>[] => watch.lines.filter(({ event }) => event === name)
const until = (holds: () => boolean): Promise<void> => expect.poll(holds, { timeout: 20_000 }).toBe(true)

describe('errors watch', () => {
  it('E-45 E-44 shows each new failure on a line that is safe for a terminal, and nothing that was there before', async () => {
    const world = makeWorld()
    world.fail('old')
    const watch = await watching(world, [])

    world.fail('new', { 'NServiceBus.ExceptionInfo.Message': 'no \u001b[31mstock\u202e\r\nat all' })
    await until(() => watch.stdout.includes('\n'))
    watch.kill('SIGINT')

    expect(await watch.ended).toBe(130)
    expect(watch.stderr).toContain("watching 'error' on default (learning, 1 message)")
    assert.equal(linesOf(watch.stdout).length, 1)
    expect(watch.stdout).toMatch(
      /^2026-11-21T00:21:15.973Z {2}[0-9a-f-]{36} {2}Shop.Messages.PlaceOrder {2}Sales {2}System.Exception: no \\x1b\[31mstock\\u202e\n$/,
    )
  })

  it('CLI-2 gives one JSON document a line, the last one a summary, and ends with 143 when it is told to', async () => {
    const world = makeWorld()
    const watch = startNsb(['errors', 'watch', '--json'], world.folder)
    await until(() => watch.stdout.includes('"watching"'))

    world.fail('m1')
    await until(() => events(watch, 'failed').length === 1)
    watch.kill('SIGTERM')

    expect(await watch.ended).toBe(143)
    expect(watch.lines).toMatchObject([
      { event: 'watching', errorQueue: 'error', by: 'tap' },
      { event: 'failed', errorQueue: 'error', messageId: 'm1', exceptionMessage: 'no stock', endpoint: 'Sales' },
      { schema: 'nsb.summary/1', queue: 'error', seen: 1 },
    ])
  })

  it('shows of several error queues what is selected', async () => {
    const world = makeWorld()
    const flags = ['--type', 'CancelOrder', '--error-queue', 'error', '--error-queue', 'billing.error', '-o', 'ids']
    const watch = await watching(world, flags, 2)
    const cancel = { 'NServiceBus.EnclosedMessageTypes': 'Shop.Messages.CancelOrder, Shop.Messages' }

    world.fail('m1')
    world.fail('m2', { ...cancel, 'ServiceControl.Retry.UniqueMessageId': 'second' })
    await until(() => watch.stdout.includes('second'))
    world.fail('m3', { ...cancel, 'ServiceControl.Retry.UniqueMessageId': 'third' }, 'billing.error')
    await until(() => watch.stdout.includes('third'))
    watch.kill('SIGINT')
    await watch.ended

    assert.deepEqual(linesOf(watch.stdout), ['second', 'third'])
  })

  it('selects by the body', async () => {
    const world = makeWorld()
    const watch = await watching(world, ['--body', "$[?@ == 'm2']", '--exit-on-first', '--json'])

    world.fail('m1')
    world.fail('m2')

    expect(await watch.ended, watch.stderr).toBe(0)
    expect(events(watch, 'failed')).toMatchObject([{ messageId: 'm2' }])
  })

  it('ends with 0 after the first one with --exit-on-first', async () => {
    const world = makeWorld()
    const watch = await watching(world, ['--exit-on-first'])

    world.fail('m1')
    world.fail('m2')

    expect(await watch.ended).toBe(0)
    assert.equal(linesOf(watch.stdout).length, 1)
    expect(watch.stderr).toMatch(/\n1 failure seen\nNext: nsb errors show [0-9a-f]{8} +nsb errors\n$/)
  })

  it('CLI-15 ends with 0 and without a word when nobody reads its lines any more', async () => {
    const world = makeWorld()
    const command = `"${process.execPath}" "${run}" errors watch -q | head -1; echo "\${PIPESTATUS[0]}"`
    const shell = spawn('bash', ['-c', command], { cwd: world.folder })
    let [stdout, stderr, isOver] = ['', '', false]
    shell.stdout.on('data', (text: Buffer) => (stdout += text.toString()))
    shell.stderr.on('data', (text: Buffer) => (stderr += text.toString()))
    shell.on('close', () => (isOver = true))

    let number = 0
    await expect
      .poll(
        () => {
          world.fail(`m${++number}`)
          return isOver
        },
        { timeout: 20_000, interval: 100 },
      )
      .toBe(true)

    assert.equal(linesOf(stdout).at(-1), '0')
    assert.equal(linesOf(stdout).length, 2)
    assert.equal(stderr, '')
  })

  it('refuses the beginning of a group id at the first failure of a second group that it fits', async () => {
    const world = makeWorld()
    const watch = await watching(world, ['--group', 'c4bb'])

    // Both have a group id that begins with c4bb.
    world.fail('m1', { 'NServiceBus.ProcessingEndpoint': 'Shop.362' })
    await until(() => watch.stdout.includes('Shop.362'))
    world.fail('m2', { 'NServiceBus.ProcessingEndpoint': 'Shop.525' })

    expect(await watch.ended, watch.stderr).toBe(2)
    expect(watch.stderr).toContain("NSB_AMBIGUOUS_ID: 'c4bb' means several groups")
    expect(linesOf(watch.stdout)).toHaveLength(1)
  })

  it('refuses criteria that it does not understand before it watches', async () => {
    const { folder } = makeWorld()

    const { code, json } = await nsb(['errors', 'watch', '--since', 'soon', '--json'], { cwd: folder })

    expect(code).toBe(2)
    expect(json()).toMatchObject({ error: { code: 'NSB_BAD_CRITERION' } })
  })
})

const manifest = JSON.parse(readFileSync(fileURLToPath(new URL('../../../oclif.manifest.json', import.meta.url)), 'utf8')) as {
  commands: Record<string, { examples: (string | { command: string })[] }>
}
const examples = (manifest.commands['errors:watch']?.examples ?? []).map((example) =>
  (typeof example === 'string' ? example : example.command).replace('<%= config.bin %>', 'nsb'),
)

describe('an example of errors watch', () => {
  it.each(examples)('CLI-1 %s works when pasted', async (example) => {
    const world = makeWorld()
    const shell = spawn('sh', ['-c', example.replace('nsb', `exec "${process.execPath}" "${run}"`)], { cwd: world.folder })
    let [stdout, stderr] = ['', '']
    shell.stdout.on('data', (text: Buffer) => (stdout += text.toString()))
    shell.stderr.on('data', (text: Buffer) => (stderr += text.toString()))
    const ended = new Promise<number | null>((resolve) => shell.on('close', resolve))
    await until(() => stderr.includes('watching'))

    world.fail('m1')
    await until(() => stdout.includes('no stock'))
    const endsByItself = example.includes('--exit-on-first')
    if (!endsByItself) shell.kill('SIGINT')

    expect(await ended, stderr).toBe(endsByItself ? 0 : 130)
  })
})

describe('errors watch --exec', () => {
  it('runs the command for each one in order, with the message on stdin, and tells how it ended', async () => {
    const world = makeWorld()
    const watch = startNsb(
      ['errors', 'watch', '--json', '--exec', 'cat >> seen.ndjson; echo said; exit $(wc -l < seen.ndjson)'],
      world.folder,
    )
    await until(() => watch.stdout.includes('"watching"'))

    world.fail('m1')
    await until(() => events(watch, 'failed').length === 1)
    world.fail('m2')
    await until(() => events(watch, 'command').length === 2)
    watch.kill('SIGINT')
    await watch.ended

    const seen = linesOf(readFileSync(join(world.folder, 'seen.ndjson'), 'utf8')).map((line) => JSON.parse(line) as object)
    expect(seen).toMatchObject([
      { messageId: 'm1', headers: { 'NServiceBus.FailedQ': 'Sales' }, body: { encoding: 'utf8', data: '{"OrderId":"m1"}' } },
      { messageId: 'm2' },
    ])
    expect(events(watch, 'command').map(({ exitCode }) => exitCode)).toEqual([1, 2])
    expect(watch.lines.at(-1)).toMatchObject({ seen: 2, commands: { run: 2, failed: 2, skipped: 0 } })
    expect(watch.stderr).toContain('said')
  })

  it('puts nothing of a message into the command line', async () => {
    const world = makeWorld()
    const watch = await watching(world, ['--exit-on-first', '--exec', 'cat > seen.json'])

    world.fail('m1', { 'NServiceBus.ExceptionInfo.Message': '$(touch owned); `touch owned`', "'; touch owned; '": '\n touch owned' })

    expect(await watch.ended, watch.stderr).toBe(0)
    expect(readFileSync(join(world.folder, 'seen.json'), 'utf8')).toContain('touch owned')
    expect(existsSync(join(world.folder, 'owned'))).toBe(false)
  })

  it('ends with 3 after --exit-on-first when its command failed, and does not mind one that reads nothing', async () => {
    const world = makeWorld()
    const watch = await watching(world, ['--exit-on-first', '--exec', 'exit 9'])

    world.fail('m1', { Large: 'x'.repeat(1_000_000) })

    expect(await watch.ended).toBe(3)
    expect(watch.stderr).toContain('the command ended with 9')
  })

  it('holds a thousand for a slow command, skips what comes on top, and says so', { timeout: 60_000 }, async () => {
    const world = makeWorld()
    const command = 'until [ -e go ]; do sleep 0.01; done; cat >> seen.ndjson'
    const watch = startNsb(['errors', 'watch', '--json', '--exec', command], world.folder)
    await until(() => watch.stdout.includes('"watching"'))

    for (let number = 0; number < 1101; number++) world.fail(`m${number}`, { 'ServiceControl.Retry.UniqueMessageId': `id-${number}` })
    await until(() => events(watch, 'failed').length === 1101)
    writeFileSync(join(world.folder, 'go'), '')
    await until(() => events(watch, 'command').length > 2)
    watch.kill('SIGINT')
    await watch.ended

    const shown = events(watch, 'failed').map(({ messageId }) => messageId)
    const given = linesOf(readFileSync(join(world.folder, 'seen.ndjson'), 'utf8')).map((line) => JSON.parse(line) as { messageId: string })
    expect(given.map(({ messageId }) => messageId)).toEqual(shown.slice(0, given.length))
    const [first, rest] = events(watch, 'skipped')
    expect(first).toMatchObject({ count: 100 })
    const { commands } = watch.lines.at(-1) as { commands: { run: number; skipped: number } }
    assert.equal(commands.run + commands.skipped, 1101)
    assert.equal(Number(first?.['count']) + Number(rest?.['count']), commands.skipped)
    expect(watch.stderr).toContain('100 failures not given to the command (id-')
  })

  it('ends the command that runs, and what it has started, when it is interrupted itself', async () => {
    const world = makeWorld()
    const watch = await watching(world, ['--exec', 'sh -c "echo $$ > pid; sleep 600"'])
    world.fail('m1')
    const file = join(world.folder, 'pid')
    await until(() => existsSync(file) && readFileSync(file, 'utf8').endsWith('\n'))

    watch.kill('SIGINT')

    expect(await watch.ended).toBe(130)
    assert.throws(() => process.kill(Number(readFileSync(file, 'utf8')), 0))
    expect(watch.stderr).toContain('the command was ended by SIGTERM')
  })
})

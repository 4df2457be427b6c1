import { execFileSync } from 'node:child_process'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { type Ended, failureHeaders, messagesIn, nsb, temporaryFolder } from '../../cli/nsb.ts'

const bin = fileURLToPath(new URL('../../../bin/run.js', import.meta.url))

interface Place {
  readonly folder: string
  readonly storage: string
  run(words: readonly string[], input?: string): Promise<Ended>
}

function place(): Place {
  const folder = temporaryFolder()
  const storage = join(folder, '.learningtransport')
  mkdirSync(join(storage, 'Sales', '.bodies'), { recursive: true })
  mkdirSync(join(storage, 'error', '.bodies'), { recursive: true })
  return {
    folder,
    storage,
    run: (words, input) =>
      nsb(words, { cwd: folder, env: { NSB_STATE_DIR: join(folder, 'state') }, ...(input !== undefined && { input }) }),
  }
}

/** A line as export writes it. */
function line(id: string, more: { readonly headers?: Record<string, unknown>; readonly [name: string]: unknown } = {}): string {
  const { headers, ...others } = more
  const body = `{"OrderId":"${id}"}`
  const number = Number(/\d+/.exec(id)?.[0] ?? 0) % 60
  return `${JSON.stringify({
    schema: 'nsb.message/1',
    messageId: id,
    queue: 'error',
    properties: {},
    headers: {
      ...failureHeaders(id, { 'NServiceBus.TimeOfFailure': `2026-11-21 00:00:${String(number).padStart(2, '0')}:000000 Z` }),
      ...headers,
    },
    body: { encoding: 'utf8', data: body },
    sha256: createHash('sha256').update(body).digest('hex'),
    ...others,
  })}\n`
}

const idsIn = ({ storage }: Place, queue: string): string[] =>
  messagesIn(storage, queue)
    .map(({ headers }) => headers['NServiceBus.MessageId'] ?? '')
    .toSorted()
const codeOf = (ended: Ended): unknown => (ended.json()['error'] as { readonly code: string }).code

describe('errors import', () => {
  it('E-36 imports the good lines, and names the others with their number and the reason', async () => {
    const at = place()
    const input = [
      line('m1'),
      'no JSON\n',
      line('m3', { sha256: 'ff' }),
      '\n',
      line('m5', { schema: 'other/1' }),
      line('m6'),
      line('m7').slice(0, 200),
    ].join('')

    const ended = await at.run(['errors', 'import', '-', '--yes', '--json'], input)

    const {
      items,
      operation: _,
      ...document
    } = ended.json() as { items: { line: number; result: string; error?: { code: string } }[] } & Record<string, unknown>
    expect(ended.code).toBe(3)
    expect(document).toEqual({
      schema: 'nsb.errors.import/1',
      profile: 'default',
      queue: 'error',
      read: 6,
      imported: 2,
      skipped: 0,
      rejected: 4,
      failed: 0,
    })
    expect(items.filter(({ result }) => result === 'rejected').map((item) => [item.line, item.error?.code])).toEqual([
      [2, 'NSB_BAD_LINE'],
      [3, 'NSB_HASH_MISMATCH'],
      [5, 'NSB_BAD_LINE'],
      [7, 'NSB_BAD_LINE'],
    ])
    expect(ended.stderr).toContain('line 7')
    expect(ended.stderr).toContain('it is cut off')
    expect(ended.stderr).toContain('--no-hash imports lines whose bodies were changed on purpose')
    expect(idsIn(at, 'error')).toEqual(['m1', 'm6'])
  })

  it('E-23 sends nothing into a queue that no endpoint reads', async () => {
    const at = place()
    mkdirSync(join(at.storage, 'nsb.acks', '.bodies'), { recursive: true })

    const ended = await at.run(
      ['errors', 'import', '-', '--replay', '--yes', '--json'],
      line('m1', { headers: { 'NServiceBus.FailedQ': 'nsb.acks' } }),
    )

    const { failed, imported, items } = ended.json() as { failed: number; imported: number; items: { error?: { code: string } }[] }
    expect([ended.code, failed, imported, items[0]?.error?.code]).toEqual([3, 1, 0, 'NSB_RESERVED_QUEUE'])
    expect(idsIn(at, 'nsb.acks')).toEqual([])
  })

  it('E-36 skips what is there already, unless it is told not to', async () => {
    const at = place()
    const input = line('m1') + line('m2') + line('m1')

    const first = await at.run(['errors', 'import', '-', '--yes', '--json'], input)
    const second = await at.run(['errors', 'import', '-', '--yes'], input)
    const third = await at.run(['errors', 'import', '-', '--yes', '--allow-duplicates', '--json'], input)

    expect([first.code, second.code, third.code]).toEqual([0, 0, 0])
    expect(first.json()).toMatchObject({ imported: 2, skipped: 1 })
    expect(second.stdout).toMatch(/^read 3, imported 0, skipped 3, operation /)
    expect(second.stderr).toContain('--allow-duplicates imports that too')
    expect(third.stderr).not.toContain('--allow-duplicates')
    expect(third.json()).toMatchObject({ imported: 3, skipped: 0 })
    expect(idsIn(at, 'error')).toEqual(['m1', 'm1', 'm1', 'm2', 'm2'])
  })

  it.each<[string, string, string]>([
    ['whose headers cannot be read', '{"NServiceBus.MessageId": ', 'the body that it had'],
    ['without an id of its own', '{"Number":"1"}', '{"OrderId":"1"}'],
  ])('E-36 skips an entry %s when it is there already, before and after it was archived', async (_, headers, body) => {
    const at = place()
    writeFileSync(join(at.storage, 'error', '3f1c.metadata.txt'), headers)
    writeFileSync(join(at.storage, 'error', '.bodies', '3f1c.body.txt'), body)
    await at.run(['errors', 'export', '--kind', 'poison', '--file', 'a.ndjson'])

    const rounds = [await at.run(['errors', 'import', 'a.ndjson', '--yes', '--json'])]
    await at.run(['errors', 'archive', '--kind', 'poison', '--yes', '--to-file', 'b.ndjson'])
    const left = messagesIn(at.storage, 'error')
    for (let round = 0; round < 2; round++) rounds.push(await at.run(['errors', 'import', 'b.ndjson', '--yes', '--json']))
    await at.run(['errors', 'archive', '--kind', 'poison', '--yes', '--to-file', 'c.ndjson'])
    for (const file of ['c.ndjson', 'b.ndjson', 'a.ndjson']) rounds.push(await at.run(['errors', 'import', file, '--yes', '--json']))

    expect(left).toEqual([])
    expect(rounds.map((round) => round.json()['imported'])).toEqual([0, 1, 0, 1, 0, 0])
    expect(idsIn(at, 'error')).toEqual(['3f1c'])
  })

  it('E-36 shows with --dry-run what would be imported where, and changes nothing', async () => {
    const at = place()
    writeFileSync(join(at.folder, 'a.ndjson'), line('m1') + line('m2', { headers: { 'NServiceBus.FailedQ': 'Nowhere' } }))

    const plain = await at.run(['errors', 'import', 'a.ndjson', '--dry-run', '--json'])
    const replay = await at.run(['errors', 'import', 'a.ndjson', '--dry-run', '--replay', '--json'])

    expect([plain.code, replay.code]).toEqual([0, 3])
    expect(plain.json()).toMatchObject({
      dryRun: true,
      imported: 2,
      items: [{ result: 'planned', target: 'error' }, { result: 'planned' }],
    })
    expect(replay.json()).toMatchObject({ imported: 1, failed: 1, items: [{ target: 'Nowhere', result: 'failed' }, { target: 'Sales' }] })
    expect([idsIn(at, 'error'), idsIn(at, 'Sales')]).toEqual([[], []])
    expect(readdirSync(at.folder)).not.toContain('state')
  })

  it('E-21 E-44 replays to where the messages failed, by redirects too, and refuses to leave the storage folder', async () => {
    const at = place()
    writeFileSync(join(at.folder, 'nsb.json'), '{"redirects":{"OldSales":"Sales"}}')
    const input = [
      line('m1', { operation: '01JD3K' }),
      line('m2', { headers: { 'NServiceBus.FailedQ': 'OldSales' } }),
      line('m3', { headers: { 'NServiceBus.FailedQ': '../../etc' } }),
      line('m4', { headers: { 'NServiceBus.FailedQ': '' } }),
    ].join('')

    const ended = await at.run(['errors', 'import', '-', '--replay', '--yes', '--json'], input)

    expect(ended.code).toBe(3)
    expect(ended.json()).toMatchObject({ imported: 2, failed: 2 })
    expect(ended.stderr).toContain('1 of them came from an export without --remove')
    const copies = messagesIn(at.storage, 'Sales').map(({ headers }) => headers)
    expect(idsIn(at, 'Sales')).toEqual(['m1', 'm2'])
    expect(copies.every((headers) => headers['Nsb.Replay.Count'] === '1' && headers['NServiceBus.TimeOfFailure'] === undefined)).toBe(true)
  })

  it('E-32 E-38 imports nothing, and begins nothing, without a yes, lines of messages, or a queue that is there', async () => {
    const at = place()
    writeFileSync(join(at.folder, 'a.ndjson'), line('m1'))
    execFileSync('mkfifo', [join(at.folder, 'pipe')])

    const answers = [
      await at.run(['errors', 'import', 'a.ndjson', '--json']),
      await at.run(['errors', 'import', '-', '--json'], line('m1')),
      await at.run(['errors', 'import', 'missing.ndjson', '--yes', '--json']),
      await at.run(['errors', 'import', '-', '--yes', '--json'], ''),
      await at.run(['errors', 'import', 'a.ndjson', '--to', 'Nowhere', '--yes', '--json']),
      await at.run(['errors', 'import', 'a.ndjson', '--to', '../x', '--yes', '--json']),
      await at.run(['errors', 'import', '.', '--yes', '--json']),
      await at.run(['errors', 'import', 'pipe', '--yes', '--json']),
      // As jq writes without -c.
      await at.run(['errors', 'import', '-', '--replay', '--yes', '--json'], JSON.stringify(JSON.parse(line('m1')), null, 2)),
    ]

    expect(answers.map((ended) => [codeOf(ended), ended.code])).toEqual([
      ['NSB_NEEDS_CONFIRMATION', 6],
      ['NSB_NEEDS_CONFIRMATION', 6],
      ['NSB_BAD_INPUT', 2],
      ['NSB_NOTHING_MATCHED', 4],
      ['NSB_QUEUE_NOT_FOUND', 4],
      ['NSB_BAD_ADDRESS', 2],
      ['NSB_BAD_INPUT', 2],
      ['NSB_BAD_INPUT', 2],
      ['NSB_BAD_INPUT', 2],
    ])
    expect(answers.at(-1)?.stderr).toContain('jq -c . | nsb errors import -')
    expect([idsIn(at, 'error'), idsIn(at, 'Sales')]).toEqual([[], []])
    expect(existsSync(join(at.folder, 'state', 'operations'))).toBe(false)
  })

  it('E-36 imports a message of a broker: what has a type becomes the text that RabbitMQ shows', async () => {
    const at = place()
    const input = line('m1', {
      properties: { deliveryMode: 1, correlationId: 'c1', replyTo: 'Web' },
      headers: { count: { '!': 'long', v: 7 }, at: { '!': 'timestamp', v: 0 } },
    })

    const { code } = await at.run(['errors', 'import', '-', '--yes'], input)

    expect(code).toBe(0)
    const [message] = messagesIn(at.storage, 'error')
    expect(message?.headers).toMatchObject({
      count: '7',
      at: '1970-01-01 00:00:00:000000 Z',
      'NServiceBus.CorrelationId': 'c1',
      'NServiceBus.ReplyToAddress': 'Web',
    })
  })

  it('E-36 E-42 imports a dead letter and a fault of MassTransit as what they are, and twice changes nothing', async () => {
    const at = place()
    const time = { '!': 'timestamp', v: 1_795_000_000 }
    const of = (headers: Record<string, unknown>, data: string, messageId: string): string =>
      `${JSON.stringify({
        schema: 'nsb.message/1',
        queue: 'Sales_error',
        properties: { messageId },
        headers,
        body: { encoding: 'utf8', data },
        sha256: createHash('sha256').update(data).digest('hex'),
      })}\n`
    const input = [
      of(
        { 'x-death': [{ queue: 'Sales', reason: 'rejected', count: { '!': 'long', v: 1 }, time }], 'x-first-death-queue': 'Sales' },
        '{}',
        'd1',
      ),
      of(
        { 'MT-Reason': 'fault', 'MT-Fault-Timestamp': '2026-11-21T09:00:00Z' },
        '{"messageId":"mt-1","messageType":["urn:message:Shop:A"]}',
        'n1',
      ),
      of({ text: 'x' }, '{}', 'p1'),
    ].join('')

    const rounds = [1, 2].map(() => ['errors', 'import', '-', '--yes', '--json'])
    const imported = []
    for (const words of rounds) imported.push((await at.run(words, input)).json()['imported'])
    const { items } = (await at.run(['errors', 'list', '--kind', 'dlx', '--kind', 'masstransit', '--kind', 'poison', '--json'])).json() as {
      items: Record<string, unknown>[]
    }

    expect(imported).toEqual([3, 0])
    expect(
      items.map(({ exceptionMessage, failedAt, kind, messageId, queue }) => [kind, messageId, queue, failedAt, exceptionMessage]),
    ).toEqual(
      expect.arrayContaining([
        ['dlx', 'd1', 'Sales', new Date(1_795_000_000_000).toISOString(), 'rejected'],
        ['masstransit', 'mt-1', undefined, '2026-11-21T09:00:00.000Z', undefined],
        ['poison', 'p1', undefined, undefined, undefined],
      ]),
    )
  })

  it('E-36 makes the error queue of a folder where nothing ever failed', async () => {
    const at = place()
    rmSync(join(at.storage, 'error'), { recursive: true })

    const planned = await at.run(['errors', 'import', '-', '--dry-run'], line('m1'))
    const isMade = existsSync(join(at.storage, 'error'))
    const imported = await at.run(['errors', 'import', '-', '--yes'], line('m1'))

    expect([planned.code, isMade, imported.code]).toEqual([0, false, 0])
    expect(idsIn(at, 'error')).toEqual(['m1'])
  })

  it('E-43 shows nothing of a line that a terminal would obey', async () => {
    const at = place()
    const input = line('m1', { headers: { 'NServiceBus.FailedQ': '\u001b]0;x\u0007\u202e' } }) + line('m2', { schema: '\u001b[31m' })

    const { stderr } = await at.run(['errors', 'import', '-', '--replay', '--yes'], input)

    // oxlint-disable-next-line no-control-regex -- control characters are what it looks for
    expect(stderr).not.toMatch(/[\u0007\u001b\u202e]/)
  })

  it('E-36 ended by kill -9 at any moment loses nothing, and a resume brings the rest', { timeout: 120_000 }, async () => {
    const at = place()
    const ids = Array.from({ length: 400 }, (_, index) => `m${index + 1}`)
    writeFileSync(join(at.folder, 'a.ndjson'), ids.map((id) => line(id)).join(''))
    const child = spawn(process.execPath, [bin, 'errors', 'import', 'a.ndjson', '--yes', '--window', '5'], {
      cwd: at.folder,
      env: { ...process.env, NSB_STATE_DIR: join(at.folder, 'state') },
      stdio: 'ignore',
    })
    const ended = new Promise((resolve) => child.on('close', resolve))
    await expect.poll(() => idsIn(at, 'error').length, { timeout: 20_000, interval: 1 }).toBeGreaterThan(10)
    child.kill('SIGKILL')
    await ended

    const resumed = await at.run(['errors', 'resume', '--yes', '--json'])

    // It may have been over before it was killed.
    expect([0, 4]).toContain(resumed.code)
    expect(idsIn(at, 'error')).toEqual(ids.toSorted())
    expect(readFileSync(join(at.folder, 'a.ndjson'), 'utf8').split('\n')).toHaveLength(401)
  })
})

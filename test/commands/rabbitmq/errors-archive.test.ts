import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { type Ended, failureHeaders, messagesIn, nsb, putMessage, temporaryFolder } from '../../cli/nsb.ts'
import type { BrokerShop } from '../../support/broker-shop.ts'
import type { Lying } from '../../support/error-queue.ts'
import { makeErrorWorld } from '../../support/error-world.ts'

const bin = fileURLToPath(new URL('../../../bin/run.js', import.meta.url))

const codeOf = (ended: Ended): unknown => (ended.json()['error'] as { readonly code: string }).code
const envOf = ({ state }: BrokerShop): Record<string, string> => ({ NSB_STATE_DIR: state, CI: '1' })
const numbers = (count: number): string[] => Array.from({ length: count }, (_, index) => `m${index + 1}`)

/** What is not of the queue, but of the message. */
function ofMessage({ body, headers, properties }: Lying): object {
  const { 'x-delivery-count': _, ...others } = headers
  return { body, headers: others, properties }
}

const typed = {
  count: { '!': 'int64', value: 2 ** 40 },
  at: { '!': 'timestamp', value: 1_700_000_000 },
  bytes: Buffer.from([0, 255]),
  list: ['a', { b: true }],
  nothing: null,
}
const properties = {
  messageId: 'native-1',
  contentType: 'application/json',
  contentEncoding: 'utf-8',
  correlationId: 'c1',
  replyTo: 'Web',
  type: 'Shop.PlaceOrder',
  priority: 3,
  appId: 'shop',
  timestamp: 1_700_000_000,
  persistent: false,
}

describe('the archive of a broker', () => {
  it.each(['classic', 'quorum'] as const)('E-36 gives a %s queue back what was in it, types and properties included', async (kind) => {
    const { errors, shop } = await makeErrorWorld({ kind })
    await errors.put([
      { body: 'one', headers: { ...failureHeaders('m1'), ...typed }, properties },
      { body: 'poison', headers: { text: 'x' }, properties: { messageId: 'p1' } },
      { body: 'two', headers: failureHeaders('m2'), properties: { messageId: 'm2' } },
    ])
    const before = (await errors.drain()).map(ofMessage)
    await errors.put([
      { body: 'one', headers: { ...failureHeaders('m1'), ...typed }, properties },
      { body: 'poison', headers: { text: 'x' }, properties: { messageId: 'p1' } },
      { body: 'two', headers: failureHeaders('m2'), properties: { messageId: 'm2' } },
    ])

    const archived = await shop.run(
      'errors',
      'archive',
      '--kind',
      'failure',
      '--kind',
      'poison',
      '--to-file',
      'a.ndjson',
      '--yes',
      '--json',
    )
    const between = await errors.depth()
    const imported = await shop.run('errors', 'import', 'a.ndjson', '--yes', '--json')

    expect([archived.code, between, imported.code], archived.stderr + imported.stderr).toEqual([0, 0, 0])
    expect(imported.json()).toMatchObject({ imported: 3, skipped: 0 })
    expect((await errors.drain()).map(ofMessage)).toEqual(before)
  })

  it('E-36 E-39 E-42 goes to the learning transport and back, and what comes back is known again', async () => {
    const { errors, shop } = await makeErrorWorld()
    const deaths = [
      {
        queue: 'Sales',
        reason: 'rejected',
        count: { '!': 'int64', value: 1 },
        time: { '!': 'timestamp', value: 1_795_000_000 },
        'routing-keys': ['Sales'],
      },
    ]
    await errors.put([
      { body: '{"OrderId":"1"}', headers: { ...failureHeaders('m1'), count: 7 }, properties: { messageId: 'native-1' } },
      { body: '{}', headers: { 'x-death': deaths, 'x-first-death-queue': 'Sales' }, properties: { messageId: 'd1' } },
      {
        body: '{"messageId":"mt-1","messageType":["urn:message:Shop:PlaceOrder"]}',
        headers: { 'MT-Reason': 'fault', 'MT-Fault-InputAddress': 'queue:Sales', 'MT-Fault-Timestamp': '2026-11-21T09:00:00Z' },
        properties: { messageId: 'n1' },
      },
    ])
    const everyKind = ['failure', 'dlx', 'masstransit'].flatMap((kind) => ['--kind', kind])
    const folder = temporaryFolder()
    mkdirSync(join(folder, '.learningtransport', 'error', '.bodies'), { recursive: true })
    const learning = (words: readonly string[], input?: string): Promise<Ended> =>
      nsb(words, { cwd: folder, env: { NSB_STATE_DIR: join(folder, 'state') }, ...(input !== undefined && { input }) })

    const before = await shop.run('errors', 'list', ...everyKind, '--json')
    const exported = await shop.run('errors', 'export', ...everyKind, '--remove', '--file', join(folder, 'a.ndjson'), '--yes')
    const there = await learning(['errors', 'import', 'a.ndjson', '--yes'])
    const listed = await learning(['errors', 'list', ...everyKind, '--json'])
    const message = messagesIn(join(folder, '.learningtransport'), 'error').find(({ headers }) => headers['count'] !== undefined)
    const again = await learning(['errors', 'export', ...everyKind])
    const back = await nsb(['errors', 'import', '-', '--yes'], { cwd: shop.folder, env: envOf(shop), input: again.stdout })
    const twice = await shop.run('errors', 'import', join(folder, 'a.ndjson'), '--yes', '--json')

    expect([exported.code, there.code, again.code, back.code], back.stderr).toEqual([0, 0, 0, 0])
    expect(twice.json()).toMatchObject({ imported: 0, skipped: 3 })
    expect(message?.headers).toMatchObject({ ...failureHeaders('m1'), count: '7' })
    // A folder lists them by the times of its files, of which several may be the same.
    const itemsOf = (ended: Ended): readonly object[] =>
      (ended.json()['items'] as { readonly uniqueId: string }[]).toSorted((a, b) => a.uniqueId.localeCompare(b.uniqueId))
    expect(itemsOf(listed)).toEqual(itemsOf(before))
    const lying = (await errors.drain()).toSorted((a, b) => a.body.length - b.body.length)
    expect(lying.map(({ body }) => body.slice(0, 15))).toEqual(['{}', '{"OrderId":"1"}', '{"messageId":"m'])
    expect(lying[1]?.headers).toMatchObject({ ...failureHeaders('m1'), count: '7' })
    expect(lying[0]?.headers).toMatchObject({
      'x-death': [{ queue: 'Sales', reason: 'rejected', count: 1, time: { value: 1_795_000_000 }, 'routing-keys': ['Sales'] }],
      'x-first-death-queue': 'Sales',
    })
  })

  it('E-11 E-36 an export leaves every message where it was, in its order', async () => {
    const { errors, shop } = await makeErrorWorld()
    await errors.fill(60)

    const { code, stderr, stdout } = await shop.run('errors', 'export')

    expect(code).toBe(0)
    expect(stdout.trimEnd().split('\n')).toHaveLength(60)
    expect(stderr).toContain('selected 60, exported 60, left in queue 60')
    await expect.poll(() => errors.depth()).toBe(60)
    expect((await errors.drain()).map(({ body }) => body)).toEqual(numbers(60))
  })

  it('E-36 an export of more than may be held says what it needs, and --all --remove needs no more', async () => {
    const { errors, shop } = await makeErrorWorld()
    await errors.fill(3000)

    const refused = await shop.run('errors', 'export', '--max-hold', '50', '--json')
    const removed = await shop.run('errors', 'export', '--all', '--remove', '--max-hold', '50', '--file', 'a.ndjson', '--yes', '--json')

    expect([refused.code, codeOf(refused)]).toEqual([6, 'NSB_HOLD_TOO_SMALL'])
    expect(refused.stderr).toContain('nsb errors export --all --remove --file')
    expect(removed.code, removed.stderr).toBe(0)
    expect(removed.json()).toMatchObject({ selected: 3000, removed: 3000, leftInQueue: 0 })
    const lines = readFileSync(join(shop.folder, 'a.ndjson'), 'utf8').trimEnd().split('\n')
    expect(lines.map((line) => (JSON.parse(line) as { messageId: string }).messageId)).toEqual(numbers(3000))
  })

  it('E-16 E-36 archives what is selected and gives the rest back in its order', async () => {
    const { errors, shop } = await makeErrorWorld()
    await errors.fill(40, (id) => ({ 'NServiceBus.ConversationId': Number(id.slice(1)) % 2 === 0 ? 'even' : 'odd' }))

    const { code, json } = await shop.run('errors', 'archive', '--conversation', 'even', '--yes', '--json')

    expect(code).toBe(0)
    expect(json()).toMatchObject({ selected: 20, archived: 20, leftInQueue: 20 })
    expect((await errors.drain()).map(({ body }) => body)).toEqual(numbers(40).filter((id) => Number(id.slice(1)) % 2 === 1))
  })

  it('E-12 E-36 the last look is enough to take everything out, and none is left to begin anything with', async () => {
    const { errors, shop } = await makeErrorWorld({ kind: 'quorum', deliveryLimit: 2 })
    await errors.fill(5)
    await errors.failDeliveries(1)

    const removed = await shop.run('errors', 'export', '--all', '--remove', '--file', 'a.ndjson', '--yes')
    const imported = await shop.run('errors', 'import', 'a.ndjson', '--yes')
    const counts = (await errors.drain()).map(({ deliveries }) => deliveries)
    await errors.fill(5)
    await errors.failDeliveries(2)
    const refused = await shop.run('errors', 'archive', '--all', '--yes', '--json')

    expect([removed.code, imported.code], removed.stderr + imported.stderr).toEqual([0, 0])
    expect(counts).toEqual([0, 0, 0, 0, 0])
    expect([refused.code, codeOf(refused)]).toEqual([6, 'NSB_LOOKS_EXHAUSTED'])
    expect((await shop.run('errors', 'resume', '--list', '--json')).json()).toMatchObject({ items: [] })
    await expect.poll(() => errors.depth()).toBe(5)
  })

  it('E-36 archives by id with one delivery of the others', async () => {
    const { errors, shop } = await makeErrorWorld()
    await errors.fill(20)

    const named = await shop.run('errors', 'archive', 'm7', '--yes', '--json')
    const newest = await shop.run('errors', 'archive', '--all', '--limit', '2', '--newest', '--yes', '--json')
    const unknown = await shop.run('errors', 'archive', 'm1', 'nothing', '--yes', '--json')

    expect([named.code, newest.code, unknown.code]).toEqual([0, 0, 4])
    expect(codeOf(unknown)).toBe('NSB_MESSAGE_NOT_FOUND')
    const left = await errors.drain()
    expect(left.map(({ body }) => body)).toEqual(numbers(18).filter((id) => id !== 'm7'))
    expect(left.map(({ deliveries }) => deliveries)).toEqual(left.map(() => 3))
  })

  it('E-39 says the same as on the learning transport', { timeout: 120_000 }, async () => {
    const { errors, shop } = await makeErrorWorld({ kind: 'classic' })
    const folder = temporaryFolder()
    const storage = join(folder, '.learningtransport')
    mkdirSync(join(storage, 'Sales', '.bodies'), { recursive: true })
    for (const id of ['m1', 'm2', 'm3']) {
      const headers = failureHeaders(id, { 'NServiceBus.TimeOfFailure': `2026-11-21 00:00:0${id.slice(1)}:000000 Z` })
      putMessage(storage, 'error', id, headers, '{}')
      await errors.put([{ body: '{}', headers, properties: { messageId: id, contentType: 'application/json' } }])
    }
    const commands = [
      ['errors', 'archive', '--json'],
      ['errors', 'archive', '--all', '--json'],
      ['errors', 'export', '--file', 'a.ndjson', '--json'],
      ['errors', 'export', '--file', 'a.ndjson', '--json'],
      ['errors', 'archive', 'm1', '--to-file', 'b.ndjson', '--yes', '--json'],
      ['errors', 'archive', '--until', '2026-11-21T00:00:03Z', '--to-file', 'b.ndjson', '--yes'],
      ['errors', 'import', 'a.ndjson', '--dry-run', '--json'],
      ['errors', 'import', 'a.ndjson', '--yes'],
      ['errors', 'import', 'b.ndjson', '--yes', '--json'],
      ['errors', 'import', 'b.ndjson', '--replay', '--yes', '--json'],
      ['errors', 'import', 'b.ndjson', '--to', 'Nowhere', '--yes', '--json'],
      ['errors', 'delete', '--all', '--no-keep', '--yes', '--json'],
      ['errors', 'export', '--json'],
    ]

    for (const words of commands) {
      const onFolder = await nsb(words, { cwd: folder, env: { NSB_STATE_DIR: join(folder, 'state') } })
      const onBroker = await shop.run(...words)

      const said = ({ code, stdout }: Ended): string =>
        `${words.join(' ')}: ${code}\n${stdout.replaceAll(/[0-9A-Z]{26}/g, 'OPERATION').replaceAll(/"(message|hint|suggestions|storage|near|file|path)": .*/g, '')}`
      expect(said(onBroker), onBroker.stderr).toBe(said(onFolder))
    }
  })

  it('E-37 removes nothing when the archive cannot be written', async () => {
    const { errors, shop } = await makeErrorWorld()
    await errors.fill(30)

    const ended = await shop.run('errors', 'archive', '--all', '--to-file', '/dev/null/a.ndjson', '--yes', '--json')

    expect([ended.code, codeOf(ended)]).toEqual([5, 'NSB_ARCHIVE_UNWRITABLE'])
    await expect.poll(() => errors.depth()).toBe(30)
    expect((await errors.drain()).map(({ body }) => body)).toEqual(numbers(30))
  })

  it('E-15 E-36 neither archives nor imports beside a consumer, who may have all of it in hand, and begins nothing', async () => {
    const { errors, shop } = await makeErrorWorld()
    await errors.fill(1)
    await shop.run('errors', 'export', '--file', 'a.ndjson')
    const stop = await errors.consume()
    await expect.poll(() => errors.depth()).toBe(0)

    const archived = await shop.run('errors', 'archive', '--all', '--yes', '--json')
    const imported = await shop.run('errors', 'import', 'a.ndjson', '--yes', '--json')
    const begun = existsSync(join(shop.state, 'operations'))
    const unlooked = await shop.run('errors', 'import', 'a.ndjson', '--allow-duplicates', '--yes')
    await stop()

    expect([archived.code, codeOf(archived)]).toEqual([6, 'NSB_QUEUE_HAS_CONSUMER'])
    expect([imported.code, codeOf(imported)]).toEqual([6, 'NSB_QUEUE_HAS_CONSUMER'])
    expect([begun, unlooked.code]).toEqual([false, 0])
    expect(await errors.drain()).toHaveLength(2)
  })

  it('E-16 E-38 an export that is piped into an import of the same queue does not collide with it', async () => {
    const { errors, shop } = await makeErrorWorld()
    await errors.put(numbers(50).map((id) => ({ body: 'x'.repeat(20_000), headers: failureHeaders(id), properties: { messageId: id } })))
    const options = { cwd: shop.folder, env: { ...process.env, ...envOf(shop) } }
    const exporting = spawn(process.execPath, [bin, 'errors', 'export'], options)
    // More than pipes hold: it has the queue in hand until somebody reads.
    await new Promise<void>((resolve) => exporting.stdout.once('readable', () => resolve()))
    const importing = spawn(process.execPath, [bin, 'errors', 'import', '-', '--yes'], options)
    let said = ''
    for (const stream of [exporting.stderr, importing.stdout, importing.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (said += text))
    const ended = [exporting, importing].map((child) => new Promise<number | null>((resolve) => child.on('close', resolve)))
    exporting.stdout.pipe(importing.stdin)

    expect(await Promise.all(ended), said).toEqual([0, 0])
    expect(said).toMatch(/read 50, imported 0, skipped 50/)
    expect(readdirSync(shop.state).filter((name) => name.startsWith('import-'))).toEqual([])
    await expect.poll(() => errors.depth()).toBe(50)
  })

  it('E-13 an export that nobody reads is ended by Ctrl-C, and gives everything back', { timeout: 60_000 }, async () => {
    const { errors, shop } = await makeErrorWorld()
    await errors.put(numbers(200).map((id) => ({ body: 'x'.repeat(20_000), headers: failureHeaders(id), properties: { messageId: id } })))
    const child = spawn(process.execPath, [bin, 'errors', 'export'], { cwd: shop.folder, env: { ...process.env, ...envOf(shop) } })
    let heard = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (heard += text))
    const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
    await new Promise<void>((resolve) => child.stdout.once('readable', () => resolve()))

    child.kill('SIGINT')
    await expect.poll(() => heard, { timeout: 20_000 }).toContain('interrupted')
    child.stdout.resume()

    expect(await ended, heard).toBe(130)
    expect((await errors.drain()).map(({ headers }) => headers['NServiceBus.MessageId'])).toEqual(numbers(200))
  })

  it('E-36 an archive that is killed at any moment and resumed loses nothing and keeps nothing twice', { timeout: 240_000 }, async () => {
    const { errors, shop } = await makeErrorWorld()
    for (const round of [1, 2]) {
      await errors.fill(2000)
      const path = join(shop.folder, `${round}.ndjson`)
      writeFileSync(path, '')
      const child = spawn(process.execPath, [bin, 'errors', 'archive', '--all', '--to-file', path, '--yes'], {
        cwd: shop.folder,
        env: { ...process.env, ...envOf(shop) },
        stdio: 'ignore',
      })
      const ended = new Promise((resolve) => child.on('close', resolve))
      const begun = 400 * round
      await expect.poll(() => readFileSync(path, 'utf8').split('\n').length, { timeout: 20_000, interval: 1 }).toBeGreaterThan(begun)
      child.kill('SIGKILL')
      await ended

      const resumed = await shop.run('errors', 'resume', '--yes', '--json')

      // It may have been over before it was killed.
      expect([0, 4], resumed.stderr).toContain(resumed.code)
      const archived = readFileSync(path, 'utf8')
        .split('\n')
        .flatMap((line) => {
          try {
            return [(JSON.parse(line) as { messageId: string }).messageId]
          } catch {
            return []
          }
        })
      const left = (await errors.drain()).map(({ body }) => body)
      expect([...archived, ...left].toSorted()).toEqual(numbers(2000).toSorted())
    }
  })

  it('E-43 has no password in journals, archives and what it prints', async () => {
    const { errors, host, shop } = await makeErrorWorld()
    await errors.fill(2)

    const { stderr, stdout } = await shop.run('errors', 'archive', '--all', '--yes', '-vv')

    const files = readdirSync(shop.state, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
    expect(files.length).toBeGreaterThanOrEqual(2)
    expect([stderr, stdout, ...files].filter((text) => text.includes(`:${new URL(host.url).password}@`))).toEqual([])
  })
})

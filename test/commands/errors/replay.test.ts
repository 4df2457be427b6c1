import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { describe, it, onTestFinished } from 'vitest'
import { openTransport } from '../../../src/transport/open.ts'
import type { IncomingMessage, OutgoingMessage } from '../../../src/transport/transport.ts'
import { failureHeaders, messagesIn, nsb, projectWith, putMessage } from '../../cli/nsb.ts'
import { mountDisk, whyNoDisk } from '../../support/small-disk.ts'

const uniqueHeader = 'ServiceControl.Retry.UniqueMessageId'
const resultsOf = (document: Record<string, unknown>): string[] => (document['items'] as { result: string }[]).map((item) => item.result)

/** Plays the endpoint `Shop.Server`: acknowledges what it is told to, fails the rest again. */
async function playEndpoint(storage: string, succeeds: (message: IncomingMessage) => boolean): Promise<void> {
  const transport = await openTransport({ kind: 'learning', storage })
  await transport.receive(
    {
      queue: 'Shop.Server',
      errorQueue: 'error',
      concurrency: 1,
      transactionMode: 'sendsAtomicWithReceive',
      onCriticalError: () => {},
      onSettled: () => undefined,
      onPoison: () => undefined,
      onDispatchFailed: () => Promise.resolve({ kind: 'putBack' }),
    },
    (message) => {
      const unique = { [uniqueHeader]: message.headers[uniqueHeader] ?? '' }
      const answer: OutgoingMessage = succeeds(message)
        ? {
            id: `ack-${message.id}`,
            headers: {
              'NServiceBus.MessageId': `ack-${message.id}`,
              ...unique,
              'ServiceControl.Retry.Successful': '2026-11-22 00:00:00:000000 Z',
              'NServiceBus.ControlMessage': 'True',
            },
            body: new Uint8Array(),
            to: { address: message.headers['ServiceControl.Retry.AcknowledgementQueue'] ?? 'nowhere' },
          }
        : {
            id: message.id,
            headers: failureHeaders(message.id, {
              ...message.headers,
              ...unique,
              'NServiceBus.TimeOfFailure': '2026-11-22 00:00:00:000000 Z',
            }),
            body: message.body,
            to: { address: 'error' },
          }
      return Promise.resolve({ kind: 'consume', outgoing: [answer] })
    },
  )
  onTestFinished(() => transport.close())
}

describe('errors replay', () => {
  it('E-40 RC-15 sends a copy of what .NET moved under a new file id to where it failed, and empties the error queue', async () => {
    const { folder, storage } = projectWith('12-error-queue')
    const [before] = messagesIn(storage, 'error')

    const ended = await nsb(['errors', 'replay', 'acc3', '--yes', '--json'], { cwd: folder })

    const [copy] = messagesIn(storage, 'Shop.Server')
    assert.equal(ended.code, 0)
    const { operation, ...document } = ended.json()
    assert.match(String(operation), /^[0-9A-Z]{26}$/)
    assert.deepEqual(document, {
      schema: 'nsb.errors.replay/1',
      profile: 'default',
      queue: 'error',
      selected: 1,
      published: 1,
      failed: 0,
      leftInQueue: 0,
      newerArrivals: 0,
      items: [{ uniqueId: 'acc35ddb-8551-43b8-82bc-eb4f2077f70c', target: 'Shop.Server', result: 'published' }],
    })
    assert.notEqual(copy?.file, before?.file)
    assert.equal(copy?.body, before?.body)
    assert.equal(copy?.headers['NServiceBus.MessageId'], '37a16d0f-ac5e-4ae0-8236-b5090005d293')
    assert.equal(copy?.headers[uniqueHeader], 'acc35ddb-8551-43b8-82bc-eb4f2077f70c')
    assert.equal(copy?.headers['Nsb.Replay.Count'], '1')
    assert.equal(copy?.headers['NServiceBus.FailedQ'], undefined)
    assert.deepEqual(messagesIn(storage, 'error'), [])
    assert.deepEqual(readdirSync(join(storage, 'error', '.bodies')), [])
  })

  it.each(['list', 'replay', 'archive', 'export'])('errors %s refuses the beginning of an id that means two groups', async (command) => {
    const { folder, storage } = projectWith()
    // The ids of both endpoints' groups begin with c4bb.
    for (const endpoint of ['Shop.362', 'Shop.525'])
      putMessage(storage, 'error', endpoint, failureHeaders(endpoint, { 'NServiceBus.ProcessingEndpoint': endpoint }))
    const words = ['errors', command, '--group', 'c4bb', ...(command === 'list' || command === 'export' ? [] : ['--yes'])]

    const ended = await nsb(words, { cwd: folder })

    assert.equal(ended.code, 2)
    assert.match(ended.stderr, /^Error NSB_AMBIGUOUS_ID: 'c4bb' means several groups, such as\n +c4bb[\da-f-]{32}\n +c4bb/m)
    assert.equal(messagesIn(storage, 'error').length, 2)
  })

  it.each([['--kind', 'ack'], ['m1']])('E-9 says that an acknowledgement is never replayed (%s)', async (...named) => {
    const { folder, storage } = projectWith()
    putMessage(storage, 'error', 'm1', { 'NServiceBus.MessageId': 'm1', 'ServiceControl.Retry.Successful': '2026-11-22 00:00:00:000000 Z' })

    const ended = await nsb(['errors', 'replay', ...named, '--yes'], { cwd: folder })

    assert.equal(ended.code, 4)
    assert.match(ended.stderr, /Only acknowledgements were selected.*never replayed.*nsb errors archive --kind ack/s)
    assert.equal(messagesIn(storage, 'error').length, 1)
  })

  it('E-40 two replays at once send each message exactly once', async () => {
    const { folder, storage } = projectWith()
    for (let index = 0; index < 40; index++)
      putMessage(storage, 'error', `m${index}`, failureHeaders(`m${index}`, { 'NServiceBus.FailedQ': 'Shop.Server' }))

    const words = ['errors', 'replay', '--all', '--yes', '--json']
    const both = await Promise.all([nsb(words, { cwd: folder }), nsb(words, { cwd: folder })])

    const sent = messagesIn(storage, 'Shop.Server').map((message) => message.headers['NServiceBus.MessageId'])
    assert.equal(new Set(sent).size, 40)
    assert.equal(sent.length, 40)
    assert.deepEqual(messagesIn(storage, 'error'), [])
    for (const { code } of both) assert.ok(code === 0 || code === 3 || code === 4, `exit code ${code}`)
  })

  it('E-41 a claim that a killed command left behind is replayed by the next one', async () => {
    const { folder, storage } = projectWith()
    putMessage(storage, 'error', 'm1', failureHeaders('m1', { 'NServiceBus.FailedQ': 'Shop.Server' }))
    // The transaction of a process that does not exist any more, and its marker.
    const claim = join(storage, 'error', '.pending', '0badc0de-0000-4000-8000-000000000000')
    mkdirSync(claim, { recursive: true })
    renameSync(join(storage, 'error', 'm1.metadata.txt'), join(claim, 'm1.metadata.txt'))
    mkdirSync(join(storage, '.nsb', 'owners'), { recursive: true })
    writeFileSync(join(storage, '.nsb', 'owners', '0badc0de'), JSON.stringify({ pid: 2 ** 30, host: hostname(), processStart: '1' }))

    const ended = await nsb(['errors', 'replay', '--all', '--yes', '--json'], { cwd: folder })

    assert.equal(ended.code, 0, ended.stderr)
    assert.deepEqual(
      messagesIn(storage, 'Shop.Server').map((message) => message.headers['NServiceBus.MessageId']),
      ['m1'],
    )
  })

  it('E-44 shows of a failed queue of any length only the beginning', async () => {
    const { folder, storage } = projectWith()
    putMessage(storage, 'error', 'a', failureHeaders('m1', { 'NServiceBus.FailedQ': 'Q'.repeat(100_000) }))

    const asked = await nsb(['errors', 'replay', '--all'], { cwd: folder })
    const refused = await nsb(['errors', 'replay', '--all', '--yes'], { cwd: folder })

    assert.deepEqual([asked.code, refused.code], [6, 3])
    for (const { stderr } of [asked, refused]) {
      assert.match(stderr, /Q{255}…/)
      assert.ok(stderr.length < 5000, String(stderr.length))
    }
  })

  it('E-44 refuses a failed queue that leads out of the storage folder, with exit code 3', async () => {
    const { folder, storage } = projectWith()
    putMessage(storage, 'error', 'a', failureHeaders('a', { 'NServiceBus.FailedQ': '../../escaped' }))
    putMessage(storage, 'error', 'b', failureHeaders('b', { 'NServiceBus.FailedQ': join(folder, 'absolute') }))

    const ended = await nsb(['errors', 'replay', '--all', '--yes', '--json'], { cwd: folder })

    assert.equal(ended.code, 3)
    assert.deepEqual(
      (ended.json()['items'] as { error: { code: string } }[]).map((item) => item.error.code),
      ['NSB_BAD_ADDRESS', 'NSB_BAD_ADDRESS'],
    )
    assert.deepEqual(messagesIn(storage, 'error').length, 2)
    assert.equal(existsSync(join(folder, 'absolute')), false)
    assert.equal(existsSync(join(folder, '..', 'escaped')), false)
  })

  it('sends nothing into the error queue that it lies in, where it would be without what says that it failed', async () => {
    const { folder, storage } = projectWith('12-error-queue')
    putMessage(storage, 'error', 'a', failureHeaders('a', { 'NServiceBus.FailedQ': 'error' }))

    const own = await nsb(['errors', 'replay', '--failed-queue', 'error', '--yes', '--json'], { cwd: folder })
    const named = await nsb(['errors', 'replay', '--all', '--to', 'error', '--yes', '--json'], { cwd: folder })
    const edited = await nsb(['errors', 'edit', 'a', '--set-header', 'My.Header=1', '--yes', '--json'], { cwd: folder })

    assert.deepEqual([own.code, named.code, edited.code], [3, 2, 2])
    assert.deepEqual(
      (own.json()['items'] as { error: { code: string } }[]).map((item) => item.error.code),
      ['NSB_INTO_ITSELF'],
    )
    for (const { json } of [named, edited]) assert.equal((json()['error'] as { code: string }).code, 'NSB_INTO_ITSELF')
    assert.equal(messagesIn(storage, 'error').length, 2)
  })

  it('E-23 sends nothing into a queue that no endpoint reads, whoever names it', async () => {
    const { folder, storage } = projectWith('12-error-queue')
    for (const queue of ['nsb.acks', 'nsb.staging.x', 'nsb.v2.delay-level-00']) mkdirSync(join(storage, queue))
    putMessage(storage, 'error', 'a', failureHeaders('a', { 'NServiceBus.FailedQ': 'nsb.acks' }))
    putMessage(storage, 'error', 'b', failureHeaders('b', { 'ServiceControl.RetryTo': 'nsb.staging.x' }))
    putMessage(storage, 'error', 'c', failureHeaders('c', { 'NServiceBus.FailedQ': 'NSB.Lock.error' }))

    const own = await nsb(['errors', 'replay', 'a', 'b', 'c', '--wait=1s', '--yes', '--json'], { cwd: folder })
    const named = await nsb(['errors', 'replay', '--all', '--to', 'nsb.v2.delay-level-00', '--yes', '--json'], { cwd: folder })

    assert.deepEqual([own.code, named.code], [3, 2])
    const codes = (own.json()['items'] as { error: { code: string } }[]).map((item) => item.error.code)
    assert.deepEqual([codes, own.json()['published']], [['NSB_RESERVED_QUEUE', 'NSB_RESERVED_QUEUE', 'NSB_RESERVED_QUEUE'], 0])
    assert.equal((named.json()['error'] as { code: string }).code, 'NSB_RESERVED_QUEUE')
    assert.equal(messagesIn(storage, 'error').length, 4)
  })

  it('refuses such an address of --to with 2, and a queue that does not exist with 4', async () => {
    const { folder, storage } = projectWith('12-error-queue')

    const bad = await nsb(['errors', 'replay', '--all', '--yes', '--to', '../x', '--json'], { cwd: folder })
    const missing = await nsb(['errors', 'replay', '--all', '--yes', '--to', 'Shop.Sever', '--json'], { cwd: folder })

    assert.equal(bad.code, 2)
    assert.equal(missing.code, 4)
    assert.match(missing.stderr, /Shop\.Server/)
    assert.equal(messagesIn(storage, 'error').length, 1)
  })

  it('E-23 ends with 3 when the queue is missing, and makes no folder', async () => {
    const { folder, storage } = projectWith()
    putMessage(storage, 'error', 'a', failureHeaders('a', { 'NServiceBus.FailedQ': 'Gone' }))
    putMessage(storage, 'error', 'b', failureHeaders('b', { 'NServiceBus.FailedQ': 'Shop.Server' }))

    const ended = await nsb(['errors', 'replay', '--all', '--yes', '--json'], { cwd: folder })

    assert.equal(ended.code, 3)
    assert.deepEqual(resultsOf(ended.json()).toSorted(), ['failed', 'published'])
    assert.equal(existsSync(join(storage, 'Gone')), false)
    assert.equal(ended.json()['leftInQueue'], 1)
  })

  it('E-25 --dry-run changes nothing and says which queues do not exist', async () => {
    const { folder, storage } = projectWith('12-error-queue')
    putMessage(storage, 'error', 'a', failureHeaders('a', { 'NServiceBus.FailedQ': 'Gone' }))

    const ended = await nsb(['errors', 'replay', '--all', '--dry-run', '--json'], { cwd: folder })

    assert.equal(ended.code, 3)
    assert.equal(ended.json()['dryRun'], true)
    assert.deepEqual(resultsOf(ended.json()).toSorted(), ['failed', 'planned'])
    assert.match(ended.stderr, /Gone {2}1 {2}\(There is no queue 'Gone'/)
    assert.equal(messagesIn(storage, 'error').length, 2)
    assert.equal(messagesIn(storage, 'Shop.Server').length, 0)
  })

  it('E-25 of many targets a plan has lines only for those that most messages go to', async () => {
    const { folder, storage } = projectWith('12-error-queue')
    for (let number = 1; number <= 30; number++)
      putMessage(storage, 'error', `gone${number}`, failureHeaders(`gone${number}`, { 'NServiceBus.FailedQ': `Gone.${number}` }))
    for (const id of ['last1', 'last2']) putMessage(storage, 'error', id, failureHeaders(id, { 'NServiceBus.FailedQ': 'Gone.30' }))

    const ended = await nsb(['errors', 'replay', '--all', '--dry-run', '--json'], { cwd: folder })

    assert.equal(ended.stderr.split('\n').filter((line) => /^ {2}\S/.test(line)).length, 21, ended.stderr)
    assert.match(ended.stderr, /^ {2}Gone\.30 {2}3 {2}/m)
    assert.match(ended.stderr, /^ {2}11 other queues {2}11 {2}\(1[01] cannot be sent; --dry-run --json names each\)$/m)
    assert.equal((ended.json()['targets'] as unknown[]).length, 31)
  })

  it('E-31 --to sends elsewhere under the old unique id', async () => {
    const { folder, storage } = projectWith('12-error-queue')
    mkdirSync(join(storage, 'Other'))

    const ended = await nsb(['errors', 'replay', '--all', '--to', 'Other', '--yes'], { cwd: folder })

    assert.equal(ended.code, 0)
    assert.equal(messagesIn(storage, 'Other')[0]?.headers[uniqueHeader], 'acc35ddb-8551-43b8-82bc-eb4f2077f70c')
  })

  it('follows the redirect of nsb.json', async () => {
    const { folder, storage } = projectWith('12-error-queue')
    mkdirSync(join(storage, 'Moved'))
    writeFileSync(join(folder, 'nsb.json'), '{"redirects": {"Shop.Server": "Moved"}}')

    await nsb(['errors', 'retry', '--all', '--yes'], { cwd: folder })

    assert.equal(messagesIn(storage, 'Moved').length, 1)
  })

  it('E-32 CLI-5 without a terminal it wants --yes, waits for nothing and publishes nothing', async () => {
    const { folder, storage } = projectWith('12-error-queue')

    const ended = await nsb(['errors', 'replay', '--all'], { cwd: folder, input: 'open' })

    assert.equal(ended.code, 6)
    assert.match(ended.stderr, /re-run with --yes/)
    assert.equal(messagesIn(storage, 'error').length, 1)
  })

  it('wants the name of a protected profile, even with --yes', async () => {
    const { folder } = projectWith('12-error-queue')
    writeFileSync(join(folder, 'nsb.json'), '{"profiles": {"prod": {"transport": "learning", "protect": true}}}')
    const words = ['errors', 'replay', '--all', '--profile', 'prod', '--yes']

    const refused = await nsb(words, { cwd: folder })
    const confirmed = await nsb([...words, '--confirm', 'prod'], { cwd: folder })

    assert.equal(refused.code, 6)
    assert.match(refused.stderr, /--confirm prod/)
    assert.equal(confirmed.code, 0)
  })

  it('wants to know which messages, and says when none is meant', async () => {
    const { folder } = projectWith('12-error-queue')

    assert.equal((await nsb(['errors', 'replay', '--yes'], { cwd: folder })).code, 2)
    assert.equal((await nsb(['errors', 'replay', '--type', 'Other', '--yes'], { cwd: folder })).code, 4)
    assert.equal((await nsb(['errors', 'replay', 'ffff', '--yes'], { cwd: folder })).code, 4)
  })

  it('E-4 says that a group is gone, as archive and export do', async () => {
    const { folder } = projectWith('12-error-queue')

    for (const words of [['replay', '--yes'], ['replay', '--dry-run'], ['archive', '--yes'], ['export']]) {
      const ended = await nsb(['errors', ...words, '--group', 'dead', '--json'], { cwd: folder })

      assert.equal(ended.code, 4)
      assert.match(ended.stderr, /Error NSB_GROUP_NOT_FOUND: .*'dead'/)
    }
  })

  it('takes ids from the output of errors list', async () => {
    const { folder, storage } = projectWith('12-error-queue', '15-after-second-handler-failed')
    const listed = await nsb(['errors', 'list', '--json', '--type', 'ShipOrder'], { cwd: folder })

    const ended = await nsb(['errors', 'replay', '--from', '-', '--yes', '--json'], { cwd: folder, input: listed.stdout })

    assert.equal(ended.json()['selected'], 1)
    assert.equal(messagesIn(storage, 'Shop.Server')[0]?.headers['NServiceBus.MessageId'], '9ae80d5b-cbab-47a5-aa8a-b5090005dd1f')
  })
})

describe('errors replay --wait', () => {
  it('ends with 0 when all succeeded, and leaves foreign acknowledgements', async () => {
    const { folder, storage } = projectWith('12-error-queue')
    putMessage(storage, 'nsb.acks', 'foreign', { 'ServiceControl.Retry.Successful': 'x', [uniqueHeader]: 'foreign' }, '')
    await playEndpoint(storage, () => true)

    const ended = await nsb(['errors', 'replay', '--all', '--wait', '--yes', '--json'], { cwd: folder })

    assert.equal(ended.code, 0, ended.stderr)
    assert.deepEqual([ended.json()['succeeded'], ended.json()['failedAgain'], ended.json()['noAnswer']], [1, 0, 0])
    assert.deepEqual(
      messagesIn(storage, 'nsb.acks').map((message) => message.file),
      ['foreign.metadata.txt'],
    )
  })

  it('ends with 8 when a message failed again, and says why', async () => {
    const { folder, storage } = projectWith('12-error-queue', '15-after-second-handler-failed')
    await playEndpoint(storage, (message) => message.id.startsWith('37a1'))

    const ended = await nsb(['errors', 'replay', '--all', '--wait=30s', '--yes'], { cwd: folder })

    assert.equal(ended.code, 8, ended.stderr)
    assert.match(ended.stderr, /✗ 51692567 {2}failed again {2}System\.Exception: no stock/)
    assert.match(ended.stdout, /^replayed 2, succeeded 1, failed again 1, left in queue 1, (newer arrivals 1, )?operation /)
  })

  it('ends with 7 when nobody answers, and with 3 when one could not be sent', async () => {
    const { folder, storage } = projectWith('12-error-queue')

    const silent = await nsb(['errors', 'replay', '--all', '--wait', '200ms', '--yes', '--json'], { cwd: folder })
    putMessage(storage, 'error', 'a', failureHeaders('a', { 'NServiceBus.FailedQ': 'Gone' }))
    putMessage(storage, 'error', 'b', failureHeaders('b', { 'NServiceBus.FailedQ': 'Shop.Server' }))
    const mixed = await nsb(['errors', 'replay', '--all', '--wait', '200ms', '--yes', '--json'], { cwd: folder })

    assert.deepEqual([silent.code, resultsOf(silent.json())], [7, ['noAnswer']])
    assert.deepEqual([mixed.code, resultsOf(mixed.json()).toSorted()], [3, ['failed', 'noAnswer']])
  })
})

describe('the journal of a replay', () => {
  const fill = (storage: string, count: number): void => {
    for (let index = 0; index < count; index++) {
      const id = `m${String(index).padStart(40, '0')}`
      putMessage(storage, 'error', id, failureHeaders(id, { 'NServiceBus.FailedQ': 'Shop.Server' }))
    }
  }
  const ids = (storage: string, queue: string): string[] =>
    messagesIn(storage, queue).map(({ headers }) => String(headers['NServiceBus.MessageId']))

  it('E-43 is a file of its own, which nobody else may read, and says when the replay is over', async () => {
    const { folder, storage } = projectWith()
    fill(storage, 3)
    const state = join(folder, 'state')

    const ended = await nsb(['errors', 'replay', '--all', '--yes', '--json'], { cwd: folder, env: { NSB_STATE_DIR: state } })

    const [name] = readdirSync(join(state, 'operations'))
    const path = join(state, 'operations', String(name))
    const lines = readFileSync(path, 'utf8').trim().split('\n')
    assert.equal(ended.code, 0)
    assert.equal(name, `${String(ended.json()['operation'])}.ndjson`)
    assert.equal(statSync(path).mode & 0o777, 0o600)
    assert.deepEqual(JSON.parse(String(lines.at(-1))), { end: { published: 3, failed: 0 } })
  })

  it('refuses before anything is sent when it cannot be written', async () => {
    const { folder, storage } = projectWith()
    fill(storage, 3)
    writeFileSync(join(folder, 'file'), '')

    const ended = await nsb(['errors', 'replay', '--all', '--yes', '--json'], {
      cwd: folder,
      env: { NSB_STATE_DIR: join(folder, 'file') },
    })

    assert.equal(ended.code, 5)
    assert.equal((ended.json()['error'] as { code: string }).code, 'NSB_JOURNAL_UNWRITABLE')
    assert.match(ended.stderr, /NSB_STATE_DIR/)
    assert.equal(ids(storage, 'error').length, 3)
    assert.deepEqual(ids(storage, 'Shop.Server'), [])
  })

  it.skipIf(whyNoDisk())('E-37 stops when its disk becomes full, loses nothing and sends nothing twice', async () => {
    const { folder, storage } = projectWith()
    const count = 400
    fill(storage, count)
    const state = join(folder, 'state')
    mountDisk(state, 8)

    const ended = await nsb(['errors', 'replay', '--all', '--yes', '--json'], { cwd: folder, env: { NSB_STATE_DIR: state } })

    const [left, sent] = [ids(storage, 'error'), ids(storage, 'Shop.Server')]
    assert.equal(ended.code, 3, ended.stderr)
    assert.equal(ended.json()['resumable'], true)
    assert.match(ended.stderr, /journal .* cannot be written/)
    assert.match(ended.stderr, new RegExp(`${String(ended.json()['operation'])}`))
    assert.ok(sent.length > 0 && left.length > 0, `${sent.length} sent, ${left.length} left`)
    assert.equal(new Set([...left, ...sent]).size, count)
    assert.equal(left.length + sent.length, count)
  })
})

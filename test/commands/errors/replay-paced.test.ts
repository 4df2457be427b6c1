import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openTransport } from '../../../src/transport/open.ts'
import { type Ended, failureHeaders, messagesIn, nsb, putMessage, temporaryFolder } from '../../cli/nsb.ts'
import { startInTerminal } from '../../support/terminal.ts'
import { journalText, safeIn } from '../../support/journals.ts'
import { startNsb } from '../../support/running-nsb.ts'
import { archivesIn } from '../../support/archives.ts'

const soon = { timeout: 20_000, interval: 5 }
const hasScript = spawnSync('script', ['--version']).status === 0

interface World {
  readonly folder: string
  readonly storage: string
  readonly env: Record<string, string>
  run(...words: string[]): Promise<Ended>
  /** Ids of what waits in a queue, sorted. */
  ids(queue: string): string[]
  /** The names of staging queues that are there. */
  staging(): string[]
}

const numbers = (count: number): string[] => Array.from({ length: count }, (_, index) => `m${String(index + 1).padStart(4, '0')}`)

/** A storage folder with so many failures of Sales in it. */
function worldWith(count: number, headers: (id: string) => Record<string, string> = () => ({})): World {
  const folder = temporaryFolder()
  const storage = join(folder, '.learningtransport')
  mkdirSync(join(storage, 'Sales', '.bodies'), { recursive: true })
  for (const [index, id] of numbers(count).entries()) {
    const time = `2026-11-21 00:21:15:${String(index).padStart(6, '0')} Z`
    putMessage(storage, 'error', id, failureHeaders(id, { 'NServiceBus.TimeOfFailure': time, ...headers(id) }), `{"Id":"${id}"}`)
  }
  const env = { NSB_STATE_DIR: join(folder, 'state') }
  return {
    folder,
    storage,
    env,
    run: (...words) => nsb(['errors', ...words], { cwd: folder, env }),
    ids: (queue) =>
      (existsSync(join(storage, queue)) ? messagesIn(storage, queue).map(({ headers: h }) => h['NServiceBus.MessageId'] ?? '') : []).sort(),
    staging: () => readdirSync(storage).filter((name) => name.startsWith('nsb.staging.')),
  }
}

/** Plays the endpoint `Sales`: acknowledges each message, but for those that fail again. */
async function playSales(storage: string, fails: (id: string, body: string) => boolean): Promise<void> {
  const transport = await openTransport({ kind: 'learning', storage })
  onTestFinished(() => transport.close())
  await transport.receive(
    {
      queue: 'Sales',
      errorQueue: 'error',
      concurrency: 1,
      transactionMode: 'sendsAtomicWithReceive',
      onCriticalError: () => {},
      onSettled: () => undefined,
      onPoison: () => undefined,
      onDispatchFailed: () => Promise.resolve({ kind: 'putBack' }),
    },
    ({ body, headers, id }) => {
      const unique = { 'ServiceControl.Retry.UniqueMessageId': headers['ServiceControl.Retry.UniqueMessageId'] ?? '' }
      const answer = fails(id, Buffer.from(body).toString())
        ? {
            id,
            headers: failureHeaders(id, { ...headers, ...unique, 'NServiceBus.TimeOfFailure': '2026-11-22 00:00:00:000000 Z' }),
            body,
            to: { address: 'error' },
          }
        : {
            id: `ack-${id}`,
            headers: {
              'NServiceBus.MessageId': `ack-${id}`,
              ...unique,
              'ServiceControl.Retry.Successful': '2026-11-22 00:00:00:000000 Z',
              'NServiceBus.ControlMessage': 'True',
            },
            body: new Uint8Array(),
            to: { address: headers['ServiceControl.Retry.AcknowledgementQueue'] ?? 'nowhere' },
          }
      return Promise.resolve({ kind: 'consume', outgoing: [answer] })
    },
  )
}

describe('errors replay at a rate', () => {
  it('E-26 20 messages at 5/s take 3.8 s or more', { timeout: 60_000 }, async () => {
    const world = worldWith(20)
    const start = performance.now()

    const ended = await world.run('replay', '--all', '--rate', '5/s', '--yes', '--json')

    assert.ok(performance.now() - start >= 3800)
    assert.equal(ended.code, 0)
    assert.equal(ended.json()['published'], 20)
    assert.deepEqual(world.ids('Sales'), numbers(20))
  })

  it('E-26 --limit 3 leaves the rest, also at a rate', async () => {
    const world = worldWith(5)

    const ended = await world.run('replay', '--all', '--limit', '3', '--rate', '50/s', '--yes', '--json')

    assert.deepEqual([ended.code, ended.json()['published'], ended.json()['leftInQueue']], [0, 3, 2])
    assert.deepEqual(world.ids('Sales'), numbers(3))
  })

  it.each([
    ['a rate that is none', ['--rate', 'fast']],
    ['a batch that is none', ['--batch', '1,none']],
    ['a pause without batches', ['--batch-pause', '1s']],
    ['acknowledgements for somebody else and for us', ['--keep-ack', '--wait']],
  ])('%s is a usage error, and nothing is sent', async (_title, flags) => {
    const world = worldWith(1)

    const ended = await world.run('replay', '--all', ...flags, '--yes')

    assert.equal(ended.code, 2)
    assert.deepEqual(world.ids('error'), numbers(1))
  })

  it('Ctrl-C ends the wait for the next message, and the rest can be gone on with', { timeout: 60_000 }, async () => {
    const world = worldWith(3)
    const replay = startNsb(['errors', 'replay', '--all', '--rate', '1/m', '--yes'], world.folder, world.env)
    await expect.poll(() => world.ids('Sales').length, soon).toBe(1)

    replay.kill('SIGINT')

    assert.equal(await replay.ended, 130)
    assert.deepEqual(world.ids('error'), ['m0002', 'm0003'])
  })
})

describe('errors replay in batches', () => {
  it('E-32 where nobody can be asked, nothing is done without --batch-pause or --yes', async () => {
    const world = worldWith(3)

    const ended = await world.run('replay', '--all', '--batch', '1', '--json')

    assert.equal(ended.code, 6)
    assert.match(ended.stdout, /NSB_NEEDS_CONFIRMATION/)
    assert.deepEqual(world.ids('error'), numbers(3))
  })

  it('with --yes goes on as long as all goes well', async () => {
    const world = worldWith(20)

    const ended = await world.run('replay', '--all', '--batch', '1,5,rest', '--yes')

    assert.equal(ended.code, 0)
    assert.match(ended.stderr, /batch 1: 1 sent\nbatch 2: 5 sent\n/)
    assert.deepEqual(world.ids('Sales'), numbers(20))
  })

  it('with --yes stops after a batch of which something could not be sent: exit 3, and what to do', async () => {
    const world = worldWith(10, (id) => (id === 'm0002' ? { 'NServiceBus.FailedQ': 'Nowhere' } : {}))

    const ended = await world.run('replay', '--all', '--batch', '3', '--yes')

    assert.equal(ended.code, 3)
    assert.match(ended.stderr, /batch 1: 2 sent, 1 failed/)
    assert.match(ended.stderr, /stopped after batch 1; the rest stays in the error queue/)
    assert.match(ended.stderr, /nsb errors resume [0-9A-Z]{26}/)
    assert.deepEqual(world.ids('Sales'), ['m0001', 'm0003'])
  })

  it('with --wait the outcomes of a batch are there before the next one: exit 8 after one that failed again', {
    timeout: 60_000,
  }, async () => {
    const world = worldWith(10)
    await playSales(world.storage, (id) => id === 'm0004')

    const ended = await world.run('replay', '--all', '--batch', '1,2,5,rest', '--wait', '30s', '--yes', '--json')

    const document = ended.json()
    assert.equal(ended.code, 8)
    assert.match(ended.stderr, /batch 1: 1 sent, 1 succeeded\nbatch 2: 2 sent, 2 succeeded\nbatch 3: 5 sent, 4 succeeded, 1 failed again/)
    assert.deepEqual([document['stoppedAfterBatch'], document['published'], document['succeeded'], document['failedAgain']], [3, 8, 7, 1])
    assert.deepEqual(world.ids('error'), ['m0004', 'm0009', 'm0010'])
  })

  it('pauses between them with --batch-pause, whatever became of the last one', { timeout: 60_000 }, async () => {
    const world = worldWith(4, (id) => (id === 'm0002' ? { 'NServiceBus.FailedQ': 'Nowhere' } : {}))
    const start = performance.now()

    const ended = await world.run('replay', '--all', '--batch', '2', '--batch-pause', '700ms', '--yes', '--json')

    assert.ok(performance.now() - start >= 700)
    assert.deepEqual([ended.code, ended.json()['published'], ended.json()['failed']], [3, 3, 1])
  })

  describe.skipIf(!hasScript)('in a terminal', () => {
    it('asks after each batch what came of it: yes, all', { timeout: 60_000 }, async () => {
      const world = worldWith(8)
      const terminal = startInTerminal(['errors', 'replay', '--all', '--batch', '1,2,2,rest'], world.folder, world.env)
      await terminal.shows('Replay 8 messages to Sales?')
      terminal.type('y\r')
      await terminal.shows('batch 1: 1 sent. Continue? [Y/n/all]')
      assert.deepEqual(world.ids('Sales'), numbers(1))

      terminal.type('\r')
      await terminal.shows('batch 2: 2 sent. Continue? [Y/n/all]')
      terminal.type('all\r')

      assert.equal(await terminal.ended, 0)
      assert.match(terminal.screen, /batch 3: 2 sent\r?\n/)
      assert.deepEqual(world.ids('Sales'), numbers(8))
    })

    it('a no leaves the rest where it is, with exit 3', { timeout: 60_000 }, async () => {
      const world = worldWith(4)
      const terminal = startInTerminal(['errors', 'replay', '--all', '--batch', '1'], world.folder, world.env)
      await terminal.shows('Replay 4 messages to Sales?')
      terminal.type('y\r')
      await terminal.shows('Continue? [Y/n/all]')

      terminal.type('n\r')

      assert.equal(await terminal.ended, 3)
      assert.match(terminal.screen, /stopped after batch 1; the rest stays in the error queue/)
      assert.deepEqual(world.ids('error'), ['m0002', 'm0003', 'm0004'])
    })

    it('who resumes it is asked between two batches too, and sees how many wait', { timeout: 60_000 }, async () => {
      const world = worldWith(8)
      const replay = startInTerminal(['errors', 'replay', '--all', '--staged', '--batch', '1,2,rest'], world.folder, world.env)
      await replay.shows('Replay 8 messages to Sales?')
      replay.type('y\r')
      await replay.shows('Continue? [Y/n/all]')
      replay.type('n\r')
      assert.equal(await replay.ended, 3)

      const here = await world.run('resume', '--list', '--json')
      const elsewhere = await nsb(['errors', 'resume', '--list'], {
        cwd: world.folder,
        env: { NSB_STATE_DIR: join(world.folder, 'other') },
      })
      const resumed = startInTerminal(['errors', 'resume'], world.folder, world.env)
      await resumed.shows('known to have arrived; 7 messages are in its staging')
      resumed.type('y\r')
      await resumed.shows('batch 1: 1 sent. Continue? [Y/n/all]')
      resumed.type('n\r')

      assert.equal(await resumed.ended, 3)
      assert.match(resumed.screen, /stopped after batch 1; the rest is in nsb\.staging\./)
      assert.deepEqual(world.ids('Sales'), numbers(2))
      const [listed] = here.json()['items'] as Record<string, unknown>[]
      assert.deepEqual([listed?.['begun'], listed?.['safe'], listed?.['staged'], listed?.['running']], [1, 1, 7, false])
      assert.match(elsewhere.stdout, new RegExp(`^${String(listed?.['operation'])} +replay +– +.* 7 +no journal here`, 'm'))
    })
  })
})

describe('errors replay --staged', () => {
  it('moves what was selected to a queue of its own, sends it from there, and removes that queue', async () => {
    const world = worldWith(30, (id) => (id > 'm0020' ? { 'NServiceBus.EnclosedMessageTypes': 'Shop.Other' } : {}))
    const bodies = messagesIn(world.storage, 'error').map(({ body }) => body)

    const ended = await world.run('replay', '--type', 'PlaceOrder', '--staged', '--yes', '--json')

    const document = ended.json()
    assert.equal(ended.code, 0)
    assert.deepEqual([document['selected'], document['published'], document['failed'], document['leftInQueue']], [20, 20, 0, 10])
    assert.deepEqual(document['staged'], { queue: `nsb.staging.${String(document['operation'])}`, left: 0 })
    assert.deepEqual(world.ids('Sales'), numbers(20))
    assert.deepEqual(
      messagesIn(world.storage, 'Sales')
        .map(({ body }) => body)
        .sort(),
      bodies.sort().slice(0, 20),
    )
    assert.deepEqual(world.staging(), [])
  })

  it('what has no queue to go to is a failure again, as it was: exit 3', async () => {
    const world = worldWith(5, (id) => (id === 'm0002' ? { 'NServiceBus.FailedQ': 'Nowhere' } : {}))
    const before = messagesIn(world.storage, 'error').find(({ headers }) => headers['NServiceBus.MessageId'] === 'm0002')

    const ended = await world.run('replay', '--all', '--staged', '--yes', '--json')

    const [after] = messagesIn(world.storage, 'error')
    assert.equal(ended.code, 3)
    assert.deepEqual([ended.json()['published'], ended.json()['failed']], [4, 1])
    assert.deepEqual([after?.headers, after?.body], [before?.headers, before?.body])
    assert.deepEqual(world.staging(), [])
  })

  it('is chosen for what takes more than 10 minutes, and a dry run says so', async () => {
    const world = worldWith(11)

    const [long, short] = [
      await world.run('replay', '--all', '--rate', '1/m', '--dry-run', '--json'),
      await world.run('replay', '--all', '--rate', '1/s', '--dry-run', '--json'),
    ]

    assert.deepEqual([long.json()['staged'], long.json()['plannedSeconds']], [undefined, 600])
    assert.deepEqual([short.json()['staged'], short.json()['plannedSeconds']], [undefined, 10])
    const longer = await world.run('replay', '--all', '--rate', '59/h', '--dry-run', '--json')
    assert.deepEqual([longer.json()['staged'], longer.json()['plannedSeconds']], [true, 611])
    assert.match(longer.stderr, /takes 11 min at most, beside what sending takes/)
    assert.deepEqual(world.ids('error'), numbers(11))
  })
})

describe('a staged replay that is killed', () => {
  const count = 300

  /** Killed when some messages, and not all, are through this phase. */
  async function killedIn(phase: 'moving' | 'draining'): Promise<World> {
    const world = worldWith(count)
    const rate = phase === 'draining' ? ['--rate', '100/s'] : []
    const replay = startNsb(['errors', 'replay', '--all', '--staged', '--yes', ...rate], world.folder, world.env)
    await expect.poll(() => safeIn(journalText(join(world.folder, 'state')), phase), { timeout: 30_000, interval: 1 }).toBeGreaterThan(0)
    replay.kill('SIGKILL')
    await replay.ended
    return world
  }

  it.each(['moving', 'draining'] as const)(
    'E-24 while %s is gone on with, and everything is sent once',
    { timeout: 120_000 },
    async (phase) => {
      const world = await killedIn(phase)

      const ended = await world.run('resume', '--yes', '--json')

      assert.equal(ended.code, 0, ended.stderr)
      assert.deepEqual(world.ids('Sales'), numbers(count))
      assert.deepEqual([world.ids('error'), world.staging()], [[], []])
    },
  )

  it.each(['moving', 'draining'] as const)(
    'E-24 while %s is taken back: what was not sent is a failure again, as it was',
    { timeout: 120_000 },
    async (phase) => {
      const world = await killedIn(phase)

      const ended = await world.run('resume', '--undo', '--yes', '--json')

      assert.equal(ended.code, 0, ended.stderr)
      assert.deepEqual([...world.ids('Sales'), ...world.ids('error')].sort(), numbers(count))
      assert.deepEqual(world.staging(), [])
      for (const { body, headers } of messagesIn(world.storage, 'error')) {
        const id = headers['NServiceBus.MessageId'] ?? ''
        const time = `2026-11-21 00:21:15:${String(Number(id.slice(1)) - 1).padStart(6, '0')} Z`
        assert.deepEqual([headers, body], [failureHeaders(id, { 'NServiceBus.TimeOfFailure': time }), `{"Id":"${id}"}`])
      }
    },
  )

  it('is named by errors list and groups, and taken back without its journal', { timeout: 120_000 }, async () => {
    const world = await killedIn('draining')
    const [staging = ''] = world.staging()
    const operation = staging.slice('nsb.staging.'.length)
    const elsewhere = { ...world.env, NSB_STATE_DIR: join(world.folder, 'elsewhere') }

    for (const command of ['list', 'groups']) {
      const { stderr } = await nsb(['errors', command], { cwd: world.folder, env: elsewhere })
      assert.match(
        stderr,
        new RegExp(
          `messages? of a replay that is not over in ${staging}: nsb errors resume ${operation}, or nsb errors resume ${operation} --undo`,
        ),
      )
    }
    const refused = await nsb(['errors', 'resume', operation, '--undo'], { cwd: world.folder, env: elsewhere })
    assert.equal(refused.code, 6)
    const ended = await nsb(['errors', 'resume', operation, '--undo', '--yes'], { cwd: world.folder, env: elsewhere })

    assert.equal(ended.code, 0, ended.stderr)
    assert.match(ended.stderr, /the journal of operation .* is not here: .* some may arrive twice/)
    assert.deepEqual([...world.ids('Sales'), ...world.ids('error')].sort(), numbers(count))
    assert.deepEqual(world.staging(), [])
  })
})

describe('errors replay --patch', () => {
  const patch = '[{"op":"test","path":"/Id","value":"m0002"},{"op":"add","path":"/Price","value":1.50}]'
  const archived = (world: World): Record<string, unknown>[] => {
    const folder = join(archivesIn(join(world.folder, 'state'))[0] ?? '', 'error')
    const [file = ''] = existsSync(folder) ? readdirSync(folder) : []
    if (file === '') return []
    return readFileSync(join(folder, file), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  }

  it.each([[[]], [['--staged']]])('E-34 sends changed copies as messages of their own, and saves the originals %j', async (how) => {
    const world = worldWith(3)
    const before = messagesIn(world.storage, 'error').find(({ headers }) => headers['NServiceBus.MessageId'] === 'm0002')

    const ended = await world.run('replay', '--all', '--patch', patch, ...how, '--yes', '--json')

    const [copy, ...others] = messagesIn(world.storage, 'Sales')
    assert.equal(ended.code, 3, ended.stderr)
    assert.deepEqual([ended.json()['published'], ended.json()['failed'], others.length], [1, 2, 0])
    assert.equal(copy?.body, '{"Id":"m0002","Price":1.50}')
    assert.match(copy?.headers['NServiceBus.MessageId'] ?? '', /^[0-9a-f-]{36}$/)
    assert.match(copy?.headers['ServiceControl.EditOf'] ?? '', /^[0-9a-f-]{36}$/)
    assert.equal(copy?.headers['ServiceControl.Retry.UniqueMessageId'], undefined)
    assert.equal(copy?.headers['NServiceBus.FailedQ'], undefined)
    assert.deepEqual(
      archived(world).map(({ body, messageId }) => [messageId, (body as Record<string, unknown>)['data']]),
      [['m0002', before?.body]],
    )
    assert.match(ended.stdout, /NSB_PATCH_FAILED/)
    // What the patch does not fit is in the error queue as it was.
    assert.deepEqual(world.ids('error'), ['m0001', 'm0003'])
    assert.deepEqual(
      messagesIn(world.storage, 'error')
        .map(({ body }) => body)
        .sort(),
      ['{"Id":"m0001"}', '{"Id":"m0003"}'],
    )
  })

  it.each([[[]], [['--staged']]])('E-30 waits for the outcomes of the copies, which have ids of their own %j', async (how) => {
    const world = worldWith(3)
    await playSales(world.storage, (_, body) => body.includes('m0002'))

    const add = '[{"op":"add","path":"/Price","value":1.50}]'
    const ended = await world.run('replay', '--all', '--patch', add, '--wait=20s', ...how, '--yes', '--json')

    assert.equal(ended.code, 8, ended.stderr)
    assert.deepEqual([ended.json()['succeeded'], ended.json()['failedAgain'], ended.json()['noAnswer']], [2, 1, 0])
    const items = ended.json()['items'] as { readonly uniqueId: string; readonly sentAs: string; readonly result: string }[]
    const again = items.find(({ result }) => result === 'failedAgain')
    // The failure is a new entry, and is named as such.
    const listed = (await world.run('list', '--json')).json()['items'] as { readonly uniqueId: string }[]
    assert.deepEqual(
      listed.map(({ uniqueId }) => uniqueId),
      [again?.sentAs],
    )
    assert.notEqual(again?.sentAs, again?.uniqueId)
    assert.match(ended.stderr, new RegExp(`${again?.sentAs.slice(0, 8)}  failed again`))
    const shown = (await world.run('show', again?.sentAs ?? '')).stdout
    assert.match(shown, new RegExp(`edit of +${again?.uniqueId}`))
    assert.doesNotMatch(shown, /by ServiceControl/)
  })

  it('E-25 a dry run says which messages the patch does not fit, and saves nothing', async () => {
    const world = worldWith(3)

    const told = await world.run('replay', '--all', '--patch', patch, '--dry-run')
    const ended = await world.run('replay', '--all', '--patch', patch, '--dry-run', '--json')
    const fitting = await world.run('replay', '--all', '--limit', '1', '--patch', '[]', '--dry-run', '--json')

    assert.deepEqual([told.code, ended.code, fitting.code], [3, 3, 0], told.stderr)
    assert.match(told.stderr, /the patch does not fit 2 of them\n.*[0-9a-f]{8} {2}.*test '\/Id'/s)
    const document = ended.json() as { failed: number; items: { result: string; error?: { code: string } }[] }
    assert.equal(document.failed, 2)
    assert.deepEqual(document.items.map(({ error, result }) => error?.code ?? result).toSorted(), [
      'NSB_PATCH_FAILED',
      'NSB_PATCH_FAILED',
      'planned',
    ])
    assert.deepEqual(archived(world), [])
    assert.deepEqual(world.ids('error'), ['m0001', 'm0002', 'm0003'])
  })

  it('E-37 what cannot be saved is not sent', async () => {
    const world = worldWith(2)
    mkdirSync(join(world.folder, 'state'))
    writeFileSync(join(world.folder, 'state', 'archive'), '')

    const ended = await world.run('replay', '--all', '--patch', '@patch.json', '--yes', '--json')
    writeFileSync(join(world.folder, 'patch.json'), '[{"op":"add","path":"/Price","value":2}]')
    const unsaved = await world.run('replay', '--all', '--patch', '@patch.json', '--yes', '--json')

    assert.equal(ended.code, 2)
    assert.equal(unsaved.code, 3)
    assert.match(unsaved.stdout, /NSB_ARCHIVE_UNWRITABLE/)
    assert.deepEqual([world.ids('error'), world.ids('Sales')], [numbers(2), []])
  })

  it.each([
    ['a patch that is none', ['--patch', '{}']],
    ['a patch and --same-native-id: the copy is another message', ['--patch', '[]', '--same-native-id']],
  ])('%s is a usage error, and nothing is sent', async (_title, flags) => {
    const world = worldWith(1)

    const ended = await world.run('replay', '--all', ...flags, '--yes')

    assert.equal(ended.code, 2)
    assert.deepEqual(world.ids('error'), numbers(1))
  })

  it('is gone on with after a kill, and each message is sent once', { timeout: 120_000 }, async () => {
    const world = worldWith(60)
    const flags = ['--patch', '[{"op":"add","path":"/Price","value":2}]', '--staged', '--rate', '50/s']
    const replay = startNsb(['errors', 'replay', '--all', ...flags, '--yes'], world.folder, world.env)
    await expect
      .poll(() => safeIn(journalText(join(world.folder, 'state')), 'draining'), { timeout: 30_000, interval: 1 })
      .toBeGreaterThan(0)
    replay.kill('SIGKILL')
    await replay.ended

    const ended = await world.run('resume', '--yes', '--json')

    assert.equal(ended.code, 0, ended.stderr)
    assert.deepEqual(
      messagesIn(world.storage, 'Sales')
        .map(({ body }) => body)
        .sort(),
      numbers(60).map((id) => `{"Id":"${id}","Price":2}`),
    )
    assert.deepEqual([world.ids('error'), world.staging()], [[], []])
  })
})

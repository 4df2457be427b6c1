import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { type Ended, failureHeaders, messagesIn, nsb, projectWith, putMessage, temporaryFolder } from '../../cli/nsb.ts'

const all = ['12-error-queue', '13-error-queue-deserialization', '15-after-second-handler-failed'] as const

interface Items {
  readonly items: readonly Record<string, unknown>[]
}
const itemsOf = (document: Record<string, unknown>): readonly Record<string, unknown>[] => (document as unknown as Items).items

describe('errors list', () => {
  it('RC-15 shows what a .NET endpoint wrote, newest first, and leaves it there', async () => {
    const { folder } = projectWith(...all)

    const first = await nsb(['errors', 'list', '--json'], { cwd: folder })
    const second = await nsb(['errors', 'list', '--json'], { cwd: folder })

    assert.equal(first.code, 0)
    assert.deepEqual({ ...first.json(), asOf: '' }, { ...second.json(), asOf: '' })
    assert.equal(first.json()['cached'], false)
    assert.equal(first.json()['schema'], 'nsb.errors.list/1')
    assert.equal(first.json()['total'], 3)
    assert.equal(first.json()['newerArrivals'], 0)
    assert.deepEqual(itemsOf(first.json())[2], {
      uniqueId: 'acc35ddb-8551-43b8-82bc-eb4f2077f70c',
      messageId: '37a16d0f-ac5e-4ae0-8236-b5090005d293',
      kind: 'failure',
      type: 'Shop.Messages.FailingOrder',
      endpoint: 'Shop.Server',
      queue: 'Shop.Server',
      host: 'shop-host',
      failedAt: '2026-11-21T00:21:15.973Z',
      exceptionType: 'System.InvalidOperationException',
      exceptionMessage: 'Order 0f4c3a52-6d1e-4b7a-9c58-2e7f81d9a001 cannot be placed: "stock" unknown — é ✓',
      replayed: 0,
    })
  })

  it('E-3 lists a poison message by its kind, and a file that is no JSON by its name', async () => {
    const { folder, storage } = projectWith()
    putMessage(storage, 'error', 'hello', { 'NServiceBus.EnclosedMessageTypes': 'A.B' })
    mkdirSync(join(storage, 'error', '.bodies'), { recursive: true })
    writeFileSync(join(storage, 'error', 'broken.metadata.txt'), '{"NServiceBus.MessageId": 7')
    writeFileSync(join(storage, 'error', '.bodies', 'broken.body.txt'), '')

    const failures = await nsb(['errors', 'list', '--json'], { cwd: folder })
    const poison = await nsb(['errors', 'list', '--kind', 'poison', '--json'], { cwd: folder })
    const check = await nsb(['errors', 'list', '--fail-if-any', '--quiet'], { cwd: folder })
    const hints = await nsb(['errors', 'list', '--kind', 'poison'], { cwd: folder })

    assert.equal(failures.json()['total'], 0)
    assert.equal(check.code, 8)
    assert.ok(hints.stderr.includes('nsb errors show'))
    assert.ok(!hints.stderr.includes('--kind poison') && !hints.stderr.includes('nsb errors replay'), hints.stderr)
    assert.deepEqual(
      itemsOf(poison.json())
        .map((item) => `${String(item['kind'])} ${String(item['messageId'])}`)
        .toSorted(),
      ['poison broken', 'poison hello'],
    )
  })

  it('E-9 does not take an acknowledgement for a failure', async () => {
    const { folder, storage } = projectWith()
    putMessage(
      storage,
      'error',
      'a',
      { 'NServiceBus.MessageId': 'a', 'ServiceControl.Retry.Successful': 'x', 'NServiceBus.ControlMessage': 'True' },
      '',
    )

    const [failures, groups, dead, acknowledgements] = await Promise.all([
      nsb(['errors', 'list'], { cwd: folder }),
      nsb(['errors'], { cwd: folder }),
      nsb(['errors', 'list', '--kind', 'dlx'], { cwd: folder }),
      nsb(['errors', 'list', '--kind', 'ack', '--json'], { cwd: folder }),
    ])

    assert.equal(failures.stdout, '')
    assert.match(failures.stderr, /^no failure matches\n1 acknowledgement: nsb errors list --kind ack$/m)
    assert.match(groups.stdout, /\(1 acknowledgement: nsb errors list --kind ack\)/)
    assert.match(dead.stderr, /^no entry of kind dlx matches$/m)
    assert.equal(acknowledgements.json()['total'], 1)
    for (const { stderr } of [failures, groups, dead]) assert.doesNotMatch(stderr, /empty/)
  })

  it('says that the queue is empty where nothing ever failed, with exit code 0', async () => {
    const { folder, storage } = projectWith()
    mkdirSync(join(storage, 'error'), { recursive: true })

    const ended = await nsb(['errors', 'list'], { cwd: folder })

    assert.deepEqual([ended.code, ended.stdout], [0, ''])
    assert.match(ended.stderr, /the error queue is empty/)
  })

  it('selects, counts and limits', async () => {
    const { folder } = projectWith(...all)
    const run = (...words: string[]) => nsb(['errors', 'list', ...words], { cwd: folder })

    assert.deepEqual(
      itemsOf((await run('--type', 'ShipOrder', '--json')).json()).map((item) => item['type']),
      ['Shop.Messages.ShipOrder'],
    )
    assert.equal((await run('--exception', 'System.*', '--count')).stdout, '2\n')
    assert.equal((await run('--limit', '1', '-o', 'ids')).stdout, '51692567-85ab-15a5-4765-b827c6e86762\n')
    assert.equal((await run('--group', 'ac70', '-o', 'ids')).stdout, 'acc35ddb-8551-43b8-82bc-eb4f2077f70c\n')
    assert.equal((await run('acc3', '-o', 'ids')).stdout, 'acc35ddb-8551-43b8-82bc-eb4f2077f70c\n')
  })

  it('names the next command for where it was told to look itself', async () => {
    const { folder, storage } = projectWith()
    putMessage(storage, "bill's errors", 'm1', failureHeaders('m1'))

    const typed = await nsb(['errors', 'list', '-p', 'default', '--error-queue', "bill's errors"], { cwd: folder })
    const remembered = await nsb(['errors', 'list'], { cwd: folder, env: { NSB_ERROR_QUEUE: "bill's errors" } })

    const where = String.raw` --profile default --error-queue 'bill'\''s errors'`
    assert.match(typed.stderr, /^Next: nsb errors show \w{8} --profile/m)
    assert.equal(typed.stderr.split(where).length, 3, typed.stderr)
    assert.match(remembered.stderr, /^Next: nsb errors show \w{8} {6}nsb errors replay \w{8} --wait$/m)
  })

  it('names in each command the error queue that it is about, where it was told to look into several', async () => {
    const { folder, storage } = projectWith()
    putMessage(storage, 'error', 'old', failureHeaders('old'))
    for (const id of ['new', 'newer']) putMessage(storage, 'other', id, failureHeaders(id))
    putMessage(storage, 'other', 'mt', fault, envelope)
    const several = ['--error-queue', 'error', '--error-queue', 'other']

    const [listed, grouped, remembered] = await Promise.all([
      nsb(['errors', 'list', ...several], { cwd: folder }),
      nsb(['errors', 'groups', ...several], { cwd: folder }),
      nsb(['errors', 'groups'], { cwd: folder, env: { NSB_ERROR_QUEUE: 'error,other' } }),
    ])

    assert.match(
      listed.stderr,
      /^Next: nsb errors show \w{8} --error-queue (error|other) {6}nsb errors replay \w{8} --wait --error-queue \1$/m,
    )
    assert.match(listed.stderr, /^1 MassTransit fault: nsb errors list --kind masstransit --error-queue error --error-queue other$/m)
    assert.match(grouped.stdout, /\(1 MassTransit fault: nsb errors list --kind masstransit --error-queue error --error-queue other\)/)
    for (const { stderr } of [grouped, remembered])
      assert.match(stderr, /^Next: nsb errors list --group \w{8} --error-queue other {6}nsb errors replay .* --wait --error-queue other$/m)
  })

  it('shows a time that cannot be read as ? in a terminal and in a pipe', async () => {
    const { folder, storage } = projectWith()
    putMessage(storage, 'error', 'm1', failureHeaders('m1', { 'NServiceBus.TimeOfFailure': 'yesterday' }))

    const listed = await nsb(['errors', 'list', '--columns', 'message,failed', '--no-header'], { cwd: folder })
    const grouped = await nsb(['errors', 'groups', '--columns', 'count,first,last', '--no-header'], { cwd: folder })

    assert.equal(listed.stdout.trim(), 'm1  ?')
    assert.match(grouped.stdout.trim(), /^1 {2}\? {2}\?$/)
  })

  it('E-4 finds the golden failure under the group id of ServiceControl', async () => {
    const { folder } = projectWith('12-error-queue')

    const groups = await nsb(['errors', 'groups', '--json'], { cwd: folder })

    assert.deepEqual(
      itemsOf(groups.json()).map((group) => [group['id'], group['title'], group['count']]),
      [
        [
          'ac70d1ff-e779-66bc-f6fb-e06c53ede351',
          'System.InvalidOperationException: Shop.Handlers.FailingOrderHandler.Handle(FailingOrder message, IMessageHandlerContext context)',
          1,
        ],
      ],
    )
  })

  it('ends with 8 under --fail-if-any, and prints its own document', async () => {
    const { folder } = projectWith('12-error-queue')

    const ended = await nsb(['errors', 'list', '--fail-if-any', '--json'], { cwd: folder })

    assert.equal(ended.code, 8)
    assert.equal(ended.json()['schema'], 'nsb.errors.list/1')
    assert.equal((await nsb(['errors', 'list', '--fail-if-any', '--type', 'Other'], { cwd: folder })).code, 0)
  })

  it('prints table, csv and ndjson with whole values when piped', async () => {
    const { folder } = projectWith('15-after-second-handler-failed')

    const table = await nsb(['errors', 'list'], { cwd: folder })
    const csv = await nsb(['errors', 'list', '-o', 'csv', '--columns', 'id,exception'], { cwd: folder })
    const ndjson = await nsb(['errors', 'list', '-o', 'ndjson'], { cwd: folder })

    assert.equal(
      table.stdout.split('\n')[0],
      'ID                                    FAILED                    TYPE                     ENDPOINT     REPLAYED  EXCEPTION',
    )
    assert.match(table.stdout, /^51692567-85ab-15a5-4765-b827c6e86762 {2}2026-11-21T00:21:21\.026Z/m)
    assert.equal(
      csv.stdout,
      'id,exception\n51692567-85ab-15a5-4765-b827c6e86762,System.InvalidOperationException: Second handler failure 1 of 9\n',
    )
    const lines = ndjson.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    assert.deepEqual(
      lines.map((line) => line['uniqueId'] ?? line['schema']),
      ['51692567-85ab-15a5-4765-b827c6e86762', 'nsb.summary/1'],
    )
  })

  it('takes several error queues', async () => {
    const { folder, storage } = projectWith()
    putMessage(storage, 'error', 'a', failureHeaders('a'))
    putMessage(storage, 'other', 'b', failureHeaders('b', { 'NServiceBus.TimeOfFailure': '2026-11-22 00:00:00:000000 Z' }))

    const ended = await nsb(['errors', 'list', '--error-queue', 'error', '--error-queue', 'other', '--json'], { cwd: folder })
    const fromEnvironment = await nsb(['errors', 'list', '--json'], { cwd: folder, env: { NSB_ERROR_QUEUE: 'other' } })

    assert.deepEqual(
      itemsOf(ended.json()).map((item) => [item['messageId'], item['errorQueue']]),
      [
        ['b', 'other'],
        ['a', 'error'],
      ],
    )
    assert.equal(fromEnvironment.json()['queue'], 'other')
  })

  it('leaves no error queue out unseen: what works on one refuses several, wherever they are named', async () => {
    const { folder, storage } = projectWith()
    putMessage(storage, 'error', 'a', failureHeaders('a'))
    putMessage(storage, 'other', 'b', failureHeaders('b'))

    const [show, archive, twice] = await Promise.all([
      nsb(['errors', 'show', 'a', '--error-queue', 'error', '--error-queue', 'other'], { cwd: folder }),
      nsb(['errors', 'archive', '--all', '--yes', '--json'], { cwd: folder, env: { NSB_ERROR_QUEUE: 'error,other' } }),
      nsb(['errors', 'show', 'a', '--error-queue', 'error', '--error-queue', 'error'], { cwd: folder }),
    ])

    assert.deepEqual([show.code, archive.code, twice.code], [2, 2, 0])
    assert.match(show.stderr, /NSB_BAD_FLAG: .*--error-queue names 2: 'error', 'other'\./)
    assert.match(archive.stderr, /NSB_BAD_FLAG: .*NSB_ERROR_QUEUE names 2: 'error', 'other'\./)
    assert.equal(messagesIn(storage, 'error').length + messagesIn(storage, 'other').length, 2)
  })

  it('refuses an id that means several messages with 2, an unknown one with 4', async () => {
    const { folder, storage } = projectWith()
    putMessage(storage, 'error', 'a', failureHeaders('a', { 'ServiceControl.Retry.UniqueMessageId': 'c118aaaa' }))
    putMessage(storage, 'error', 'b', failureHeaders('b', { 'ServiceControl.Retry.UniqueMessageId': 'c118bbbb' }))

    const ambiguous = await nsb(['errors', 'show', 'c118', '--json'], { cwd: folder })
    const unknown = await nsb(['errors', 'show', 'ffff', '--json'], { cwd: folder })

    assert.equal(ambiguous.code, 2)
    assert.match(ambiguous.stderr, /c118aaaa\n {2}c118bbbb/)
    assert.deepEqual([unknown.code, (unknown.json()['error'] as { code: string }).code], [4, 'NSB_MESSAGE_NOT_FOUND'])
  })

  it('E-44 escapes control characters of a message in human output, and keeps them in JSON', async () => {
    const { folder, storage } = projectWith()
    const evil = 'x\u001b]0;owned\u0007\u202Etxt.exe\nnext'
    putMessage(
      storage,
      'error',
      'a',
      failureHeaders('a\u001b[2J', { 'NServiceBus.ExceptionInfo.Message': evil, 'NServiceBus.ProcessingEndpoint': 'S\u001b[31m' }),
      `{"a":"\u001b[2J"}`,
    )

    const listed = await nsb(['errors', 'list'], { cwd: folder })
    const id = (await nsb(['errors', 'list', '-o', 'ids'], { cwd: folder })).stdout.trim()
    const shown = await nsb(['errors', 'show', id, '--headers', '--stack'], { cwd: folder })
    const json = await nsb(['errors', 'list', '--json'], { cwd: folder })

    for (const output of [listed.stdout, listed.stderr, shown.stdout, shown.stderr])
      assert.ok(!['\u001b', '\u0007', '\u202e'].some((character) => output.includes(character)), output)
    assert.match(shown.stdout, /x\\x1b\]0;owned\\x07\\u202etxt\.exe/)
    assert.equal(itemsOf(json.json())[0]?.['exceptionMessage'], evil)
  })

  it('says how to name a storage folder where there is none', async () => {
    const ended = await nsb(['errors', 'list', '--json'], { cwd: temporaryFolder() })

    assert.equal(ended.code, 2)
    assert.equal((ended.json()['error'] as { code: string }).code, 'NSB_NO_STORAGE')
  })
})

const fault = {
  'MT-Reason': 'fault',
  'MT-Fault-ExceptionType': 'System.Exception',
  'MT-Fault-Message': 'no stock',
  'MT-Fault-StackTrace': '   at Shop.OrderConsumer.Consume(ConsumeContext context) in /src/a.cs:line 9',
  'MT-Fault-Timestamp': '2026-11-20T16:30:00Z',
  'MT-Fault-InputAddress': 'rabbitmq://localhost/submit-order',
  'NServiceBus.ContentType': 'application/vnd.masstransit+json',
}
const envelope = '{"messageId":"5b2d-7","messageType":["urn:message:Shop.Contracts:SubmitOrder"],"message":{"OrderId":1}}'
const dead = { 'NServiceBus.MessageId': 'd1', 'x-death': '[{"queue":"orders","reason":"rejected","time":1795000000}]' }

describe('entries that no endpoint wrote', () => {
  it('E-42 are listed with target and time, grouped, shown, and replayed to where they failed without what their system added', async () => {
    const { folder, storage } = projectWith()
    for (const queue of ['submit-order', 'orders']) mkdirSync(join(storage, queue, '.bodies'), { recursive: true })
    putMessage(storage, 'error', 'mt-file', fault, envelope)
    putMessage(storage, 'error', 'dead-file', dead)
    const run = (...words: string[]): Promise<Ended> => nsb(['errors', ...words], { cwd: folder })

    const listed = itemsOf((await run('list', '--kind', 'masstransit', '--kind', 'dlx', '--json')).json())
    const grouped = await run('groups', '--kind', 'masstransit', '--json')
    const shown = await run('show', '5b2d-7')
    const replayed = await run('replay', '--kind', 'masstransit', '--kind', 'dlx', '--yes', '--json')

    assert.deepEqual(
      listed
        .map(({ failedAt, kind, queue, type }) => [kind, queue, failedAt, type])
        .toSorted(([a], [b]) => String(a).localeCompare(String(b))),
      [
        ['dlx', 'orders', '2026-11-18T11:06:40.000Z', undefined],
        ['masstransit', 'submit-order', '2026-11-20T16:30:00.000Z', 'Shop.Contracts.SubmitOrder'],
      ],
    )
    assert.equal(itemsOf(grouped.json())[0]?.['title'], 'System.Exception: Shop.OrderConsumer.Consume(ConsumeContext context)')
    assert.match(shown.stdout, /^kind {8}masstransit\nfailed {6}2026-11-20 16:30:00Z in submit-order/m)
    assert.match(shown.stdout, /at Shop\.OrderConsumer\.Consume\(…\)/)
    assert.equal(replayed.json()['published'], 2, replayed.stderr)
    for (const queue of ['submit-order', 'orders']) {
      const [copy] = messagesIn(storage, queue)
      assert.deepEqual(
        Object.keys(copy?.headers ?? {}).filter((name) => /^(MT-|x-)/.test(name)),
        [],
      )
    }
    assert.equal(messagesIn(storage, 'submit-order')[0]?.body, envelope)
  })

  it('E-3 E-9 are counted in words, and acknowledgements are not', async () => {
    const { folder, storage } = projectWith('12-error-queue')
    putMessage(storage, 'error', 'p1', { A: '1' })
    putMessage(storage, 'error', 'p2', { A: '1' })
    putMessage(storage, 'error', 'mt', fault, envelope)
    putMessage(storage, 'error', 'dead', dead)
    putMessage(storage, 'error', 'ack', { 'ServiceControl.Retry.Successful': 'x' })
    putMessage(storage, 'error', 'none', { 'NServiceBus.MessageId': 'none', 'NServiceBus.FailedQ': 'Sales' })

    const groups = await nsb(['errors'], { cwd: folder })
    const document = (await nsb(['errors', 'groups', '--json'], { cwd: folder })).json()
    const listed = await nsb(['errors', 'list'], { cwd: folder })
    const wide = await nsb(['errors', 'groups', '-o', 'ids'], { cwd: folder })

    assert.deepEqual(
      groups.stdout
        .trimEnd()
        .split('\n')
        .slice(2)
        .map((line) => line.trim().replaceAll(/ +/g, ' ')),
      [
        '+ 1 – – (1 in no group)',
        '+ 2 – – (2 poison messages: nsb errors list --kind poison)',
        '+ 1 – – (1 MassTransit fault: nsb errors list --kind masstransit)',
        '+ 1 – – (1 dead-lettered message: nsb errors list --kind dlx)',
      ],
    )
    assert.match(groups.stderr, /^error on default \(learning, 7 messages, oldest .* ago\)$/m)
    assert.deepEqual(
      [document['total'], document['ungrouped'], document['poison'], document['masstransit'], document['dlx']],
      [2, 1, 2, 1, 1],
    )
    assert.match(listed.stderr, /^2 poison messages: nsb errors list --kind poison$/m)
    assert.equal(wide.stdout, 'ac70d1ff-e779-66bc-f6fb-e06c53ede351\n')
    assert.match(wide.stderr, /^1 dead-lettered message/m)
  })

  it('E-3 need to be told where a poison message goes', async () => {
    const { folder, storage } = projectWith()
    putMessage(storage, 'error', 'p1', { A: '1' })

    const nowhere = await nsb(['errors', 'replay', '--kind', 'poison', '--yes', '--json'], { cwd: folder })
    const somewhere = await nsb(['errors', 'replay', '--kind', 'poison', '--to', 'Shop.Server', '--yes', '--json'], { cwd: folder })

    assert.deepEqual([nowhere.code, somewhere.code], [3, 0])
    assert.equal(messagesIn(storage, 'Shop.Server').length, 1)
  })

  it('are warned of when the queue looks like the one ServiceControl forwards to', async () => {
    const { folder, storage } = projectWith()
    putMessage(storage, 'error.log', 'a', failureHeaders('a'))

    const ended = await nsb(['errors', 'list', '--error-queue', 'error.log', '--json'], { cwd: folder })

    assert.equal(ended.json()['total'], 1)
    assert.match(ended.stderr, /these are copies, and ServiceControl still has the failures/)
  })
})

describe('a group that no longer exists', () => {
  it('ends list and groups with 4 and says so, and counts as none in a check', async () => {
    const { folder } = projectWith('12-error-queue')

    for (const words of [['list'], ['groups'], ['list', '-o', 'ndjson']]) {
      const ended = await nsb(['errors', ...words, '--group', 'ffff', '-p', 'default'], { cwd: folder })

      assert.equal(ended.code, 4)
      assert.match(ended.stderr, /NSB_GROUP_NOT_FOUND: No failure in 'error' that matches is in a group whose id begins with 'ffff'/)
      assert.match(ended.stderr, /Try: nsb errors groups --profile default$/m)
    }
    assert.equal((await nsb(['errors', 'list', '--group', 'ffff', '--fail-if-any'], { cwd: folder })).code, 0)
    assert.equal((await nsb(['errors', 'list', '--group', 'ffff', '--count'], { cwd: folder })).stdout, '0\n')
  })
})

describe('a long list', () => {
  const ids = (count: number): string[] => Array.from({ length: count }, (_, index) => `m${index + 1}`)
  const filled = (count: number): { folder: string } => {
    const { folder, storage } = projectWith()
    for (const id of ids(count)) putMessage(storage, 'error', id, failureHeaders(id), `{"Number":${id.slice(1)}}`)
    return { folder }
  }

  it.each(['ids', 'ndjson', 'csv'])('is the same written as it is read and sorted, as %s', async (output) => {
    const { folder } = filled(30)
    const run = async (...words: string[]): Promise<string[]> =>
      (await nsb(['errors', 'list', '-o', output, ...words], { cwd: folder })).stdout
        .replace(/"asOf":"[^"]+"/, '"asOf":"then"')
        .trimEnd()
        .split('\n')

    const all = await run('--limit', '1000')
    const some = await run('--limit', '20', '--body', '$[?$.Number <= 25]')
    const sorted = await run('--limit', '1000', '--sort', 'id')

    assert.equal(all.filter((line) => !line.includes('nsb.summary')).length, output === 'csv' ? 31 : 30)
    assert.deepEqual(all.toSorted(), sorted.toSorted())
    assert.equal(some.length, output === 'ids' ? 20 : 21)
  })

  it('E-44 prints one plain word a line for an id, whatever is in it, and takes it for the id', async () => {
    const { folder, storage } = projectWith()
    putMessage(storage, 'error', 'a', failureHeaders('a', { 'ServiceControl.Retry.UniqueMessageId': 'c118\nacc35ddb\u001b[2J' }))

    const [streamed, sorted] = await Promise.all(
      [[], ['--sort', 'id']].map((more) => nsb(['errors', 'list', '-o', 'ids', ...more], { cwd: folder })),
    )

    for (const ended of [streamed, sorted]) assert.match(ended?.stdout ?? '', /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\n$/)
    const shown = await nsb(['errors', 'show', String(streamed?.stdout).trim(), '--json'], { cwd: folder })
    assert.equal(itemsOf(shown.json())[0]?.['messageId'], 'a')
  })

  it('sorts by each column, both ways, and takes columns, for groups as well', async () => {
    const { folder } = projectWith(...all)
    const run = async (...words: string[]): Promise<string> => (await nsb(['errors', ...words], { cwd: folder })).stdout

    assert.equal(
      await run('list', '--sort', 'type', '--columns', 'type', '--no-header'),
      'Shop.Messages.FailingOrder\nShop.Messages.PlaceOrder\nShop.Messages.ShipOrder\n',
    )
    assert.equal(
      await run('list', '--sort', '-failed', '--columns', 'type', '-o', 'csv', '--limit', '1'),
      'type\nShop.Messages.ShipOrder\n',
    )
    assert.equal(
      await run('groups', '--by', 'type', '--sort', '-title', '--columns', 'title,count', '--no-header'),
      'Shop.Messages.ShipOrder     1\nShop.Messages.PlaceOrder    1\nShop.Messages.FailingOrder  1\n',
    )
    const json = JSON.parse(await run('groups', '--by', 'type', '--sort', 'title', '--json')) as Record<string, unknown>
    assert.deepEqual(
      itemsOf(json).map((item) => item['title']),
      ['Shop.Messages.FailingOrder', 'Shop.Messages.PlaceOrder', 'Shop.Messages.ShipOrder'],
    )
    assert.equal((await run('groups', '-o', 'csv')).split('\n')[0], 'group,count,first,last,endpoints,types,title')
    assert.equal((await run('groups', '-o', 'ids')).trim().split('\n').length, 3)
    assert.equal((await run('groups', '-o', 'ndjson')).trim().split('\n').length, 4)
    assert.match(await run('groups', '-o', 'wide'), /^GROUP +COUNT +FIRST +LAST +ENDPOINTS +TYPES +TITLE$/m)
  })

  it('is sorted before it is cut to the limit, in every form, and what has no time comes last', async () => {
    const { folder, storage } = projectWith()
    const failedAt = (minute: string): Record<string, string> =>
      failureHeaders(`m${minute}`, { 'NServiceBus.TimeOfFailure': `2026-11-21 00:${minute}:00:000000 Z` })
    // The newest files failed first; 1,000 entries are the least that is read.
    for (const minute of ['59', '58', '57']) putMessage(storage, 'error', `a${minute}`, failedAt(minute))
    putMessage(storage, 'error', 'unknown', { ...failedAt('?'), 'NServiceBus.TimeOfFailure': 'never' })
    for (let index = 0; index < 1200; index++) putMessage(storage, 'error', `b${index}`, failedAt(String(10 + (index % 40))))
    const run = (...words: string[]): Promise<Ended> => nsb(['errors', 'list', ...words], { cwd: folder })

    const [table, json, ndjson, all] = await Promise.all([
      run('--limit', '3', '--sort', '-failed', '--columns', 'message', '--no-header'),
      run('--limit', '3', '--sort', '-failed', '--json'),
      run('--limit', '3', '--sort', '-failed', '-o', 'ndjson'),
      run('--limit', '2000', '--sort', 'failed', '--columns', 'message', '--no-header'),
    ])

    assert.equal(table.stdout, 'm59\nm58\nm57\n')
    const messageIds = (items: readonly Record<string, unknown>[]): unknown[] => items.map((item) => item['messageId'])
    assert.deepEqual(messageIds(itemsOf(json.json())), ['m59', 'm58', 'm57'])
    const lines = ndjson.stdout.split('\n', 3).map((line) => JSON.parse(line) as Record<string, unknown>)
    assert.deepEqual(messageIds(lines), ['m59', 'm58', 'm57'])
    assert.deepEqual(all.stdout.trimEnd().split('\n').slice(-2), ['m59', 'm?'])
  })

  it('is shown by the page, each naming the next one as it is to be typed, in every form', async () => {
    const { folder } = filled(7)
    const run = (...words: string[]): Promise<Ended> =>
      nsb(['errors', 'list', '--type', 'PlaceOrder', '--limit', '3', ...words], { cwd: folder })

    const [first, second, last, beyond, whole, none, counted] = await Promise.all([
      run('--sort', '-message', '--columns', 'message,id', '-o', 'csv'),
      run('--sort', '-message', '--page', '2', '-o', 'json'),
      run('--page', '3', '-o', 'ids'),
      run('--page', '4'),
      nsb(['errors', 'list', '-o', 'ids'], { cwd: folder }),
      nsb(['errors', 'list', '--limit', '0', '--page', '2'], { cwd: folder }),
      run('--page', '2', '--count'),
    ])

    assert.match(
      first.stderr,
      / {6}nsb errors list --type PlaceOrder --output csv --columns 'message,id' --sort=-message --limit 3 --page 2$/m,
    )
    assert.match(first.stderr, /^4 more match/m)
    assert.deepEqual(
      itemsOf(second.json()).map((item) => item['messageId']),
      ['m4', 'm3', 'm2'],
    )
    assert.deepEqual([second.json()['total'], second.json()['page']], [7, 2])
    assert.equal(last.stdout, `${whole.stdout.trimEnd().split('\n')[6] ?? ''}\n`)
    assert.doesNotMatch(last.stderr, /more match|--page/)
    assert.deepEqual([beyond.code, beyond.stdout], [0, ''])
    assert.match(beyond.stderr, /^there is no such page: 7 match$/m)
    assert.deepEqual([none.code, counted.code], [2, 2])
    assert.match(none.stderr, /NSB_BAD_FLAG: There is no --page 2 of --limit 0/)
  })

  it('shows the second copy of a failure as dup', async () => {
    const { folder, storage } = projectWith()
    putMessage(storage, 'error', 'a1', failureHeaders('a'))
    putMessage(storage, 'error', 'a2', failureHeaders('a'))

    const table = await nsb(['errors', 'list', '--columns', 'replayed', '--no-header'], { cwd: folder })
    const json = itemsOf((await nsb(['errors', 'list', '--json'], { cwd: folder })).json())

    assert.equal(table.stdout, '0\n0 dup\n')
    assert.match(table.stderr, /1 of them is a copy of a failure that is listed as well \(dup\)/)
    assert.deepEqual(
      json.map((item) => item['duplicate']),
      [undefined, true],
    )
  })
})
